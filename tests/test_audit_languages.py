"""Hand-ins in other languages, and decimal commas: read as the English ones are, quoted as their authors wrote them."""

from pathlib import Path

import pytest
from pasted_logs import EPOCHS, figures, keras

from budgetnet.audit import audit_file
from budgetnet.audit.languages import in_known_words
from budgetnet.audit.words import Document, Line

FINAL, BEST = "99,47", "99,53"


def audited(text: str, folder: Path) -> Document:
    path = folder / "LIESMICH.md"
    path.write_text(text, encoding="utf-8")
    return audit_file(path)


@pytest.mark.parametrize(
    "claim",
    [
        f"Erreichte Testgenauigkeit: {BEST} % bei 13.804 Parametern.",
        f"Précision finale sur le test : {BEST} % (époque {EPOCHS}).",
        f"Precisión final en la prueba: {BEST} %, con 13.804 parámetros.",
        "最终测试准确率: 99.53%",
    ],
)
def test_the_best_epoch_sold_as_final_is_found_in_any_of_the_languages(claim: str, tmp_path: Path) -> None:
    document = audited(f"{claim}\n\n{keras()}", tmp_path)
    assert len(document.findings) == 1
    assert document.findings[0].evidence == claim
    assert document.findings[0].line == 1


@pytest.mark.parametrize(
    "claim",
    [
        f"Nach {EPOCHS} Epochen: {FINAL} % Testgenauigkeit, 13.804 Parameter.",
        f"Die beste Epoche hatte {BEST} %, wir zählen die letzte: {FINAL} %. Ohne Bias, keine vollverbundene Schicht.",
        f"Aufgabe: 99,6 % Genauigkeit in höchstens 15.000 Parametern und 10 Epochen.\n\nErgebnis: {FINAL} %",
        f"Après {EPOCHS} époques, {FINAL} % de précision ; meilleure époque : {BEST} %.",
        f"Das Ziel sind 99,9 % Genauigkeit, das sollen wir mindestens erreichen. Erreicht: {FINAL} %",
    ],
)
def test_an_honest_hand_in_gets_no_finding(claim: str, tmp_path: Path) -> None:
    assert not audited(f"{claim}\n\n{keras()}", tmp_path).findings


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Unser Netz hat 13.080 Parameter nach der letzten Epoche.", 13_080),
        ("Die Parameteranzahl: 13.080, eine Epoche.", 13_080),
        ("Le réseau a 13 080 paramètres.", 13_080),
        ("Total de parámetros: 13.080", 13_080),
        ("参数量: 13,252。", 13_252),
    ],
)
def test_points_and_spaces_between_thousands_are_read(text: str, count: int, tmp_path: Path) -> None:
    counts = [claim.value for claim in audited(f"{text}\n\n{keras()}", tmp_path).claims if claim.kind == "parameters"]
    assert counts == [count]


def test_a_table_with_semicolons_and_decimal_commas_is_a_log_whatever_its_language(tmp_path: Path) -> None:
    rows = "\n".join(
        ";".join([str(number), *(f"{value:.4f}".replace(".", ",") for value in row)])
        for number, row in enumerate((row[:4] for row in figures()), start=1)
    )
    (log,) = audited(f"epoch;train_loss;train_acc;test_loss;test_acc\n{rows}\n", tmp_path).logs
    assert (log.epochs, log.line) == (EPOCHS, 2)


def test_english_text_keeps_its_commas() -> None:
    lines = [Line(1, "epochs: 12,500 steps, 13,080 parameters, (0,1), seeds 1,2,3 and 99.4% of 10,000"), Line(2, "a, b; c, d")]
    assert in_known_words(lines) == lines
