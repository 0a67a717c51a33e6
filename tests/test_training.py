"""One run, on the embedded digits with a network of the user's own: what it keeps, what it shows, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import budgetnet
from budgetnet import rundir
from budgetnet.errors import Diverged, InputError
from budgetnet.log_form import whole_log
from budgetnet.progress import KerasLines, Quiet
from budgetnet.recipe import Recipe

TINY = f"{Path(__file__).parent / 'networks' / 'tiny.py'}:Tiny"


def train(out: Path, target: str = TINY, **arguments: Any) -> budgetnet.RunDirectory:
    given: dict[str, Any] = {"data": "digits", "epochs": 2, "threads": 1, "settings": ["validation=200"]} | arguments
    return budgetnet.train(target, out=out, **given)


def test_a_run_is_the_same_bits_again_and_other_bits_with_another_seed(tmp_path: Path) -> None:
    runs = [train(tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    weights = [run.read(rundir.WEIGHTS) for run in runs]
    logs = [run.read(rundir.LOG) for run in runs]
    assert weights[0] == weights[1] != weights[2]
    assert logs[0] == logs[1] != logs[2]


def test_the_global_generator_neither_decides_nor_is_moved(tmp_path: Path) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = train(tmp_path / "a").read(rundir.WEIGHTS)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert train(tmp_path / "b").read(rundir.WEIGHTS) == first


def test_own_networks_do_not_see_the_test_split_before_the_end(tmp_path: Path) -> None:
    run = train(tmp_path / "run")
    facts = run.facts()
    assert facts.training is not None
    assert facts.training.accuracy_by_epoch is None
    assert [row["validated"] for row in run.log()] == [200, 200]
    assert [row["samples"] for row in run.log()] == [1237, 1237]
    # Epochs are counted against the whole training split.
    assert facts.training.samples_seen == 2 * 1237
    assert facts.training.training_images == 1437


def test_a_re_enacted_hand_in_shows_the_test_split_and_ends_with_what_it_showed(tmp_path: Path) -> None:
    run = train(tmp_path / "run", "code9-gap", epochs=2, settings=[])
    facts, log, evaluation = run.facts().training, run.log(), run.evaluation()
    assert facts is not None
    assert facts.accuracy_by_epoch == tuple(row["val_accuracy"] for row in log)
    assert facts.accuracy == facts.accuracy_by_epoch[-1] == evaluation["accuracy"]
    assert log[-1]["val_loss"] == pytest.approx(evaluation["loss"], abs=1e-9)
    assert [row["rate"] for row in log] == [0.003, 0.0022744503]
    assert facts.samples_seen == 2 * facts.training_images == 2 * 1437


def test_the_evaluation_s_parts_add_up(tmp_path: Path) -> None:
    run = train(tmp_path / "run")
    evaluation = run.evaluation()
    confusion = evaluation["confusion"]
    assert sum(map(sum, confusion)) == evaluation["images"] == 360
    assert sum(confusion[index][index] for index in range(10)) == evaluation["correct"] == round(evaluation["accuracy"] * 360)
    assert len(evaluation["misclassified"]) == 360 - evaluation["correct"]
    assert all(item["label"] != item["predicted"] for item in evaluation["misclassified"])
    again = budgetnet.evaluate_run(run)
    assert [again.loss, again.accuracy] == [evaluation["loss"], evaluation["accuracy"]]


def test_the_log_in_a_pipe_is_the_published_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(tmp_path / "run", progress=KerasLines())
    printed = capsys.readouterr().out
    assert "\r" not in printed
    assert "\x1b" not in printed
    # Wall times are rounded on the way to the file, so the lines are compared without them.
    without_times = [line.partition("] - ")[0] + line.partition("/step")[2] for line in printed.splitlines()]
    expected = whole_log(run.log(), run.timing(), 2).splitlines()
    assert without_times == [line.partition("] - ")[0] + line.partition("/step")[2] for line in expected]
    assert printed.startswith(
        "Train on 1237 samples, validate on 200 samples\nEpoch 1/2\n\nEpoch 00001: LearningRateScheduler setting"
    )


@pytest.mark.parametrize("name", ["LogProbabilities", "Probabilities"])
def test_any_form_of_answer_gives_the_same_training(tmp_path: Path, name: str) -> None:
    plain = train(tmp_path / "plain").log()
    other = train(tmp_path / name, TINY.replace(":Tiny", f":{name}")).log()
    for row, twin in zip(plain, other, strict=True):
        assert twin["loss"] == pytest.approx(row["loss"], rel=2e-3)


def test_settings_reach_the_recipe_and_the_constructor(tmp_path: Path) -> None:
    run = train(tmp_path / "run", epochs=1, settings=["validation=200", "batch=64", "network.width=4"])
    assert run.recipe().batch == 64
    assert run.recipe().network_arguments == {"width": 4}
    # conv 4·25 + 4·4·9 + 10·4, and two BatchNormalizations of 4 channels
    assert run.facts().network.parameters.total == 100 + 144 + 40 + 2 * 16


@pytest.mark.parametrize(
    ("target", "arguments", "words"),
    [
        ("one-pol", {}, "Did you mean 'one-pool'"),
        ("nowhere/file.py:Net", {}, "no such file"),
        (TINY.replace(":Tiny", ":Tinny"), {}, "Did you mean 'Tiny'"),
        (TINY.removesuffix(":Tiny"), {}, "name the network to take"),
        (TINY.replace(":Tiny", ":WrongAnswer"), {}, r"answers 4 images with \(4, 2\); \(4, 10\) is needed"),
        (TINY, {"settings": ["bach=64"]}, "Did you mean 'batch'"),
        (TINY, {"settings": ["batch"]}, "field=value"),
        (TINY, {"settings": ["batch=many"]}, "batch: .*integer"),
        (TINY, {"settings": ["network.widht=3"]}, "Did you mean 'width'"),
        (TINY, {"settings": ["validation=1437"]}, "leaves nothing to train on"),
        (TINY, {"data": "minst"}, "mnist"),
        (TINY, {"epochs": 0}, "epochs"),
        (TINY, {"seed": -1}, "a whole number from 0, not -1"),
        (TINY, {"threads": 0}, "threads"),
        (TINY, {"settings": ["rate=inf"]}, "rate"),
        (TINY, {"settings": ["batch=true"]}, "batch"),
        (TINY, {"settings": ["name=../../elsewhere"]}, "name"),
        (TINY, {"checkpoint_seconds": float("nan")}, "checkpoint-seconds"),
        ("code9-gap", {"settings": ["network.dropout=0.999"]}, "would leave nothing"),
        ("code9-gap", {"settings": ["network.classes=5"]}, r"\(4, 5\); \(4, 10\) is needed"),
        ("code9-gap", {"settings": ["network.channels=3"]}, "cannot take images"),
    ],
)
def test_wrong_input_is_refused_before_anything_is_made(tmp_path: Path, target: str, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as refusal:
        train(tmp_path / "run", target, **arguments)
    assert "\n" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    run = train(tmp_path / "run", epochs=1)
    before = {path.name: path.read_bytes() for path in run.path.iterdir()}
    with pytest.raises(InputError, match="holds a finished run already"):
        train(tmp_path / "run", epochs=1)
    assert {path.name: path.read_bytes() for path in run.path.iterdir()} == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not empty and not a run"):
        train(tmp_path / "mine", epochs=1)


def test_a_loss_that_leaves_the_road_stops_with_a_word_and_keeps_the_last_good_state(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match=r"(became|diverging) .*in epoch \d+, step \d+"):
        train(tmp_path / "run", epochs=5, settings=["validation=200", "optimizer=sgd", "rate=1e6"], checkpoint_seconds=0)
    run = budgetnet.open_run(tmp_path / "run")
    assert not run.finished
    checkpoint = run.load_checkpoint()
    # The first step ruins everything, so nothing that came after it may have been kept.
    assert checkpoint is None or checkpoint.state["recent_loss"] < 10


def test_weights_that_are_ruined_by_the_last_step_are_no_result(tmp_path: Path) -> None:
    settings = ["validation=200", "optimizer=sgd", "rate=1e38", "batch=2000", "watch=nothing"]
    with pytest.raises(Diverged, match=r"last good state|ruined the weights"):
        train(tmp_path / "run", epochs=1, settings=settings)
    assert not budgetnet.open_run(tmp_path / "run").finished


def test_what_is_trained_is_what_is_checked(tmp_path: Path) -> None:
    run = train(tmp_path / "run", TINY.replace(":Tiny", ":Disguised"), epochs=1)
    # Trained through `forward`, so the hidden layer still has the weights that it was built with.
    from safetensors.torch import load

    before = load(train(tmp_path / "again", TINY.replace(":Tiny", ":Disguised"), epochs=2).read(rundir.WEIGHTS))
    assert torch.equal(load(run.read(rundir.WEIGHTS))["hidden.weight"], before["hidden.weight"])
    assert not torch.equal(load(run.read(rundir.WEIGHTS))["0.weight"], before["0.weight"])


def test_a_network_that_answers_otherwise_in_the_evaluation_proves_no_single_pass(tmp_path: Path) -> None:
    run = train(tmp_path / "run", TINY.replace(":Tiny", ":LooksAtTheBatch"), epochs=1)
    verdict = budgetnet.judge(run.facts(), budgetnet.load_contract("code9"))
    assert {clause.name: clause.state for clause in verdict.clauses}["forward_passes"] == "unproven"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import sys\nsys.exit(0)\n", "fails while it is imported: SystemExit"),
        ("import torch\nclass Net(torch.nn.Module):\n    def __init__(self):\n        raise SystemExit\n", "cannot be built"),
        ("def Net(:\n", "line 1"),
        ("import nowhere_at_all\n", "No module named"),
        (
            "import torch\nclass Net(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
            "        self.layer = torch.nn.Conv2d(1, 10, 28)\n    def forward(self, x):\n"
            "        return self.layer(x).flatten(1).detach()\n",
            "cannot be trained",
        ),
    ],
)
def test_a_file_that_fails_costs_one_sentence_and_leaves_nothing(tmp_path: Path, source: str, words: str) -> None:
    folder = tmp_path / "with.py in its name"
    folder.mkdir()
    (folder / "net.py").write_text(source)
    with pytest.raises(InputError, match=words):
        train(tmp_path / "run", f"{folder / 'net.py'}:Net")
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_a_changed_network_file_is_not_taken_for_the_one_that_was_trained(tmp_path: Path) -> None:
    source = tmp_path / "net.py"
    source.write_text(Path(TINY.partition(":")[0]).read_text())
    run = train(tmp_path / "run", f"{source}:Tiny", epochs=1)
    source.write_text(source.read_text() + "\n# another network now\n")
    with pytest.raises(InputError, match="has changed since"):
        budgetnet.evaluate_run(run)


@pytest.mark.parametrize("name", [rundir.WEIGHTS, rundir.FACTS, rundir.LOG, rundir.EVALUATION, rundir.RECIPE])
def test_a_flipped_bit_in_a_finished_run_is_named(tmp_path: Path, name: str) -> None:
    run = train(tmp_path / "run", epochs=1)
    content = bytearray(run.read(name))
    content[len(content) // 2] ^= 1
    (run.path / name).write_bytes(bytes(content))
    with pytest.raises(InputError, match=f"{name}: damaged"):
        budgetnet.evaluate_run(run)
    (run.path / name).write_bytes(bytes(content[: len(content) // 2]))
    with pytest.raises(InputError, match=f"{name}: damaged"):
        run.verify()


def test_the_command_in_a_run_makes_it_again(tmp_path: Path) -> None:
    recipe = Recipe(name="mine", network="code9-gap", data="digits", epochs=1, batch=64, optimizer="sgd", rate=0.1)
    command = budgetnet.train(recipe, threads=1, out=tmp_path / "run", progress=Quiet()).identity()["command"]
    assert command.split()[:3] == ["budgetnet", "train", "code9-gap"]
    settings = [word for before, word in zip(command.split(), command.split()[1:], strict=False) if before == "--set"]
    again = train(tmp_path / "again", "code9-gap", epochs=1, settings=settings)
    same = {"name", "strategy"}
    assert again.recipe().model_dump(exclude=same) == recipe.model_dump(exclude=same)
    assert json.loads(again.read(rundir.RUN))["command"] == command
