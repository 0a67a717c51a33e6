"""Every network of the corpus gets its right answers, and the table in docs/CHECK.md says so. About half a minute on one core."""

import sys
from pathlib import Path
from typing import Any

import pytest

from budgetnet.contract import judge, load_contract
from budgetnet.targets import check_target

CORPUS = Path(__file__).resolve().parent / "corpus"
sys.path.insert(0, str(CORPUS))
import score_networks as score  # noqa: E402 - it lies with the corpus

MANIFEST = score.manifest()
ENTRIES: dict[str, dict[str, Any]] = {entry["target"]: entry for entry in MANIFEST["network"]}
STILL_WRONG = {
    # 784 constants of a transform are hidden numbers, whoever chose them.
    ("no_dense.py:CosineTransform", "findings"),
    # A table that an address made of the whole image picks from can hold any function, a fully connected layer's too.
    ("hidden.py:LookupTable", "fully_connected"),
}


@pytest.fixture(scope="module")
def answers() -> dict[str, score.Answer]:
    return {target: score.ask(target) for target in ENTRIES}


@pytest.mark.parametrize("target", ENTRIES)
def test_each_answer_is_the_right_one(answers: dict[str, score.Answer], target: str) -> None:
    wrong = score.differences(ENTRIES[target], answers[target])
    assert [one for one in wrong if (one.target, one.what) not in STILL_WRONG] == []


def test_the_table_in_the_docs_is_not_stale(answers: dict[str, score.Answer]) -> None:
    text = score.DOCUMENT.read_text(encoding="utf-8")
    assert score.with_table(text, score.table(MANIFEST, answers)) == text


@pytest.mark.parametrize("entry", MANIFEST["refused"], ids=lambda entry: str(entry["target"]))
def test_what_is_no_single_network_is_refused_in_one_sentence(entry: dict[str, Any]) -> None:
    answer = score.ask(entry["target"])
    assert answer.error
    assert ("which network is meant?" in answer.error) == (entry["expected"] == "question")


@pytest.mark.parametrize("target", ["dense.py:OnlyForRealImages", "hidden.py:CountsItself", "trains_at_import.py:Net"])
def test_the_confined_child_answers_as_this_process_does(answers: dict[str, score.Answer], target: str) -> None:
    checked = check_target(str(CORPUS / "networks" / target))
    verdict = judge(checked.facts, load_contract("code9"))
    states = {clause.name: clause.state for clause in verdict.clauses if clause.name in score.CLAUSES}
    assert states == answers[target].clauses
    assert checked.facts.network.parameters.total == answers[target].numbers["total"]
