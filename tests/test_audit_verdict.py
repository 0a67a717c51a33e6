"""The verdict, clauses and facts that an audit's JSON gives, and what it leaves unproven or notes of a text's strategies."""

import json
from pathlib import Path

import pytest
from pasted_logs import figures, keras
from test_audit_findings import WARM, table

from budgetnet.audit import audit_file, report
from budgetnet.contract import load_contract

CODE9 = load_contract("code9")


def states(text: str, folder: Path) -> dict[str, str]:
    path = folder / "README.md"
    path.write_text(text, encoding="utf-8")
    return {clause.name: clause.state for clause in audit_file(path, CODE9).clauses}


def test_the_json_names_verdict_clauses_facts_findings_and_logs(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(f"{keras(WARM, planned=6)}\n\n{keras()}\n", encoding="utf-8")
    given: list[dict[str, object]] = []
    code = report([path], None, lambda document, _: given.append(json.loads(json.dumps(document))))
    (document,) = given
    assert code == 1
    assert document["verdict"] == "unproven"
    assert document["contract"] == "code9"
    clauses = document["clauses"]
    findings = document["findings"]
    logs = document["logs"]
    assert isinstance(clauses, list)
    assert isinstance(findings, list)
    assert isinstance(logs, list)
    assert [clause["name"] for clause in clauses] == [
        "parameters",
        "epochs",
        "accuracy",
        "fully_connected",
        "biases",
        "forward_passes",
    ]
    assert "warm start" in findings[0]["what"]
    assert {"what", "evidence", "file", "line"} <= findings[0].keys()
    assert [log["line"] for log in logs] == sorted(log["line"] for log in logs)
    assert all({"epochs", "final", "best", "last5", "last5_min", "schedule", "line"} <= log.keys() for log in logs)
    # The log that shows most of the contract speaks for the hand-in.
    assert document["facts"] == {**document["facts"], "log": logs[1]["line"], "final": logs[1]["final"]}  # type: ignore[dict-item]


def test_without_a_contract_text_and_exit_code_are_of_findings_alone(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(keras(figures()[:5], planned=5), encoding="utf-8")
    shown: list[str] = []
    assert report([path], None, lambda _, text: shown.append(text)) == 0
    assert "broken" not in shown[0]
    assert report([path], "code9", lambda _, text: shown.append(text)) == 1
    assert "accuracy: broken" in shown[1]


def test_a_layer_table_shows_what_it_can_of_biases_and_dense_layers(tmp_path: Path) -> None:
    assert states(f"{table()}\n{keras()}", tmp_path)["biases"] in {"met", "unproven"}
    dense = table().replace("Total params", "dense_1 (Dense)              (None, 10)                90        \nTotal params", 1)
    assert states(f"{dense}\n{keras()}", tmp_path)["fully_connected"] == "broken"
    assert states("# Nothing here\n", tmp_path) == dict.fromkeys(
        ("parameters", "epochs", "accuracy", "fully_connected", "biases", "forward_passes"), "unproven"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Not using dropout after the last layer increased my accuracy.", 1),
        ("Tried max pooling twice, but the accuracy was not good.", 1),
        ("Max pooling comes after the third layer.", 0),
        ("Dropout in the last layer improves the accuracy by 0.03 ± 0.02 points over ten seeds.", 0),
    ],
)
def test_what_a_choice_is_said_to_have_done_is_unproven(text: str, said: int, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(f"{text}\n\n{keras()}", encoding="utf-8")
    document = audit_file(path)
    assert len([item for item in document.unproven if item.what.startswith("A choice")]) == said
    assert not document.findings


def test_two_logs_of_one_run_each_are_no_comparison(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    second = keras([(e, a + 0.01, b - 0.002, c + 0.001, round(d - 0.0009, 4)) for e, a, b, c, d in figures()])
    path.write_text(
        f"Max pooling reaches 99.47 %, average pooling 99.38 %.\n\n# A\n\n{keras()}\n\n# B\n\n{second}", encoding="utf-8"
    )
    document = audit_file(path)
    (compared,) = [item for item in document.unproven if "one run each" in item.what]
    assert "0.09 points" in compared.what
    assert compared.line == 1
    assert not document.findings


def test_a_large_rate_without_an_optimizer_and_much_dropout_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    rows = [(e, a + 0.08, b - 0.04, c, d) for e, a, b, c, d in figures()]
    log = keras(rows, rate=lambda epoch: 0.3 / (1 + 0.319 * epoch))
    path.write_text(log, encoding="utf-8")
    notes = [item.what for item in audit_file(path).notes]
    assert any("no optimizer" in note for note in notes)
    assert any("training accuracy ends" in note for note in notes)
    path.write_text(f"SGD with momentum.\n\n{log}", encoding="utf-8")
    assert not any("no optimizer" in item.what for item in audit_file(path).notes)
