"""Logs as tables: one row an epoch, in Markdown, CSV or aligned columns -> figures by line.

A table is a log where its first row names an epoch and at least one loss or accuracy, under whatever spelling, and its numbers of
epochs rise. Whether a bare column `train` or `test` holds losses or accuracies, and whether it counts in percent, is read from the
whole column. One pass over the lines; a table's cells are bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from budgetnet.audit.loops import CAMEL, GLUED, METRICS, OWNERS, Framed, Raw, resolved
from budgetnet.audit.words import Line

EPOCH = re.compile(r"(?:epochs?|ep\.?)(?:\s?(?:#|no\.?|number|nr\.?|idx|index))?|e", re.IGNORECASE)
BARE_NUMBER = re.compile(r"#|no\.?|nr\.?|n", re.IGNORECASE)
NUMBER_CELL = re.compile(r"(?:epoch|ep)?\s?#?(\d{1,5})(?:\s?(?:/|of)\s?(\d{1,5}))?(?:\s?[(*←<].{0,30})?", re.IGNORECASE)
FIGURE = re.compile(r"(\d{1,9}(?:[.,]\d{1,18})?(?:e[-+]?\d{1,3})?|\.\d{1,18})\s?(%?)(?:\s?/\s?(\d{3,7}))?", re.IGNORECASE)
NUMERIC = re.compile(r"[\d.,:%/]+|.{0,40}\d\.\d.{0,40}")
HEAD = re.compile(r"[\s>|│┃*_`#,]{0,30}(?:e|n|#)|[\s>|│┃*_`]{0,30}#", re.IGNORECASE)
SEPARATOR = re.compile(r"[\s|:+\-=─━┼╪═│┃╞╡├┤┌┐└┘┬┴┡╇┩┏┓┗┛┳┻╋┠┨>]{2,2000}|")
ELIDED = re.compile(r"[\s|>.…⋮]{1,200}")
OUTSIDE = re.compile(
    r"time|\bdur|second|\bs\b|best|max|gap|diff|param|\bmin\b|overfit|remark|note|image|step|target|Δ", re.IGNORECASE
)
WIDEST = 600
MOST_CELLS = 24
MARKED = str.maketrans("", "", "*`_~\\")


@dataclass(slots=True)
class _Column:
    owner: str
    metric: str
    percent: bool


def grid_rows(lines: list[Line]) -> dict[int, Framed]:
    """Return what the rows of tables say of their epochs, by the line's place in `lines`; the header's place with no figures."""
    found: dict[int, Framed] = {}
    place = 0
    while place < len(lines):
        text = lines[place].text
        likely = lines[place].kind != "code" and HEAD.match(text[:40])
        header = cells_of(text) if likely else []
        columns = _columns(header, " ".join(line.text[:200] for line in lines[max(0, place - 3) : place])) if header else None
        place += 1
        if columns is None:
            continue
        end, rows = _rows(lines, place, len(header))
        if len(rows) >= 2:
            found[place - 1] = Framed(None, None, [])
            _fill(found, columns, rows)
            place = end
    return found


def cells_of(text: str) -> list[str]:
    """Return the cells of a row: between pipes, tabs, wide gaps or commas; empty for a line that is no row."""
    if not text.strip() or len(text) > WIDEST:
        return []
    text = re.sub(r"^\s*(?:>\s?)+", "", text)
    if text.count("|") + text.count("│") + text.count("┃") >= 1:
        cells = re.split(r"[|│┃]", text.strip().strip("|│┃"))
    elif len(wide := re.split(r"\s{2,}|\t", text.strip())) >= 2:
        cells = wide
    elif len(split := re.split(r"\s?[,;]\s?", text.strip())) >= 2:
        cells = split
    else:
        cells = text.split()
    cells = [" ".join(cell.replace("**", " ").replace("`", " ").split()) for cell in cells]
    return cells if 2 <= len(cells) <= MOST_CELLS else []


def _columns(header: list[str], above: str) -> dict[int, _Column] | None:
    """Return the columns that hold figures, by place; None where the row heads no log."""
    first = header[0].translate(MARKED).strip(" :.()#") or header[0]
    bare = BARE_NUMBER.fullmatch(header[0])
    if not EPOCH.fullmatch(first) and not bare:
        return None
    if any(NUMERIC.fullmatch(cell) for cell in header[1:]):  # a sentence, or a row
        return None
    columns: dict[int, _Column] = {}
    for place, cell in enumerate(header[1:], start=1):
        owner, metric = column_words(cell)
        if (owner or metric) and not OUTSIDE.search(cell):
            columns[place] = _Column(owner, metric, "%" in cell or "percent" in cell.lower())
    if not any(column.metric in {"acc", "loss", "error", ""} for column in columns.values()):
        return None
    if bare and (len(columns) < 2 or len(columns) < len(header) - 2):
        return None
    accuracies = [column for column in columns.values() if column.metric in {"acc", "error"}]
    if len(accuracies) == 1 and not accuracies[0].owner:
        said = re.findall(r"\b(test|train|val)", above, re.IGNORECASE)
        losses = {column.owner for column in columns.values() if column.metric == "loss"}
        if said and not losses - {""}:
            accuracies[0].owner = said[-1].lower()
        elif losses & {"val", "test"}:
            accuracies[0].owner = "test" if "test" in losses else "val"
    return columns


def column_words(cell: str) -> tuple[str, str]:
    """Return (owner, metric) of a column by its head, each empty where the head does not say it."""
    owner = metric = ""
    for token in re.findall(r"[A-Za-z]+", cell):
        for word in (part.lower() for part in CAMEL.split(token)):
            glued = GLUED.fullmatch(word)
            for part in glued.groups() if glued else (word,):
                owner = owner or OWNERS.get(part, "")
                metric = METRICS.get(part, metric) if metric in {"", "error"} else metric
    if not metric and re.search(r"learning rate|\brate\b", cell, re.IGNORECASE):
        return "", "lr"
    if metric == "loss" and re.search(r"log.?loss", cell, re.IGNORECASE):
        metric = "loss"
    return owner, metric


def _rows(lines: list[Line], place: int, width: int) -> tuple[int, list[tuple[int, int, int | None, list[str]]]]:
    """Return where the table ends, and its rows: (place, epoch, planned, cells)."""
    rows: list[tuple[int, int, int | None, list[str]]] = []
    blank = 0
    while place < len(lines):
        text = lines[place].text
        cells = cells_of(text)
        number = NUMBER_CELL.fullmatch(cells[0]) if cells else None
        if number and (not rows or int(number[1]) > rows[-1][1]) and len(cells) <= width + 1:
            rows.append((place, int(number[1]), int(number[2]) if number[2] else None, cells))
            blank = 0
        elif not text.strip():
            blank += 1
            if blank > 1:
                break
        elif not SEPARATOR.fullmatch(text) and not ELIDED.fullmatch(text):
            break
        place += 1
    return place, rows


def _fill(found: dict[int, Framed], columns: dict[int, _Column], rows: list[tuple[int, int, int | None, list[str]]]) -> None:
    values: dict[int, dict[int, Raw]] = {}
    for number, column in columns.items():
        raws = {place: raw for place, _, _, cells in rows if len(cells) > number and (raw := _cell(cells[number], column))}
        if raws and not column.metric:
            _name(list(raws.values()))
        values[number] = {place: raw for place, raw in raws.items() if raw.metric}
        sizes = [float(raw.text) for raw in values[number].values()]
        if sizes and max(sizes) > 1 and column.metric == "error":
            for raw in values[number].values():
                raw.percent = not raw.images
    for place, epoch, planned, _ in rows:
        figures = resolved([raws[place] for raws in values.values() if place in raws], large_errors=False)
        found[place] = Framed(epoch, planned, figures)


def _cell(cell: str, column: _Column) -> Raw | None:
    match = FIGURE.match(cell.translate(MARKED).strip())
    if match is None:
        return None
    text = match[1].replace(",", "") if re.fullmatch(r"\d{1,3}(?:,\d{3})+", match[1]) else match[1].replace(",", ".")
    images = int(match[3]) if match[3] else None
    if column.metric == "acc" and not images and text.isdecimal() and int(text) > 100:
        images = 10_000 if int(text) <= 10_000 else 60_000
        if column.owner == "train" or int(text) > images:
            images = 60_000
    return Raw(column.owner, column.metric, text, bool(match[2]) or column.percent, images)


def _name(raws: list[Raw]) -> None:
    """Say what a column `train` or `test` holds: percentages, fractions near one that rise, or losses."""
    sizes = [float(raw.text) for raw in raws]
    accuracy = any(raw.percent or raw.images for raw in raws) or max(sizes) > 20 or (sizes[-1] >= 0.5 and sizes[-1] >= sizes[0])
    metric = "acc" if accuracy and (max(sizes) <= 1 or max(sizes) > 20) else "loss"
    for raw in raws:
        raw.metric = metric
