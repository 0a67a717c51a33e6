"""A class, graded as a teacher does it: by the commands themselves, with hand-ins that hang, crash, flood, and are called names."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from budgetnet.errors import InputError
from budgetnet.grade import Graded, grade_folder
from budgetnet.grade.rows import Row

HEAD = "import os, sys, time\nimport torch.nn as nn\n"
HONEST = f"""{HEAD}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        first, second = nn.Conv2d(1, 10, 3, bias=False), nn.Conv2d(10, 10, 3, bias=False)
        self.features = nn.Sequential(first, nn.BatchNorm2d(10), nn.ReLU(), second)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, images):
        return self.pool(self.features(images)).flatten(1)
"""
DENSE = HONEST.replace("nn.AdaptiveAvgPool2d(1)", "nn.Sequential(nn.Flatten(), nn.Linear(5760, 10))")
HANGING = HONEST.replace("super().__init__()", "super().__init__()\n        time.sleep(10_000)")
CRASHING = HONEST.replace("super().__init__()", "super().__init__()\n        os.abort()")
FLOODING = HONEST.replace("super().__init__()", "super().__init__()\n        [print('x' * 10**6) for _ in range(40)]")
HOSTILE = "<script>alert(1)\n<img src=x onerror=alert(2)>"
FORMULA = "=HYPERLINK(1).py"


def log(final: float, epochs: int = 20) -> str:
    """A README with the log of a whole training, as Keras prints it."""
    lines = ["# Hand-in\n", "```", "Train on 60000 samples, validate on 10000 samples"]
    for epoch in range(1, epochs + 1):
        share = 1 - 0.85**epoch
        figures = (0.35 - 0.33 * share, 0.89 + 0.104 * share, 0.06 - 0.04 * share, 0.98 + (final - 0.98) * share)
        loss, accuracy, held_loss, held = figures if epoch < epochs else (*figures[:3], final)
        lines += [
            f"Epoch {epoch}/{epochs}",
            f"60000/60000 [==============================] - 10s 168us/step - loss: {loss:.4f} - acc: {accuracy:.4f}"
            f" - val_loss: {held_loss:.4f} - val_acc: {held:.4f}",
        ]
    return "\n".join([*lines, "```", ""])


def notebook(code: str) -> str:
    """A notebook with one cell."""
    cell = {"cell_type": "code", "execution_count": 1, "metadata": {}, "outputs": [], "source": code.splitlines(keepends=True)}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def hand_in(folder: Path, **files: str) -> None:
    """Write a hand-in's files; `net_py` is net.py."""
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / ".".join(name.rsplit("_", 1))).write_text(text, encoding="utf-8")


def left_behind(folder: Path) -> list[str]:
    """The command lines of living processes that name the folder."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = line.read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in words and int(line.parent.name) != os.getpid():
            found.append(words.decode(errors="replace"))
    return found


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class of eleven hand-ins, and what is none."""
    folder = tmp_path_factory.mktemp("grade") / "course"
    hand_in(folder / "shown", net_py=HONEST, README_md=log(0.9945))
    hand_in(folder / "denied", net_py=HONEST, README_md=log(0.9931))
    hand_in(folder / "dense", net_py=DENSE, README_md=log(0.9945))
    hand_in(folder / "hanging", net_py=HANGING, README_md=log(0.9945))
    hand_in(folder / "crashing", net_py=CRASHING)
    hand_in(folder / "flooding", net_py=FLOODING)
    hand_in(folder / HOSTILE, net_py=HONEST)
    hand_in(folder / ".hidden", net_py=HONEST)
    hand_in(folder / "venv", net_py=HONEST)
    hand_in(folder / "my-environment", net_py=HONEST, pyvenv_cfg="")
    (folder / FORMULA).write_text(HONEST, encoding="utf-8")
    (folder / "book.ipynb").write_text(notebook(HONEST), encoding="utf-8")
    (folder / "text.md").write_text(log(0.9945), encoding="utf-8")
    (folder / "scores.zip").write_bytes(b"PK")
    (folder / "outside").symlink_to("/etc", target_is_directory=True)
    return folder


@pytest.fixture(scope="module")
def graded(course: Path) -> Graded:
    """The class, graded by `check` and `audit` themselves."""
    return grade_folder(course, jobs=2, timeout=40)


