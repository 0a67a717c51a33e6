"""`budgetnet audit` as a user types it: text, JSON, exit codes, contracts, and no torch."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pasted_logs import EPOCHS, course_loop, figures, keras
from test_audit_findings import LEVEL_DROPOUT, TRICKS, WARM, table

from budgetnet.audit import audit_file, exit_code
from budgetnet.contract import load_contract

GOLDEN = Path(__file__).parent / "golden"
HAND_IN = f"""# CODE9

**Total params:** 3,248, no biases

print(score): [0.016543518993379802, 0.9947]

**Max Validation Accuracy**
Epoch 00014: LearningRateScheduler setting learning rate to 0.0005828638.
{keras(figures()[13:14]).splitlines()[-1]}

## Logs for {EPOCHS} epochs

{keras()}

{table()}
"""


def budgetnet(*words: str | Path, folder: Path, code: int) -> subprocess.CompletedProcess[str]:
    process = subprocess.run(
        [sys.executable, "-m", "budgetnet", "audit", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "COLUMNS": "120", "NO_COLOR": "1"},
    )
    assert process.returncode == code, process.stdout + process.stderr
    assert "Traceback" not in process.stderr
    return process


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "README.md").write_text(HAND_IN, encoding="utf-8")
    (tmp_path / "warm.md").write_text(f"{keras(WARM, planned=6)}\n\n[0.0296, 0.9914]\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(("name", "code"), [("README.md", 0), ("warm.md", 1)])
def test_the_text_is_the_golden_one(name: str, code: int, folder: Path) -> None:
    shown = budgetnet(name, folder=folder, code=code).stdout
    golden = GOLDEN / f"audit-{name.removesuffix('.md')}.txt"
    if os.environ.get("REGENERATE_GOLDEN"):
        golden.write_text(shown, encoding="utf-8")
    assert shown == golden.read_text(encoding="utf-8")


def test_json_of_one_file_is_its_document(folder: Path) -> None:
    document: dict[str, Any] = json.loads(budgetnet("README.md", "--json", folder=folder, code=0).stdout)
    assert document["file"] == "README.md"
    assert document["findings"] == []
    (log,) = document["logs"]
    wanted = {
        "epochs": EPOCHS,
        "final": 0.9947,
        "best": 0.9953,
        "best_epoch": 14,
        "last5": 0.99412,
        "last5_min": 0.9925,
        "quoted": [9],
    }
    assert {name: log[name] for name in wanted} == wanted
    assert log["schedule"] == "inverse-time: 0.003 / (1 + 0.319 × epoch)"


def test_json_of_several_files_is_a_list_and_one_finding_is_enough(folder: Path) -> None:
    documents = json.loads(budgetnet("README.md", "warm.md", "--json", folder=folder, code=1).stdout)
    assert [document["file"] for document in documents] == ["README.md", "warm.md"]
    (finding,) = documents[1]["findings"]
    assert "warm start" in finding["what"]
    assert set(finding) == {"what", "evidence", "file", "line", "proof"}


@pytest.mark.parametrize("words", [("absent.md",), ("README.md", "absent.md"), ("README.md", "--contract", "code10"), (".",)])
def test_wrong_input_is_one_sentence(words: tuple[str, ...], folder: Path) -> None:
    shown = budgetnet(*words, folder=folder, code=2)
    assert shown.stdout == ""
    assert shown.stderr.startswith("budgetnet: ")


def test_audit_imports_no_torch(folder: Path) -> None:
    code = (
        "import sys; sys.argv = ['budgetnet', 'audit', 'README.md', '--contract', 'code9']\n"
        "from budgetnet.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'numpy', 'matplotlib', 'scipy'} & set(sys.modules), sorted(sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=folder)
    assert shown.returncode == 0, shown.stderr


def states(text: str, folder: Path) -> list[dict[str, str]]:
    path = folder / "a.md"
    path.write_text(text, encoding="utf-8")
    return [{clause.name: clause.state for clause in log.clauses} for log in audit_file(path, load_contract("code9")).logs]


def test_a_contract_is_held_against_what_each_log_shows(tmp_path: Path) -> None:
    met = {"parameters": "met", "epochs": "met", "accuracy": "met"}
    assert states(f"{keras()}\n\n{table()}\n", tmp_path) == [met]
    assert states(keras(), tmp_path) == [{**met, "parameters": "unproven"}]
    assert states(course_loop(figures(12)), tmp_path)[0]["accuracy"] == "met"
    assert states(course_loop(figures(13)), tmp_path)[0]["accuracy"] == "broken"  # 0.9925, after a best of 0.9944
    assert states(keras(LEVEL_DROPOUT, planned=6), tmp_path)[0]["epochs"] == "unproven"
    assert states(keras(figures(11)), tmp_path)[0]["accuracy"] == "unproven"
    assert states("Total params: 15,794\n\n" + keras(), tmp_path)[0]["parameters"] == "broken"
    assert [clauses["epochs"] for clauses in states(TRICKS["second fit"][1], tmp_path)] == ["met", "broken"]


def test_a_broken_contract_and_an_unproven_one_have_their_codes(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    contract = load_contract("code9")
    for text, code in ((f"{keras()}\n\n{table()}\n", 0), (keras(), 3), (course_loop(figures(13)), 1), ("Nothing.\n", 3)):
        path.write_text(text, encoding="utf-8")
        assert exit_code([audit_file(path, contract)]) == code
