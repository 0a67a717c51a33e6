"""How many images a log trains with, in what batches, how long for each, and whether what it watches is the test split.

MNIST has 60,000 training images and 10,000 test images: a log that trains with all 60,000 has nothing left to validate with but the
test split. Fewer are a validation part held out, and then what is watched is no test. What does not show stays unknown.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, Self

from budgetnet.audit.words import Line, Log

Watched = Literal["test", "validation", "unknown", "nothing"]
TRAINING_IMAGES = 60_000
TEST_IMAGES = 10_000
PARTS = (48_000, 50_000, 54_000, 55_000, 45_000, 42_000, 40_000, 51_000, 57_000, 59_000)
"""Training images left by the usual validation parts."""
BATCHES = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)
ROUND_BATCHES = (10, 20, 50, 100, 200, 250, 500, 1000)
LEAST_SAMPLES = 5_000
HELD_OUT = re.compile(
    r"validation_split\s{0,3}=\s{0,3}0?\.\d|train_test_split\(|random_split\(|\bhold[- ]?out|\bheld[- ]?out"
    r"|x_val\b|val_images\b|validation part|\bSubset\(|validation (?:set|split|images) (?:of|from|taken|split)",
    re.IGNORECASE,
)
TEST_WATCHED = re.compile(
    r"\bval\w{0,20}\s{0,3}=[^\n]{0,120}\btrain\s{0,2}=\s{0,2}False|\bval\w{0,20}\s{0,3}=\s{0,3}(?:self\.)?test\w{0,20}\s{0,3}$"
    r"|validation_data\s{0,3}=\s{0,3}\(?\s{0,3}(?:x_|X_)?test|validation_data\s{0,3}=\s{0,3}\(?\s{0,3}[A-Za-z_]{0,20}test",
    re.IGNORECASE,
)
IMPORT = re.compile(r"\s{0,20}(?:from\s|import\s|#)")
BATCH_SAID = re.compile(r"batch[_ ]?size\s{0,3}(?:=|:|of|is|-)?\s{0,3}(\d{1,5})\b", re.IGNORECASE)


def samples_of(log: Log) -> int | None:
    """Return the training images of an epoch, where a header or a bar over samples says them."""
    for row in log.rows:
        if row.header:
            return row.header[0]
    steps = log.rows[0].steps
    return steps if steps is not None and steps >= LEAST_SAMPLES and steps % 100 == 0 else None


@dataclass(frozen=True, slots=True)
class Said:
    """What the hand-in's words and code say of its images; read once."""

    held_out: bool
    """A validation part was split off."""
    test_watched: bool
    """The test split was given to `validation_data`."""
    batches: frozenset[int]

    @classmethod
    def of(cls, lines: list[Line]) -> Self:
        """Read the lines."""
        held_out = test_watched = False
        batches: set[int] = set()
        for line in lines:
            text = line.text[:600]
            lowered = text.lower()
            if "val" in lowered or "split" in lowered or "out" in lowered:
                held_out |= bool(HELD_OUT.search(text)) and not IMPORT.match(text)
                test_watched |= bool(TEST_WATCHED.search(text))
            if "batch" in lowered and (match := BATCH_SAID.search(text)):
                batches.add(int(match[1]))
        return cls(held_out, test_watched, frozenset(batches - {0}))


def watched_by(log: Log, said: Said) -> Watched:
    """Return what the log's `val_*` was measured on, as far as the log or the hand-in's code shows.

    The log's own count of training images is believed before any word.
    """
    if not log.watches:
        return "nothing"
    samples = samples_of(log)
    header = next((row.header for row in log.rows if row.header), None)
    if samples == TRAINING_IMAGES and (header is None or header[1] in (None, TEST_IMAGES)):
        return "test"
    tested = any(row.tested for row in log.rows)
    if said.held_out:
        return "unknown" if tested else "validation"
    if tested:
        return "test"
    if header and header[1] is not None:
        return "validation" if header[0] < TRAINING_IMAGES else "unknown"
    by_images = _by_images(log)
    return "test" if said.test_watched else by_images


def _by_images(log: Log) -> Watched:
    """Return what the count of training images, or of steps, leaves to watch."""
    samples, steps = samples_of(log), log.rows[0].steps
    if samples is not None:
        return "test" if samples == TRAINING_IMAGES else "validation" if samples in PARTS else "unknown"
    if steps is not None and batch_of(TRAINING_IMAGES, steps):
        return "test"
    held_out = steps is not None and any(math.ceil(part / batch) == steps for part in PARTS for batch in BATCHES)
    return "validation" if held_out else "unknown"


def batch_of(samples: int, steps: int) -> int | None:
    """Return the usual batch size that makes `steps` of `samples`; None where none or another part of the images does it better."""
    for batches in (BATCHES, ROUND_BATCHES):
        fitting = [batch for batch in batches if math.ceil(samples / batch) == steps]
        if fitting:
            held_out = batches is ROUND_BATCHES and any(math.ceil(part / batch) == steps for part in PARTS for batch in BATCHES)
            return None if held_out else fitting[0]
    return None


def batch_size(log: Log, said: Said, alone: bool) -> int | None:
    """Return the batch size: of the bar's steps, or the one that the text gives, where this is its only log."""
    steps, samples = log.rows[0].steps, samples_of(log)
    if steps is not None and samples != steps:
        return batch_of(samples or TRAINING_IMAGES, steps)
    return next(iter(said.batches)) if alone and len(said.batches) == 1 else None


def microseconds(log: Log) -> float | None:
    """Return the time for one training image, the median of the epochs; None where the log prints no time."""
    samples = samples_of(log)
    each: list[float] = []
    for row in log.rows:
        if row.time_each and row.steps and row.steps == samples:
            each.append(row.time_each)
        elif row.time_each and row.steps:
            each.append(row.time_each * row.steps / (samples or TRAINING_IMAGES))
        elif row.time_each and samples and row.steps is None:
            each.append(row.time_each)
        elif row.seconds and (samples or row.steps):
            each.append(row.seconds / (samples or TRAINING_IMAGES))
    return round(sorted(each)[len(each) // 2] * 1e6, 1) if each else None
