"""A Jupyter notebook -> the lines of its cells and their text outputs, with the lines they have in the file.

JSON alone: nothing is run, nothing is imported. Cells come in the order they were executed, which is the order their weights saw;
a cell without a count stays behind the one before it. To know the line of each string, the file's strings are found once more in
order, as the parser met them; this is linear. Pictures and HTML are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from budgetnet.audit.reading import MAXIMUM_LINES, clean
from budgetnet.audit.words import Kind, Line
from budgetnet.errors import InputError

STRING = re.compile(r'"(?:[^"\\]+|\\.)*+"', re.DOTALL)


class Pairs(list[tuple[str, object]]):
    """A JSON object with its fields in order, none of them lost to a second of the same name."""

    def get(self, name: str) -> object:
        """Return the last field of that name, as JSON parsers do."""
        return next((value for key, value in reversed(self) if key == name), None)


class Placed(str):
    """A string that knows its line in the file."""

    __slots__ = ("line",)
    line: int


def notebook_lines(text: str, path: Path) -> list[Line]:
    """Return the notebook's lines in order of execution. Raises `InputError` for what is no notebook."""
    try:
        document = json.loads(text, object_pairs_hook=Pairs)
    except (ValueError, RecursionError) as error:
        reason = "too deeply nested" if isinstance(error, RecursionError) else str(error)[:120]
        raise InputError(f"{path}: is no notebook: {reason}.") from None
    if not isinstance(document, Pairs):
        raise InputError(f"{path}: is no notebook: it holds no cells.")
    _place(document, text)
    cells = document.get("cells")
    if cells is None and isinstance(sheets := document.get("worksheets"), list):  # notebooks of version 3
        cells = [cell for sheet in sheets if isinstance(sheet, Pairs) for cell in _items(sheet.get("cells"))]
    if not isinstance(cells, list) or isinstance(cells, Pairs):
        raise InputError(f"{path}: is no notebook: it holds no cells.")
    lines: list[Line] = []
    for cell in _in_order([cell for cell in cells if isinstance(cell, Pairs)]):
        for part, kind in _parts(cell):
            lines += _split(part, kind)
        lines.append(Line(lines[-1].number if lines else 1, ""))
        if len(lines) > MAXIMUM_LINES:
            raise InputError(f"{path}: has more than {MAXIMUM_LINES:,} lines; hand in the part that holds the log.")
    return lines


def _items(value: object) -> list[object]:
    """Return a JSON list's items; an object's or anything else's are none."""
    return value if isinstance(value, list) and not isinstance(value, Pairs) else []


def _in_order(cells: list[Pairs]) -> list[Pairs]:
    keys: list[tuple[int, int]] = []
    count = 0
    for place, cell in enumerate(cells):
        given = cell.get("execution_count")
        if given is None:
            given = cell.get("prompt_number")
        count = given if isinstance(given, int) and given > 0 else count
        keys.append((count, place))
    return [cells[place] for _, place in sorted(keys)]


def _parts(cell: Pairs) -> Iterator[tuple[object, Kind]]:
    kind = cell.get("cell_type")
    source = cell.get("source") if cell.get("source") is not None else cell.get("input")
    yield source, "code" if kind == "code" else "prose"
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) and not isinstance(outputs, Pairs) else []:
        if not isinstance(output, Pairs):
            continue
        yield output.get("text"), "output"
        data = output.get("data")
        if isinstance(data, Pairs):
            yield data.get("text/plain"), "output"


def _split(part: object, kind: Kind) -> Iterator[Line]:
    """Yield the lines of a source or an output: a string, or a list of strings that belong together."""
    pieces = [part] if isinstance(part, str) else part if isinstance(part, list) and not isinstance(part, Pairs) else []
    waiting, number = [""], 1
    for piece in pieces:
        if not isinstance(piece, str):
            continue
        first, *rest = piece.split("\n")
        if not any(waiting):
            number = getattr(piece, "line", number)
        waiting.append(first)
        for text in rest:
            yield from clean("".join(waiting), number, kind)
            waiting, number = [text], getattr(piece, "line", number)
    if any(waiting):
        yield from clean("".join(waiting), number, kind)


def _place(document: Pairs, text: str) -> None:
    """Replace each string in a list or as a field's value by one that knows its line; keys are passed over."""
    ends = [match.end() for match in re.finditer("\n", text)]
    at = 0
    tokens = STRING.finditer(text)

    def next_line() -> int:
        nonlocal at
        start = next(tokens).start()
        while at < len(ends) and ends[at] <= start:
            at += 1
        return at + 1

    def placed(value: str) -> Placed:
        result = Placed(value)
        result.line = next_line()
        return result

    # An explicit stack of (container, place in it): a notebook's depth is its author's choice.
    stack: list[tuple[list[Any], int]] = [(document, 0)]
    while stack:
        container, index = stack.pop()
        while index < len(container):
            item = container[index]
            if isinstance(container, Pairs):
                next_line()
                key, value = item
            else:
                key, value = None, item
            if isinstance(value, str):
                container[index] = placed(value) if key is None else (key, placed(value))
            index += 1
            if isinstance(value, list):
                stack.append((container, index))
                container, index = value, 0
