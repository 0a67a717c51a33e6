"""Studies with real processes on `digits`: each run trained once, failures tried once more and named, stops and kills without loss."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from small_studies import FAILING, SMALL, TINY, asked, train
from typer.testing import CliRunner

import budgetnet
from budgetnet import rundir
from budgetnet.cli import app
from budgetnet.durable import sha256
from budgetnet.errors import InputError
from budgetnet.study import running
from budgetnet.study.executors import Limits, Standing
from budgetnet.study.index import INDEX, find_runs
from budgetnet.study.ledger import LEDGER, open_ledger, read_histories
from budgetnet.study.showing import Lines, Silent, duration
from budgetnet.study.spec import RunSpec

SCRIPT = Path(__file__).parents[1] / "scripts" / "kill_study.py"
WIDTHS = ("network.width=4,6",)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a study of two recipes and two seeds was trained."""
    path = tmp_path_factory.mktemp("studies")
    document, _ = train(path, vary=WIDTHS)
    (path / "first.json").write_text(json.dumps(document), encoding="utf-8")
    return path


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(json.loads(line)["row"]) for line in (folder / LEDGER).read_text(encoding="utf-8").splitlines()]


def counted(folder: Path) -> Counter[str]:
    return Counter(event["event"] for event in events(folder))


def test_the_document_has_the_numbers_and_the_comparison(folder: Path) -> None:
    document = json.loads((folder / "first.json").read_text(encoding="utf-8"))
    assert [recipe["recipe"] for recipe in document["recipes"]] == ["width 4", "width 6"]
    for recipe in document["recipes"]:
        assert recipe["n"] == len(recipe["finals"]) == len(recipe["runs"]) == 2
        assert recipe["mean"] == pytest.approx(sum(recipe["finals"]) / 2)
        assert recipe["interval"][0] <= recipe["mean"] <= recipe["interval"][1]
        assert recipe["pass_probability"] == 0.0
        assert recipe["left_out"] == recipe["missing"] == []
    (comparison,) = document["comparisons"]
    assert (comparison["a"], comparison["b"], comparison["n"]) == ("width 4", "width 6", 2)
    assert comparison["difference"] == pytest.approx(document["recipes"][0]["mean"] - document["recipes"][1]["mean"])
    assert comparison["interval"][0] <= comparison["difference"] <= comparison["interval"][1]
    assert "width 4" in comparison["sentence"]
    assert [told["seed"] for told in comparison["images"]] == [0, 1]
    for told in comparison["images"]:
        finals = [next(run["final"] for run in recipe["runs"] if run["seed"] == told["seed"]) for recipe in document["recipes"]]
        assert told["only_second_wrong"] - told["only_first_wrong"] == round((finals[0] - finals[1]) * 360)


def test_a_run_of_a_study_has_the_bits_of_the_same_run_alone(folder: Path, tmp_path: Path) -> None:
    spec = running.read_study(asked(folder, vary=WIDTHS)).specs()[0]
    alone = budgetnet.train(spec.recipe, seed=spec.seed, threads=1, out=tmp_path / "alone")
    result = read_histories(folder).result(spec)
    assert result is not None
    assert result.weights_sha256 == sha256(alone.read(rundir.WEIGHTS))


def test_more_seeds_train_only_what_is_missing(folder: Path) -> None:
    before = counted(folder)
    document, conducted = train(folder, vary=WIDTHS, seeds="3")
    assert conducted.trained == 2
    assert [recipe["n"] for recipe in document["recipes"]] == [3, 3]
    assert counted(folder)["started"] - before["started"] == 2
    _, conducted = train(folder, vary=WIDTHS, seeds="3")
    assert conducted.trained == 0


def test_another_study_in_the_folder_shares_the_runs(folder: Path) -> None:
    document, conducted = train(folder, settings=(*SMALL, "network.width=4"), seeds="2", name="other")
    assert conducted.trained == 0
    assert document["recipes"][0]["n"] == 2


def test_two_studies_at_once_are_refused(folder: Path) -> None:
    with open_ledger(folder), pytest.raises(InputError, match="another study is under way"):
        train(folder, vary=WIDTHS)


