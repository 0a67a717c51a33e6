"""Tables of experiments: a row is a run, with its accuracy; is that the last epoch's, or its best one's?

A table of one row is a claim like any other. In a table of several, a row is not said to belong to a log: only where a log's last
figure stands in no row, and its best one does, was the best written down. Tables whose columns call the figure the best are honest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from budgetnet.audit.grids import EPOCH, FIGURE, MARKED, SEPARATOR, cells_of, column_words
from budgetnet.audit.metrics import fraction, number_unit
from budgetnet.audit.words import Claim, Line, Value

BEST = re.compile(r"best|max|highest|peak|top\b", re.IGNORECASE)
NOT_OWN = re.compile(r"target|goal|required|paper|baseline|mean|average|avg|±|\bstd|limit", re.IGNORECASE)
LEAST = 0.5
MOST_ROWS = 60
COUNT = re.compile(r"(\d{1,3}(?:[,_]\d{3}){1,3}|\d{3,9}|\d{1,4}(?:\.\d{1,3})?\s?k)\b", re.IGNORECASE)
EPOCHS = re.compile(r"(\d{1,4})(?:\s?epochs?)?")


@dataclass(frozen=True, slots=True)
class Run:
    """A row: a run's accuracy, by the table's own column."""

    line: int
    text: str
    accuracy: Value
    best: bool


def read_experiments(lines: list[Line], used: set[int]) -> tuple[list[list[Run]], list[Claim], set[int]]:
    """Return the tables of several runs, the claims of tables of one, and the numbers of their lines."""
    tables: list[list[Run]] = []
    claims: list[Claim] = []
    own: set[int] = set()
    for place, line in enumerate(lines):
        if line.kind == "code" or line.number in used or "acc" not in line.text[:600].lower() or "|" not in line.text[:600]:
            continue
        header = cells_of(line.text)
        below = lines[place + 1].text if place + 1 < len(lines) else ""
        if not header or EPOCH.fullmatch(header[0].translate(MARKED)) or not SEPARATOR.fullmatch(below) or "-" not in below:
            continue
        columns = _accuracy_columns(header)
        rows = _rows(lines, place + 2, len(header))
        runs = [run for row, cells in rows if (run := _run(row, cells, header, columns))]
        if not runs:
            continue
        own |= {line.number, *(row.number for row, _ in rows)}
        if len(rows) == 1:
            claims += _claims(rows[0][0], rows[0][1], header, runs[0])
        else:
            tables.append(runs)
    return tables, claims, own


def _accuracy_columns(header: list[str]) -> list[int]:
    """Return the columns of accuracies that are not the training's; those called the test's first."""
    found = [
        place
        for place, cell in enumerate(header)
        if (words := column_words(cell))[1] == "acc" and words[0] != "train" and not NOT_OWN.search(cell)
    ]
    final = [place for place in found if not BEST.search(header[place])]
    return final or found


def _rows(lines: list[Line], place: int, width: int) -> list[tuple[Line, list[str]]]:
    rows: list[tuple[Line, list[str]]] = []
    while place < len(lines) and len(rows) < MOST_ROWS and "|" in lines[place].text[:600]:
        cells = cells_of(lines[place].text)
        if cells and len(cells) <= width + 1 and not SEPARATOR.fullmatch(lines[place].text):
            rows.append((lines[place], cells))
        place += 1
    return rows


def _run(line: Line, cells: list[str], header: list[str], columns: list[int]) -> Run | None:
    for place in columns:
        match = FIGURE.match(cells[place].translate(MARKED).strip()) if place < len(cells) else None
        if match is None or match[3]:
            continue
        value = fraction(match[1].replace(",", "."), bool(match[2]) or "%" in header[place])
        if value is not None and value.value >= LEAST:
            said = BEST.search(f"{header[place]} {cells[place]}")
            return Run(line.number, line.text, value, bool(said))
    return None


def _claims(line: Line, cells: list[str], header: list[str], run: Run) -> Iterator[Claim]:
    text = " ".join(line.text.split())[:160]
    if NOT_OWN.search(cells[0]):
        return
    value = run.accuracy
    label = "best" if run.best else "plain"
    yield Claim(kind="accuracy", value=round(value.value, 12), unit=value.unit, label=label, line=line.number, text=text)  # type: ignore[arg-type]
    for name, cell in zip(header, cells, strict=False):
        count = COUNT.match(cell.translate(MARKED).strip()) if "param" in name.lower() else None
        if count and not re.search(r"train|limit|max|budget|allowed", name, re.IGNORECASE):
            digits = count[1].lower().replace(",", "").rstrip("k ")
            scale = 1e3 if count[1].lower().endswith("k") else 1.0
            unit = number_unit(digits) * scale
            yield Claim(
                kind="parameters",
                value=float(digits.replace("_", "")) * scale,
                unit=unit,
                label="total",
                line=line.number,
                text=text,
            )
        epochs = EPOCHS.fullmatch(cell.translate(MARKED).strip()) if re.fullmatch(r"(?:# ?)?epochs?", name, re.IGNORECASE) else None
        if epochs and not run.best:
            yield Claim(kind="epochs", value=float(epochs[1]), unit=1.0, label="total", line=line.number, text=text)
