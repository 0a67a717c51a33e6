"""A network that learns from a teacher: what is learned, what is counted, what is shown, and that a kill changes nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from kills import KillAt, Killed
from torch.nn import functional as F

import budgetnet
from budgetnet import rundir, training
from budgetnet.contract import judge, load_contract
from budgetnet.durable import MANIFEST, manifest_of
from budgetnet.errors import InputError
from budgetnet.interruption import Interrupted
from budgetnet.loss import smoothed_loss, taught_loss
from budgetnet.networks import default_recipe
from budgetnet.preparing import command_for
from budgetnet.progress import Quiet
from budgetnet.recipe import Recipe, Teacher
from budgetnet.report.evidence import read_run
from budgetnet.rundir import RunDirectory
from budgetnet.trained import measure_again

TINY = f"{Path(__file__).parent / 'networks' / 'tiny.py'}:Tiny"
ARGUMENTS: dict[str, Any] = {
    "data": "digits",
    "epochs": 2,
    "threads": 1,
    "settings": ["validation=200", "teacher=tiny", "teacher.epochs=2"],
}
STEPS_AN_EPOCH = 10


def told(*words: str | Path) -> tuple[int, str]:
    """The exit code of a command, and all that it says."""
    process = subprocess.run([sys.executable, "-m", "budgetnet", *map(str, words)], capture_output=True, text=True, check=False)
    return process.returncode, process.stdout + process.stderr


class Heard(Quiet):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.epochs: list[tuple[int, int]] = []
        self.before: list[int] = []

    def start(self, samples: int, validated: int, epochs_before: int = 0) -> None:
        self.before.append(epochs_before)

    def epoch_start(self, epoch: int, epochs: int, rate: float) -> None:
        self.epochs.append((epoch, epochs))

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


def ending(run: RunDirectory) -> tuple[bytes, ...]:
    return tuple(each.read(name) for each in (run, run.teacher()) for name in (rundir.WEIGHTS, rundir.LOG))


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, Heard]:
    heard = Heard()
    return training.train(TINY, out=tmp_path_factory.mktemp("taught") / "run", progress=heard, **ARGUMENTS), heard


def test_a_teacher_s_samples_are_the_run_s_and_its_parameters_are_shown(taught: tuple[RunDirectory, Heard]) -> None:
    run, _ = taught
    facts = run.facts()
    seen = facts.training
    assert seen is not None
    assert seen.teacher is not None
    trained_on = seen.training_images - 200
    assert seen.samples_seen == 4 * trained_on
    assert (seen.teacher.network, seen.teacher.parameters, seen.teacher.samples_seen) == ("tiny", 1966, 2 * trained_on)
    # What is handed in is the network that learned, alone.
    assert facts.network.parameters.total == measure_again(run).network.parameters.total != 1966
    clause = next(clause for clause in judge(facts, load_contract("code9")).clauses if clause.name == "epochs")
    assert clause.measured == pytest.approx(4 * trained_on / seen.training_images)
    assert f"{2 * trained_on:,} of them seen by its teacher" in clause.why


def test_epochs_over_the_contract_are_broken_by_the_teacher_s_alone(taught: tuple[RunDirectory, Heard]) -> None:
    facts = taught[0].facts()
    seen = facts.training
    assert seen is not None
    twelve, nine = 12 * seen.training_images, 9 * seen.training_images
    for teachers, state in ((nine - seen.training_images, "met"), (nine, "broken")):
        assert seen.teacher is not None
        told = seen.teacher.model_copy(update={"samples_seen": teachers})
        more = seen.model_copy(update={"samples_seen": twelve + teachers, "teacher": told})
        clauses = judge(facts.model_copy(update={"training": more}), load_contract("code9")).clauses
        assert next(clause.state for clause in clauses if clause.name == "epochs") == state


def test_a_person_is_told_which_network_is_trained(taught: tuple[RunDirectory, Heard]) -> None:
    heard = taught[1]
    assert heard.notes == [
        "First the teacher, tiny with 1,966 parameters: 2 epochs of the 4 in all.",
        "Now Tiny itself, with what the teacher answers beside the labels: 2 epochs.",
    ]
    assert heard.epochs == [(1, 2), (2, 2)] * 2
    assert heard.before == [0, 2]


def test_the_teacher_is_never_held_against_the_test_split(taught: tuple[RunDirectory, Heard]) -> None:
    teacher = taught[0].teacher()
    assert teacher.finished
    assert not (teacher.path / rundir.EVALUATION).exists()
    assert all(row["val_accuracy"] is None for row in teacher.log())


@pytest.mark.parametrize("steps", [1, STEPS_AN_EPOCH, 15, 2 * STEPS_AN_EPOCH, 2 * STEPS_AN_EPOCH + 1, 35])
def test_a_kill_in_any_step_of_either_changes_nothing(tmp_path: Path, taught: tuple[RunDirectory, Heard], steps: int) -> None:
    with pytest.raises(Killed):
        training.train(TINY, out=tmp_path / "run", checkpoint_seconds=0, progress=KillAt(steps), **ARGUMENTS)
    run = budgetnet.open_run(tmp_path / "run")
    assert not run.finished
    assert ending(training.resume(run.path)) == ending(taught[0])


def test_ctrl_c_while_the_teacher_learns_names_the_run_and_keeps_its_state(
    tmp_path: Path, taught: tuple[RunDirectory, Heard]
) -> None:
    import os
    import signal

    class Stop(Quiet):
        def step(self, done: int, samples: int, seconds: float, loss: float, accuracy: float) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            self.step = super().step  # type: ignore[method-assign]

    with pytest.raises(Interrupted) as caught:
        training.train(TINY, out=tmp_path / "run", progress=Stop(), **ARGUMENTS)
    assert caught.value.path == tmp_path / "run"
    assert len(RunDirectory(tmp_path / "run").teacher().checkpoints()) == 1
    assert ending(training.resume(tmp_path / "run")) == ending(taught[0])


def test_another_teacher_put_in_the_place_of_the_first_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        training.train(TINY, out=tmp_path / "run", checkpoint_seconds=0, progress=KillAt(25), **ARGUMENTS)
    other = training.train(TINY, out=tmp_path / "other", seed=1, **ARGUMENTS)
    shutil.rmtree(tmp_path / "run" / rundir.TEACHER)
    shutil.copytree(other.teacher().path, tmp_path / "run" / rundir.TEACHER)
    with pytest.raises(InputError, match="holds another teacher"):
        training.resume(tmp_path / "run")


def test_a_teacher_that_was_taken_away_is_missed_at_once(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        training.train(TINY, out=tmp_path / "run", checkpoint_seconds=0, progress=KillAt(25), **ARGUMENTS)
    shutil.rmtree(tmp_path / "run" / rundir.TEACHER)
    with pytest.raises(InputError, match="gone or incomplete"):
        training.resume(tmp_path / "run")
    assert not (tmp_path / "run" / rundir.TEACHER).exists()


@pytest.mark.parametrize("steps", [15, 35])
def test_previous_means_the_checkpoint_of_what_is_under_way(tmp_path: Path, taught: tuple[RunDirectory, Heard], steps: int) -> None:
    with pytest.raises(Killed):
        training.train(TINY, out=tmp_path / "run", checkpoint_seconds=0, progress=KillAt(steps), **ARGUMENTS)
    assert ending(training.resume(tmp_path / "run", previous=True)) == ending(taught[0])


@pytest.mark.parametrize("changed", [{"rate": 0.1}, {"epochs": 1}, {"validation": 0}])
def test_another_recipe_in_the_teacher_s_folder_is_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    with pytest.raises(Killed):
        training.train(TINY, out=tmp_path / "run", checkpoint_seconds=0, progress=KillAt(15), **ARGUMENTS)
    teacher = RunDirectory(tmp_path / "run").teacher()
    teacher.write_json(rundir.RECIPE, {**teacher.recipe().model_dump(), **changed})
    with pytest.raises(InputError, match="holds another teacher"):
        training.resume(tmp_path / "run")


def with_another_log(teacher: RunDirectory, rows: list[dict[str, Any]]) -> None:
    """Put rows into a finished teacher's log, and a manifest that fits."""
    teacher.write_lines(rundir.LOG, rows)
    names = rundir.RESULTS_OF_TEACHER
    teacher.write(MANIFEST, manifest_of({name: teacher.read(name) for name in names}))


