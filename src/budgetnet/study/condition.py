"""A condition over runs, as a person types it, into SQL that nothing typed can reach.

`parameters < 5000 and (accuracy >= 99.4% or network = 'code9') and not seed = 0`: columns, numbers, strings, comparisons, and, or, not,
parentheses. Columns come from a list and values are bound, never inserted. Numbers may end in `%` and may hold `_`. No torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn

from budgetnet.errors import InputError, did_you_mean

Kind = Literal["number", "text"]
TOKEN = re.compile(
    r"\s*(?:(?P<number>-?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?P<percent>\s*%)?"
    r"|(?P<word>[A-Za-z_]\w*)|'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|(?P<sign><=|>=|!=|<>|==|=|<|>|\(|\)))"
)
SIGNS = {"=": "=", "==": "=", "!=": "<>", "<>": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
LONGEST = 1_000
DEEPEST = 30


@dataclass(frozen=True)
class Condition:
    """SQL with a `?` for each value, and the values."""

    sql: str
    values: tuple[float | str, ...]


@dataclass(frozen=True)
class _Token:
    kind: Literal["number", "text", "word", "sign", "end"]
    value: float | str
    place: int


def parse_condition(text: str, columns: Mapping[str, Kind]) -> Condition:
    """Return the condition; `columns` are the names that it may use. Raises `InputError` that points at what it cannot read."""
    if len(text) > LONGEST:
        raise InputError(f"--where takes up to {LONGEST:,} letters.")
    reader = _Reader(_tokens(text), columns, text)
    sql = reader.either()
    if reader.here.kind != "end":
        reader.refuse("«and», «or» or the end is expected")
    return Condition(sql, tuple(reader.values))


def _tokens(text: str) -> list[_Token]:
    tokens, place = [], 0
    while text[place:].strip():
        match = TOKEN.match(text, place)
        if match is None:
            raise InputError(
                f"--where: {text[place:].strip()[:20]!r} cannot be read; numbers, 'words', column names and < <= = != >= > are."
            )
        start = match.end() - len(match[0].lstrip())
        tokens.append(_token(match, start))
        place = match.end()
    return [*tokens, _Token("end", "", len(text))]


def _token(match: re.Match[str], start: int) -> _Token:
    if match["number"]:
        return _Token("number", float(match["number"].replace("_", "")) / (100 if match["percent"] else 1), start)
    if match["word"]:
        return _Token("word", match["word"], start)
    if match["sign"]:
        return _Token("sign", match["sign"], start)
    return _Token("text", match["single"] if match["single"] is not None else match["double"] or "", start)


class _Reader:
    """Recursive descent, an attempt at each level: or, and, not, comparison."""

    def __init__(self, tokens: list[_Token], columns: Mapping[str, Kind], text: str) -> None:
        self.tokens = tokens
        self.columns = columns
        self.text = text
        self.values: list[float | str] = []
        self.depth = 0

    @property
    def here(self) -> _Token:
        return self.tokens[0]

    def either(self) -> str:
        parts = [self.both()]
        while self.takes("or"):
            parts.append(self.both())
        return f"({' OR '.join(parts)})"

    def both(self) -> str:
        parts = [self.one()]
        while self.takes("and"):
            parts.append(self.one())
        return f"({' AND '.join(parts)})"

    def one(self) -> str:
        self.depth += 1
        if self.depth > DEEPEST:
            self.refuse(f"more than {DEEPEST} levels are too deep")
        try:
            if self.takes("not"):
                return f"NOT {self.one()}"
            if self.takes("("):
                inside = self.either()
                if not self.takes(")"):
                    self.refuse("«)» is expected")
                return inside
            return self.comparison()
        finally:
            self.depth -= 1

    def comparison(self) -> str:
        left, left_kind = self.operand()
        sign = (
            self.tokens.pop(0)
            if self.here.kind == "sign" and self.here.value in SIGNS
            else self.refuse("< <= = != >= or > is expected")
        )
        right, right_kind = self.operand()
        if left_kind != right_kind:
            raise InputError(f"--where: a {left_kind} is compared with a {right_kind} in {self.text!r}; put words in quotes.")
        return f"{left} {SIGNS[str(sign.value)]} {right}"

    def operand(self) -> tuple[str, Kind]:
        token = self.here
        if token.kind == "word":
            name = str(token.value).lower()
            if name not in self.columns:
                raise InputError(
                    f"--where: runs have no {name!r}.{did_you_mean(name, self.columns)} Words go in quotes: '{token.value}'."
                )
            self.tokens.pop(0)
            return f'"{name}"', self.columns[name]
        if token.kind in {"number", "text"}:
            self.tokens.pop(0)
            self.values.append(token.value)
            return "?", "number" if token.kind == "number" else "text"
        return self.refuse("a column, a number or a 'word' is expected")

    def takes(self, word: str) -> bool:
        token = self.here
        found = token.kind in {"word", "sign"} and str(token.value).lower() == word
        if found:
            self.tokens.pop(0)
        return found

    def refuse(self, expected: str) -> NoReturn:
        found = f"at {self.text[self.here.place :][:20]!r}" if self.here.kind != "end" else "at the end"
        raise InputError(f"--where: {expected} {found} of {self.text!r}.")
