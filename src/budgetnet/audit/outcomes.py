"""The text's accuracies and epochs, held against the logs: confirmed, contradicted, or not shown.

A figure is first looked for among the final ones, of every log and every result: only one that is nobody's final, and is the best
epoch's, was sold as what it is not. A figure that its own words call the best is honest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from budgetnet.audit.handin import HandIn, matches, same_at_printed_digits
from budgetnet.audit.starts import RESUMED
from budgetnet.audit.words import Claim, EpochRow, Evaluation, Found, Log, Value

ACHIEVED = re.compile(
    r"achiev(?:ed|es)|reach(?:ed|es)|\bgot\b|gives|consistent|maintain|obtain(?:ed|s)|\bgets\b|\bmet\b|is above|\bhas\b",
    re.IGNORECASE,
)
UPWARD = re.compile(r"more than|over|above|exceed|at least|greater|>|≥", re.IGNORECASE)
FINAL_PROOF = "The result of `evaluate` with the weights of the last epoch."
MARGIN = 0.5e-4
Shown = list[tuple[Log, list[tuple[EpochRow, Value]]]]
"""Logs, each with its watched accuracies by epoch."""


def result_findings(hand_in: HandIn) -> Iterator[Found]:
    """Yield the results of `evaluate` that the last epoch of their log contradicts."""
    for place, result in sorted(hand_in.belongs.items()):
        log = hand_in.logs[place]
        if not log.watches or matches(result, log.rows[-1]) or "train" in result.text.lower():
            continue
        same = [row for row in log.rows if matches(result, row)]
        final = log.rows[-1].metrics.get("val_acc")
        if same and final is not None and (hand_in.tests(place) or ("val_loss" in same[0].metrics and result.loss is not None)):
            yield _other_epoch(hand_in, log, result, same[-1], final)
        elif hand_in.tests(place) and final is not None:
            yield hand_in.found(
                f"The result of evaluate, {result.accuracy.value:.4f}, contradicts the last epoch of its log, {final.value:.4f}: "
                "the same weights on the same test images give the same numbers.",
                result.text,
                result.line,
                FINAL_PROOF,
            )


def _other_epoch(hand_in: HandIn, log: Log, result: Evaluation, row: EpochRow, final: Value) -> Found:
    best = max(value.value for _, value in log.watched())
    shown = row.metrics["val_acc"].value
    what = "The best epoch is sold as final" if best - shown < MARGIN else "Another epoch is sold as final"
    return hand_in.found(
        f"{what}: the result {result.accuracy.value:.4f} is that of epoch {row.number}; the last one, epoch {log.last}, "
        f"ended at {final.value:.4f}.",
        result.text,
        result.line,
        FINAL_PROOF,
    )


def accuracy_findings(hand_in: HandIn) -> tuple[list[Found], dict[int, str]]:
    """Return the findings on claimed accuracies, and the state of each claim by its place."""
    findings: list[Found] = []
    states: dict[int, str] = {}
    shown = [(log, rows) for log in hand_in.logs if log.watches and (rows := log.watched())]
    for place, claim in enumerate(hand_in.claims):
        if claim.kind != "accuracy":
            continue
        if claim.label in {"target", "mean", "other", "training"}:
            states[place] = "not held"
        elif shown and (found := _in_its_epoch(hand_in, claim)):
            states[place] = "contradicted"
            findings.append(found)
        elif any(same_at_printed_digits(claim.number, result.accuracy) for result in hand_in.evaluations) and claim.label != "best":
            states[place] = "shown"
        elif shown:
            states[place], found = _held(hand_in, claim, shown)
            findings += [found] if found else []
    return findings, states


def _in_its_epoch(hand_in: HandIn, claim: Claim) -> Found | None:
    """Return the finding on a figure said of an epoch for which each log that shows the epoch has another."""
    if claim.epoch is None or claim.label == "limit":
        return None
    others: list[tuple[EpochRow, Value]] = []
    for place, log in enumerate(hand_in.logs):
        if not log.watches or (hand_in.watched[place] == "validation" and not re.search(r"\bval", claim.text, re.IGNORECASE)):
            continue
        counted = {claim.epoch, claim.epoch - 1} if log.first == 0 else {claim.epoch}
        rows = [(row, value) for row, value in log.watched() if row.number in counted]
        every = [value for row in log.rows if row.number in counted for value in row.metrics.values()]
        if any(same_at_printed_digits(claim.number, value) for value in every):
            return None
        others += rows[-1:]
    if not others:
        return None
    row, value = others[0]
    return hand_in.found(
        f"The text claims {100 * claim.value:.6g} % in epoch {claim.epoch}; the log shows {100 * value.value:.6g} % there (line {row.line}).",
        claim.text,
        claim.line,
        "The log of the run in which that epoch reached it.",
    )


def _held(hand_in: HandIn, claim: Claim, logs: Shown) -> tuple[str, Found | None]:
    value = claim.number
    near = sorted(logs, key=lambda item: min(abs(item[0].line - claim.line), abs(item[0].end - claim.line)))
    finals = [rows[-1][1] for _, rows in near] + [result.accuracy for result in hand_in.evaluations]
    if claim.label == "limit":
        return _limit(hand_in, claim, near)
    if claim.label != "best" and any(same_at_printed_digits(value, final) for final in finals):
        return "shown", None
    for log, rows in near:
        row, best = max(rows, key=lambda item: item[1].value)
        if not same_at_printed_digits(value, best):
            continue
        if claim.label == "best" or best.value - rows[-1][1].value < MARGIN:
            return "shown", None
        return "contradicted", hand_in.found(
            f"The best epoch is sold as final: {100 * value.value:.6g} % is epoch {row.number}'s; the last one, epoch {log.last}, "
            f"ended at {100 * rows[-1][1].value:.6g} %.",
            claim.text,
            claim.line,
            FINAL_PROOF,
        )
    known = any(same_at_printed_digits(value, accuracy) for _, rows in near for _, accuracy in rows)
    return _another_epoch(hand_in, claim, near) if known else _never_shown(hand_in, claim, near)


def _never_shown(hand_in: HandIn, claim: Claim, near: Shown) -> tuple[str, Found | None]:
    """A figure that no epoch and no result has: contradicted where it is higher than all of them."""
    value = claim.number
    everything = [accuracy.value for _, rows in near for _, accuracy in rows] + [
        result.accuracy.value for result in hand_in.evaluations
    ]
    watched = "test" in hand_in.watched or re.search(r"\bval", claim.text, re.IGNORECASE)
    if not watched or value.value - value.unit <= max(everything):
        return _another_epoch(hand_in, claim, near)
    return "contradicted", hand_in.found(
        f"The text claims {100 * value.value:.6g} %; no epoch of the log{'s' if len(near) > 1 else ''} and no result shows it, "
        f"the highest is {100 * max(everything):.6g} %.",
        claim.text,
        claim.line,
        "The log of the run that reached it, with its result of `evaluate`.",
    )


def _another_epoch(hand_in: HandIn, claim: Claim, near: Shown) -> tuple[str, Found | None]:
    """A figure called final that is not the final one of the only log."""
    if claim.label != "final" or len(near) > 1 or "test" not in hand_in.watched:
        return "not held", None
    log, rows = near[0]
    return "contradicted", hand_in.found(
        f"The text says the run ended at {100 * claim.value:.6g} %; its log ends, in epoch {log.last}, at "
        f"{100 * rows[-1][1].value:.6g} %.",
        claim.text,
        claim.line,
        FINAL_PROOF,
    )


def _limit(hand_in: HandIn, claim: Claim, near: Shown) -> tuple[str, Found | None]:
    if not ACHIEVED.search(claim.text) or not UPWARD.search(claim.text):
        return "not held", None
    finals = [rows[-1][1].value for _, rows in near]
    if max(finals) >= claim.value - 1e-9:
        return "shown", None
    log, rows = near[0]
    row, best = max(rows, key=lambda item: item[1].value)
    if best.value < claim.value:
        return "not held", None
    return "contradicted", hand_in.found(
        f"The best epoch is sold as final: more than {100 * claim.value:.6g} % holds in epoch {row.number} "
        f"({100 * best.value:.6g} %), not in the last one, epoch {log.last} ({100 * rows[-1][1].value:.6g} %).",
        claim.text,
        claim.line,
        FINAL_PROOF,
    )


def run_findings(hand_in: HandIn) -> Iterator[Found]:
    """Yield the rows of tables of runs that hold the best epoch of a log whose last figure stands in no row."""
    shown = [(log, rows) for log in hand_in.logs if log.watches and (rows := log.watched())]
    for runs in hand_in.experiments:
        for log, rows in shown:
            final = rows[-1][1]
            row, best = max(rows, key=lambda item: item[1].value)
            held = any(same_at_printed_digits(run.accuracy, final) for run in runs)
            if held or best.value - final.value < MARGIN:
                continue
            sold = [run for run in runs if not run.best and same_at_printed_digits(run.accuracy, best)]
            others = [rows[-1][1] for other, rows in shown if other is not log]
            if sold and not any(same_at_printed_digits(sold[-1].accuracy, other) for other in others):
                yield hand_in.found(
                    f"The best epoch is sold as final: {100 * best.value:.6g} % is epoch {row.number}'s; the last one, epoch "
                    f"{log.last}, ended at {100 * final.value:.6g} %, which stands in no row.",
                    sold[-1].text,
                    sold[-1].line,
                    FINAL_PROOF,
                )


def epoch_findings(hand_in: HandIn) -> tuple[list[Found], dict[int, str]]:
    """Return the findings on claimed epochs, and the state of each claim by its place."""
    findings: list[Found] = []
    states: dict[int, str] = {}
    logs = hand_in.logs
    for place, claim in enumerate(hand_in.claims):
        if claim.kind != "epochs" or not logs:
            continue
        claimed = int(claim.value)
        counts = [log.reached for log in logs]
        if claim.label in {"target", "other"} or (claim.label == "plain" and not _ends_there(hand_in, claim)):
            states[place] = "not held"
        elif claimed in counts or (claim.label == "limit" and min(counts) <= claimed):
            states[place] = "shown"
        elif min(counts) > claimed and RESUMED.search(claim.text):
            states[place] = "not held"  # one sitting of several
        elif min(counts) > claimed:
            log = min(logs, key=lambda log: log.reached)
            states[place] = "contradicted"
            findings.append(
                hand_in.found(
                    f"More epochs than claimed: the text says {claimed}, the log goes to {log.reached}.",
                    claim.text,
                    claim.line,
                    f"The log of a run that ends after epoch {claimed}, with its result.",
                )
            )
        elif max(counts) < claimed and claimed != sum(counts):
            log = max(logs, key=lambda log: log.reached)
            states[place] = "contradicted"
            if log.planned is None or log.planned <= log.reached:
                findings.append(
                    hand_in.found(
                        f"The log ends early: the text says {claimed} epochs, the log shows {log.reached}.",
                        claim.text,
                        claim.line,
                        f"The log up to epoch {claimed}.",
                    )
                )
    return findings, states


def _ends_there(hand_in: HandIn, claim: Claim) -> bool:
    """Return whether the sentence gives a final accuracy with its epochs: then they are the epochs of the run."""
    same = [other for other in hand_in.claims if other.line == claim.line and other.text == claim.text]
    if len({other.value for other in same if other.kind == "epochs"}) > 1:  # a story of the run: «after 9 epochs …, after 15 …»
        return False
    beside = [other for other in same if other.kind == "accuracy"]
    finals = [rows[-1][1] for log in hand_in.logs if (rows := log.watched())]
    return any(
        same_at_printed_digits(other.number, final) for other in beside for final in finals if other.label in {"plain", "final"}
    )
