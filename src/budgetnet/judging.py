"""Facts held against a contract: met, broken (by how much) or unproven (what is missing).

Pure: nothing is measured here, and the same facts and contract give the same verdict. The last epoch is judged, never the best.
Accuracies are compared as counts of images, so that 9,940 of 10,000 is 99.4 % whatever binary fractions make of it. No torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from budgetnet.clauses import (
    AccuracyLimit,
    BiasRule,
    ClauseResult,
    Contract,
    EpochLimit,
    ForwardPassLimit,
    FullyConnectedRule,
    ParameterLimit,
    State,
    SustainedAccuracyLimit,
    Verdict,
)
from budgetnet.facts import Facts, Finding, TrainingFacts

NOT_TRAINED = "this network was not trained here; train it or judge a run"
COUNTING = {
    "total": "counted as Keras's total, trainable and non-trainable together",
    "trainable": "counted as the trainable ones alone",
    "with_hidden": "counted as Keras's total with the constants hidden in buffers, attributes or code",
    "non_zero": "counted as the entries of Keras's total that are not zero",
}


def judge(facts: Facts, contract: Contract) -> Verdict:
    """Return the verdict on `facts`: a result for each clause that `contract` asks, in the order of `clauses.CLAUSES`."""
    results: list[ClauseResult] = []
    if contract.parameters:
        results.append(_parameters(facts, contract.parameters))
    if contract.epochs:
        results.append(_epochs(facts.training, contract.epochs))
    if contract.accuracy:
        results.append(_accuracy(facts.training, contract.accuracy, contract.data))
    if contract.sustained_accuracy:
        results.append(_sustained(facts.training, contract.sustained_accuracy, contract.data))
    if contract.fully_connected:
        results.append(_fully_connected(facts, contract.fully_connected))
    if contract.biases:
        results.append(_biases(facts, contract.biases))
    if contract.forward_passes:
        results.append(_forward_passes(facts, contract.forward_passes))
    states = {result.state for result in results}
    whole: State = "broken" if "broken" in states else "unproven" if "unproven" in states else "met"
    return Verdict(contract=contract.name, verdict=whole, clauses=tuple(results))


def _result(name: str, limit: int | float | str | None) -> Callable[[State, int | float | str | None, str], ClauseResult]:
    def build(state: State, measured: int | float | str | None, why: str) -> ClauseResult:
        return ClauseResult(name=name, state=state, measured=measured, limit=limit, why=why)

    return build


def _parameters(facts: Facts, limit: ParameterLimit) -> ClauseResult:
    counts, result = facts.network.parameters, _result("parameters", limit.at_most)
    measured = {
        "total": counts.total,
        "trainable": counts.trainable,
        "with_hidden": counts.with_hidden,
        "non_zero": counts.non_zero,
    }[limit.count]
    said = f"{measured:,} parameters, {COUNTING[limit.count]}"
    if measured > limit.at_most:
        return result("broken", measured, f"{said}, are {measured - limit.at_most:,} over the {limit.at_most:,} allowed.")
    # What no count of the genre sees is still a parameter, whichever count the contract names.
    disguised = 0 if limit.count == "with_hidden" else counts.with_hidden - counts.total
    disguised += counts.frozen if limit.count == "trainable" else 0
    excess = measured + disguised - limit.at_most
    if excess > 0:
        over = f"{excess:,} over the {limit.at_most:,} allowed"
        why = f"{said}, and {disguised:,} more in disguise (hidden constants, frozen weights) are {over}."
        return result("broken", measured + disguised, why)
    if facts.network.uncounted:
        return result("unproven", measured, f"{said}, and perhaps more beside them. {facts.network.uncounted}")
    beside = f" ({disguised:,} hidden or frozen ones beside them would fit too)" if disguised else ""
    return result("met", measured, f"{said}, leave {-(excess - disguised):,} of the {limit.at_most:,} allowed{beside}.")


def _epochs(training: TrainingFacts | None, limit: EpochLimit) -> ClauseResult:
    result = _result("epochs", limit.at_most)
    if training is None:
        return result("unproven", None, f"No epochs are known: {NOT_TRAINED}.")
    if training.training_images == 0 and training.samples_seen == 0:
        return result("unproven", None, "No epochs are known: weights do not say how they were trained.")
    teachers = training.teacher.samples_seen if training.teacher else 0
    if training.training_images <= 0 or training.samples_seen < teachers:
        return result("unproven", None, "The run does not say how many images one epoch is, or how many it and its teacher saw.")
    seen = Fraction(training.samples_seen, training.training_images)
    allowed = Fraction(str(limit.at_most))
    so_far = "" if training.complete else " so far, and the run is not finished"
    taught = f", {teachers:,} of them seen by its teacher," if training.teacher else ""
    said = f"{training.samples_seen:,} samples seen{taught} are {float(seen):.2f} epochs of {training.training_images:,} images{so_far}"
    if seen > allowed:
        over = math.ceil((seen - allowed) * training.training_images)
        why = f"{said}: {float(seen - allowed):.2f} epochs ({over:,} samples) over the {limit.at_most:g} allowed."
        return result("broken", round(float(seen), 6), why)
    if not training.complete:
        return result(
            "unproven", round(float(seen), 6), f"{said}: how many it will be is not known; {limit.at_most:g} are allowed."
        )
    return result("met", round(float(seen), 6), f"{said}; {limit.at_most:g} are allowed.")


def _accuracy(training: TrainingFacts | None, limit: AccuracyLimit, data: str | None) -> ClauseResult:
    result = _result("accuracy", limit.at_least)
    measured = training.accuracy if training and _is_fraction(training.accuracy) else None
    missing = _missing(training, data)
    if missing or training is None:
        return result("unproven", measured, missing)
    if training.accuracy is None:
        return result("unproven", None, "The test split was not read yet.")
    if measured is None:
        return result("unproven", None, f"The run's accuracy, {training.accuracy}, is no fraction between 0 and 1.")
    exact = _exact(measured, training.test_images)
    images = f", {round(exact * training.test_images):,} of {training.test_images:,} images" if training.test_images else ""
    said = f"{_percent(exact)} after the last epoch{images}"
    allowed = Fraction(str(limit.at_least))
    if exact < allowed:
        return result("broken", measured, f"{said}: {_points(allowed - exact)} points below {_percent(allowed)}.")
    return result("met", measured, f"{said}; at least {_percent(allowed)} was asked.")


def _sustained(training: TrainingFacts | None, limit: SustainedAccuracyLimit, data: str | None) -> ClauseResult:
    result = _result("sustained_accuracy", limit.at_least)
    missing = _missing(training, data)
    if missing or training is None:
        return result("unproven", None, missing)
    if training.accuracy_by_epoch is None:
        return result("unproven", None, "No accuracy of the last epochs is known: the test split was read only once, at the end.")
    last = training.accuracy_by_epoch[-limit.last :]
    if len(last) < limit.last:
        why = f"The run gives the accuracy of {len(last)} epochs, and the last {limit.last} are asked."
        return result("unproven", None, why)
    if not all(_is_fraction(value) for value in last):
        return result("unproven", None, f"One of the last {limit.last} accuracies is no fraction between 0 and 1.")
    allowed = Fraction(str(limit.at_least))
    exact = [_exact(value, training.test_images) for value in last]
    below = [value for value in exact if value < allowed]
    if below:
        first = len(training.accuracy_by_epoch) - limit.last + 1 + exact.index(min(exact))
        why = (
            f"{len(below)} of the last {limit.last} epochs are below {_percent(allowed)}, the lowest (epoch {first}, "
            f"{_percent(min(exact))}) by {_points(allowed - min(exact))} points."
        )
        return result("broken", min(last), why)
    why = f"The last {limit.last} epochs all reach {_percent(allowed)}; the lowest has {_percent(min(exact))}."
    return result("met", min(last), why)


def _fully_connected(facts: Facts, rule: FullyConnectedRule) -> ClauseResult:
    limit = "allowed" if rule.allowed else "none, nor an equivalent" if rule.equivalent == "forbidden" else "none"
    result = _result("fully_connected", limit)
    layers, equivalents = facts.network.fully_connected, facts.network.fully_connected_equivalent
    if rule.allowed:
        return result("met", None if layers is None else len(layers), "Fully connected layers are allowed by this contract.")
    if layers:
        return result("broken", len(layers), f"{_counted(len(layers), 'fully connected layer')}: {_named(layers)}")
    if equivalents and rule.equivalent == "forbidden":
        why = f"{_counted(len(equivalents), 'equivalent')} of a fully connected layer, forbidden here: {_named(equivalents)}"
        return result("broken", len(equivalents), why)
    if layers is None or (equivalents is None and rule.equivalent == "forbidden"):
        return result("unproven", None, "The trace of the network could not tell" + _reasons(facts))
    beside = f" An equivalent, allowed by this contract: {_named(equivalents)}" if equivalents else ""
    return result("met", 0, f"No operation of the forward pass is fully connected.{beside}")


def _biases(facts: Facts, rule: BiasRule) -> ClauseResult:
    limit = (
        "allowed" if rule.allowed else "none, nor a normalization's shift" if rule.normalization_shift == "forbidden" else "none"
    )
    result = _result("biases", limit)
    biases, shifts = facts.network.biases, facts.network.normalization_shifts
    shift_word = "A normalization's learned shift, of which there is none here, would be "
    if shifts:
        shift_word = f"The learned shift of {_counted(len(shifts), 'normalization')} ({_numbers(shifts)}) is "
    forbidden = rule.normalization_shift == "forbidden" and not rule.allowed
    shift_word += "counted as a bias by this contract." if forbidden else "no bias."
    if rule.allowed:
        return result("met", None if biases is None else len(biases), "Biases are allowed by this contract.")
    if biases or (forbidden and shifts):
        found = (*(biases or ()), *(shifts if forbidden else ()))
        own = f"{_counted(len(biases), 'bias', 'biases')} ({_numbers(biases)}): {_named(biases)} " if biases else ""
        return result("broken", len(found), f"{own}{shift_word}")
    if biases is None:
        return result("unproven", None, "The trace of the network could not tell" + _reasons(facts))
    return result("met", 0, f"No layer has a bias. {shift_word}")


def _forward_passes(facts: Facts, limit: ForwardPassLimit) -> ClauseResult:
    result = _result("forward_passes", limit.at_most)
    inside, training = facts.network.forward_passes, facts.training
    outside = training.forward_passes if training else 1
    if inside is not None and inside > limit.at_most and outside is None:
        outside = 1  # too many already, whatever the evaluation did
    if inside is None:
        return result("unproven", None, "The trace could not tell how often an image goes through the network" + _reasons(facts))
    if not outside:
        return result("unproven", None, "The run does not say how many passes its evaluation made for each image.")
    passes = inside * outside
    counted = _counted(passes, "forward pass", "forward passes")
    said = f"{counted} for one image ({inside} in the network, times {outside} by the evaluation)"
    if passes > limit.at_most:
        return result("broken", passes, f"{said}: {passes - limit.at_most:,} over the {limit.at_most} allowed.")
    return result("met", passes, f"{said}; {limit.at_most} allowed.")


def _missing(training: TrainingFacts | None, data: str | None) -> str:
    """Return why no accuracy of this run can be held against the contract; nothing where one can."""
    if training is None:
        return f"No accuracy is known: {NOT_TRAINED}."
    if data is not None and training.data != data:
        return f"The contract asks for the test split of {data!r}, and this run was measured on {training.data!r}."
    if not training.complete:
        return "The run is not finished, and only its last epoch counts; resume it to the end."
    return ""


def _is_fraction(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and 0 <= value <= 1


def _exact(accuracy: float, images: int | None) -> Fraction:
    """Return the accuracy as the count of images that it is, where it is one; else the shortest decimal that reads the same."""
    if images and images > 0:
        count = round(accuracy * images)
        # float32 averages, as Keras prints them, are off by some 1e-8.
        if abs(accuracy * images - count) < 1e-6 * images and abs(accuracy * images - count) < 0.01:
            return Fraction(count, images)
    return Fraction(str(accuracy))


def _percent(value: Fraction) -> str:
    return f"{_points(value)} %"


def _points(value: Fraction) -> str:
    """Return 100 times `value` with two decimals, or as many more, up to six, as it takes not to hide a difference."""
    text = f"{float(value * 100):.6f}".rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.ljust(2, '0')}"


def _counted(count: int, noun: str, plural: str = "") -> str:
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def _numbers(findings: tuple[Finding, ...]) -> str:
    return _counted(sum(finding.numbers for finding in findings), "number")


def _named(findings: tuple[Finding, ...]) -> str:
    shown = "; ".join(finding.what.rstrip(".") for finding in findings[:3])
    return f"{shown}; and {len(findings) - 3} more." if len(findings) > 3 else f"{shown}."


def _reasons(facts: Facts) -> str:
    return f": {' '.join(facts.network.notes)}" if facts.network.notes else "."