@pytest.mark.parametrize("rows", [[], [{"epoch": 1, "samples_seen": 5}, {"epoch": 2, "samples_seen": -1_000_000}]])
def test_samples_that_a_teacher_s_log_hides_are_missed(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    with pytest.raises(Killed):
        training.train(TINY, out=tmp_path / "run", progress=KillAt(22), **ARGUMENTS)
    with_another_log(RunDirectory(tmp_path / "run").teacher(), rows)
    with pytest.raises(InputError, match="is not the log of 2 epochs"):
        training.resume(tmp_path / "run")


def test_the_teacher_of_a_run_is_not_gone_on_with_by_itself(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        training.train(TINY, out=tmp_path / "run", checkpoint_seconds=0, progress=KillAt(15), **ARGUMENTS)
    with pytest.raises(InputError, match=f"--resume {tmp_path / 'run'}$"):
        training.resume(tmp_path / "run" / rundir.TEACHER)


def test_an_unfinished_run_counts_what_its_teacher_saw(tmp_path: Path) -> None:
    for steps, seen in ((15, 14 * 128 - 20), (21, 2 * (1437 - 200))):
        with pytest.raises(Killed):
            training.train(TINY, out=tmp_path / str(steps), checkpoint_seconds=0, progress=KillAt(steps), **ARGUMENTS)
        facts = RunDirectory(tmp_path / str(steps)).facts()
        assert facts.training is not None
        assert facts.training.samples_seen <= seen + 128
        assert facts.training.samples_seen >= seen - 256
        clause = next(clause for clause in judge(facts, load_contract("code9")).clauses if clause.name == "epochs")
        assert (clause.state, "not finished" in clause.why) == ("unproven", True)


def test_what_a_teacher_keeps_beside_its_weights_makes_no_difference(tmp_path: Path) -> None:
    (tmp_path / "big.py").write_text(BUFFERED, encoding="utf-8")
    settings = [f"teacher={tmp_path / 'big.py'}:Buffered", "teacher.epochs=1", "teacher.rate=0.003"]
    shared: dict[str, Any] = {"data": "digits", "epochs": 1, "threads": 1, "settings": settings}
    whole = training.train("tiny", out=tmp_path / "whole", **shared)
    with pytest.raises(Killed):
        training.train("tiny", out=tmp_path / "run", progress=KillAt(26), **shared)
    assert ending(training.resume(tmp_path / "run")) == ending(whole)


BUFFERED = """
import torch
from torch import nn


class Buffered(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(1, 10, 5, stride=3, bias=False)
        self.register_buffer("calls", torch.zeros(()), persistent=False)

    def forward(self, images):
        if self.training:
            self.calls += 1
        return self.layer(images).mean((2, 3)) * (1 + self.calls)
"""


def test_damaged_weights_of_a_teacher_are_not_learned_from(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        training.train(TINY, out=tmp_path / "run", checkpoint_seconds=0, progress=KillAt(25), **ARGUMENTS)
    weights = tmp_path / "run" / rundir.TEACHER / rundir.WEIGHTS
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(InputError, match=r"teacher/weights.*damaged"):
        training.resume(tmp_path / "run")


def test_the_loss_is_the_divergence_from_the_teacher_and_the_labels_share() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 10, generator=generator, dtype=torch.float64, requires_grad=True)
    answers = torch.randn(6, 10, generator=generator, dtype=torch.float64).log_softmax(1)
    labels = torch.arange(6)
    told = Teacher(network="tiny", temperature=3.0, share=0.7)
    loss = taught_loss(logits.log_softmax(1), labels, 0.1, answers, told)
    wanted, given = (answers / 3).softmax(1), (logits / 3).softmax(1)
    divergence = (wanted * (wanted / given).log()).sum(1).mean() * 9
    expected = 0.7 * divergence + 0.3 * smoothed_loss(logits.log_softmax(1), labels, 0.1)
    assert torch.allclose(loss, expected)
    (gradient,) = torch.autograd.grad(loss, logits)
    by_hand = 0.7 * 9 * (given - wanted) / 3 / 6
    labelled = 0.9 * F.one_hot(labels, 10) + 0.01
    assert torch.allclose(gradient, by_hand + 0.3 * (logits.softmax(1) - labelled) / 6)


def test_a_network_that_answers_as_its_teacher_has_nothing_to_learn() -> None:
    answers = torch.randn(4, 10, generator=torch.Generator().manual_seed(1)).log_softmax(1)
    loss = taught_loss(answers, torch.zeros(4, dtype=torch.int64), 0.0, answers, Teacher(network="tiny", share=1.0))
    assert abs(float(loss)) < 1e-6


def test_without_a_teacher_nothing_is_different(tmp_path: Path, taught: tuple[RunDirectory, Heard]) -> None:
    alone = training.train(TINY, out=tmp_path / "run", data="digits", epochs=2, threads=1, settings=["validation=200"])
    assert not alone.teacher().path.exists()
    assert alone.read(rundir.WEIGHTS) != taught[0].read(rundir.WEIGHTS)


def test_a_recipe_with_a_teacher_goes_to_json_and_to_a_command_and_back() -> None:
    recipe = default_recipe("fast").with_settings(["teacher=one-pool", "teacher.epochs=3", "teacher.temperature=4"])
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    assert recipe.epochs_in_all == recipe.epochs + 3
    words = command_for(recipe, 0).split()
    settings = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
    assert default_recipe("fast").with_settings(settings) == recipe
    assert recipe.with_settings(["teacher=none"]) == default_recipe("fast")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("teacher=one-pol", "Did you mean 'one-pool'?"),
        ("teacher.epochs=3", "--set teacher=NETWORK"),
        ("teacher.epoch=3", "Did you mean 'epochs'?"),
        ("teacher=nothere.py:Net", "no such file"),
        ("teacher=nothing", "The zoo has no network"),
    ],
)
def test_wrong_words_for_a_teacher_are_one_sentence(tmp_path: Path, setting: str, words: str) -> None:
    code, said = told("train", "fast", "--data", "digits", "--set", setting, "--out", tmp_path / "run")
    assert code == 2
    assert words in said
    assert "Traceback" not in said
    assert not (tmp_path / "run").exists()


