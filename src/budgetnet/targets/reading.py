"""A Python file or a notebook as syntax trees, bounded, with the place of each line kept.

A notebook's cells are trees of their own, so that a finding names the cell and the line in it. Lines for the shell and for Jupyter
(`!pip …`, `%magic`) are dropped and counted. Run only in the confined child: a parser is no place for trust.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from budgetnet.errors import InputError

SHELL = re.compile(r"^\s*(?:[!%?].*|.*\?{1,2}\s*)$")
SHELL_CELL = re.compile(r"^\s*%%(?!time\b|timeit\b|capture\b|prun\b)")
KEPT_CELL = re.compile(r"^\s*%%(?:time|timeit|capture|prun)\b.*$")
MOST_CELLS = 5_000
MOST_CHARACTERS = 4_000_000


@dataclass
class Source:
    """What was read."""

    path: Path
    trees: list[tuple[str, ast.Module]] = field(default_factory=list)
    """Where it stands in words, and the tree."""
    text: str = ""
    left_out: int = 0
    """Lines for the shell or Jupyter, and cells that are not Python."""
    notes: list[str] = field(default_factory=list)


def read(path: Path) -> Source:
    """Return the trees of a `.py` file or an `.ipynb` notebook. Raises `InputError` where it is neither, or not Python."""
    return _notebook(path) if path.suffix.lower() == ".ipynb" else _python(path)


def _python(path: Path) -> Source:
    content = _bytes(path)
    try:
        tree = ast.parse(content, filename=str(path))
        text = content.decode("utf-8", "replace")
    except SyntaxError as error:
        where = f"{path.name}, line {error.lineno}" if error.lineno else path.name
        raise InputError(f"{where}: is not valid Python: {error.msg}.") from None
    except (ValueError, MemoryError, RecursionError) as error:
        raise InputError(f"{path.name}: cannot be read as Python ({error or type(error).__name__}).") from None
    return Source(path, [(str(path), tree)], text)


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(64 * 2**20 + 1)
    except OSError as error:
        raise InputError(f"{path.name}: cannot be read ({error.strerror}).") from None
    return content


def _notebook(path: Path) -> Source:
    try:
        document = json.loads(_bytes(path))
    except (ValueError, RecursionError):
        raise InputError(f"{path.name}: is not a notebook (no valid JSON).") from None
    if not isinstance(document, dict):
        raise InputError(f"{path.name}: is not a notebook (a JSON object with cells is expected).")
    cells = document.get("cells")
    if cells is None:  # the notebooks of format 3
        cells = [cell for sheet in document.get("worksheets", []) if isinstance(sheet, dict) for cell in sheet.get("cells", [])]
    if not isinstance(cells, list) or len(cells) > MOST_CELLS:
        raise InputError(f"{path.name}: is not a notebook that can be read (at most {MOST_CELLS:,} cells).")
    source = Source(path)
    texts: list[str] = []
    number = 0
    for cell in cells:
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            number += 1
            texts.append(_cell(source, cell, number))
    source.text = "\n".join(texts)
    if not source.trees:
        raise InputError(f"{path.name}: holds no Python cell.")
    return source


def _cell(source: Source, cell: dict[str, Any], number: int) -> str:
    """Add one cell's tree, where it is Python; return its text."""
    text = cell.get("source", cell.get("input", ""))
    text = "".join(str(line) for line in text) if isinstance(text, list) else str(text)
    if len(text) > MOST_CHARACTERS:
        source.left_out += 1
        source.notes.append(f"Cell {number} is too long to be read.")
        return ""
    if SHELL_CELL.match(text):
        source.left_out += 1
        return ""
    where = f"{source.path}, cell {number}"
    lines = text.splitlines()
    plain = ["" if SHELL.match(line) or KEPT_CELL.match(line) else line for line in lines]
    tree = _parsed(text, where)
    if tree is None:
        tree = _parsed("\n".join(plain), where)
        source.left_out += sum(line != kept for line, kept in zip(lines, plain, strict=True))
    if tree is None:
        # A shell line may have been all that a block held.
        blocks = [re.sub(r"\S.*", "pass", line) if line != kept else kept for line, kept in zip(lines, plain, strict=True)]
        tree = _parsed("\n".join(blocks), where)
    if tree is None:
        source.left_out += 1
        source.notes.append(f"Cell {number} is not valid Python, and was left out.")
        return text
    source.trees.append((where, tree))
    return text


def _parsed(text: str, where: str) -> ast.Module | None:
    try:
        return ast.parse(text, filename=where)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
