"""Rows -> CSV, UTF-8 with commas, a line for each hand-in in the order of the ranking, safe to open in a spreadsheet.

A spreadsheet computes a cell that begins with `=`, `+`, `-` or `@`, whoever wrote it; such a cell gets an apostrophe before it, as
OWASP advises. No torch.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from budgetnet.clauses import CLAUSES, Contract
from budgetnet.grade.rows import GradedClause, Ranked, Row

COMPUTED = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Also in their full width, which some spreadsheets take for the same."""
FIXED = (
    "network",
    "parameters",
    "parameters_trainable",
    "parameters_with_hidden",
    "parameters_non_zero",
    "multiply_accumulates",
    "log_epochs",
    "log_final",
    "log_best",
    "log_last5",
    "logs",
    "findings",
    "reasons",
    "seconds",
)
Cell = str | int | float | None


def csv_text(rows: Sequence[Ranked], contract: Contract) -> str:
    """Return the table with a heading; `clause: …` columns hold a state each, in the order of the contract."""
    asked = [name for name in CLAUSES if getattr(contract, name) is not None]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["rank", "hand_in", "verdict", *(f"clause: {name}" for name in asked), *FIXED])
    for rank, row in rows:
        states = {clause.name: _state(clause) for clause in row.clauses}
        writer.writerow(
            [_cell(value) for value in (rank, row.hand_in, row.verdict, *(states.get(name) for name in asked), *_fixed(row))]
        )
    return text.getvalue()


def _state(clause: GradedClause) -> str:
    if clause.shown:
        return "unproven (shown by its log)"
    return f"{clause.state} (by its own log)" if clause.by == "log" else clause.state


def _fixed(row: Row) -> list[Cell]:
    counts, log = row.parameters, row.log
    numbers: list[Cell] = [None] * 4
    if counts is not None:
        numbers = [counts.total, counts.trainable, counts.with_hidden, counts.non_zero]
    figures: list[Cell] = [None] * 4 if log is None else [log.epochs, log.final, log.best, log.last5]
    reasons = [row.problem] if row.problem else [f"{clause.name}: {clause.why}" for clause in row.clauses if clause.state != "met"]
    reasons += [finding.what for finding in row.findings if finding.source != "check"]
    return [
        row.network,
        *numbers,
        row.multiply_accumulates,
        *figures,
        len(row.logs),
        row.doubts,
        " | ".join(filter(None, reasons)),
        row.seconds,
    ]


def _cell(value: Cell) -> Cell:
    if not isinstance(value, str):
        return value
    return f"'{value}" if value.lstrip(" \u00a0").startswith(COMPUTED) else value
