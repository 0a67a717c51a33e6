"""The pasted results of `evaluate`: `[loss, accuracy]`, `{'loss': …}`, a bar over the test images, or printed lines.

Two numbers in brackets are a result only near words that say so: a pixel range or the betas of Adam look the same.
"""

from __future__ import annotations

import re

from budgetnet.audit.metrics import Reading, fraction, number_unit, readings
from budgetnet.audit.scanning import BAR
from budgetnet.audit.words import Evaluation, Line, Value

SCORE = re.compile(r"\[\s{0,4}(?P<loss>\d{1,2}\.\d{2,20}(?:e-?\d{1,3})?)\s{0,4},\s{0,4}(?P<accuracy>0?\.\d{1,20}|1\.0)\s{0,4}\]")
ALONE = re.compile(r"[\s>*`]{0,12}\[\s?0\.\d{3,20}\s?,\s?0\.9\d{1,20}\s?\][\s*`]{0,12}")
ABOUT = re.compile(r"score|evaluat|result|accuracy|\btest", re.IGNORECASE)
SUMMARY_LINE = re.compile(r"(?:10000|313|157|79|40|20|10)/(?:10000|313|157|79|40|20|10|1)\s{0,2}-")
PRINTED_LOSS = re.compile(r"^[\s>*#|\-]{0,12}test[\s_]{1,2}(?:loss|score)\s{0,2}[:=]", re.IGNORECASE)
PRINTED = re.compile(r"^[\s>*#|\-]{0,12}test[\s_]{1,2}acc(?:uracy)?\s{0,2}[:=]", re.IGNORECASE)
NEAR = 6
MOST_RESULTS = 200
LEAST = 0.5
REPR_UNIT = 1e-4
"""Python prints 0.994 for 0.9940: the digits that are not there are zeros."""


def read_evaluations(lines: list[Line], used: set[int], steps: set[int]) -> list[Evaluation]:
    """Return the results in order; `used` are the lines of logs and tables, `steps` what the logs' bars count to."""
    found: list[Evaluation] = []
    recent: list[str] = []
    for line in lines:
        text = line.text[:1000]
        if not text.strip() or line.kind == "code":
            continue
        recent = [*recent[-NEAR:], text]
        if line.number in used:
            continue
        if "[" in text and (line.kind == "output" or ALONE.fullmatch(text) or any(ABOUT.search(other) for other in recent)):
            found += _pairs(text, line)
        figures = readings(text) if "acc" in text.lower() else []
        if result := _printed(text, figures, recent, steps):
            found.append(Evaluation(line.number, text.strip(), *result))
        if len(found) > MOST_RESULTS:
            break
    return found[:MOST_RESULTS]


def _pairs(text: str, line: Line) -> list[Evaluation]:
    found = []
    for match in SCORE.finditer(text):
        accuracy, loss = fraction(match["accuracy"], False), float(match["loss"])
        if accuracy and accuracy.value >= LEAST and loss < 10:
            printed = Value(accuracy.value, min(accuracy.unit, REPR_UNIT))
            found.append(Evaluation(line.number, text.strip(), printed, Value(loss, number_unit(match["loss"]))))
    return found


def _printed(text: str, figures: list[Reading], recent: list[str], steps: set[int]) -> tuple[Value, Value | None] | None:
    """Return (accuracy, loss) of a bar, a dictionary or a line after `Test loss:`; None for any other line."""
    named = {reading.name: reading.value for reading in figures}
    accuracy = named.get("acc") or named.get("val_acc")
    if accuracy is None or accuracy.value < LEAST:
        return None
    bar = BAR.search(text)
    if bar or SUMMARY_LINE.search(text):
        alone = not {"val_acc", "val_loss"} & named.keys() and "ETA" not in text
        counted = int(bar["of"]) not in steps and bar["at"] == bar["of"] if bar else True
        return (accuracy, named.get("loss")) if alone and counted and "epoch" not in text.lower() else None
    if text.strip().startswith("{") and "loss" in named:
        return Value(accuracy.value, min(accuracy.unit, REPR_UNIT)), named["loss"]
    before = [other for other in recent[:-1] if PRINTED_LOSS.match(other)]
    if PRINTED.match(text) and before:
        loss = next((reading.value for reading in readings(before[-1]) if reading.name.endswith("loss")), None)
        unit = accuracy.unit if "%" in text else min(accuracy.unit, REPR_UNIT)
        return Value(accuracy.value, unit), loss
    return None