def test_a_run_that_fails_is_tried_again_and_then_left_out(tmp_path: Path) -> None:
    once = tmp_path / "once"
    text = f"""
        data = "digits"
        epochs = 1
        seeds = 1
        [set]
        validation = 0
        watch = "nothing"
        [[recipes]]
        name = "sound"
        network = "{TINY}"
        [[recipes]]
        name = "killed once"
        network = "{FAILING}"
        set = {{ "network.how" = "kill", "network.once" = "{once}" }}
        [[recipes]]
        name = "diverges"
        network = "{FAILING}"
        set = {{ "network.how" = "diverge" }}
        [[recipes]]
        name = "exits"
        network = "{FAILING}"
        set = {{ "network.how" = "exit" }}
    """
    (tmp_path / "failing.toml").write_text(text, encoding="utf-8")
    words = running.Asked(targets=(str(tmp_path / "failing.toml"),), out=tmp_path / "out")
    document, _ = running.run(words)
    assert [recipe["n"] for recipe in document["recipes"]] == [1, 1, 0, 0]
    lost = {entry["recipe"]: (entry["kind"], entry["tries"]) for entry in document["left_out"]}
    assert lost == {"diverges": ("diverged", 2), "exits": ("crash", 2)}
    assert "NaN" in document["left_out"][0]["words"] or "nan" in document["left_out"][0]["words"]
    assert any("diverges: 1 of 1 runs failed twice and are left out" in note for note in document["notes"])
    kinds = [(event["kind"], event["attempt"]) for event in events(tmp_path / "out") if event["event"] == "failed"]
    assert sorted(kinds) == [("crash", 1), ("crash", 2), ("diverged", 1), ("diverged", 2), ("memory", 1)]
    assert [(c["a"], c["b"]) for c in document["comparisons"]] == [("sound", "killed once")]

    _, conducted = running.run(words)
    assert conducted.trained == 0
    assert counted(tmp_path / "out")["failed"] == 5, "what was left out stays out"
    rows = find_runs(tmp_path / "out", where="state = 'left out'", sort="reason")
    assert [row["reason"].split(":")[0] for row in rows] == ["crash", "diverged"]
    assert (tmp_path / "out" / "failed" / rows[0]["run"]).is_dir()


def test_a_hanging_run_and_one_without_memory_are_ended(tmp_path: Path) -> None:
    settings = (*SMALL, "network.how=hang", f"network.once={tmp_path / 'hung'}")
    means = running.Means(limits=Limits(quiet_seconds=4))
    document, _ = train(tmp_path, FAILING, settings=settings, seeds="1", means=means)
    assert document["recipes"][0]["n"] == 1, "the second attempt went through"
    means = running.Means(limits=Limits(memory_mib=2000))
    document, _ = train(tmp_path, FAILING, settings=(*SMALL, "network.how=memory"), seeds="1", means=means)
    assert [(lost["kind"], lost["tries"]) for lost in document["left_out"]] == [("memory", 2)]
    kinds = [event["kind"] for event in events(tmp_path) if event["event"] == "failed"]
    assert kinds == ["hang", "memory", "memory"]


def test_a_run_that_said_why_it_failed_and_does_not_end_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("budgetnet.study.executors.local.SECONDS_TO_END", 1.0)
    means = running.Means(limits=Limits(quiet_seconds=30))
    document, _ = train(tmp_path, FAILING, settings=(*SMALL, "network.how=linger"), seeds="1", means=means)
    assert [(lost["kind"], lost["words"]) for lost in document["left_out"]] == [("crash", "RuntimeError: this network fails")]


def test_what_was_left_out_is_tried_anew_when_asked(tmp_path: Path) -> None:
    once = tmp_path / "mended"
    study = running.read_study(asked(tmp_path, FAILING, settings=(*SMALL, f"network.once={once}"), seeds="1"))
    with open_ledger(tmp_path) as ledger:
        for _ in range(2):
            ledger.fail(study.specs()[0], "crash", "before the network was mended")
    once.touch()
    settings = (*SMALL, f"network.once={once}")
    document, _ = train(tmp_path, FAILING, settings=settings, seeds="1")
    assert document["recipes"][0]["n"] == 0
    document, _ = train(tmp_path, FAILING, settings=settings, seeds="1", means=running.Means(again=True))
    assert document["recipes"][0]["n"] == 1
    assert document["left_out"] == []


class StopsAtTheFirstStep(Silent):
    """Presses Ctrl-C when a run has made its first step."""

    def __init__(self) -> None:
        self.pressed = False

    def tick(self, standings: dict[str, Standing]) -> None:
        if not self.pressed and any(standing.share or standing.epoch for standing in standings.values()):
            self.pressed = True
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_saves_and_the_next_start_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    long: dict[str, Any] = {"epochs": 25, "seeds": "1"}
    _, conducted = train(tmp_path / "stopped", showing=StopsAtTheFirstStep(), **long)
    assert conducted.signal == signal.SIGINT
    assert conducted.trained == 0
    (run,) = (tmp_path / "stopped" / "runs").iterdir()
    assert budgetnet.open_run(run).checkpoints()
    document, conducted = train(tmp_path / "stopped", **long)
    assert conducted.trained == 1
    assert counted(tmp_path / "stopped") == {"started": 2, "finished": 1}, "a stop is no failure"
    whole, _ = train(tmp_path / "whole", **long)
    assert document["recipes"][0]["runs"][0]["weights_sha256"] == whole["recipes"][0]["runs"][0]["weights_sha256"]


