"""A hand-in's file -> its lines, cleaned of what terminals leave behind.

Markdown, plain text, logs and code are text; `.ipynb` is read by `notebooks`. Nothing is run. Progress bars that redraw
themselves (carriage returns, backspaces), colour codes, non-breaking spaces and HTML breaks are resolved, so that a line says
what a reader saw. Costs memory of a few times the file, which is bounded: at most 32 MiB, 500,000 lines, 200,000 characters in a
line. No torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from budgetnet.audit.languages import in_known_words
from budgetnet.audit.words import Kind, Line
from budgetnet.errors import InputError

MAXIMUM_BYTES = 32 * 2**20
MAXIMUM_LINES = 500_000
MAXIMUM_WIDTH = 200_000
COLOUR = re.compile(r"\x1b\[[0-9;:?]{0,20}[A-Za-z]|\[(?:\d{1,3}(?:;\d{1,3}){0,4})m")
"""Also without its escape character, which does not survive a copy into a README."""
REDRAWN = re.compile(r"\r+|\x08+|<br\s?/?>", re.IGNORECASE)
FENCE = re.compile(r"(?:[>*+-]\s{0,4}|\s){0,12}(```+|~~~+)\s{0,4}([A-Za-z]{0,20})")
CODE_LANGUAGES = {"python", "py", "ipython"}
UNFINISHED = re.compile(r"ETA:|(?<!\d)[1-9]?\d%\|")
CONTROL = {code: " " for code in range(32) if code != 9} | {0xA0: " ", 0x202F: " ", 0x200B: None, 0xFEFF: None}


def read_lines(path: Path) -> list[Line]:
    """Return the lines of a hand-in. Raises `InputError` for what is missing, no text, or too large."""
    content = read_bounded(path)
    if path.suffix.lower() == ".ipynb":
        from budgetnet.audit.notebooks import notebook_lines

        return in_known_words(notebook_lines(decode(content, path), path))
    return in_known_words(list(_marked(decode(content, path), code=path.suffix.lower() == ".py")))


def read_bounded(path: Path) -> bytes:
    """Return the file's bytes. Raises `InputError` for a folder, a missing or unreadable file, and one over the limit."""
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder; name the README, notebook or log in it.")
        if not path.is_file():
            raise InputError(f"{path}: there is no such file.")
        with path.open("rb") as file:
            content = file.read(MAXIMUM_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    if len(content) > MAXIMUM_BYTES:
        raise InputError(f"{path}: is larger than {MAXIMUM_BYTES >> 20} MiB; hand in the log without pictures.")
    if content.count(b"\n") > MAXIMUM_LINES:
        raise InputError(f"{path}: has more than {MAXIMUM_LINES:,} lines; hand in the part that holds the log.")
    return content


def decode(content: bytes, path: Path) -> str:
    """Return the text: UTF-16 where its mark says so, else UTF-8 with replacement. Raises `InputError` for what is no text."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    if b"\0" in content:
        raise InputError(f"{path}: is no text (it holds zero bytes); audit reads Markdown, text, logs and notebooks.")
    return content.decode("utf-8", errors="replace")


def _marked(text: str, *, code: bool) -> Iterator[Line]:
    """Yield the lines of a text, each with its kind: in a fence, in a fence of code, or running text."""
    inside = ""
    kind: Kind = "code" if code else "prose"
    for number, raw in enumerate(text.split("\n"), start=1):
        fence = FENCE.match(raw[:200])
        if fence and not inside:
            inside, kind = fence[1][:3], "code" if fence[2].lower() in CODE_LANGUAGES else "block"
        elif fence and fence[1].startswith(inside) and not fence[2]:
            inside, kind = "", "code" if code else "prose"
        else:
            yield from clean(raw, number, kind)


def clean(raw: str, number: int, kind: Kind) -> Iterator[Line]:
    """Yield what stays of one line of a file: the states of a redrawn line that were finished, each on its own."""
    pieces = REDRAWN.split(raw) if "\r" in raw or "\x08" in raw or "<" in raw else [raw]
    for piece in pieces:
        if len(pieces) > 1 and UNFINISHED.search(piece[:MAXIMUM_WIDTH]) and "100%|" not in piece[:MAXIMUM_WIDTH]:
            continue
        text = piece[:MAXIMUM_WIDTH].expandtabs(4)
        if "[" in text:
            text = COLOUR.sub("", text)
        text = text.translate(CONTROL).replace("&nbsp;", " ").replace("&gt;", ">").replace("&lt;", "<").rstrip()
        if len(pieces) == 1 or text:
            yield Line(number, text, kind)