def test_the_last_word_on_the_teacher_counts_and_contradictions_are_refused() -> None:
    taught_recipe = default_recipe("fast").with_settings(["teacher=tiny"])
    assert default_recipe("fast").with_settings(["teacher=tiny", "teacher=none"]).teacher is None
    again = taught_recipe.with_settings(["teacher=none", "teacher=one-pool"]).teacher
    assert again is not None
    assert again.network == "one-pool"
    with pytest.raises(InputError, match="contradict"):
        taught_recipe.with_settings(["teacher=none", "teacher.epochs=3"])
    with pytest.raises(InputError, match="temperature"):
        taught_recipe.with_settings(["teacher.temperature=1e200"])


def test_a_study_takes_its_teachers_from_the_zoo(tmp_path: Path) -> None:
    from budgetnet.study import arms
    from budgetnet.study.definition import Definition

    definition = Definition(recipes=["tiny"], seeds=2, data="digits", set={"teacher": TINY})
    with pytest.raises(InputError, match="networks of the zoo"):
        arms.make_study(definition, name="some", folder=tmp_path, data_dir=None)


def test_a_study_may_vary_the_teacher_and_set_its_epochs() -> None:
    from budgetnet.study import arms
    from budgetnet.study.definition import Definition

    asked = Definition(
        recipes=["tiny"], seeds=2, data="digits", set={"teacher.epochs": 1, "epochs": 2}, grid={"teacher": ["small", "fast"]}
    )
    study = arms.make_study(asked, name="some", folder=None, data_dir=None)
    teachers = [arm.recipe.teacher for arm in study.arms]
    assert [(each.network, each.epochs) for each in teachers if each] == [("small", 1), ("fast", 1)]
    assert len({arm.spec(0).key for arm in study.arms}) == 2