def test_kills_at_random_moments_lose_nothing_and_count_nothing_twice(tmp_path: Path) -> None:
    """The short form; `scripts/kill_study.py --kills 200` is the long one."""
    command = [sys.executable, str(SCRIPT), "--kills", "4", "--out", str(tmp_path / "killed"), "--longest", "8"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "4 kills" in ended.stdout
    assert "each has one result" in ended.stdout


def test_a_run_that_was_complete_before_the_ledger_heard_of_it_is_taken_over(folder: Path, tmp_path: Path) -> None:
    study = running.read_study(asked(folder, vary=WIDTHS, seeds="2"))
    (tmp_path / "runs").symlink_to(folder / "runs")
    with open_ledger(tmp_path) as ledger:
        ledger.start(study.specs()[0], "a machine that lost its power")
    _, conducted = train(tmp_path, vary=WIDTHS)
    assert conducted.trained == 0
    assert counted(tmp_path) == {"started": 1, "finished": 4}


def test_a_damaged_run_is_put_aside_and_made_again(tmp_path: Path, folder: Path) -> None:
    spec = running.read_study(asked(folder, vary=WIDTHS)).specs()[0]
    target = tmp_path / "runs" / spec.key
    target.mkdir(parents=True)
    for file in (folder / "runs" / spec.key).iterdir():
        if file.is_file():
            (target / file.name).write_bytes(file.read_bytes())
    (target / rundir.WEIGHTS).write_bytes(b"flipped")
    document, conducted = train(tmp_path, settings=(*SMALL, "network.width=4"), seeds="1")
    assert conducted.trained == 1
    result = read_histories(folder).result(spec)
    assert result is not None
    assert document["recipes"][0]["runs"][0]["weights_sha256"] == result.weights_sha256


def test_the_plan_trains_nothing_and_says_what_it_takes(tmp_path: Path) -> None:
    words = [TINY, "--data", "digits", "--epochs", "1", "--seeds", "4", "--out", str(tmp_path), "--plan"]
    result = CliRunner().invoke(app, ["study", *words])
    assert result.exit_code == 0, result.output
    assert "4 runs, 4 to train" in result.stdout
    assert "1,004 parameters" in result.stdout or "920 parameters" in result.stdout
    assert "4 seeds find a difference of" in result.stdout
    assert not (tmp_path / "runs").exists()


def test_json_is_alone_on_stdout_and_has_the_promised_names(folder: Path) -> None:
    settings = [word for setting in SMALL for word in ("--set", setting)]
    words = [TINY, "--data", "digits", "--epochs", "1", "--seeds", "2", "--vary", *WIDTHS, *settings, "--out", str(folder)]
    ended = subprocess.run(
        [sys.executable, "-m", "budgetnet", "study", *words, "--json"], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert {"recipe", "n", "mean", "std", "interval", "pass_probability", "finals"} <= document["recipes"][0].keys()
    assert {"a", "b", "difference", "interval", "p", "sentence"} <= document["comparisons"][0].keys()
    assert "4 runs: 4 there, 0 to train" in ended.stderr


def test_runs_are_found_by_a_condition(folder: Path) -> None:
    result = CliRunner().invoke(
        app, ["runs", str(folder), "--where", "parameters < 400 and seed <= 1", "--sort", "accuracy", "--json"]
    )
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [row["state"] for row in rows] == ["finished", "finished"]
    assert {json.loads(row["settings"])["width"] for row in rows} == {4}
    assert [row["accuracy"] for row in rows] == sorted((row["accuracy"] for row in rows), reverse=True)
    assert (folder / INDEX).is_file()
    text = CliRunner().invoke(app, ["runs", str(folder), "--where", "accuracy > 2"])
    assert "No run meets this." in text.stdout


def test_the_live_view_says_how_far_the_whole_is() -> None:
    lines = Lines()
    spec = running.read_study(asked(Path("nowhere"))).specs()[0]
    lines.number, lines.done, lines.slots, lines.begun = 10, 4, 2, time.monotonic() - 60
    lines.epochs_left = {RunSpec(spec.recipe, seed).key: 1 for seed in range(6)}
    lines.epochs_made = 4.0
    lines.running = {"a": Standing(2, 20, 0.5, 0.987), "b": Standing(0, 20, 0.5)}
    lines.lost = 1
    view = lines.view().splitlines()
    assert view[0] == "4 of 10 runs done, 2 running, 1 failed, about 26 s left"
    assert view[1:] == ["  a: epoch 3 of 20, 98.70%", "  b: epoch 1 of 20"]


@pytest.mark.parametrize(("seconds", "words"), [(3.2, "3 s"), (600, "10 min"), (12_000, "3 h 20 min"), (200_000, "2 days 7 h")])
def test_times_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_nothing_of_a_study_is_left_running() -> None:
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]
