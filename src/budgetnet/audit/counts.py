"""Counts that contradict each other: images, steps, percentages, and accuracies that no count of test images gives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from budgetnet.audit.handin import HandIn
from budgetnet.audit.metrics import number_unit
from budgetnet.audit.sizes import LEAST_SAMPLES, TEST_IMAGES
from budgetnet.audit.words import Found, Value

COUNT = re.compile(r"accuracy[^/\n\d]{0,20}(\d{1,9})/(\d{1,9})\s{0,3}\((\d{1,3}(?:\.\d{1,12})?)\s?%", re.IGNORECASE)
NOISE = 0.02
"""Of an image: float32 averages, as Keras prints them, are off by some 0.0003."""


def count_findings(hand_in: HandIn) -> Iterator[Found]:
    """Yield the contradictions between counts in the logs, and the accuracies that are no count."""
    yield from _images(hand_in)
    yield from _percentages(hand_in)
    yield from _no_count(hand_in)


def _percentages(hand_in: HandIn) -> Iterator[Found]:
    wrong: list[tuple[re.Match[str], int]] = []
    for line in hand_in.lines:
        for match in COUNT.finditer(line.text[:4000]) if "/" in line.text else ():
            correct, images, percent = int(match[1]), int(match[2]), float(match[3])
            if images and abs(100 * correct / images - percent) > number_unit(match[3]) * 1.001:
                wrong.append((match, line.number))
    if wrong:
        match, line_number = wrong[0]
        correct, images = int(match[1]), int(match[2])
        more = f" ({len(wrong)} lines do)" if len(wrong) > 1 else ""
        yield hand_in.found(
            f"A count contradicts its percentage{more}: {correct} of {images} is {100 * correct / images:.2f} %.",
            match[0],
            line_number,
            "The confusion matrix, or the list of misclassified images.",
        )


def _images(hand_in: HandIn) -> Iterator[Found]:
    for log in hand_in.logs:
        header = next((row.header for row in log.rows if row.header), None)
        for row in log.rows:
            if header and row.steps and row.steps >= LEAST_SAMPLES and row.steps != header[0]:
                yield hand_in.found(
                    f"Two numbers of training images: {header[0]:,} in the header and {row.steps:,} in an epoch.",
                    row.text,
                    row.line,
                    "The log as it was printed, from its header on.",
                )
                break
        known = [row for row in log.rows if row.steps]
        for before, after in pairwise(known):
            if before.steps != after.steps:
                yield hand_in.found(
                    f"The steps of an epoch change from {before.steps:,} to {after.steps:,}: this log is not one training.",
                    after.text,
                    after.line,
                    "One run with its whole log, or both logs with the weights that each started from.",
                )
                break


def _no_count(hand_in: HandIn) -> Iterator[Found]:
    """Yield the accuracies, one for each kind of place, that are printed too exactly for what they cannot be."""
    tested = any(watched == "test" for watched in hand_in.watched)
    known = tested or any("mnist" in line.text[:400].lower() for line in hand_in.lines)
    if not known or (hand_in.logs and not tested and "validation" in hand_in.watched and not hand_in.evaluations):
        return
    places: list[tuple[str, int, Value]] = [(result.text, result.line, result.accuracy) for result in hand_in.evaluations]
    for place, log in enumerate(hand_in.logs):
        if hand_in.tests(place):
            rows = [(row, row.metrics["val_acc"]) for row in log.rows if "val_acc" in row.metrics]
            places += [(row.text, row.line, value) for row, value in rows if impossible(value)][:1]
    if tested or not hand_in.logs:
        held = [claim for claim in hand_in.claims if claim.kind == "accuracy" and claim.label in {"plain", "final", "best"}]
        places += [(claim.text, claim.line, claim.number) for claim in held]
    for text, line, value in places:
        if impossible(value):
            yield hand_in.found(
                f"No count of {TEST_IMAGES:,} test images gives {100 * value.value:.6g} %: the nearest are "
                f"{int(value.value * TEST_IMAGES):,} and {int(value.value * TEST_IMAGES) + 1:,} right.",
                text,
                line,
                "The count of right answers on the test split; a mean over batches of unequal size is no such count.",
            )


def impossible(value: Value) -> bool:
    """Return whether the printed digits exclude every count of test images."""
    if value.images not in (None, TEST_IMAGES) or value.unit > 0.11 / TEST_IMAGES:
        return False
    count = value.value * TEST_IMAGES
    return abs(count - round(count)) > max(NOISE, value.unit * TEST_IMAGES)
