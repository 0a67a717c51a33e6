"""Foreign strings into Markdown that they cannot break: cells, code, fenced blocks, and a strategy of the user's own.

Class names, recipe names and contracts are other people's text. Each function returns `Markdown`, a string that the template
inserts as it is; every other value that reaches the template is escaped as `inline` does it. Rules: CommonMark 0.31 and GitHub's
tables. No torch; costs nothing to import.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from budgetnet.errors import InputError

MAXIMUM_STRATEGY_BYTES = 65_536
DIRECTIONS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of the text around them, so that it reads as something else."""


class Markdown(str):
    """Text that is Markdown already, and safe to insert."""

    __slots__ = ()


def one_line(text: str) -> str:
    """Return `text` on one line, without control characters and changes of direction."""
    return " ".join(_visible(text.replace("\n", " ").replace("\r", " ").replace("\t", " ")).split())


def inline(text: str) -> Markdown:
    """Return `text` for a heading, a sentence or a table's cell: on one line, and meaning nothing but itself."""
    escaped = re.sub(r"([\\`*\[\]|~])", r"\\\1", one_line(text))
    escaped = escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # Inside a word an underscore emphasises nothing, and `conv2d_1` stays readable in the source.
    escaped = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", escaped)
    # `#`, `-`, `+` and `1.` mean something at the start of a line only.
    return Markdown(re.sub(r"^(?:([#+=-])|(\d+)([.)](?= |$)))", _escape_start, escaped))


def code(text: str) -> Markdown:
    """Return `text` as a code span that is safe in a table's cell too; empty text stays empty."""
    plain = one_line(text)
    if not plain:
        return Markdown("")
    ticks = "`" * (_longest_run("`", plain) + 1)
    padding = " " if plain.startswith("`") or plain.endswith("`") else ""
    return Markdown(f"{ticks}{padding}{plain}{padding}{ticks}".replace("|", "\\|"))


def block(text: str, language: str = "") -> Markdown:
    """Return `text` as a fenced block, with a fence longer than any in the text."""
    plain = "\n".join(_visible(line) for line in text.split("\n"))
    fence = "`" * max(3, _longest_run("`", plain) + 1)
    return Markdown(f"{fence}{language}\n{plain}\n{fence}")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Markdown:
    """Return a table; a column whose title begins with `>` is set to the right. Cells that are not `Markdown` are escaped."""
    titles = [column.removeprefix(">") for column in columns]
    rules = ["---:" if column.startswith(">") else "---" for column in columns]
    lines: list[list[str]] = [titles, rules, *([str(safe(cell)) for cell in row] for row in rows)]
    return Markdown("\n".join(f"| {' | '.join(line)} |" for line in lines))


def safe(text: object) -> Markdown:
    """Return `text` as it is where it is `Markdown`, else escaped."""
    return text if isinstance(text, Markdown) else inline(str(text))


def read_strategy(path: Path) -> str:
    """Return the text of a user's strategy file. Raises `InputError` where it is missing, too large, no UTF-8 or blank."""
    try:
        with path.open("rb") as file:
            content = file.read(MAXIMUM_STRATEGY_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"Strategy {path}: cannot be read ({reason}). Give a text file.") from None
    if len(content) > MAXIMUM_STRATEGY_BYTES:
        raise InputError(
            f"Strategy {path}: is larger than {MAXIMUM_STRATEGY_BYTES:,} bytes. Give the strategy alone, not the whole README."
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"Strategy {path}, line {line}: is not UTF-8 text. Save the file as UTF-8.") from None
    if not text.strip():
        raise InputError(f"Strategy {path}: is blank. Write what you did and why, or leave --strategy out.")
    return text


def embedded(text: str, levels: int = 2) -> Markdown:
    """Return a document in Markdown as a section of ours: lists, emphasis, links and code stay what they are.

    Headings sink by `levels`, tags become text, fences are closed, and control characters are dropped: whatever the text holds,
    the page after it is untouched.
    """
    lines = [_visible(line.expandtabs(4)) for line in text.replace("\r\n", "\n").replace("\r", "\n").strip("\n").split("\n")]
    spans_are_plain = all(_pairs_alone(line) for line in lines)
    result: list[str] = []
    fence = ""
    for line in lines:
        if fence:
            closes = re.fullmatch(rf"\s*{re.escape(fence[0])}{{{len(fence)},}}\s*", line)
            result.append(fence if closes else line)
            fence = "" if closes else fence
        elif opening := re.match(r"\s*(`{3,}(?=[^`]*$)|~{3,})\s*(\w*)", line):
            fence = opening[1]
            # At the left margin, so that CommonMark and this loop agree on where the block begins and ends.
            result += ["", fence + opening[2]]
        else:
            _append_text(result, line, levels, spans_are_plain)
    return Markdown("\n".join([*result, fence] if fence else result).strip("\n"))


def _append_text(result: list[str], line: str, levels: int, spans_are_plain: bool) -> None:
    underline = re.fullmatch(r" {0,3}(=+|-+) *", line)
    before = result[-1] if result else ""
    if underline and before.strip(" ") and not re.fullmatch(r"`{3,}|~{3,}|#{1,6}( .*)?", before):
        # An underlined heading; under a list, a quotation or a table it is a rule, and a blank line keeps it one.
        if re.match(r"\s*([-*+>|]|\d+[.)])|\s{4}", before):
            result += ["", "---"]
        else:
            result[-1] = f"{'#' * ((1 if '=' in underline[1] else 2) + levels)} {before.strip()}"
        return
    # Inside a list or a quotation, a heading's underline is shown as what it is: where it would count cannot be told from here.
    line = re.sub(r"^([ >]*[ >])(=+|-+)( *)$", r"\1\\\2\3", line)
    marks = re.match(r"((?:[ >]|[-*+] |\d+[.)] )*)(#{1,6})(?= |$)", line)
    if marks:
        line = marks[1] + "#" * min(6, len(marks[2]) + levels) + line[marks.end() :]
    result.append(_without_tags(line, spans_are_plain))


def _without_tags(line: str, spans_are_plain: bool) -> str:
    if not spans_are_plain:
        return line.replace("<", "&lt;")
    pieces = re.split(r"((?<!`)(`+)(?!`).*?(?<!`)\2(?!`))", line)
    # re.split gives text, span, the span's backticks, text, …; a tag inside a code span is text already.
    return "".join(piece.replace("<", "&lt;") if place % 3 == 0 else piece for place, piece in enumerate(pieces) if place % 3 != 2)


def _pairs_alone(line: str) -> bool:
    """Return whether every backtick of a line belongs to a code span of that line, so that no span runs on into another."""
    rest = re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", line)
    return "`" not in rest and "\\`" not in line


def _escape_start(match: re.Match[str]) -> str:
    return f"\\{match[1]}" if match[1] else f"{match[2]}\\{match[3]}"


def _visible(text: str) -> str:
    return "".join(
        letter
        for letter in text
        if letter == "\t" or (unicodedata.category(letter) not in {"Cc", "Cs", "Zl", "Zp"} and letter not in DIRECTIONS)
    )


def _longest_run(letter: str, text: str) -> int:
    return max((len(run) for run in re.findall(f"{re.escape(letter)}+", text)), default=0)
