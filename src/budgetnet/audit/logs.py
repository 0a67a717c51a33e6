"""Stretches of lines -> logs: which figures make one epoch, which epochs make one training, and what is only quoted again.

An epoch is a row. A new training begins where the count of epochs falls back, or below a line `Train on … samples`. Rows that
another log of the same text shows too, figure for figure, are quotations: they are counted once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from budgetnet.audit.scanning import Piece, pieces, says_epoch
from budgetnet.audit.words import EpochRow, Line, Log, Value

REMAINS = (
    "[=====",
    "%|",
    "it/s]",
    "s/it]",
    "batch_id",
    "train epoch:",
    "improved from",
    "improve from",
    "learningratescheduler",
    "eta:",
    "━━━━━",
)
"""What trainings print besides: such a line claims nothing."""
ENDS = re.compile(
    r"early stopping|restoring (?:the )?(?:model )?weights|training (?:is )?(?:done|finished|complete)", re.IGNORECASE
)
FLAX = re.compile(r"epoch: {1,3}\d{1,4}, train_loss: [\d.]{1,12}, train_accuracy: [\d.]{1,12}, test_loss: ")
"""The example that measures while it trains; others print these words after the epoch."""
MOST_LOGS = 300
"""Each is looked for in each other."""
NEAR = 40
"""So many lines after its head, a loose figure still belongs to an epoch."""
MOST_ROWS = 5_000
"""Epochs of one hand-in; what comes after them is not read."""


def read_logs(lines: list[Line]) -> tuple[list[Log], set[int]]:
    """Return the logs of a hand-in in the order of its text, and the numbers of the lines that belong to them."""
    rows = _Rows()
    for piece in pieces(lines):
        rows.take(piece)
    used = rows.used | {line.number for line in lines if any(word in line.text[:2000].lower() for word in REMAINS)} - rows.results
    return _without_quotations(_trainings(rows.finished())), used


class _Rows:
    """Collects figures into rows, one for each epoch, as the pieces come."""

    def __init__(self) -> None:
        self.rows: list[EpochRow] = []
        self.open: EpochRow | None = None
        self.rate: Value | None = None
        self.header: tuple[int, int | None] | None = None
        self.fresh = False
        self.head: Piece | None = None
        self.frame = 0
        self.used: set[int] = set()
        self.results: set[int] = set()
        """Lines of bars that `evaluate` printed."""

    def finished(self) -> list[EpochRow]:
        """Return the rows that hold an accuracy or a loss."""
        return [row for row in self.rows if {"acc", "val_acc", "loss", "val_loss"} & row.metrics.keys()]

    def take(self, piece: Piece) -> None:
        """Use one piece."""
        if len(self.rows) >= MOST_ROWS:
            return
        if piece.heading:
            self.fresh, self.open, self.head = True, None, None
            return
        if piece.frame:
            self.used.add(piece.line.number)
            self.open, self.head, self.frame = None, None, piece.line.number
            return
        if piece.header:
            self.header, self.fresh, self.open, self.head = piece.header, True, None, None
        if piece.rate and not any(reading.name == "lr" for reading in piece.figures):
            self.rate = piece.rate
        if piece.number is not None:
            self._begin(piece)
        figures = [reading for reading in piece.figures if reading.name != "lr"]
        if piece.loose and figures:
            self._loose(piece)
        elif piece.bar and (figures or piece.bar == "tqdm"):
            self._bar(piece)
        elif piece.number is not None and figures:
            self._fill(self._row(piece), piece)

    def _begin(self, piece: Piece) -> None:
        """Note an epoch's head; the same number again (a callback's line) opens nothing, and what ends a training begins none."""
        if ENDS.search(piece.text[:200]):
            return
        if self.open is None or self.open.number != piece.number:
            self.open = None
        if self.head is None or self.head.number != piece.number:
            self.head = piece
        elif piece.planned:
            self.head.planned = piece.planned

    def _row(self, piece: Piece) -> EpochRow:
        """Return the row that is open, or a new one under the last head."""
        if self.open is None:
            head, self.head = self.head, None
            self.open = EpochRow(piece.line.number, piece.text, fresh=self.fresh, header=self.header)
            self.open.first_line = piece.line.number
            if head:
                self.open.number, self.open.planned, self.open.first_line = head.number, head.planned, head.line.number
            self.header, self.fresh = None, False
            self.rows.append(self.open)
        return self.open

    def _bar(self, piece: Piece) -> None:
        """A finished bar closes an epoch (Keras), or its training part (tqdm)."""
        names = {reading.name for reading in piece.figures} - {"lr"}
        if piece.bar == "keras" and self._is_evaluation(piece, names):
            self.results.add(piece.line.number)
            return
        row = self.open
        if row is not None and (row.steps is not None or "val_acc" in row.metrics):
            again = all(row.metrics.get(reading.name) == reading.value for reading in piece.figures if reading.name != "lr")
            # ModelCheckpoint makes Keras print an epoch twice, the second time with its validation.
            grown = "val_loss" in names | {"val_acc"} & names and not {"val_acc", "val_loss"} & row.metrics.keys()
            if again and piece.figures and piece.bar == "keras":
                self.used.add(piece.line.number)
                return
            if not grown:
                self.open = None
        row = self._row(piece)
        row.steps, row.running = piece.steps or row.steps, True
        self._fill(row, piece)

    def _is_evaluation(self, piece: Piece, names: set[str]) -> bool:
        """Return whether a bar is that of `evaluate`: other steps than the epochs', no validation, and no head above it."""
        if self.head is not None or not self.rows or names & {"val_acc", "val_loss"}:
            return False
        before = self.rows[-1]
        return before.steps is not None and piece.steps is not None and before.steps != piece.steps

    def _loose(self, piece: Piece) -> None:
        """Figures without a head of their own belong to the open epoch if they have the form of a log and their place is free."""
        row = self.open
        near = self.head is not None and piece.line.number - self.head.line.number <= NEAR
        names = {reading.name for reading in piece.figures} - {"lr"}
        if row is not None:
            near = piece.line.number - row.line <= NEAR
            if names <= row.metrics.keys() or "val_acc" in row.metrics:
                headless = row.number is None and bool(names & {"val_acc"}) and says_epoch(piece) and near
                if not headless:
                    same = [row.metrics.get(reading.name) for reading in piece.figures if reading.name.startswith("val_")]
                    watched = [reading.value for reading in piece.figures if reading.name.startswith("val_")]
                    if watched and all(one is not None and one.agrees(two) for one, two in zip(same, watched, strict=True)):
                        self.used.add(piece.line.number)  # the epoch's figures once more
                    return
                self.open = None
        if not near or not says_epoch(piece) or (row is not None and row.running and row.steps and self._keras(row)):
            return
        self._fill(self._row(piece), piece)

    def _keras(self, row: EpochRow) -> bool:
        return not ("tqdm" in row.text or "|" in row.text or "it/s" in row.text or "s/it" in row.text)

    def _fill(self, row: EpochRow, piece: Piece) -> None:
        self.used |= {piece.line.number, row.first_line}
        counted = any(reading.name == "acc" and reading.value.images for reading in piece.figures)
        for reading in piece.figures:
            row.metrics[reading.name] = reading.value
            row.tested |= reading.tested
        if counted:
            row.running = False
        if piece.number is not None and FLAX.search(piece.text[:400]):
            row.running = True
        if piece.bar == "tqdm" or "batch" in piece.text.lower() or "[0/" in piece.text:
            row.batch_loss = True
        if {"val_loss"} <= row.metrics.keys() and "val_acc" not in row.metrics and not piece.bar:
            # `train_loss=… test_loss=… accuracy=…`: the accuracy that stands alone is the test's.
            plain = [reading for reading in piece.figures if reading.name == "acc" and reading.plain]
            if plain:
                row.metrics["val_acc"] = row.metrics.pop("acc")
        row.line, row.text = piece.line.number, piece.text
        row.seconds, row.time_each = piece.seconds or row.seconds, piece.each or row.time_each
        if self.rate is not None and "lr" not in row.metrics:
            row.metrics["lr"] = self.rate
        self.rate = None


