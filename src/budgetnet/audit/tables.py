"""Layer tables, as Keras 2 and 3, torchsummary and torchinfo print them or Markdown frames them -> rows, sums, biases.

A row's parameters say whether it has a bias: a convolution of `k × k` from `n` to `m` channels has `k·k·n·m` numbers, and `m` more
with a bias. That is read only where the row before gives `n` without doubt; a row that allows two readings says nothing.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from budgetnet.audit.words import Line

ROW = re.compile(
    r"(?P<type>[A-Za-z][A-Za-z0-9_]{0,60})(?:-\d{1,4}|:\s\d{1,3}(?:-\d{1,3}){0,8}"
    r"|\s{0,3}\((?P<kind>[A-Za-z][A-Za-z0-9_]{0,60})\)?)?"
    r"\s{0,60}(?:\(\s{1,2}|[|│┃]\s{0,60})?[\[(]{1,2}(?P<shape>(?:None|-1|\d{1,7})(?:\s{0,2},\s{0,2}(?:None|-1"
    r"|\d{1,7})){1,5})\s{0,2},?[\])]{1,2}"
    r"\s{0,60}[|│┃]?\s{0,60}(?P<count>\d[\d,_]{0,15}|--)(?![\d.,]*\s{0,2}[(x])"
)
TOTAL = re.compile(
    r"(?<![\w-])(total|optimizer|(?:non[ -]?)?trainable)\s{1,3}params?(?:eters)?\s{0,3}[:|│]?\s{0,3}(\d[\d,_]{0,15})", re.IGNORECASE
)
HEADER = re.compile(r"layer\b.{0,80}\boutput\s?shape\b.{0,80}\bparam", re.IGNORECASE)
CONVOLUTION = re.compile(r"(?:z?_?padding)?conv(?:olution)?_?2d?", re.IGNORECASE)
UNREAD = re.compile(
    r"^(?!.*\bparam).{0,200}(?:none|-1|\()\s?,.{0,200}\d[\s│┃|)\]]{0,60}$|[a-z]\w{0,60}\s[\s│┃|]{2,60}\d[\d,]{0,12}[\s│┃|]{0,8}$"
)
LARGEST_KERNEL = 49
FARTHEST = 12
"""So many lines without a row, and a table is over."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A layer: `shape` without the batch, channels last; `bias` is None where the count does not tell."""

    line: int
    text: str
    kind: str
    shape: tuple[int, ...]
    count: int
    inputs: tuple[int, ...] = ()
    bias: bool | None = None
    area: int | None = None
    """Positions of the kernel."""

    @property
    def fully_connected(self) -> bool:
        """A layer that is fully connected by its name."""
        return self.kind in {"dense", "linear", "bilinear"}

    @property
    def sees_all(self) -> bool:
        """A convolution whose kernel covers its whole input map, of more than one position."""
        if self.kind != "conv2d" or len(self.inputs) != 3 or self.shape[:2] != (1, 1) or self.area is None:
            return False
        return self.area == self.inputs[0] * self.inputs[1] > 1


@dataclass(slots=True)
class Table:
    """A layer table with the counts below it."""

    rows: list[TableRow] = field(default_factory=list)
    totals: dict[str, tuple[int, int]] = field(default_factory=dict)
    """`total`, `trainable`, `non-trainable` -> (count, line)."""
    branched: bool = False
    """A layer may stand below another than the one it follows."""
    keras: bool = True
    partial: bool = False
    """A line of it could not be read: its sum says nothing."""

    @property
    def line(self) -> int:
        """Where it begins."""
        return self.rows[0].line

    @property
    def sum(self) -> int:
        """The column of parameters, added."""
        return sum(row.count for row in self.rows)


