"""The facts of the zoo's networks, traced once and kept in `embedded/zoo_facts.json`: a check of them then starts no torch (2 s less).

They are believed only while every file that decides them has the bytes that it had when they were written: the zoo, the check,
the form of the facts. Otherwise the network is built and traced again, as any other. `python scripts/update_known_facts.py`
writes them; a test traces every network anew and holds the file against it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from budgetnet.facts import NetworkFacts

PACKAGE = Path(__file__).parent
PLACE = PACKAGE / "embedded" / "zoo_facts.json"
DECIDING = ("zoo/*.py", "check/*.py", "facts.py", "networks.py", "checking.py")
INPUT = "1x28x28"
"""The input on which they were traced."""


def deciding_sha256() -> str:
    """Return one sum over the files that decide what a trace of the zoo gives."""
    total = hashlib.sha256()
    for path in sorted(path for pattern in DECIDING for path in PACKAGE.glob(pattern)):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        total.update(f"{path.relative_to(PACKAGE).as_posix()} {len(content)}\n".encode() + content)
    return total.hexdigest()


def known_facts(name: str, input_shape: str = INPUT) -> NetworkFacts | None:
    """Return the kept facts of a network of the zoo, or None where it has to be traced: another input, or changed files."""
    if input_shape != INPUT:
        return None
    try:
        kept: dict[str, Any] = json.loads(PLACE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if name not in kept["networks"] or kept["decided_by"] != deciding_sha256():
        return None
    return NetworkFacts.model_validate(kept["networks"][name])
