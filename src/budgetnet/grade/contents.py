"""What lies in a hand-in: its files, the texts among them, and a digest that changes when any of them does.

Only regular files are opened, and no link is followed, so that no hand-in can show what lies elsewhere or wait for ever on a pipe.
Costs reading every file once; a hand-in over the limits is refused. No torch.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from budgetnet.errors import InputError
from budgetnet.grade.handins import NETWORKS, PASSED_OVER, HandIn, is_environment
from budgetnet.grade.plain import visible

TEXTS = (".md", ".ipynb", ".txt", ".log", ".rst", ".py")
"""What an audit reads, the likeliest first."""
NOT_READ = frozenset({"requirements.txt", "license.md", "license.txt", "license.rst", "setup.py", "conftest.py"})
MOST_TEXTS = 20
LARGEST_TEXT = 32 * 2**20
MOST_FILES = 20_000
LARGEST_HAND_IN = 2 * 2**30
PIECE = 2**20
SNIFFED = 8_192
MOST_LINKS = 5


@dataclass(frozen=True)
class Contents:
    """A hand-in, looked at."""

    digest: str
    texts: tuple[Path, ...]
    """For the audit, absolute."""
    has_network: bool
    """Whether any file may hold one."""
    notes: tuple[str, ...]


def contents_of(hand_in: HandIn, salt: bytes) -> Contents:
    """Return what lies in `hand_in`, its digest begun with `salt`. Raises `InputError` where it is too large or cannot be read."""
    total = hashlib.sha256(_framed(salt) + _framed(hand_in.kind.encode()) + _framed(os.fsencode(hand_in.path.name)))
    texts: list[Path] = []
    notes: list[str] = []
    has_network = hand_in.kind == "run"
    size = 0
    files, outward = _files(hand_in)
    for path in files:
        name = os.fsencode(path.relative_to(hand_in.path.parent))
        content, length, binary = _digest(path, hand_in.name, LARGEST_HAND_IN - size)
        size += length
        total.update(_framed(name) + _framed(content))
        suffix = path.suffix.lower()
        has_network |= suffix in NETWORKS
        if suffix in TEXTS and path.name.lower() not in NOT_READ and length <= LARGEST_TEXT and not binary:
            texts.append(path)
        if not content:
            notes.append(f"{visible(path.name)}: could not be read.")
    texts.sort(key=lambda path: (TEXTS.index(path.suffix.lower()), len(path.parts), "readme" not in path.name.lower(), path))
    if len(texts) > MOST_TEXTS:
        notes.append(f"Of {len(texts)} texts the audit read {MOST_TEXTS}.")
    if outward:
        listed = ", ".join(visible(name, 60) for name in outward[:MOST_LINKS])
        notes.append(
            f"Links out of the hand-in were refused, and not followed: {listed}{', …' if len(outward) > MOST_LINKS else ''}."
        )
    return Contents(total.hexdigest(), tuple(texts[:MOST_TEXTS]), has_network, tuple(notes))


def _files(hand_in: HandIn) -> tuple[list[Path], list[str]]:
    """Return the regular files of a hand-in in a fixed order, and the names of links that lead out of it."""
    if not hand_in.path.is_dir():
        return [hand_in.path], []
    found: list[Path] = []
    outward: list[str] = []
    for here, folders, names in os.walk(hand_in.path):
        folder = Path(here)
        kept = [name for name in folders if not _passed_over(name) and not is_environment(folder / name)]
        for name in sorted([*kept, *(name for name in names if not _passed_over(name))], key=os.fsencode):
            path = folder / name
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode) and not _leads_inside(path, hand_in.path):
                outward.append(str(path.relative_to(hand_in.path)))
            elif stat.S_ISREG(mode):
                found.append(path)
        folders[:] = sorted((name for name in kept if not (folder / name).is_symlink()), key=os.fsencode)
        if len(found) > MOST_FILES:
            raise InputError(f"{hand_in.name}: holds more than {MOST_FILES:,} files; hand in the network and its README alone.")
    return found, outward


def _passed_over(name: str) -> bool:
    return name.startswith(".") or name.lower() in PASSED_OVER


def _leads_inside(path: Path, root: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):
        return False


def _digest(path: Path, name: str, most: int) -> tuple[bytes, int, bool]:
    """Return a file's SHA-256 (empty where it cannot be read), its length, and whether it begins as no text does."""
    total, length, binary = hashlib.sha256(), 0, False
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            while piece := file.read(PIECE):
                if not length:
                    head = piece[:SNIFFED]
                    binary = b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff"))
                total.update(piece)
                length += len(piece)
                if length > most:
                    raise InputError(
                        f"{name}: is larger than {LARGEST_HAND_IN >> 30} GiB; hand in the network and its README alone."
                    )
    except OSError:
        return b"", 0, True
    return total.digest(), length, binary


def _framed(content: bytes) -> bytes:
    return len(content).to_bytes(8, "big") + content
