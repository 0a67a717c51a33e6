"""Interrupted at any moment and resumed, a run ends in the same bits; and these tests would notice if it did not."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from kills import KillAt, Killed
from safetensors.torch import load, save

import budgetnet
from budgetnet import checkpoints, rundir, training
from budgetnet.checkpoints import Checkpoint
from budgetnet.errors import InputError
from budgetnet.interruption import Interrupted
from budgetnet.progress import Quiet
from budgetnet.rundir import RunDirectory

TINY = f"{Path(__file__).parent / 'networks' / 'tiny.py'}:Tiny"
ARGUMENTS: dict[str, Any] = {"data": "digits", "epochs": 3, "threads": 1, "settings": ["validation=200"]}


def kill_at(out: Path, steps: int, target: str = TINY) -> RunDirectory:
    """A run (10 steps an epoch) that saved after each step and was killed in step `steps`."""
    with pytest.raises(Killed):
        training.train(target, out=out, checkpoint_seconds=0, progress=KillAt(steps), **ARGUMENTS)
    return budgetnet.open_run(out)


def ending(run: RunDirectory) -> tuple[bytes, bytes]:
    return run.read(rundir.WEIGHTS), run.read(rundir.LOG)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    return ending(training.train(TINY, out=tmp_path_factory.mktemp("whole") / "run", **ARGUMENTS))


@pytest.mark.parametrize("steps", [1, 2, 9, 10, 11, 25, 30])
def test_a_kill_in_any_step_changes_nothing(tmp_path: Path, uninterrupted: tuple[bytes, bytes], steps: int) -> None:
    run = kill_at(tmp_path / "run", steps)
    assert ending(training.resume(run.path)) == uninterrupted


def test_a_kill_after_each_third_step_changes_nothing(tmp_path: Path, uninterrupted: tuple[bytes, bytes]) -> None:
    run = kill_at(tmp_path / "run", 3)
    for _ in range(12):
        with pytest.raises(Killed):
            training.resume(run.path, checkpoint_seconds=0, progress=KillAt(3))
    assert ending(training.resume(run.path)) == uninterrupted


@pytest.mark.parametrize("name", ["tiny.py:RandomElsewhere", "tiny.py:Shared", "paired.py:Paired"])
def test_networks_of_the_user_s_own_resume_to_the_same_bits(tmp_path: Path, name: str) -> None:
    target = TINY.replace("tiny.py:Tiny", name)
    wholes = [ending(training.train(target, out=tmp_path / number, **ARGUMENTS)) for number in ("first", "second")]
    assert wholes[0] == wholes[1]
    run = kill_at(tmp_path / "run", 15, target)
    assert ending(training.resume(run.path)) == wholes[0]


def test_an_edited_recipe_is_not_taken_for_the_one_that_was_started(tmp_path: Path) -> None:
    run = kill_at(tmp_path / "run", 15)
    run.write_json(rundir.RECIPE, {**run.recipe().model_dump(), "rate": 0.1})
    with pytest.raises(InputError, match="has changed since the run was started"):
        training.resume(run.path)


def test_a_finished_run_without_its_mark_has_no_result_and_is_not_trained_over(tmp_path: Path) -> None:
    run = training.train(TINY, out=tmp_path / "run", **ARGUMENTS)
    before = ending(run)
    (run.path / rundir.DONE).unlink()
    facts = run.facts().training
    assert facts is not None
    assert (facts.complete, facts.accuracy, facts.loss) == (False, None, None)
    with pytest.raises(InputError, match="'done' is gone"):
        training.resume(run.path)
    assert ending(run) == before


def test_previous_is_taken_only_where_it_is_sound(tmp_path: Path) -> None:
    run = kill_at(tmp_path / "run", 15)
    for checkpoint in run.checkpoints():
        (checkpoint / checkpoints.STATE).write_text("{}")
    with pytest.raises(InputError, match="damaged"):
        training.resume(run.path, previous=True)
    assert len(run.checkpoints()) == 2


DROPPED = {
    "the state of the dropout generator": ("generator.dropout", "fresh"),
    "the state of torch's generator": ("generator.torch", "fresh"),
    "a BatchNormalization statistic": ("network.first.1.running_var", "ones"),
    "a moment of the optimizer": ("optimizer.0.exp_avg_sq", "zeros"),
    "the optimizer's count of steps": ("optimizer.steps", "zeros"),
    "a weight": ("network.last.weight", "zeros"),
}


@pytest.mark.parametrize("what", DROPPED)
def test_the_comparison_would_notice_what_a_checkpoint_forgets(
    tmp_path: Path, uninterrupted: tuple[bytes, bytes], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, replacement = DROPPED[what]
    run = kill_at(tmp_path / "run", 15)
    original = RunDirectory.load_checkpoint

    def forgetful(self: RunDirectory, *, previous: bool = False) -> Checkpoint | None:
        checkpoint = original(self, previous=previous)
        assert checkpoint is not None
        tensors = load(checkpoint.tensors)
        if replacement == "fresh":
            import torch

            tensors[key] = torch.Generator().manual_seed(1).get_state()
        else:
            tensors[key] = tensors[key] * 0 + (1 if replacement == "ones" else 0)
        return Checkpoint(checkpoint.state, save(tensors))

    monkeypatch.setattr(RunDirectory, "load_checkpoint", forgetful)
    weights, _ = ending(training.resume(run.path))
    assert weights != uninterrupted[0]


@pytest.mark.parametrize("name", [checkpoints.STATE_TENSORS, checkpoints.STATE])
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_checkpoint_is_refused_by_name_and_the_one_before_it_serves(
    tmp_path: Path, uninterrupted: tuple[bytes, bytes], name: str, damage: str
) -> None:
    run = kill_at(tmp_path / "run", 15)
    path = run.checkpoints()[-1] / name
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(bytes(content) if damage == "flip" else bytes(content[:-1]))
    with pytest.raises(InputError, match=rf"{re.escape(str(path))}: (damaged|is missing).*--previous"):
        training.resume(run.path)
    assert ending(training.resume(run.path, previous=True)) == uninterrupted


def test_a_second_process_on_the_same_run_is_refused(tmp_path: Path) -> None:
    run = kill_at(tmp_path / "run", 5)
    words = (
        f"from pathlib import Path\nfrom budgetnet.rundir import open_run\nwith open_run(Path({str(run.path)!r})).locked(): pass"
    )
    with run.locked():
        other = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=False)
    assert "another process is working on this run" in other.stderr
    assert subprocess.run([sys.executable, "-c", words], check=False).returncode == 0


def test_a_run_with_other_data_or_threads_is_refused_or_told(tmp_path: Path) -> None:
    run = kill_at(tmp_path / "run", 5)
    notes: list[str] = []

    class Listening(Quiet):
        def note(self, sentence: str) -> None:
            notes.append(sentence)

    fingerprint = run.fingerprint()
    run.write_json(rundir.FINGERPRINT, fingerprint | {"data_sha256": "0" * 64})
    with pytest.raises(InputError, match="is not the data"):
        training.resume(run.path)
    run.write_json(rundir.FINGERPRINT, fingerprint | {"torch": "1.0"})
    training.resume(run.path, progress=Listening())
    assert "will not be bit-identical" in notes[0]
    assert "torch 1.0" in notes[0]


def test_asked_to_stop_it_saves_and_says_so(tmp_path: Path, uninterrupted: tuple[bytes, bytes]) -> None:
    class PressingControlC(Quiet):
        def epoch_end(self, row: dict[str, Any], seconds: float) -> None:
            if row["epoch"] == 2:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        training.train(TINY, out=tmp_path / "run", progress=PressingControlC(), **ARGUMENTS)
    run = budgetnet.open_run(tmp_path / "run")
    assert len(run.log()) == 2
    assert run.facts().training is not None
    assert ending(training.resume(run.path)) == uninterrupted


def test_a_start_that_was_killed_before_its_recipe_was_written_is_no_obstacle(
    tmp_path: Path, uninterrupted: tuple[bytes, bytes]
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    for name in (".lock", rundir.FINGERPRINT, rundir.RUN, ".recipe.json.123.tmp"):
        (out / name).write_text("{")
    assert ending(training.train(TINY, out=out, **ARGUMENTS)) == uninterrupted


def test_a_full_disk_stops_the_run_with_a_sentence_and_spares_what_was_saved(
    tmp_path: Path, uninterrupted: tuple[bytes, bytes]
) -> None:
    run = kill_at(tmp_path / "run", 15)
    before = run.load_checkpoint()
    words = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
        f"sys.argv = ['budgetnet', 'train', '--resume', {str(run.path)!r}]\n"
        "from budgetnet.cli import main; main()"
    )
    stopped = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=False)
    assert stopped.returncode == 2
    assert "cannot be written" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert run.load_checkpoint() == before
    assert not list(run.path.rglob("*.tmp"))
    assert ending(training.resume(run.path)) == uninterrupted


EPOCHS = 30
KILLS = 20
SHARE = 0.6
"""Of the training that the kills let happen, on average, so that the last of them still finds a run to kill."""


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "budgetnet", "train", *words, "--threads", "1", "--checkpoint-seconds", "0.1"]


def start_and_kill(words: list[str], number: int, longest: float, chance: random.Random) -> None:
    """Start the program and kill it: mostly up to `longest` seconds after training has begun, now and then anywhere before."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        if number % 5 == 4:
            time.sleep(chance.uniform(0, 4))
        else:
            for line in process.stdout:
                if line.startswith("Epoch"):
                    break
            time.sleep(chance.uniform(0, longest))
        process.send_signal(signal.SIGKILL)