@pytest.mark.parametrize(
    ("name", "changed", "words"),
    [
        (rundir.FACTS, {"teacher": None}, "whether there was a teacher"),
        (rundir.FACTS, {"samples_seen": 2 * (1437 - 200)}, "end elsewhere"),
        (rundir.FACTS, {"teacher": {"network": "x", "parameters": 5, "samples_seen": 2474}}, "not the teacher"),
        (rundir.FACTS, {"teacher": {"network": "tiny", "parameters": -7, "samples_seen": 2474}}, "not a file of facts"),
    ],
)
def test_a_report_is_not_fooled_about_a_teacher(
    tmp_path: Path, taught: tuple[RunDirectory, Heard], name: str, changed: dict[str, Any], words: str
) -> None:
    shutil.copytree(taught[0].path, tmp_path / "run")
    run = RunDirectory(tmp_path / "run")
    facts = json.loads(run.read(name))
    facts["training"] |= changed
    run.write_json(name, facts)
    names = [*rundir.RESULTS, rundir.MANIFEST_OF_TEACHER]
    run.write(MANIFEST, manifest_of({name: run.read(name) for name in names}))
    with pytest.raises(InputError, match=words):
        read_run(run.path)


def test_more_samples_of_the_teacher_than_of_the_run_prove_nothing(taught: tuple[RunDirectory, Heard]) -> None:
    facts = taught[0].facts()
    assert facts.training is not None
    assert facts.training.teacher is not None
    told_more = facts.training.teacher.model_copy(update={"samples_seen": 10**9})
    changed = facts.model_copy(update={"training": facts.training.model_copy(update={"teacher": told_more})})
    clauses = judge(changed, load_contract("code9")).clauses
    assert next(clause.state for clause in clauses if clause.name == "epochs") == "unproven"


