"""Contracts: the shipped ones by name, a user's own from TOML, and the verdict on facts.

A contract is a TOML file: a shipped preset (`contracts/`, one file for each assignment that courses hand out, its origin under
`source`) or a user's own, of at most 64 KiB. The rules themselves are data in `clauses`, the judging is pure in `judging`; both are
offered here again, so that `budgetnet.contract` is all that a reader needs. No torch.
"""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from budgetnet.clauses import CLAUSES, ClauseResult, Contract, State, Verdict, type_of_clause
from budgetnet.errors import InputError, did_you_mean
from budgetnet.judging import judge

if TYPE_CHECKING:  # it moved to importlib.resources.abc in Python 3.11, and leaves its old place in 3.14
    from importlib.resources.abc import Traversable

__all__ = ["CLAUSES", "ClauseResult", "Contract", "State", "Verdict", "judge", "load_contract", "preset_names"]

MAXIMUM_FILE_BYTES = 65_536


def preset_names() -> list[str]:
    """Return the names of the shipped contracts, sorted, `code9` first."""
    names = sorted(entry.name.removesuffix(".toml") for entry in _preset_folder().iterdir() if entry.name.endswith(".toml"))
    return sorted(names, key=lambda name: name != "code9")


def load_contract(name_or_path: str) -> Contract:
    """Return the shipped contract of that name, or the one in that TOML file.

    Raises `InputError` for an unknown name (with the closest ones), for a file that cannot be read, is too large or is no TOML
    (with its line), and for a field or a value that a contract cannot take (with its place).
    """
    if name_or_path in preset_names():
        text = _preset_folder().joinpath(f"{name_or_path}.toml").read_text(encoding="utf-8")
        return _parse(text, f"contract {name_or_path}", name_or_path)
    path = Path(name_or_path)
    if path.suffix == ".toml" or len(path.parts) > 1 or path.is_file():
        return _parse(_read_bounded(path), str(path), path.stem)
    raise InputError(f"There is no contract {name_or_path!r}, nor a file of that name.{did_you_mean(name_or_path, preset_names())}")


def _preset_folder() -> Traversable:
    return files("budgetnet") / "contracts"


def _read_bounded(path: Path) -> str:
    try:
        if not path.is_file():
            raise InputError(f"{path}: there is no such contract file; presets: {', '.join(preset_names())}.")
        with path.open("rb") as file:
            content = file.read(MAXIMUM_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    if len(content) > MAXIMUM_FILE_BYTES:
        raise InputError(f"{path}: is larger than {MAXIMUM_FILE_BYTES:,} bytes; a contract is a page of TOML.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: is not UTF-8 text; save the contract as UTF-8.") from None


def _parse(text: str, where: str, default_name: str) -> Contract:
    try:
        table = tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
        line = int(place[1]) if place and place[1] else max(text.rstrip().count("\n") + 1, 1)
        reason = str(error)[: place.start()] if place else str(error)
        raise InputError(f"{where}, line {line}: is not valid TOML: {reason}.") from None
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, brackets nested without end
        reason = "too deeply nested" if isinstance(error, RecursionError) else str(error).split(";")[0]
        raise InputError(f"{where}: is not usable TOML: {reason}.") from None
    table.setdefault("name", default_name)
    try:
        return Contract(**table)
    except ValidationError as error:
        # A misspelt field comes first: it is why another one is missing.
        found = sorted(error.errors(), key=lambda item: item["type"] != "extra_forbidden")[:3]
        words = [_explain(tuple(item["loc"]), item["type"], item["msg"], item.get("input")) for item in found]
        raise InputError(f"{where}: {' '.join(words)}") from None


def _explain(place: tuple[int | str, ...], kind: str, message: str, given: object) -> str:
    """Return one of pydantic's findings in the contract's own words."""
    dotted = ".".join(str(step) for step in place)
    if kind == "extra_forbidden":
        table = type_of_clause(str(place[0])) if len(place) > 1 else Contract
        kin = f"[{place[0]}] has" if len(place) > 1 else "a contract has"
        return f"{kin} no field {str(place[-1])!r}.{did_you_mean(str(place[-1]), table.model_fields)}"
    if kind == "missing":
        return f"{dotted} is missing."
    if kind in {"model_type", "model_attributes_type"}:
        fields = ", ".join(type_of_clause(dotted).model_fields)
        return f"{dotted} is a table with the fields {fields}: write [{dotted}] and a line for each."
    message = message.removeprefix("Value error, ")
    shown = "" if kind == "value_error" else f" (given: {str(given)[:80]!r})"
    return f"{dotted} {message}{shown}." if dotted else f"a contract that {message}."
