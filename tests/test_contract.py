"""Contracts are read with clear errors, and verdicts say met, broken by how much, or unproven for want of what."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetnet.contract import CLAUSES, ClauseResult, Contract, judge, load_contract, preset_names
from budgetnet.errors import InputError
from budgetnet.facts import Facts, Finding, NetworkFacts, ParameterCounts, TrainingFacts


def counts(total: int = 14_568, **changes: int) -> ParameterCounts:
    values = {"total": total, "trainable": total - 276, "non_trainable": 276, "with_hidden": total, "non_zero": total - 100}
    return ParameterCounts(**{**values, **changes})


def network(**changes: object) -> NetworkFacts:
    values: dict[str, object] = {
        "name": "one",
        "input_shape": (1, 28, 28),
        "classes": 10,
        "parameters": counts(),
        "layers": (),
        "multiply_accumulates": 0,
        "fully_connected": (),
        "fully_connected_equivalent": (),
        "biases": (),
        "normalization_shifts": (Finding(what="batch_normalization_1 shifts 32 channels", layer="norm", numbers=32),),
        "forward_passes": 1,
    }
    return NetworkFacts.model_validate({**values, **changes})


def training(**changes: object) -> TrainingFacts:
    values: dict[str, object] = {
        "data": "mnist",
        "seed": 0,
        "training_images": 60_000,
        "samples_seen": 1_200_000,
        "complete": True,
        "accuracy": 0.9947,
        "loss": 0.017,
        "test_images": 10_000,
        "accuracy_by_epoch": (0.98, 0.9941, 0.9940, 0.9945, 0.9942, 0.9947),
        "forward_passes": 1,
    }
    return TrainingFacts.model_validate({**values, **changes})


def clause(name: str, contract: Contract | None = None, *, run: TrainingFacts | None = None, **changes: object) -> ClauseResult:
    verdict = judge(Facts(network=network(**changes), training=run), contract or load_contract("code9"))
    return {result.name: result for result in verdict.clauses}[name]


def written(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "mine.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_code9_is_met_by_a_run_that_keeps_it_and_its_clauses_have_their_names() -> None:
    verdict = judge(Facts(network=network(), training=training()), load_contract("code9"))
    assert verdict.contract == "code9"
    assert verdict.verdict == "met"
    names = [result.name for result in verdict.clauses]
    assert names == ["parameters", "epochs", "accuracy", "fully_connected", "biases", "forward_passes"]
    assert {result.state for result in verdict.clauses} == {"met"}


def test_an_untrained_network_is_judged_by_its_static_clauses() -> None:
    verdict = judge(Facts(network=network()), load_contract("8k-parameters-15-epochs"))
    states = {result.name: result.state for result in verdict.clauses}
    assert states == {
        "parameters": "broken",
        "epochs": "unproven",
        "accuracy": "unproven",
        "sustained_accuracy": "unproven",
        "forward_passes": "met",
    }
    assert verdict.verdict == "broken"
    assert "train it or judge a run" in clause("epochs").why
    assert judge(Facts(network=network()), load_contract("code9")).verdict == "unproven"


# «Fewer than» in a course's text is one less here.
PRESETS = {
    "code9": (15_000, 20, 0.994, None),
    "20k-parameters-20-epochs": (19_999, 20, 0.994, None),
    "10k-parameters-15-epochs": (9_999, 15, 0.994, None),
    "8k-parameters-15-epochs": (7_999, 15, 0.994, 5),
    "25k-parameters-1-epoch": (24_999, 1, 0.95, None),
    "10k-parameters-10-epochs": (9_999, 10, 0.99, None),
}


def test_every_preset_holds_the_limits_of_its_course() -> None:
    assert set(preset_names()) == set(PRESETS)
    assert preset_names()[0] == "code9"
    for name, (parameters, epochs, accuracy, last) in PRESETS.items():
        contract = load_contract(name)
        assert contract.name == name
        assert contract.title
        assert contract.source
        assert contract.data == "mnist"
        assert contract.parameters
        assert contract.parameters.at_most == parameters
        assert contract.epochs
        assert contract.epochs.at_most == epochs
        assert contract.accuracy
        assert contract.accuracy.at_least == accuracy
        assert (contract.sustained_accuracy.last if contract.sustained_accuracy else None) == last
        # Only EIP4 forbids biases; only EIP4 and EVA4's session 4 forbid a fully connected layer.
        assert (contract.biases is not None) == (name == "code9")
        assert (contract.fully_connected is not None) == (name in {"code9", "20k-parameters-20-epochs"})


def test_parameters_name_their_convention_and_the_excess() -> None:
    broken = clause("parameters", parameters=counts(15_088))
    assert (broken.state, broken.measured, broken.limit) == ("broken", 15_088, 15_000)
    assert "88 over" in broken.why
    assert "Keras's total" in broken.why
    met = clause("parameters")
    assert (met.state, met.measured) == ("met", 14_568)
    assert "leave 432" in met.why
    assert clause("parameters", parameters=counts(15_000)).state == "met"


@pytest.mark.parametrize(("count", "measured"), [("total", 200), ("trainable", 180), ("with_hidden", 230), ("non_zero", 90)])
def test_a_contract_may_name_each_of_the_four_countings(count: str, measured: int) -> None:
    contract = Contract.model_validate({"name": "mine", "parameters": {"at_most": 1_000, "count": count}})
    parameters = counts(200, trainable=180, non_trainable=20, with_hidden=230, non_zero=90)
    assert clause("parameters", contract, parameters=parameters).measured == measured


def test_parameters_in_disguise_count_whatever_the_convention() -> None:
    hidden = clause("parameters", parameters=counts(14_000, with_hidden=20_000))
    assert (hidden.state, hidden.measured) == ("broken", 20_000)
    assert "6,000 more in disguise" in hidden.why
    assert "5,000 over" in hidden.why
    assert clause("parameters", parameters=counts(14_000, with_hidden=14_100)).state == "met"
    trainable = Contract.model_validate({"name": "mine", "parameters": {"at_most": 10_000, "count": "trainable"}})
    frozen = counts(14_000, trainable=4_000, non_trainable=10_000, frozen=9_800)
    assert clause("parameters", trainable, parameters=frozen).state == "broken"
    statistics_only = counts(10_200, trainable=9_900, non_trainable=300)
    assert clause("parameters", trainable, parameters=statistics_only).state == "met"


def test_epochs_are_counted_in_samples_seen() -> None:
    met = clause("epochs", run=training())
    assert (met.state, met.measured, met.limit) == ("met", 20.0, 20.0)
    assert "20.00 epochs" in met.why
    broken = clause("epochs", run=training(samples_seen=1_200_001))
    assert broken.state == "broken"
    assert "1 samples" in broken.why
    # A validation part of 10,000 images is not trained on: 24 passes over the rest are 20 epochs of the contract.
    assert clause("epochs", run=training(samples_seen=24 * 50_000)).measured == 20.0


def test_an_unfinished_run_has_epochs_and_no_accuracy() -> None:
    run = training(complete=False, samples_seen=300_000, accuracy=0.9960)
    assert clause("epochs", run=run).state == "unproven"
    assert "5.00 epochs" in clause("epochs", run=run).why
    assert "so far" in clause("epochs", run=run).why
    assert clause("accuracy", run=run).state == "unproven"
    assert clause("epochs", run=training(complete=False, samples_seen=1_260_000)).state == "broken"


def test_accuracy_is_that_of_the_last_epoch_and_says_the_points_missing() -> None:
    run = training(accuracy=0.9928, accuracy_by_epoch=(0.9953, 0.9928))
    broken = clause("accuracy", run=run)
    assert (broken.state, broken.measured, broken.limit) == ("broken", 0.9928, 0.994)
    assert "0.12 points below 99.40 %" in broken.why
    assert "9,928 of 10,000 images" in broken.why


def test_accuracy_on_the_limit_is_met_in_any_float() -> None:
    float32 = 0.9940000176429749
    below_in_binary = 0.9939999999999999
    for accuracy in (0.994, float32, below_in_binary, sum([0.0994] * 10)):
        assert clause("accuracy", run=training(accuracy=accuracy)).state == "met", accuracy
    assert clause("accuracy", run=training(accuracy=0.9939)).state == "broken"


@given(correct=st.integers(0, 10_000), limit=st.integers(1, 10_000))
def test_accuracy_compares_like_whole_images(correct: int, limit: int) -> None:
    contract = Contract.model_validate({"name": "mine", "accuracy": {"at_least": limit / 10_000}})
    run = training(accuracy=correct / 10_000)
    assert clause("accuracy", contract, run=run).state == ("met" if correct >= limit else "broken")


def test_a_small_shortfall_is_not_rounded_away() -> None:
    run = training(accuracy=993_999 / 1_000_000, test_images=1_000_000)
    assert "0.0001 points below" in clause("accuracy", run=run).why


def test_accuracy_on_other_data_proves_nothing() -> None:
    result = clause("accuracy", run=training(data="digits", accuracy=1.0))
    assert result.state == "unproven"
    assert "'digits'" in result.why
    assert "'mnist'" in result.why
    sustained = clause("sustained_accuracy", load_contract("8k-parameters-15-epochs"), run=training(data="digits"))
    assert sustained.state == "unproven"
    anywhere = Contract.model_validate({"name": "mine", "accuracy": {"at_least": 0.9}})
    assert clause("accuracy", anywhere, run=training(data="digits")).state == "met"


@pytest.mark.parametrize("accuracy", [None, math.nan, math.inf, -0.1, 99.4])
def test_an_accuracy_that_is_none_is_unproven(accuracy: float | None) -> None:
    result = clause("accuracy", run=training(accuracy=accuracy))
    assert result.state == "unproven"
    assert result.measured is None


def test_sustained_accuracy_looks_at_each_of_the_last_epochs() -> None:
    contract = load_contract("8k-parameters-15-epochs")
    met = clause("sustained_accuracy", contract, run=training())
    assert (met.state, met.measured, met.limit) == ("met", 0.994, 0.994)
    dip = training(accuracy_by_epoch=(0.9950, 0.9941, 0.9931, 0.9945, 0.9942, 0.9947))
    broken = clause("sustained_accuracy", contract, run=dip)
    assert (broken.state, broken.measured) == ("broken", 0.9931)
    assert "1 of the last 5" in broken.why
    assert "epoch 3" in broken.why
    assert "0.09 points" in broken.why


def test_sustained_accuracy_without_evidence_is_unproven() -> None:
    contract = load_contract("8k-parameters-15-epochs")
    assert "read only once" in clause("sustained_accuracy", contract, run=training(accuracy_by_epoch=None)).why
    for values in ((), (0.995, 0.995), (0.995, math.nan, 0.995, 0.995, 0.995)):
        assert clause("sustained_accuracy", contract, run=training(accuracy_by_epoch=values)).state == "unproven"


FULL_EXTENT = (Finding(what="conv2d_9 (Conv2D) sees its whole 4×4 input map", layer="last", numbers=2_560),)


def test_fully_connected_layers_break_and_equivalents_are_reported() -> None:
    dense = (Finding(what="dense_1 (Dense) multiplies 160 features by a matrix", layer="head", numbers=1_600),)
    broken = clause("fully_connected", fully_connected=dense)
    assert (broken.state, broken.measured) == ("broken", 1)
    assert "dense_1" in broken.why
    reported = clause("fully_connected", fully_connected_equivalent=FULL_EXTENT)
    assert reported.state == "met"
    assert "4×4" in reported.why
    strict = Contract.model_validate({"name": "mine", "fully_connected": {"equivalent": "forbidden"}})
    assert clause("fully_connected", strict, fully_connected_equivalent=FULL_EXTENT).state == "broken"
    assert clause("fully_connected", strict, fully_connected_equivalent=None).state == "unproven"


def test_what_the_trace_could_not_see_is_unproven_with_its_reason() -> None:
    notes = ("A custom operation hides what it computes.",)
    for name in ("fully_connected", "biases", "forward_passes"):
        verdict = judge(Facts(network=network(**{name: None}, notes=notes)), load_contract("code9"))
        result = {found.name: found for found in verdict.clauses}[name]
        assert (result.state, result.measured) == ("unproven", None)
        assert notes[0] in result.why


def test_a_normalization_shift_is_no_bias_and_the_verdict_says_so() -> None:
    met = clause("biases")
    assert met.state == "met"
    assert "1 normalization (32 numbers) is no bias" in met.why
    bias = (Finding(what="conv2d_1 (Conv2D) adds a bias", layer="conv", numbers=16),)
    broken = clause("biases", biases=bias)
    assert (broken.state, broken.measured) == ("broken", 1)
    assert "1 bias (16 numbers)" in broken.why
    assert "no bias" in broken.why
    strict = Contract.model_validate({"name": "mine", "biases": {"normalization_shift": "forbidden"}})
    assert clause("biases", strict).state == "broken"
    assert clause("biases", strict, normalization_shifts=()).state == "met"


def test_forward_passes_multiply_in_the_network_and_in_the_evaluation() -> None:
    assert clause("forward_passes", run=training()).state == "met"
    assert clause("forward_passes", forward_passes=2).state == "broken"
    augmented = clause("forward_passes", forward_passes=2, run=training(forward_passes=3))
    assert (augmented.state, augmented.measured) == ("broken", 6)
    assert "5 over" in augmented.why
    assert clause("forward_passes", run=training(forward_passes=None)).state == "unproven"
    assert clause("forward_passes", forward_passes=2, run=training(forward_passes=None)).state == "broken"


def test_only_the_clauses_that_were_asked_are_judged() -> None:
    contract = Contract.model_validate({"name": "mine", "fully_connected": {"allowed": True}, "biases": {"allowed": True}})
    bias = (Finding(what="a bias", layer="x", numbers=1),)
    verdict = judge(Facts(network=network(fully_connected=None, biases=bias)), contract)
    assert [result.name for result in verdict.clauses] == ["fully_connected", "biases"]
    assert verdict.verdict == "met"


def test_a_contract_of_ones_own_is_read_from_toml(tmp_path: Path) -> None:
    text = 'title = "Tiny"\n[parameters]\nat_most = 500\ncount = "non_zero"\n[sustained_accuracy]\nat_least = 0.9\nlast = 3\n'
    contract = load_contract(written(tmp_path, text))
    assert contract.name == "mine"
    assert contract.data is None
    assert contract.parameters
    assert contract.parameters.count == "non_zero"
    assert contract.accuracy is None
    assert contract.sustained_accuracy
    assert contract.sustained_accuracy.last == 3
    assert load_contract(written(tmp_path, text.replace("\n", "\r\n"))) == contract


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[accuracy]\nat_least = 99.4\n", ["accuracy.at_least", "write 0.994"]),
        ("[accuracy]\nat_least = nan\n", ["accuracy.at_least"]),
        ("[accuracy]\nat_least = -1\n", ["accuracy.at_least", "above 0"]),
        ("[accuracy]\nat_least = '0.99'\n", ["accuracy.at_least", "number"]),
        ("[parameters]\nat_most = 15e3\n", ["parameters.at_most", "integer"]),
        ("[parameters]\nat_most = true\n", ["parameters.at_most", "integer"]),
        ("[parameters]\nat_most = -5\n", ["parameters.at_most", "-5"]),
        ("[parameters]\n", ["parameters.at_most", "missing"]),
        ("[parameters]\nat_most = 5\ncount = 'torch'\n", ["parameters.count", "'trainable'"]),
        ("[parameters]\natmost = 5\n", ["'atmost'", "Did you mean 'at_most'"]),
        ("[parameter]\nat_most = 5\n", ["'parameter'", "Did you mean 'parameters'"]),
        ("parameters = 15000\n", ["parameters is a table", "at_most, count"]),
        ("[epochs]\nat_most = 0\n", ["epochs.at_most"]),
        ("[sustained_accuracy]\nat_least = 0.9\nlast = 0\n", ["sustained_accuracy.last"]),
        ("[fully_connected]\nequivalent = 'never'\n", ["fully_connected.equivalent", "'forbidden'"]),
        ("[fully_connected]\nallowed = 'yes'\n", ["fully_connected.allowed"]),
        ("[biases]\nallowed = true\nnormalization_shift = 'forbidden'\n", ["biases", "choose one"]),
        ("[forward_passes]\nat_most = 0\n", ["forward_passes.at_most"]),
        ("name = 3\n[epochs]\nat_most = 5\n", ["name"]),
        ('title = "\\u001b[2J"\n[epochs]\nat_most = 5\n', ["title", "printable"]),
        ("title = 'nothing'\n", ["asks nothing", "parameters"]),
        ("[parameters]\nat_most = \n", ["line 2", "not valid TOML"]),
        ("[parameters\n", ["line 1", "not valid TOML"]),
        ("\n\n[[[", ["line 3", "not valid TOML"]),
        ("a = " + "[" * 20_000, ["nested"]),
        ("a = " + "9" * 5_000, ["not usable"]),
        (b"# caf\xe9\n", ["line 1", "UTF-8"]),
        (b"#" * 70_000, ["65,536 bytes"]),
    ],
)
def test_a_wrong_contract_is_refused_with_its_place(tmp_path: Path, text: str | bytes, words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        load_contract(written(tmp_path, text))
    message = str(error.value)
    assert "mine.toml" in message
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cod9", ["'cod9'", "Did you mean 'code9'"]),
        ("8k-parameters", ["Did you mean", "8k-parameters-15-epochs"]),
        ("", ["''", "code9"]),
        ("nowhere/mine.toml", ["nowhere/mine.toml", "no such contract file"]),
        ("../code9", ["../code9", "no such contract file"]),
        (".", ["code9"]),
        ("a\x00b.toml", ["code9"]),
        ("x" * 5_000 + ".toml", [".toml"]),
    ],
)
def test_an_unknown_contract_is_a_clear_error(name: str, words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        load_contract(name)
    for word in words:
        assert word in str(error.value)


def test_judging_needs_no_torch() -> None:
    code = "import sys, budgetnet.contract, budgetnet.summary; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_verdict_survives_json() -> None:
    verdict = judge(Facts(network=network(), training=training()), load_contract("code9"))
    assert type(verdict).model_validate_json(verdict.model_dump_json()) == verdict
    assert set(verdict.clauses[0].model_dump()) == {"name", "state", "measured", "limit", "why"}
    assert {result.name for result in verdict.clauses} <= set(CLAUSES)