def test_twenty_sigkills_in_one_run_of_digits_change_nothing(tmp_path: Path) -> None:
    recipe = ["code9-gap", "--data", "digits", "--epochs", str(EPOCHS)]
    subprocess.run(command(*recipe, "--out", str(tmp_path / "whole")), check=True, capture_output=True)
    whole = budgetnet.open_run(tmp_path / "whole")

    longest = 2 * SHARE * sum(row["seconds"] for row in whole.timing()) / KILLS
    killed = tmp_path / "killed"
    chance = random.Random(20)  # noqa: S311
    kills = 0
    while kills < KILLS:
        begun = (killed / rundir.RECIPE).exists()
        words = command("--resume", str(killed)) if begun else command(*recipe, "--out", str(killed))
        start_and_kill(words, kills, longest, chance)
        assert not (killed / rundir.DONE).exists(), f"finished after {kills} kills: too few epochs for this machine"
        kills += 1
    final = subprocess.run(command("--resume", str(killed)), check=True, capture_output=True, text=True)
    assert ending(budgetnet.open_run(killed)) == ending(whole)
    assert not list(killed.rglob("*.tmp")), final.stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_polite_signal_ends_the_program_with_its_code_and_a_way_to_go_on(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    words = command(TINY, "--data", "digits", "--epochs", "500", "--set", "validation=200", "--out", str(tmp_path / "run"))
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        next(line for line in process.stdout if line.startswith("Epoch"))
        process.send_signal(number)
        process.stdout.read()
        complaint = process.stderr.read()
    assert process.returncode == code
    assert f"budgetnet train --resume {tmp_path / 'run'}" in complaint
    assert "Traceback" not in complaint
    assert budgetnet.open_run(tmp_path / "run").load_checkpoint() is not None