def _trainings(rows: Iterable[EpochRow]) -> list[Log]:
    """Cut rows into trainings, and number the rows of those that show no number."""
    logs: list[Log] = []
    for row in rows:
        log = logs[-1] if logs else None
        if log is not None and not row.header and _repeats(row, log):
            log.quoted.append(row.line)
            continue
        row.counted = row.number is None
        if log is None or (row.header and not _resumes(row, log)) or _restarts(row, log):
            if len(logs) == MOST_LOGS:
                break
            logs.append(Log([row]))
            row.number = 1 if row.number is None else row.number
        else:
            row.number = log.last + 1 if row.number is None else row.number
            log.rows.append(row)
    return logs


def _resumes(row: EpochRow, log: Log) -> bool:
    """Return whether a new `Train on …` goes on with the count of epochs, as `initial_epoch` makes Keras do."""
    header = next((other.header for other in log.rows if other.header), None)
    return row.number is not None and 1 < row.number == log.last + 1 and header == row.header


def _repeats(row: EpochRow, log: Log) -> bool:
    if row.number is not None and row.number > log.last:
        return False
    return any(_equal(row, other) for other in log.rows if row.number is None or row.number == other.number)


def _restarts(row: EpochRow, log: Log) -> bool:
    if row.number is None:
        finished = not log.rows[-1].counted and log.last == log.planned
        return row.fresh or finished
    if row.number <= log.last:
        return True
    return row.fresh and row.number != log.last + 1


def _equal(row: EpochRow, other: EpochRow) -> bool:
    """Return whether two rows show the same epoch: each figure that both print is the same."""
    common = (row.metrics.keys() & other.metrics.keys()) - {"lr"}
    enough = len(common) >= 2 or (len(common) == 1 and row.number == other.number)
    return enough and all(row.metrics[name].agrees(other.metrics[name]) for name in common)


def _without_quotations(logs: list[Log]) -> list[Log]:
    """Drop what another log shows too; the longer one stays, of equal ones the first."""
    order = sorted(logs, key=lambda log: (-len(log.rows), log.line))
    kept: list[Log] = []
    for log in order:
        for other in kept:
            if len(log.rows) <= len(other.rows) and all(_repeats(_shown(row), other) for row in log.rows):
                other.quoted += [row.line for row in log.rows]
                break
        else:
            kept.append(log)
    return [log for log in logs if any(log is other for other in kept)]


def _shown(row: EpochRow) -> EpochRow:
    """Return the row as the text shows it: without a number that was only counted here."""
    return EpochRow(row.line, row.text, None if row.counted else row.number, metrics=row.metrics)