@pytest.fixture(scope="module")
def rows(graded: Graded) -> dict[str, Row]:
    """Hand-in -> its row."""
    return {row.hand_in: row for _, row in graded.rows}


HOSTILE_SHOWN = HOSTILE.replace("\n", "\\n")


def states(row: Row) -> dict[str, str]:
    """Clause -> state."""
    return {clause.name: clause.state for clause in row.clauses}


def test_each_hand_in_has_one_row_and_nothing_else_has(rows: dict[str, Row]) -> None:
    named = {
        "shown",
        "denied",
        "dense",
        "hanging",
        "crashing",
        "flooding",
        HOSTILE_SHOWN,
        FORMULA,
        "book.ipynb",
        "text.md",
        "outside",
    }
    assert set(rows) == named


def test_a_bad_hand_in_costs_only_its_own_row(rows: dict[str, Row], course: Path) -> None:
    failed = {name for name, row in rows.items() if row.verdict == "failed"}
    assert failed == {"hanging", "crashing", "outside"}
    assert "took longer than" in str(rows["hanging"].problem)
    assert rows["hanging"].timed_out
    assert rows["hanging"].log is not None, "what its text shows is kept"
    assert "SIGABRT" in str(rows["crashing"].problem)
    assert "link out of the folder" in str(rows["outside"].problem)
    assert states(rows["flooding"])["parameters"] == "met"
    assert left_behind(course) == []


def test_a_network_is_measured_wherever_it_lies(rows: dict[str, Row]) -> None:
    for name in ("shown", "flooding", HOSTILE_SHOWN, FORMULA, "book.ipynb"):
        counts = rows[name].parameters
        assert counts is not None
        assert (counts.total, counts.trainable) == (1030, 1010)
    assert rows["text.md"].parameters is None


def test_a_log_can_break_a_clause_and_proves_none(rows: dict[str, Row]) -> None:
    shown = {clause.name: clause for clause in rows["shown"].clauses}
    assert rows["shown"].verdict == "unproven"
    assert (shown["accuracy"].state, shown["accuracy"].shown, shown["accuracy"].measured) == ("unproven", True, 0.9945)
    assert shown["epochs"].shown
    assert "README.md, line 5" in shown["accuracy"].why
    denied = {clause.name: clause for clause in rows["denied"].clauses}
    assert rows["denied"].verdict == "broken"
    assert (denied["accuracy"].state, denied["accuracy"].by) == ("broken", "log")
    assert "0.9931" in denied["accuracy"].why
    assert {clause.by for clause in rows["shown"].clauses if clause.state == "met"} == {"network"}


def test_the_better_stands_above_the_worse(graded: Graded) -> None:
    place = {row.hand_in: number for number, (_, row) in enumerate(graded.rows)}
    rank = {row.hand_in: rank for rank, row in graded.rows}
    assert rank["shown"] == 1
    assert rank["book.ipynb"] == rank[FORMULA] == rank[HOSTILE_SHOWN] == rank["flooding"] == 2, "equal ones share a rank"
    assert place["book.ipynb"] < place["denied"] < place["dense"] < place["text.md"] < place["hanging"]
    assert rank["hanging"] is None


def test_no_cell_of_the_table_is_a_formula(graded: Graded) -> None:
    with graded.csv.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 11
    assert {len(line) for line in table} == {len(table[0])}
    assert not [cell for line in table for cell in line.values() if cell.startswith(("=", "+", "-", "@"))]
    line = next(line for line in table if line["hand_in"] == f"'{FORMULA}")
    assert (line["rank"], line["verdict"], line["parameters"], line["clause: biases"]) == ("2", "unproven", "1030", "met")
    assert HOSTILE_SHOWN in {line["hand_in"] for line in table}, "a name stays on one line"
    assert next(line for line in table if line["hand_in"] == "denied")["clause: accuracy"] == "broken (by its own log)"


