"""A folder -> the hand-ins in it: each sub-folder is one, each loose file that can be one too.

Hidden names and virtual environments are passed over without a word, other files are named. Nothing is opened here: links are
looked at as links, and one that leads out of the folder is a hand-in that is refused. No torch.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from budgetnet.errors import InputError
from budgetnet.grade.plain import visible

NETWORKS = frozenset({".py", ".ipynb", ".keras", ".onnx"})
LOOSE = NETWORKS | {".md"}
PASSED_OVER = frozenset({"venv", "env", "node_modules", "__pycache__", "site-packages"})
MOST_HAND_INS = 10_000
MOST_NAME = 120
Kind = Literal["folder", "git", "run", "file", "text", "refused"]


@dataclass(frozen=True)
class HandIn:
    """One entry of the folder."""

    path: Path
    """Absolute."""
    name: str
    """Printable."""
    kind: Kind
    problem: str | None = None
    """Why it is refused."""


@dataclass(frozen=True)
class Class:
    """What a folder holds."""

    hand_ins: tuple[HandIn, ...]
    passed_over: tuple[str, ...]
    """Names of visible files that are no hand-ins."""


def hand_ins_of(folder: Path, *, without: Path | None = None) -> Class:
    """Return the hand-ins of `folder` by name; `without` is a folder of results, which may lie there too.

    Raises `InputError` where `folder` is no folder, cannot be read, or holds no hand-in or too many.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; name the one that holds the hand-ins.")
    root = folder.resolve()
    try:
        names = sorted(os.listdir(root), key=os.fsencode)  # noqa: PTH208 - names alone are wanted
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}).") from None
    found: list[HandIn] = []
    rest: list[str] = []
    for name in names:
        path = root / name
        if name.startswith(".") or name.lower() in PASSED_OVER or path == without:
            continue
        hand_in = _hand_in(root, path)
        if hand_in is not None:
            found.append(hand_in)
        elif not is_environment(path):
            rest.append(visible(name, MOST_NAME))
    if not found:
        raise InputError(f"{folder}: holds no hand-in: no sub-folder, and no file that ends in {', '.join(sorted(LOOSE))}.")
    if len(found) > MOST_HAND_INS:
        raise InputError(f"{folder}: holds {len(found):,} hand-ins, more than {MOST_HAND_INS:,}; name a smaller folder.")
    return Class(tuple(found), tuple(rest))


def is_environment(path: Path) -> bool:
    """Return whether a folder is a virtual environment."""
    return (path / "pyvenv.cfg").is_file()


def _hand_in(root: Path, path: Path) -> HandIn | None:
    name = visible(path.name, MOST_NAME)
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return _link(root, path, name)
    if stat.S_ISDIR(mode):
        return None if is_environment(path) else HandIn(path, name, _kind_of_folder(path))
    if not stat.S_ISREG(mode) or path.suffix.lower() not in LOOSE:
        return None
    return HandIn(path, name, "text" if path.suffix.lower() == ".md" else "file")


def _link(root: Path, path: Path, name: str) -> HandIn | None:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return HandIn(path, name, "refused", f"{name}: is a link that leads nowhere; hand in the files themselves.")
    if target.is_relative_to(root):
        # What it leads to stands in this folder, and has a row of its own there.
        return None
    return HandIn(
        path, name, "refused", f"{name}: is a link out of the folder, and was not followed; hand in the files themselves."
    )


def _kind_of_folder(path: Path) -> Kind:
    if (path / "recipe.json").is_file():
        return "run"
    return "git" if (path / ".git").exists() else "folder"
