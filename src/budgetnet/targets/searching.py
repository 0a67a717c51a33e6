"""The one network of a folder: its files read, not run, and a clear question where there are several.

What only supports a hand-in (tests, environments, hidden folders, copies of notebooks) is passed over. Run in the confined child.
"""

from __future__ import annotations

import ast
import os
from dataclasses import dataclass
from pathlib import Path

from budgetnet.errors import InputError
from budgetnet.targets.definitions import Candidate, candidates
from budgetnet.targets.naming import KINDS, LARGEST_FILE
from budgetnet.targets.reading import read
from budgetnet.targets.statements import main_calls, statements_of

PASSED_OVER = {"venv", "env", "node_modules", "__pycache__", "site-packages", "build", "dist", "tests", "test", "docs"}
MOST_FILES = 2_000
MOST_DEPTH = 4
ORDER = ("python", "notebook", "keras", "onnx")
"""What says most about a network comes first: its source before a saved file of it."""
SHOWN = 8
Found = tuple[Path, Candidate | None]


@dataclass(frozen=True)
class Chosen:
    """The file and the network in it, and why."""

    kind: str
    path: Path
    name: str
    why: str
    calls: tuple[ast.Call, ...] = ()
    """Where other files of the folder make it."""


def the_one_in(folder: Path, label: str) -> Chosen:
    """Return the one network of `folder`. Raises `InputError` where there is none, or a question that lists several."""
    word, found, problems = networks_of_folder(folder, label)
    rest = [(path, one.name if one else "") for path, one in found]
    if len(rest) == 1:
        path, name = rest[0]
        where = path.relative_to(folder).as_posix() + (f":{name}" if name else "")
        why = f"The network that was found in the folder: {where}."
        return Chosen(word, path, name, why, _calls_of(name, folder, label, beside=path) if word == "python" else ())
    if rest:
        listed = ", ".join(path.relative_to(folder).as_posix() + (f":{name}" if name else "") for path, name in rest[:SHOWN])
        more = f" and {len(rest) - SHOWN} more" if len(rest) > SHOWN else ""
        raise InputError(f"{label}: which network is meant? Name one of {listed}{more}.")
    beside = f" ({problems[0].rstrip('.')})" if problems else ""
    raise InputError(f"{label}: no network was found in this folder{beside}.")


def _calls_of(name: str, folder: Path, label: str, *, beside: Path) -> tuple[ast.Call, ...]:
    """Return where files other than `beside` make the network of that name: a training script says with which arguments."""
    calls: list[ast.Call] = []
    for path in _files(folder, label):
        if path != beside and KINDS[path.suffix.lower()] in {"python", "notebook"}:
            try:
                found = main_calls(read(path).trees)
            except InputError:
                continue
            calls += [call for call in found if name in {getattr(call.func, "id", ""), getattr(call.func, "attr", "")}]
    return tuple(calls)


def networks_of_folder(folder: Path, label: str) -> tuple[str, list[Found], list[str]]:
    """Return the networks of `folder` that are no parts of others, in the kind of file that says most; its word, and what was not read."""
    found: dict[str, list[Found]] = {word: [] for word in ORDER}
    problems: list[str] = []
    for path in _files(folder, label):
        kind = KINDS[path.suffix.lower()]
        if kind in {"keras", "onnx"}:
            found[kind].append((path, None))
            continue
        try:
            source = read(path)
            here = candidates(statements_of(source.trees), main_calls(source.trees))
        except InputError as error:
            problems.append(str(error))
            continue
        found[kind] += [(path, candidate) for candidate in here]
    for word in ORDER:
        if rest := _roots(_without_copies(found[word])):
            return word, rest, problems
    return ORDER[0], [], problems


def _files(folder: Path, label: str) -> list[Path]:
    found: list[Path] = []
    seen = 0
    for here, folders, names in os.walk(folder):
        depth = len(Path(here).relative_to(folder).parts)
        folders[:] = sorted(n for n in folders if depth < MOST_DEPTH and not n.startswith(".") and n.lower() not in PASSED_OVER)
        seen += len(names)
        if seen > MOST_FILES:
            raise InputError(f"{label}: holds more than {MOST_FILES:,} files; name the network's file.")
        for name in sorted(names):
            path = Path(here) / name
            known = KINDS.get(path.suffix.lower())
            helper = name.startswith((".", "test_")) or name in {"setup.py", "conftest.py"} or name.endswith("_test.py")
            if known is not None and not helper and path.is_file() and path.stat().st_size <= LARGEST_FILE[known]:
                found.append(path)
    return found


def _roots(found: list[Found]) -> list[Found]:
    """Keep classes before functions before variables, and of those what no other file's network is made with."""
    for kind in ("class", "function", "variable"):
        group = [(path, one) for path, one in found if one is not None and one.kind == kind]
        used = {name for path, one in group for name in one.statement.needs if name != one.name}
        rest = [(path, one) for path, one in group if one.name not in used] or group
        if rest:
            return [(path, one) for path, one in rest]
    return found


def _without_copies(found: list[Found]) -> list[Found]:
    """Drop files whose bytes are those of another one."""
    contents: dict[bytes, Path] = {}
    kept = []
    for path, one in found:
        try:
            content = path.read_bytes()
        except OSError:
            continue
        if contents.setdefault(content, path) == path:
            kept.append((path, one))
    return kept
