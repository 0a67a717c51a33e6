"""The first batches of a log: a fresh network of ten classes stands near a loss of ln 10 = 2.3 there.

PyTorch's examples print the loss of single batches (`Train Epoch: 1 [0/60000 (0%)] Loss: 2.30`), some bars keep their first state.
A first batch far below that was met by weights that had been trained. Losses of another kind (squared errors) begin low and fall
all the same: the later epochs' first batches, where they are printed, must be level with it. Read again from the log's own lines.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass

from budgetnet.audit.words import Line, Log

COUNTED = re.compile(
    r"(?<!epoch )(?<!epoch: )(?<!epoch=)(?<![\d/.])(\d{1,7})/(\d{3,7})(?![\d/])[^\n]{0,90}?\bloss\b(?:[\s_a-z]{0,12}|[^\d\n]{0,6})"
    r"[:=\s(]{0,4}(\d{1,3}\.\d{1,12})",
    re.IGNORECASE,
)
NAMED = re.compile(
    r"(?:\b(?:batch|step|iter(?:ation)?)\b[\s_a-z]{0,6}[:#=]?\s{0,3}|\[\s{0,2}1,\s{0,5})([01])\b(?!\s{0,2}[/.\d])[^\n]{0,60}?\bloss\b"
    r"[^\d\n]{0,8}(\d{1,3}\.\d{1,12})",
    re.IGNORECASE,
)
WATCHED = re.compile(r"\b(?:test|val|valid|validation|eval)", re.IGNORECASE)
OTHER_LOSS = re.compile(r"\bmse|squared|hinge|focal|\bbce|binary|l2 loss|regression|distill|two classes", re.IGNORECASE)
FIRST_SHARE = 0.005
FRESH_ABOVE = 0.5
"""Also of two classes, whose fresh loss is 0.69."""
FARTHEST_FALL = 8.0
"""A fresh network's first batch has some seventy times the loss of the last epoch's."""


@dataclass(frozen=True, slots=True)
class FirstBatch:
    """The loss of a batch at the start of an epoch, and where it is printed."""

    line: int
    text: str
    loss: float


def warm_opening(lines: list[Line], log: Log) -> FirstBatch | None:
    """Return the first batch of the log's first epoch, where no fresh network can have shown its loss; else None."""
    if log.first > 1 or len(log.rows) < 2:
        return None
    begin = bisect_left(lines, log.line, key=_number)
    inside = lines[begin : bisect_left(lines, log.end + 1, lo=begin, key=_number)]
    ends = [row.line for row in log.rows]
    firsts: dict[int, FirstBatch] = {}
    for line in inside:
        text = line.text[:1000]
        lowered = text.lower()
        if "loss" not in lowered or (loss := _first_loss(text)) is None:
            continue
        epoch = bisect_left(ends, line.number)
        firsts.setdefault(epoch, FirstBatch(line.number, text, loss))
    if 0 not in firsts or firsts[0].loss >= FRESH_ABOVE or any(OTHER_LOSS.search(line.text[:400]) for line in lines):
        return None
    later = sorted(first.loss for epoch, first in firsts.items() if epoch)
    if later and firsts[0].loss > FARTHEST_FALL * later[len(later) // 2]:
        return None
    return firsts[0]


def _number(line: Line) -> int:
    return line.number


def _first_loss(text: str) -> float | None:
    for match in COUNTED.finditer(text):
        at, of = int(match[1]), int(match[2])
        if of and at <= max(1, FIRST_SHARE * of) and not WATCHED.search(text[: match.end()]):
            return float(match[3])
    named = NAMED.search(text)
    return float(named[2]) if named and not WATCHED.search(text[: named.end()]) else None
