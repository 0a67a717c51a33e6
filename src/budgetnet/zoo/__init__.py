"""The zoo: name -> network, recipe, claim and source, one file for each hand-in, and `own` for the project's designs.

To add a network, write a file beside these that ends in an `Entry`, and add its name below. The family's tests then hold it: it
builds, its counts are the table's, it learns, and an epoch of it can be interrupted and resumed.
"""

from importlib import import_module

from budgetnet.errors import InputError, did_you_mean
from budgetnet.zoo.entry import Claim, Entry

MODULES = {
    "gap-1x1": "gap_1x1",
    "code9": "code9",
    "code9-gap": "code9_gap",
    "one-pool": "one_pool",
    "high-lr": "high_lr",
    "separable-gmp": "separable",
    "separable-gap": "separable",
    "accurate": "own",
    "small": "own",
    "tiny": "own",
    "fast": "own",
    "wide": "own",
}
"""Name -> module: the published ones in the order of their table, then the project's own."""
OWN = ("accurate", "small", "tiny", "fast")
"""Designed here under `code9`'s rules."""
TEACHERS = ("wide",)
"""Designed here for others to learn from, under no contract; all that are in neither re-enact a hand-in."""

__all__ = ["MODULES", "OWN", "TEACHERS", "Claim", "Entry", "find", "names"]


def names() -> list[str]:
    """Return the zoo's names: the published ones, then the project's own."""
    return list(MODULES)


def find(name: str) -> Entry:
    """Return the entry called `name`. Raises `InputError` with the closest names where there is none."""
    if name not in MODULES:
        raise InputError(f"The zoo has no network {name!r}.{did_you_mean(name, MODULES)} Your own: path/to/file.py:Class.")
    entries: dict[str, Entry] = import_module(f"budgetnet.zoo.{MODULES[name]}").ENTRIES
    return entries[name]
