"""Forms that hand-ins have and the corpus lacked: accuracies of classes, declared fine-tuning, JSON logs, what follows a stopped training."""

import json
from pathlib import Path

import pytest
from pasted_logs import EPOCHS, course_loop, figures, keras

from budgetnet.audit import audit_file

LAST = 0.9947
CLASSES = "\n".join(f"Accuracy of {digit:5d} : {99.1 + 0.087 * digit:.3f} %" for digit in range(10))
TUNING = "\n".join(
    f"Epoch {epoch}/2\n60000/60000 [==============================] - 7s 120us/step - loss: 0.0{190 - epoch} - acc: 0.9941 - "
    f"val_loss: 0.0165 - val_acc: 0.994{6 + epoch}"
    for epoch in (1, 2)
)


def audited(folder: Path, text: str, name: str = "README.md") -> tuple[list[str], list[tuple[int, float | None]]]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    result = audit_file(path)
    return [found.what for found in result.findings], [(log.epochs, log.final) for log in result.logs]


@pytest.mark.parametrize(
    "lines", [CLASSES, CLASSES.replace("Accuracy of", "Class").replace(" : ", ": "), CLASSES.replace("of ", "of class ")]
)
def test_the_accuracy_of_one_class_is_no_claim_on_the_test_split(tmp_path: Path, lines: str) -> None:
    findings, logs = audited(tmp_path, f"{course_loop()}\n\n```\n{lines}\n```\n")
    assert findings == []
    assert logs == [(EPOCHS, LAST)]


def test_a_claim_too_exact_for_a_count_is_found_beside_them(tmp_path: Path) -> None:
    findings, _ = audited(tmp_path, f"The net gets **99.437%** on the 10,000 test images.\n\n{course_loop()}\n{CLASSES}\n")
    assert any(what.startswith("No count of 10,000") for what in findings)


def test_a_fine_tuning_is_honest_where_the_text_counts_all_epochs(tmp_path: Path) -> None:
    told = "Fifteen epochs, then two epochs of fine-tuning of the same weights: 17 in all."
    findings, logs = audited(tmp_path, f"{told}\n\n{keras()}\n\n## Fine-tuning\n\n{TUNING}\n")
    assert findings == []
    assert [epochs for epochs, _ in logs] == [EPOCHS, 2]
    findings, _ = audited(tmp_path, f"{told.replace('17 in all', '15 epochs')}\n\n{keras()}\n\n## Fine-tuning\n\n{TUNING}\n")
    assert [what.partition(" (")[0] for what in findings] == ["A second fit on the same weights"]


@pytest.mark.parametrize("quote", ['"', "'"])
def test_a_log_of_dictionaries_is_read(tmp_path: Path, quote: str) -> None:
    rows = [
        json.dumps({"epoch": epoch, "train_loss": loss, "train_acc": acc, "test_loss": test_loss, "test_acc": test})
        for epoch, loss, acc, test_loss, test in figures()
    ]
    findings, logs = audited(tmp_path, "\n".join(rows).replace('"', quote), "log.txt")
    assert findings == []
    assert logs == [(EPOCHS, LAST)]


def test_an_evaluation_behind_a_stopped_training_is_no_log(tmp_path: Path) -> None:
    rows = "\n".join(
        f"Epoch {epoch}/20\n422/422 ━━━━━━━━━━━━━━━━━━━━ 9s 18ms/step - accuracy: {acc:.4f} - loss: {loss:.4f} - "
        f"val_accuracy: {test:.4f} - val_loss: {test_loss:.4f}"
        for epoch, loss, acc, test_loss, test in figures()
    )
    stopped = f"Epoch {EPOCHS}: early stopping\n313/313 ━━━━━━━━━━━━━━━━━━━━ 1s 3ms/step - accuracy: 0.9921 - loss: 0.0261\n"
    _, logs = audited(tmp_path, f"`validation_split=0.1`\n\n{rows}\n{stopped}")
    assert logs == [(EPOCHS, LAST)]


def printed(total: int, trainable: int) -> str:
    return f"```\nTotal params: {total:,}\nTrainable params: {trainable:,}\nNon-trainable params: {total - trainable:,}\n```\n"


@pytest.mark.parametrize("between", ["\n", "\nA word.\n" * 10])
def test_a_count_in_the_text_is_held_against_a_printed_total_without_its_table(tmp_path: Path, between: str) -> None:
    findings, _ = audited(tmp_path, f"# MNIST\n\nThe network has 9,500 parameters.\n{between}\n{printed(16_500, 16_300)}")
    assert findings == ["The text says 9,500 parameters, the summary's total is 16,500."]


@pytest.mark.parametrize(
    "words",
    [
        "The network has 16,300 parameters.",
        "The network has 16,500 parameters.",
        "The second convolution alone has 1,640 parameters.",
        "I reduced it from 21,000 parameters.",
        "First I had 25,000 parameters. The final one has 16,500 parameters.",
    ],
)
def test_a_count_that_a_printed_summary_can_mean_gets_no_finding(tmp_path: Path, words: str) -> None:
    findings, _ = audited(tmp_path, f"# MNIST\n\n{words}\n\n{printed(16_500, 16_300)}")
    assert findings == []
