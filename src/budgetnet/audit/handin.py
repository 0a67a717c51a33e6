"""A hand-in, read: its lines with the logs, tables, results and claims found in them, and which of them belong together."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from pathlib import Path

from budgetnet.audit.claims import read_claims
from budgetnet.audit.experiments import Run, read_experiments
from budgetnet.audit.logs import read_logs
from budgetnet.audit.reading import read_lines
from budgetnet.audit.scanning import HEADING
from budgetnet.audit.scores import read_evaluations
from budgetnet.audit.sizes import Said, Watched, watched_by
from budgetnet.audit.tables import Table, read_tables
from budgetnet.audit.words import Claim, EpochRow, Evaluation, Found, Line, Log, Value

WIDEST_QUOTE = 140
LOSS_SLACK = 5e-4
ACCURACY_SLACK = 1.5e-4
"""One image of 10,000, and rounding: a second pass over the test split on another device may differ by that."""
NO_BIAS = re.compile(
    r"(?:\bno|\bnot|\bwithout|\bavoid\w*|\bnever|\bzero|\bremov\w*|n't|\bforbid\w*)\b[^.\n]{0,40}\bbias"
    r"|\bbias(?:es)?\s{0,3}(?:=\s{0,3}false|-?free|allowed\s{0,3}:\s{0,3}no|(?:are|is|were)\s(?:not|off|removed"
    r"|disabled))|use_bias\s{0,3}=\s{0,3}false",
    re.IGNORECASE,
)
NO_DENSE = re.compile(
    r"(?:\bno|\bnot|\bwithout|\bavoid\w*|\bnever|\binstead of)\b[^.\n]{0,50}(?:fully[- ]connected|\bdense\b|\blinear layer|\bFC\b)",
    re.IGNORECASE,
)
FORBIDDEN_LIST = re.compile(r"not allowed|forbidden|must not|do not use|don't use", re.IGNORECASE)


@dataclass(slots=True)
class HandIn:
    """What the findings look at."""

    file: str
    lines: list[Line]
    logs: list[Log]
    tables: list[Table]
    evaluations: list[Evaluation]
    claims: list[Claim]
    watched: list[Watched]
    said: Said
    experiments: list[list[Run]] = field(default_factory=list)
    """Tables of several runs."""
    belongs: dict[int, Evaluation] = field(default_factory=dict)
    """Place of a log -> its result."""
    no_bias: Line | None = None
    """Where the text says, or asks, that no layer has a bias."""
    no_dense: Line | None = None
    texts: dict[int, str] = field(default_factory=dict)
    originals: dict[int, Line] = field(default_factory=dict)
    """Lines whose authors wrote other words, by their numbers."""

    def text(self, number: int) -> str:
        """Return the last line that has that number in the file and is not empty."""
        if not self.texts:
            self.texts = {line.number: line.text for line in self.lines if line.text}
            self.originals = {line.number: line for line in self.lines if line.original is not None}
        return self.texts.get(number, "")

    def found(self, what: str, evidence: str, line: int, proof: str) -> Found:
        """Return a finding of this file; its evidence is quoted as the author wrote it."""
        self.text(line)
        own = self.originals.get(line)
        if own is not None and own.original is not None and _plain(evidence)[:40] in _plain(own.text):
            evidence = own.original
        return Found(what=what, evidence=quote(evidence), file=self.file, line=line, proof=proof)

    def tests(self, place: int) -> bool:
        """Return whether the log in that place watches the test split."""
        return self.watched[place] == "test"


def read_hand_in(path: Path) -> HandIn:
    """Read one file. Raises `InputError` as `reading.read_lines` does."""
    lines = read_lines(path)
    tables, tabled = read_tables(lines)
    logs, logged = read_logs(lines)
    used = tabled | logged
    steps = {row.steps for log in logs for row in log.rows if row.steps}
    evaluations = read_evaluations(lines, used, steps)
    used |= {result.line for result in evaluations}
    experiments, row_claims, rows = read_experiments(lines, used)
    claims = sorted([*read_claims(lines, used | rows), *row_claims], key=lambda claim: claim.line)
    said = Said.of(lines)
    watched = [watched_by(log, said) for log in logs]
    hand_in = HandIn(str(path), lines, logs, tables, evaluations, claims, watched, said, experiments)
    hand_in.belongs = _results_of_logs(hand_in)
    hand_in.no_bias, hand_in.no_dense = _said(lines, NO_BIAS, "bias"), _said(lines, NO_DENSE, "connected")
    return hand_in


def quote(text: str) -> str:
    """Return a short quotation: one line of printable text."""
    shown = " ".join("".join(sign if sign.isprintable() else " " for sign in text[:2000]).split())
    return shown if len(shown) <= WIDEST_QUOTE else f"{shown[: WIDEST_QUOTE - 1]}…"


def _plain(text: str) -> str:
    return "".join(sign for sign in text if sign.isalnum())


def matches(result: Evaluation, row: EpochRow) -> bool:
    """Return whether a result of `evaluate` is what the log shows for that epoch."""
    accuracy = row.metrics.get("val_acc")
    if accuracy is None or abs(accuracy.value - result.accuracy.value) > max(ACCURACY_SLACK, result.accuracy.unit, accuracy.unit):
        return False
    loss = row.metrics.get("val_loss")
    return loss is None or result.loss is None or row.batch_loss or abs(loss.value - result.loss.value) <= LOSS_SLACK + loss.unit


def _results_of_logs(hand_in: HandIn) -> dict[int, Evaluation]:
    """Give each result to the log whose last epoch it repeats, else to the log of its section; a later one replaces an earlier."""
    titles = sorted(line.number for line in hand_in.lines if line.kind == "prose" and HEADING.match(line.text[:160]))
    given: dict[int, Evaluation] = {}
    for result in hand_in.evaluations:
        if not hand_in.logs:
            break
        order = sorted(range(len(hand_in.logs)), key=lambda place: _distance(hand_in.logs[place], result.line, titles))
        fitting = [place for place in order if matches(result, hand_in.logs[place].rows[-1])]
        place = fitting[0] if fitting else order[0]
        if fitting or place not in given:
            given[place] = result
    return given


def _distance(log: Log, line: int, titles: list[int]) -> tuple[int, int]:
    low, high = (line, log.line) if line < log.line else (log.end, line)
    return bisect_left(titles, high) - bisect_right(titles, low), high - low


def _said(lines: list[Line], pattern: re.Pattern[str], word: str) -> Line | None:
    """Return where the text says it, or lists it below «you are not allowed to use»."""
    forbidden = -100
    for place, line in enumerate(lines):
        text = line.text[:1000]
        if line.kind not in {"prose", "block"} or (line.kind == "block" and "=" in text):
            continue  # one layer's `bias=False` speaks for that layer
        lowered = text.lower()
        if "not" in lowered or "forbid" in lowered or "use" in lowered:
            forbidden = place if FORBIDDEN_LIST.search(text) else forbidden
        if word in lowered or "dense" in lowered or "bias" in lowered:
            if pattern.search(text):
                return line
            if word in lowered and 0 <= place - forbidden <= 6 and len(text) < 120:
                return line
    return None


def same_at_printed_digits(claimed: Value, shown: Value) -> bool:
    """Return whether a claim can be that figure, rounded (or cut) to the claim's digits."""
    return (
        abs(claimed.value - shown.value) <= max(claimed.unit, shown.unit) * 0.999
        if claimed.unit > shown.unit
        else claimed.agrees(shown)
    )
