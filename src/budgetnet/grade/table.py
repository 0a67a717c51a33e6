"""Ranked rows as text, for people: a table on the terminal, and the sums below it. No torch."""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Sequence
from typing import Any

from budgetnet.grade.plain import counted
from budgetnet.grade.rows import VERDICTS, Ranked, Row

STYLES = {"met": "bold green", "broken": "bold red", "unproven": "bold yellow", "failed": "bold magenta"}
PIPE_WIDTH = 160
WIDE = 120
"""Columns; in fewer, findings and reasons are left to the lines above the table, and to the page."""
MOST_REASON = 160


def grades_table(rows: Sequence[Ranked], *, width: int | None = None, colour: bool = False) -> str:
    """Return the ranking as text of `width` columns; in colours only for a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    columns = width or PIPE_WIDTH
    wide = columns >= WIDE
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for title in (
        "rank",
        "hand-in",
        "verdict",
        "broken",
        "unproven",
        "parameters",
        "its log",
        *(("findings", "why") if wide else ()),
    ):
        if title == "why":
            table.add_column(title, overflow="fold", ratio=1)
        elif title == "hand-in":
            table.add_column(title, overflow="fold", max_width=columns // 4)
        else:
            table.add_column(title, justify="left" if title == "verdict" else "right", no_wrap=True)
    for rank, row in rows:
        reason = row.reason if len(row.reason) <= MOST_REASON else f"{row.reason[: MOST_REASON - 1]}…"
        size = f"{row.parameters.total:,}" if row.parameters else "–"
        counts = ("–", "–") if row.verdict == "failed" else (str(row.broken), str(row.unproven))
        more = (str(row.doubts), reason) if wide else ()
        cells = [str(rank) if rank else "–", row.hand_in, row.verdict, *counts, size, log_words(row), *more]
        # Text is taken as it is; a plain string would be read as markup.
        table.add_row(*(Text(cell, style=STYLES[cell] if place == 2 else "") for place, cell in enumerate(cells)))
    output = io.StringIO()
    console = Console(file=output, width=columns, force_terminal=colour, color_system="standard" if colour else None)
    console.print(table)
    return output.getvalue().rstrip("\n")


def log_words(row: Row) -> str:
    """Return what the log shows at its end, as `99.47 % in 20`; a dash where there is none."""
    if row.log is None:
        return "–"
    return f"{percent(row.log.final)} in {row.log.epochs}"


def percent(fraction: float | None) -> str:
    """Return `99.40 %`, rounded down: what is shown is never more than what was reached."""
    return "?" if fraction is None else f"{math.floor(round(fraction * 10_000, 6)) / 100:.2f} %"


def sums(rows: Sequence[Ranked]) -> str:
    """Return `50 hand-ins: 2 met, 30 unproven, 15 broken, 3 failed`."""
    number = {verdict: sum(row.verdict == verdict for _, row in rows) for verdict in VERDICTS}
    said = ", ".join(f"{number[verdict]} {verdict}" for verdict in VERDICTS if number[verdict])
    return f"{counted(len(rows), 'hand-in')}: {said}" if said else "no hand-in was graded"


def grades_text(rows: Sequence[Ranked]) -> str:
    """Return the table and its sums, fitted to where stdout goes."""
    if sys.stdout.isatty():
        from rich.console import Console

        return f"{grades_table(rows, width=Console().width, colour=True)}\n\n{sums(rows)}"
    return f"{grades_table(rows)}\n\n{sums(rows)}"


def grades_document(rows: Sequence[Ranked]) -> list[dict[str, Any]]:
    """Return the rows as JSON, in the order of the ranking."""
    return [{"rank": rank, **row.model_dump(mode="json")} for rank, row in rows]