def test_another_teacher_behind_a_finished_run_is_noticed(tmp_path: Path, taught: tuple[RunDirectory, Heard]) -> None:
    shutil.copytree(taught[0].path, tmp_path / "run")
    run = RunDirectory(tmp_path / "run")
    rows = run.teacher().timing()
    run.teacher().write_lines(rundir.TIMING, [{**row, "seconds": 1e9} for row in rows])
    with pytest.raises(InputError, match="damaged"):
        run.verify()
    with_another_log(run.teacher(), run.teacher().log())
    with pytest.raises(InputError, match=r"teacher/manifest.*damaged"):
        run.verify()


def test_a_teacher_of_the_user_s_own_is_tied_to_its_file(tmp_path: Path) -> None:
    file = tmp_path / "wide.py"
    file.write_text(Path(TINY.rpartition(":")[0]).read_text(encoding="utf-8"), encoding="utf-8")
    settings = [f"teacher={file}:Tiny", "teacher.epochs=1", "teacher.rate=0.003"]
    with pytest.raises(Killed):
        training.train("tiny", data="digits", epochs=1, threads=1, settings=settings, out=tmp_path / "run", progress=KillAt(12))
    file.write_text(file.read_text(encoding="utf-8") + "\n# other\n", encoding="utf-8")
    with pytest.raises(InputError, match="has changed since"):
        training.resume(tmp_path / "run")


def test_a_run_finds_its_teacher_s_file_from_wherever_it_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "big.py").write_text(Path(TINY.rpartition(":")[0]).read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    settings = ["teacher=big.py:Tiny", "teacher.epochs=1", "teacher.rate=0.003"]
    with pytest.raises(Killed):
        training.train("tiny", data="digits", epochs=1, threads=1, settings=settings, out="run", progress=KillAt(30))
    monkeypatch.chdir("/")
    assert training.resume(tmp_path / "run").finished


def test_a_record_without_the_teacher_s_files_is_refused(tmp_path: Path, taught: tuple[RunDirectory, Heard]) -> None:
    shutil.copytree(taught[0].path, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / rundir.TEACHER)
    code, said = told("record", tmp_path / "run", "--out", tmp_path / "record")
    assert code == 2
    assert "Traceback" not in said
    assert not (tmp_path / "record").exists()


def test_the_hand_in_shows_both_logs_and_what_the_teacher_was(tmp_path: Path, taught: tuple[RunDirectory, Heard]) -> None:
    run = tmp_path / "run"
    shutil.copytree(taught[0].path, run)
    assert told("report", run)[0] == 0
    for name in ("README.md", "report.html"):
        page = (run / "report" / name).read_text(encoding="utf-8")
        assert "The teacher, tiny, 1,966 parameters:" in page
        assert page.count("Epoch 1/2") == 2
        assert "2 epochs after 2 of its teacher" in page
        assert "a network of 1,966 parameters whose answers it learned and that is no part of it" in page


def test_a_hand_in_without_its_teacher_s_files_is_refused(tmp_path: Path, taught: tuple[RunDirectory, Heard]) -> None:
    run = tmp_path / "run"
    shutil.copytree(taught[0].path, run)
    shutil.rmtree(run / rundir.TEACHER)
    code, said = told("report", run)
    assert code == 2
    assert "its files are not here" in said


def test_a_record_counts_the_teacher_s_seconds_and_epochs(tmp_path: Path, taught: tuple[RunDirectory, Heard]) -> None:
    run = taught[0]
    assert told("record", run.path, "--out", tmp_path / "record")[0] == 0
    record = json.loads((tmp_path / "record" / "record.json").read_text(encoding="utf-8"))
    assert record["epochs"] == 4
    assert record["teacher"] == {"network": "tiny", "parameters": 1966, "samples_seen": 2 * (1437 - 200)}
    both = sum(row["seconds"] for row in [*run.timing(), *run.teacher().timing()])
    assert record["seeds"][0]["seconds"] == pytest.approx(both, abs=0.06)
    assert (tmp_path / "record" / "seed0-teacher-log.txt").read_text(encoding="utf-8").count("Epoch 1/2") == 1
