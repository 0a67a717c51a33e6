"""Which network of a hand-in is graded: the one there is, the one that was asked for, or the one that its code or text points at.

Where nothing points at one alone none is taken, and the row says which there are: a guess would grade somebody else's work. Pure but for
`networks_of`, which asks a confined child; no torch.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from budgetnet.errors import InputError
from budgetnet.grade.contents import Contents
from budgetnet.grade.handins import HandIn
from budgetnet.grade.plain import visible
from budgetnet.targets.several import Named, networks_in

WRITTEN = {".md", ".txt", ".rst"}
LARGEST_TEXT = 2**20
MOST_SHOWN = 8
SECONDS = 15.0
SHARE = 0.25
"""Of the time limit."""


@dataclass(frozen=True)
class Choice:
    """What is to be checked."""

    target: str
    """For the command `check`: the hand-in's path, or `file.py:Net` in it."""
    network: str | None = None
    """`net.py:Net`; None where the check itself finds what there is."""
    why: str = ""
    problem: str | None = None
    """Why none can be taken."""


def network_of(hand_in: HandIn, contents: Contents, wanted: str | None, timeout: float) -> Choice:
    """Return what `check` is to be asked of this hand-in. `wanted` is a pattern: `Net`, `net.py`, `net.py:Net`, with * and ?."""
    whole = Choice(str(hand_in.path))
    if hand_in.kind == "run":
        return whole
    try:
        found = networks_in(hand_in.path, hand_in.name, seconds=min(SECONDS, SHARE * timeout))
    except (InputError, OSError):
        return whole  # the check says the same, and better
    if not found:
        return whole
    root = hand_in.path if hand_in.path.is_dir() else hand_in.path.parent
    one, why = chosen(found, wanted, lambda: _written(contents.texts))
    if one is None:
        return Choice(str(hand_in.path), problem=f"{hand_in.name}: {why}")
    # Of one alone the check knows how to build it best: it also looks for what wraps it.
    alone = not one.parent and sum(not other.parent for other in found) == 1
    target = str(hand_in.path) if alone else f"{root / one.file}{f':{one.name}' if one.name else ''}"
    return Choice(target, visible(one.place, 200), why)


def chosen(found: Sequence[Named], wanted: str | None, texts: Callable[[], Iterable[tuple[str, str]]]) -> tuple[Named | None, str]:
    """Return the network that is taken, and why; or None, and the sentence that says why not.

    In this order: the only one there is, the one that was asked for, the only one that code trains, the only one that code makes, the only one
    that a text names, the only one that no other derives from. `texts` gives names and contents.
    """
    shown = ", ".join(visible(one.place, 80) for one in found[:MOST_SHOWN]) + (", …" if len(found) > MOST_SHOWN else "")
    if len(found) == 1:
        return found[0], "It is the only network."
    if wanted is not None:
        return _asked(found, wanted, shown)
    named = _named(found, texts())
    for fitting, why in (
        ([one for one in found if one.trained], "that the code trains"),
        ([one for one in found if one.made], "that the code makes"),
        ([one for one, _ in named], f"that the text names ({named[0][1] if named else ''})"),
    ):
        if len(fitting) == 1:
            return fitting[0], f"It is the only one of {len(found)} networks {why}."
    if len(leaves := [one for one in found if not one.parent]) == 1:
        return leaves[0], f"It is the only one of {len(found)} networks that no other derives from."
    return None, f"which of its {len(found)} networks is handed in? Neither code nor text says; --network names one of {shown}."


def _asked(found: Sequence[Named], wanted: str, shown: str) -> tuple[Named | None, str]:
    words = visible(wanted, 80)
    fitting = [one for one in found if any(fnmatch.fnmatchcase(text, wanted) for text in (one.name, one.file, one.place))]
    if len(fitting) == 1:
        return fitting[0], f"--network {words} names it."
    number = f"{len(fitting)} of its networks are" if fitting else "no network of it is"
    return None, f"{number} named {words}, as --network asks; there are {shown}."


def _named(found: Sequence[Named], texts: Iterable[tuple[str, str]]) -> list[tuple[Named, str]]:
    """Return the networks whose names, or whose files' names, stand in a text, each with the text's name."""
    named: dict[Named, str] = {}
    files = [one.file for one in found]
    for file, text in texts:
        for one in found:
            words = [one.name] if one.name else []
            words += [one.file] if files.count(one.file) == 1 else []
            if any(re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", text) for word in words):
                named.setdefault(one, file)
    return list(named.items())


def _written(paths: Iterable[Path]) -> Iterable[tuple[str, str]]:
    for path in paths:
        if path.suffix.lower() in WRITTEN:
            try:
                with path.open("rb") as file:
                    yield visible(path.name, 80), file.read(LARGEST_TEXT).decode("utf-8", "replace")
            except OSError:
                continue
