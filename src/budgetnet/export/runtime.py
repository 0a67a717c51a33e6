"""What every target offers: it writes its files, and it runs them again with the runtime that a user would run them with.

A target is a module with `NAME`, `FLOAT` (whether every answer must be torch's), `EXTRA` (what must be installed for it), `files`
(the names that it will write), `write` and `opened`. This module holds the shapes of these, and the timing. No dependencies.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from budgetnet.export.subject import Pixels, Probabilities, Subject

BATCH = 500
SINGLE_IMAGES = 50
"""How many images are asked one by one for the latency."""


class Runtime(Protocol):
    """Something that answers with an exported file."""

    name: str
    """With its version: `ONNX Runtime 1.31.1`."""

    def answers(self, images: Pixels) -> Probabilities:
        """Return the probabilities of images (N, C, H, W)."""
        ...

    def seconds(self, images: Pixels) -> Seconds:
        """Return how long answers take here."""
        ...


@dataclass(frozen=True)
class Seconds:
    """What an answer costs."""

    one_image: float
    """Alone."""
    each_of_batch: float
    """As one of `BATCH`."""


@dataclass(frozen=True)
class Written:
    """What a target wrote, and what a reader should know of it: `figures` go into the table as they are."""

    files: tuple[Path, ...]
    figures: dict[str, Any] = field(default_factory=dict)


class Target(Protocol):
    """A module of this folder that writes one format."""

    NAME: str
    FLOAT: bool
    EXTRA: str | None
    WORDS: str

    def files(self, subject: Subject) -> tuple[str, ...]:
        """Return the names of the files that it will write."""
        ...

    def write(self, subject: Subject, folder: Path) -> Written:
        """Write the files into an empty folder. Raises `InputError` where the network does not fit the format."""
        ...

    def opened(self, written: Written, subject: Subject) -> AbstractContextManager[Runtime]:
        """Return the runtime with the files loaded."""
        ...


def timed(ask: Callable[[Pixels], Any], images: Pixels) -> Seconds:
    """Return what `ask` costs: the median of single images, and the faster of two batches."""
    singles = []
    for place in range(min(SINGLE_IMAGES, len(images))):
        start = time.perf_counter()
        ask(images[place : place + 1])
        singles.append(time.perf_counter() - start)
    batch = images[:BATCH]
    batches = []
    for _ in range(2):
        start = time.perf_counter()
        ask(batch)
        batches.append((time.perf_counter() - start) / len(batch))
    return Seconds(sorted(singles)[len(singles) // 2], min(batches))
