"""The audit on the corpus of pasted hand-ins: every trick found on its line, nothing said of the honest, each log read as it is."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
DEBATABLE = {"logs": [], "fresh": ["warm.csv: warm_start (debatable)"]}


@pytest.fixture(scope="module")
def measured() -> ModuleType:
    sys.path.insert(0, str(ROOT / "scripts"))
    return importlib.import_module("update_audit")


@pytest.mark.parametrize("name", ["logs", "fresh"])
def test_every_trick_is_found_and_the_honest_are_left_alone(name: str, measured: ModuleType) -> None:
    score = measured.score(name)
    assert score.on_honest == []
    assert score.missed == DEBATABLE[name]
    assert not score.alarms, score.alarms
    assert score.misread == []
    assert not [key for key in score.clauses if "wrong" in key]


def test_the_corpus_is_as_large_as_it_is_said_to_be(measured: ModuleType) -> None:
    score = measured.score("logs")
    assert score.documents == {"honest": 34, "tricky": 34}
    assert sum(score.wanted.values()) >= 34


def test_the_tables_of_the_page_are_up_to_date(measured: ModuleType) -> None:
    page = measured.PAGE.read_text(encoding="utf-8")
    assert measured.with_parts(page, measured.parts()) == page, "python scripts/update_audit.py"


def test_the_fresh_set_is_what_its_maker_writes(tmp_path: Path, measured: ModuleType) -> None:
    made = {document.file: document.text().encode() for document in importlib.import_module("make_fresh_logs").documents()}
    kept = {path.name: path.read_bytes() for path in (ROOT / "tests" / "corpus" / "fresh").iterdir()}
    assert {name: text for name, text in made.items() if not name.startswith("huge-")} == kept
    assert all(len(text) > 900_000 for name, text in made.items() if name.startswith("huge-"))


def test_the_published_audits_say_what_a_careful_reader_finds(measured: ModuleType) -> None:
    kept = {document["file"]: document for document in json.loads(measured.KEPT.read_text(encoding="utf-8"))}
    findings = {name: [item["what"] for item in document["findings"]] for name, document in kept.items()}
    assert {name for name, found in findings.items() if found} == {"mlble-session2.md"}
    assert "warm start" in findings["mlble-session2.md"][0]
    finals = {name: [(log["final"], log["best"], log["best_epoch"]) for log in document["logs"]] for name, document in kept.items()}
    assert finals["assignment-2-code9.md"] == [(0.9947, 0.9953, 18), (0.9942, 0.995, 19)]
    assert finals["separable-global-pooling.md"] == [(0.9954, 0.9954, 20), (0.9942, 0.9942, 20)]
    assert finals["mlble-session2.md"] == [(0.994, 0.9946, 8)]
    unproven = " ".join(item["what"] for item in kept["eip-session-2.md"]["unproven"])
    assert "biases" in unproven
    assert "parameters" in unproven
    assert not any("/" in item["file"] for document in kept.values() for item in [document, *document["findings"]])