def read_tables(lines: list[Line]) -> tuple[list[Table], set[int]]:
    """Return the tables in order, and the numbers of the lines that belong to them."""
    tables: list[Table] = []
    used: set[int] = set()
    open_table: Table | None = None
    last = 0
    for place, line in enumerate(lines):
        text = line.text[:400]
        lowered = text.lower()
        if "param" in lowered and HEADER.search(text):
            open_table, last = Table(branched="connected to" in lowered), place
            used.add(line.number)
            continue
        row = ROW.search(text) if ("(" in text or "[" in text) else None
        if row and open_table is not None and place - last <= FARTHEST and not open_table.totals:
            _add(open_table, row, line)
            if len(open_table.rows) == 1 and open_table not in tables[-1:]:
                tables.append(open_table)
            used.add(line.number)
            last = place
        elif open_table is not None and open_table.rows and not open_table.totals and UNREAD.search(lowered):
            open_table.partial |= place - last <= FARTHEST
        elif open_table is not None and open_table.rows and "param" in lowered and place - last <= FARTHEST:
            for total in TOTAL.finditer(text):
                name = total[1].lower().replace(" ", "-").replace("nontrainable", "non-trainable")
                open_table.totals.setdefault(name, (_count(total[2]), line.number))
                used.add(line.number)
                last = place
    return tables, used


def _count(text: str) -> int:
    return int(text.replace(",", "").replace("_", ""))


def _add(table: Table, match: re.Match[str], line: Line) -> None:
    name = (match["kind"] or match["type"]).lower()
    raw = [part.strip() for part in match["shape"].split(",")]
    keras = raw[0] == "None"
    shape = tuple(0 if part in {"None", "-1"} else int(part) for part in raw[1:])
    if not keras and len(shape) == 3:
        shape = (shape[1], shape[2], shape[0])
    table.keras = keras
    kind = _kind(name)
    if kind in {"add", "concatenate", "multiply", "subtract", "average"}:
        table.branched = True
    inputs = table.rows[-1].shape if table.rows and not table.branched else ()
    if not table.rows and kind == "conv2d" and len(shape) == 3:
        inputs = (0, 0, 1)  # one channel: the images of this field; the kernel's area tells if not
    if match["count"] == "--":  # torchinfo's containers, whose layers follow
        return
    count = _count(match["count"])
    bias, area = _bias(kind, count, inputs, shape)
    table.rows.append(TableRow(line.number, " ".join(line.text.split())[:120], kind, shape, count, inputs, bias, area))


def _kind(name: str) -> str:
    """Return a layer's type from its printed name, which Keras 2 cuts off."""
    if name.startswith(("separable", "depthwise")) or "transpose" in name:
        return "separable" if name.startswith("separable") else "depthwise" if name.startswith("depthwise") else "other"
    if CONVOLUTION.match(name):
        return "conv2d"
    for known in ("dense", "linear", "bilinear", "add", "concatenate", "multiply", "subtract", "average"):
        if name == known:
            return known
    return "normalization" if name.startswith("batc") else name


def _bias(kind: str, count: int, inputs: tuple[int, ...], shape: tuple[int, ...]) -> tuple[bool | None, int | None]:
    """Return (has a bias, positions of the kernel), each None where the count allows no or more than one reading."""
    if not shape or not inputs or not count:
        return None, None
    width, channels = inputs[-1], shape[-1]
    if kind in {"dense", "linear"}:
        size = math.prod(inputs)
        return (True if count == size * channels + channels else False if count == size * channels else None), None
    if kind == "separable" and len(inputs) == 3:
        return _one_reading((count - width * channels, width), (count - width * channels - channels, width), inputs)
    if kind == "conv2d" and len(inputs) == 3:
        return _one_reading((count, width * channels), (count - channels, width * channels), inputs)
    return None, None


def _one_reading(plain: tuple[int, int], biased: tuple[int, int], inputs: tuple[int, ...]) -> tuple[bool | None, int | None]:
    options: list[tuple[bool, int]] = []
    for bias, (numbers, each) in ((False, plain), (True, biased)):
        if each > 0 and numbers > 0 and numbers % each == 0 and numbers // each <= max(LARGEST_KERNEL, inputs[0] * inputs[1]):
            options.append((bias, numbers // each))
    square = [option for option in options if math.isqrt(option[1]) ** 2 == option[1]]
    chosen = square or options
    return chosen[0] if len(chosen) == 1 else (None, None)
