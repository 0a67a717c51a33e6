"""Studies of `digits` that tests train: seconds each, with the real processes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from budgetnet.study import running
from budgetnet.study.conducting import Conducted
from budgetnet.study.showing import Showing

NETWORKS = Path(__file__).parent / "networks"
TINY = f"{NETWORKS / 'tiny.py'}:Tiny"
FAILING = f"{NETWORKS / 'failing.py'}:Failing"
SMALL = ("validation=0", "watch=nothing", "batch=128")


def asked(out: Path, *targets: str, **given: Any) -> running.Asked:
    """A study of one epoch on digits."""
    words = {"data": "digits", "epochs": 1, "seeds": "2", "settings": SMALL, **given}
    return running.Asked(targets=targets or (TINY,), out=out, **words)


def train(
    out: Path, *targets: str, means: running.Means | None = None, showing: Showing | None = None, **given: Any
) -> tuple[dict[str, Any], Conducted]:
    """Train a small study; return its document and how it ended."""
    # Not nice: the tests' time limits are those of a program that gets its share.
    return running.run(asked(out, *targets, **given), replace(means or running.Means(), nice=0), showing)