def test_a_restart_skips_what_is_done_and_unchanged(course: Path, graded: Graded) -> None:
    ledger = (graded.html.parent / "grades.jsonl").read_bytes()
    (course / "text.md").write_text(log(0.9931), encoding="utf-8")
    second = grade_folder(course, jobs=2, timeout=40)
    assert second.skipped == 9, "all but the changed one and the link, which is never opened"
    assert states(next(row for _, row in second.rows if row.hand_in == "text.md"))["accuracy"] == "broken"
    assert (graded.html.parent / "grades.jsonl").read_bytes().startswith(ledger)
    assert {row.hand_in for _, row in second.rows} == {row.hand_in for _, row in graded.rows}


def budgetnet(*words: str | Path, folder: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder`."""
    process = subprocess.run(
        [sys.executable, "-P", "-m", "budgetnet", *map(str, words)], capture_output=True, text=True, cwd=folder, check=False
    )
    assert process.returncode == code, process.stdout + process.stderr
    assert "Traceback" not in process.stderr
    return process


def test_the_command_prints_rows_writes_files_and_says_what_it_does(tmp_path: Path) -> None:
    hand_in(tmp_path / "class" / "small", net_py=HONEST)
    (tmp_path / "class" / "README.md").write_text("# The course\n", encoding="utf-8")
    (tmp_path / "size.toml").write_text("[parameters]\nat_most = 2000\n", encoding="utf-8")
    # A stranger's module in the current folder must not be taken for Python's own.
    (tmp_path / "json.py").write_text("raise SystemExit('foreign code ran')\n", encoding="utf-8")
    process = subprocess.run(
        [sys.executable, "-P", "-m", "budgetnet", "grade", "class", "--contract", "size.toml", "--json", "--out", "results"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    rows: list[dict[str, Any]] = json.loads(process.stdout)
    assert [(row["rank"], row["hand_in"], row["verdict"]) for row in rows] == [(1, "small", "met"), (2, "README.md", "unproven")]
    assert "2/2" in process.stderr
    assert "\x1b" not in process.stderr
    assert sorted(path.name for path in (tmp_path / "results").iterdir() if not path.name.startswith(".")) == [
        "grades.csv",
        "grades.html",
        "grades.jsonl",
    ]
    shown = budgetnet("grade", "class", "--contract", "size.toml", "--out", "results", folder=tmp_path)
    assert "2 hand-ins: 1 met, 1 unproven" in shown.stdout
    assert shown.stderr.count("unchanged since it was graded") == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("missing",), "no such folder"),
        (("empty",), "holds no hand-in"),
        (("class", "--contract", "code8"), "no contract"),
        (("class", "--timeout", "0"), "--timeout"),
        (("class", "--jobs", "0"), "--jobs"),
    ],
)
def test_wrong_input_is_one_sentence_before_anything_runs(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    (tmp_path / "empty").mkdir()
    hand_in(tmp_path / "class" / "small", net_py=HONEST)
    options: dict[str, Any] = {
        "contract": words[2] if "--contract" in words else "code9",
        "timeout": float(words[2]) if "--timeout" in words else 60.0,
        "jobs": int(words[2]) if "--jobs" in words else None,
    }
    with pytest.raises(InputError, match=said):
        grade_folder(tmp_path / words[0], **options)
    assert not (tmp_path / "class-grades").exists()


def test_the_command_line_s_wrong_input_is_exit_code_2(tmp_path: Path) -> None:
    assert "no such folder" in budgetnet("grade", "missing", folder=tmp_path, code=2).stderr


def test_ctrl_c_keeps_what_is_done_and_leaves_nothing_running(tmp_path: Path) -> None:
    folder = tmp_path / "class"
    hand_in(folder / "z-hanging", net_py=HANGING)
    (folder / "a.md").write_text(log(0.9945), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "budgetnet", "grade", "class", "--jobs", "2", "--timeout", "300"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "1/2" in line:
            break
    process.send_signal(signal.SIGINT)
    output, complaint = process.communicate()
    assert process.returncode == 130, complaint
    assert "1 not graded" in complaint
    assert "a.md" in output
    assert "not graded yet" in (tmp_path / "class-grades" / "grades.html").read_text(encoding="utf-8")
    assert left_behind(folder) == []
    (folder / "z-hanging" / "net.py").write_text(HONEST, encoding="utf-8")
    again = budgetnet("grade", "class", folder=tmp_path)
    assert again.stderr.count("unchanged since it was graded") == 1
    assert "2 hand-ins: 2 unproven" in again.stdout
