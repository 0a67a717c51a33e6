"""The commands as a user types them, in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from budgetnet import zoo
from budgetnet.cli import main

TINY = f"{Path(__file__).parent / 'networks' / 'tiny.py'}:Tiny"


def budgetnet(
    *words: str | Path, folder: Path | None = None, code: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command; its exit code must be `code`, and it must not show a traceback."""
    process = subprocess.run(
        [sys.executable, "-m", "budgetnet", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120", **environment},
    )
    assert process.returncode == code, process.stdout + process.stderr
    assert "Traceback" not in process.stderr
    return process


def json_of(*words: str | Path, **arguments: Any) -> Any:
    """The one JSON document on stdout."""
    return json.loads(budgetnet(*words, "--json", **arguments).stdout)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of `one-pool`'s cheaper sister on digits."""
    out = tmp_path_factory.mktemp("cli") / "run"
    words = ("train", "code9-gap", "--data", "digits", "--epochs", "2", "--threads", "1", "--out", out)
    assert "Epoch 00002: LearningRateScheduler setting learning rate to 0.0022744503." in budgetnet(*words).stdout
    return out


@pytest.mark.parametrize(
    "command", ["", "train", "judge", "check", "report", "evaluate", "summary", "list", "quickstart", "reproduce"]
)
def test_help_imports_no_torch(command: str) -> None:
    words = [*command.split(), "--help"]
    code = (
        f"import sys; sys.argv = ['budgetnet', *{words!r}]\n"
        "from budgetnet.cli import main\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert not {'torch', 'numpy', 'matplotlib', 'scipy'} & set(sys.modules), sorted(sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "Usage" in shown.stdout


@pytest.mark.parametrize("words", [("judge", "RUN"), ("contracts",), ("report", "RUN", "--out", "OUT")])
def test_judging_and_reporting_import_no_torch(run: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    given = [str(run) if word == "RUN" else str(tmp_path / "report") if word == "OUT" else word for word in words]
    code = (
        f"import sys; sys.argv = ['budgetnet', *{given!r}]\n"
        "from budgetnet.cli import main\n"
        "try: main()\n"
        "except SystemExit as stop: assert stop.code in (0, 1, 3), stop.code\n"
        "assert 'torch' not in sys.modules"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr


def test_list_shows_the_seven_with_counts_and_claims() -> None:
    rows = json_of("list")
    assert [row["name"] for row in rows] == zoo.names()
    by_name = {row["name"]: row for row in rows}
    assert by_name["gap-1x1"]["parameters"] == {"total": 14_840, "trainable": 14_588, "non_trainable": 252}
    assert by_name["separable-gmp"]["claim"]["accuracy"] == 0.9954
    text = budgetnet("list").stdout
    assert all(name in text for name in zoo.names())
    assert "14,864" in text


@pytest.mark.parametrize(
    ("target", "code", "states"),
    [
        (
            "one-pool",
            3,
            {"parameters": "met", "epochs": "unproven", "accuracy": "unproven", "fully_connected": "met", "biases": "met"},
        ),
        (
            "gap-1x1",
            1,
            {"parameters": "met", "epochs": "unproven", "accuracy": "unproven", "fully_connected": "met", "biases": "broken"},
        ),
        (TINY, 3, {"parameters": "met", "epochs": "unproven", "accuracy": "unproven", "fully_connected": "met", "biases": "met"}),
    ],
)
def test_check_judges_an_untrained_network(target: str, code: int, states: dict[str, str]) -> None:
    document = json_of("check", target, "--contract", "code9", code=code)
    assert {clause["name"]: clause["state"] for clause in document["clauses"]} == states | {"forward_passes": "met"}
    assert all({"name", "state", "measured", "limit", "why"} == set(clause) for clause in document["clauses"])
    assert document["verdict"] == {1: "broken", 3: "unproven"}[code]
    assert document["facts"]["network"]["parameters"]["total"] <= 15_000


def test_judge_says_what_is_met_what_is_missing_and_exits_with_it(run: Path) -> None:
    document = json_of("judge", run, code=3)
    states = {clause["name"]: clause["state"] for clause in document["clauses"]}
    assert states["epochs"] == states["parameters"] == "met"
    assert states["accuracy"] == "unproven"  # digits are not the contract's data
    assert "digits" in next(clause["why"] for clause in document["clauses"] if clause["name"] == "accuracy")
    text = budgetnet("judge", run, code=3).stdout
    assert "accuracy" in text
    assert "unproven" in text


def test_a_contract_of_the_user_s_own_decides(run: Path, tmp_path: Path) -> None:
    contract = tmp_path / "mine.toml"
    contract.write_text('data = "digits"\n[accuracy]\nat_least = 0.05\n[parameters]\nat_most = 11504\n')
    assert json_of("judge", run, "--contract", contract)["verdict"] == "met"
    assert json_of("judge", run, "--contract", contract, "--again")["verdict"] == "met"
    contract.write_text("[parameters]\nat_most = 11503\n")
    document = json_of("judge", run, "--contract", contract, code=1)
    assert "1 " in document["clauses"][0]["why"]


def test_evaluate_prints_keras_s_pair(run: Path) -> None:
    pair = json.loads(budgetnet("evaluate", run).stdout)
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert pair == [evaluation["loss"], evaluation["accuracy"]]
    assert json_of("evaluate", run)["correct"] == evaluation["correct"]


def test_report_takes_the_user_s_words(run: Path, tmp_path: Path) -> None:
    (tmp_path / "words.md").write_text("I made it *small*.")
    readme = Path(json_of("report", run, "--strategy", tmp_path / "words.md", "--out", tmp_path / "report")["report"])
    assert "I made it *small*." in readme.read_text()


def test_train_in_json_keeps_stdout_for_the_document(tmp_path: Path) -> None:
    words = ("train", TINY, "--data", "digits", "--epochs", "1", "--set", "validation=200", "--threads", "1")
    process = budgetnet(*words, "--json", folder=tmp_path)
    document = json.loads(process.stdout)
    assert Path(document["run"]) == Path("runs/Tiny-digits-seed0")
    assert document["best"] is None
    assert document["last5"] is None
    assert document["accuracy"] == document["facts"]["training"]["accuracy"]
    assert "Epoch 1/1" in process.stderr
    again = budgetnet(*words, folder=tmp_path, code=2)
    assert "holds a finished run already" in again.stderr
    assert again.stdout == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("train",), "Name a network to train"),
        (("train", "one-pol"), "Did you mean 'one-pool'"),
        (("train", "one-pool", "--data", "mnits"), "mnist"),
        (("train", "one-pool", "--data", "digits", "--set", "dropout=0.3"), "no field 'dropout'"),
        (("train", "--resume", "nowhere"), "nowhere: no such run directory"),
        (("train", "one-pool", "--resume", "nowhere"), "cannot be given beside it"),
        (("train", "one-pool", "--previous"), "--previous goes with --resume"),
        (("judge", "nowhere"), "nowhere: no such run directory"),
        (("judge", "."), "not a run directory"),
        (("check", "one-pool", "--contract", "code8"), "Did you mean 'code9'"),
        (("check", "one-pool", "--input", "28"), "as 1x28x28"),
        (("check", "one-pool", "--input", "1x9x9"), "cannot be run on an image of 1×9×9"),
        (("summary", "two-pool"), "Did you mean 'one-pool'"),
        (("evaluate", "nowhere"), "no such run directory"),
        (("report", "nowhere"), "no such run directory"),
        (("data", "mnits"), "mnist"),
        (("contracts", "code8"), "Did you mean 'code9'"),
        (("record", "nowhere", "--out", "x"), "no such run directory"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    sentence: str,
) -> None:
    # In this process, which has torch already: a process for each would be a minute of imports.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["budgetnet", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    shown = capsys.readouterr()
    assert stop.value.code == 2
    assert sentence in shown.err
    assert shown.err.startswith("budgetnet: ")
    assert shown.err.count("\n") == 1
    assert shown.out == ""
    assert list(tmp_path.iterdir()) == []


def test_wrong_input_in_a_process_of_its_own_shows_no_traceback(tmp_path: Path) -> None:
    process = budgetnet("train", "one-pol", folder=tmp_path, code=2)
    assert process.stderr.startswith("budgetnet: The zoo has no network 'one-pol'")
    assert process.stdout == ""


def test_an_unknown_command_and_option_exit_with_2() -> None:
    assert "No such command" in budgetnet("trian", code=2).stderr
    assert "No such option" in budgetnet("train", "one-pool", "--epoch", "3", code=2).stderr


def test_quickstart_without_mnist_uses_digits_and_says_so_loudly(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    # A proxy where nothing listens: the mirrors cannot be reached, wherever this test runs.
    unreachable: dict[str, Any] = {
        "https_proxy": "http://127.0.0.1:9",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "BUDGETNET_DATA": "",
    }
    process = budgetnet("quickstart", "--threads", "1", folder=empty, **unreachable)
    assert "MNIST CANNOT BE HAD HERE" in process.stdout
    assert "NOT MNIST" in process.stdout
    assert "Try next: budgetnet train" in process.stdout
    assert "unproven" in process.stdout
    run = empty / "runs" / "quickstart-digits"
    assert (run / "report" / "README.md").is_file()
    # A first run that guesses would send everyone away.
    assert json.loads((run / "evaluation.json").read_text())["accuracy"] > 0.8
