"""The forms of logs that authors paste, all made from the same figures, all read to the same log."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pasted_logs import EPOCHS, FORMS, TESTED, basic_loop, course_loop, figures, keras, steps, verbose2

from budgetnet.audit import Document, audit_file
from budgetnet.audit.words import LogSummary


def document(folder: Path, text: str, name: str = "README.md") -> Document:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return audit_file(path)


def only_log(folder: Path, text: str) -> LogSummary:
    (log,) = document(folder, text).logs
    return log


@pytest.mark.parametrize("fenced", [False, True], ids=["bare", "fenced"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_every_form_is_read_to_the_same_figures(form: Callable[[], str], fenced: bool, tmp_path: Path) -> None:
    text = f"```\n{form()}\n```\n" if fenced else form()
    log = only_log(tmp_path, f"# A hand-in\n\n## Logs\n\n{text}\n\n## Strategy\n\nPatience.\n")
    zero = form.__name__ == "course_loop_from_zero"
    assert (log.epochs, log.last_epoch) == (EPOCHS, EPOCHS - zero)
    assert (log.final, log.best, log.best_epoch) == (0.9947, 0.9953, 14 - zero)
    assert log.last5 == pytest.approx(sum(TESTED[-5:]) / 5)
    assert log.last5_min == 0.9925


@pytest.mark.parametrize("form", [keras, steps, course_loop], ids=lambda form: form.__name__)
def test_a_whole_log_on_one_line_is_read(form: Callable[[], str], tmp_path: Path) -> None:
    log = only_log(tmp_path, "Logs: " + " ".join(form().split()) + "\n")
    assert (log.epochs, log.final, log.best, log.line) == (EPOCHS, 0.9947, 0.9953, 1)


def test_a_log_without_its_first_head_begins_with_its_rate(tmp_path: Path) -> None:
    text = keras().partition("Epoch 1/15\n\n")[2]
    log = only_log(tmp_path, text)
    assert (log.epochs, log.first_epoch, log.line) == (EPOCHS, 1, 1)


def test_times_batches_and_samples_show(tmp_path: Path) -> None:
    counted = only_log(tmp_path, keras())
    assert (counted.samples, counted.microseconds_per_sample, counted.batch, counted.watches) == (60000, 120.0, None, "test")
    stepped = only_log(tmp_path, steps())
    assert (stepped.batch, stepped.watches) == (128, "test")
    assert stepped.microseconds_per_sample == pytest.approx(78.2)
    assert only_log(tmp_path, steps(count=1875)).batch == 32
    assert only_log(tmp_path, steps(count=1688)).watches == "validation"  # 54,000 in batches of 32
    assert only_log(tmp_path, "batch_size = 64\n\n" + keras()).batch == 64


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (lambda e: 0.003 / (1 + 0.319 * e), "inverse-time: 0.003 / (1 + 0.319 × epoch)"),
        (lambda _: 0.01, "constant: 0.01"),
        (lambda e: 0.01 * 0.1 ** (e // 6), "step: 0.01, × 0.1 every 6 epochs"),
        (lambda e: 0.01 * 0.1 ** (e // 8), "step: 0.01, × 0.1 after 8 epochs"),
        (lambda e: 0.01 * 0.9**e, "exponential: 0.01 × 0.9 ^ epoch"),
        (lambda e: 0.01 - 0.0005 * e, "linear: 0.01 to 0.003"),
        (lambda e: 0.01 + 0.01 * e if e < 5 else 0.06 - 0.005 * (e - 5), "one-cycle: 0.01 up to 0.06 in epoch 6, down to 0.015"),
    ],
)
def test_the_schedule_is_told_from_the_rates(rate: Callable[[int], float], said: str, tmp_path: Path) -> None:
    assert only_log(tmp_path, keras(rate=rate)).schedule == said


def test_a_log_without_rates_says_so(tmp_path: Path) -> None:
    assert only_log(tmp_path, verbose2()).schedule == "not shown"


def test_a_highlighted_line_is_counted_once(tmp_path: Path) -> None:
    best = keras(figures()[13:14]).splitlines()[-1]
    head = "Epoch 00014: LearningRateScheduler setting learning rate to 0.0005828638."
    text = f"**Best epoch**\nin {head}\n{best}\n\n{keras()}\n\nAgain, the best line:\n\n> {best}\n"
    done = document(tmp_path, text)
    (log,) = done.logs
    assert (log.epochs, log.quoted) == (EPOCHS, (3, len(text.splitlines())))
    assert done.findings == ()
    assert "counted once" in done.notes[0].what


def test_a_log_that_is_pasted_twice_is_one(tmp_path: Path) -> None:
    (log,) = document(tmp_path, f"# Logs\n\n{keras()}\n\n# Again\n\n{keras()}\n").logs
    assert log.line == 4


def test_two_experiments_are_two_logs_in_the_order_of_the_text(tmp_path: Path) -> None:
    other = [(e, a + 0.01, b, c, round(d - 0.0005, 4)) for e, a, b, c, d in figures()]
    done = document(tmp_path, f"## One pool\n\n{verbose2(other)}\n\n## Two pools\n\n{verbose2()}\n")
    assert [log.final for log in done.logs] == [0.9942, 0.9947]
    assert done.findings == ()


def test_a_loop_without_numbers_begins_again_below_a_heading(tmp_path: Path) -> None:
    one = "\n".join(line for line in course_loop().splitlines() if "EPOCH" not in line)
    other = [(e, a, b, c + 0.01, round(d - 0.0105, 4)) for e, a, b, c, d in figures(6)]
    two = "\n".join(line for line in course_loop(other).splitlines() if "EPOCH" not in line)
    assert [log.epochs for log in document(tmp_path, f"## A\n\n{one}\n\n## B\n\n{two}\n").logs] == [EPOCHS, 6]


def test_figures_in_prose_make_no_epoch(tmp_path: Path) -> None:
    text = f"{basic_loop()}\n\nBest Test Accuracy: 99.53% (Epoch 14)\nFinal Test Accuracy: 99.47% (Epoch 15)\n"
    log = only_log(tmp_path, text)
    assert (log.epochs, log.final, log.best) == (EPOCHS, 0.9947, 0.9953)


def notebook(cells: list[tuple[str, int | None, str, list[str]]]) -> str:
    made = []
    for kind, count, source, outputs in cells:
        cell: dict[str, object] = {"cell_type": kind, "metadata": {}, "source": source.splitlines(keepends=True)}
        if kind == "code":
            streams = [{"output_type": "stream", "name": "stdout", "text": out.splitlines(keepends=True)} for out in outputs]
            cell |= {"execution_count": count, "outputs": streams}
        made.append(cell)
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1, ensure_ascii=False)


def test_a_notebook_is_read_from_its_outputs_with_the_lines_of_its_file(tmp_path: Path) -> None:
    text = notebook(
        [
            ("markdown", None, "# CODE9\n\nTotal params: 14,864\n", []),
            ("code", 2, "model.fit(x_train, y_train, validation_data=(x_test, y_test))", [steps()]),
            ("code", 3, "print(model.evaluate(x_test, y_test))", ["[0.0165, 0.9947]\n"]),
        ]
    )
    done = document(tmp_path, text, "hand-in.ipynb")
    (log,) = done.logs
    assert (log.epochs, log.final, log.evaluated, log.batch) == (EPOCHS, 0.9947, 0.9947, 128)
    assert "Epoch 1/15" in text.splitlines()[log.line - 1]
    assert done.findings == ()
    assert "14,864" in text.splitlines()[next(claim.line for claim in done.claims if claim.kind == "parameters") - 1]


def test_a_notebook_s_logs_are_shown_in_its_order_and_judged_in_that_of_execution(tmp_path: Path) -> None:
    later = [(e, round(a / 9, 4), round(1 - (1 - b) / 9, 4), c, round(1 - (1 - d) / 2, 4)) for e, a, b, c, d in figures()]
    text = notebook([("code", 9, "fit()", [verbose2(later)]), ("code", 4, "fit()", [verbose2()])])
    done = document(tmp_path, text, "a.ipynb")
    assert [log.final for log in done.logs] == [0.9973, 0.9947]
    assert "second fit" in done.findings[0].what
    assert done.findings[0].line == done.logs[0].line
