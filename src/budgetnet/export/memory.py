"""Where each value of a C program lies: fixed offsets in one buffer, so that values that live at the same time do not overlap.

Largest first, each at the lowest place that is free over its whole life. Not always the least possible, but exact for a chain of
layers, where two neighbours live at a time. Pure; costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Life:
    """A value's size in bytes, and the first and the last stage at which it must be there."""

    size: int
    first: int
    last: int


def offsets(lives: Mapping[int, Life]) -> tuple[dict[int, int], int]:
    """Return each value's offset, and the bytes of the whole buffer."""
    placed: dict[int, int] = {}
    for value in sorted(lives, key=lambda value: (-lives[value].size, lives[value].first)):
        life = lives[value]
        beside = sorted(
            (placed[other], placed[other] + lives[other].size)
            for other in placed
            if lives[other].first <= life.last and life.first <= lives[other].last
        )
        place = 0
        for start, end in beside:
            if place + life.size <= start:
                break
            place = max(place, end)
        placed[value] = place
    return placed, max((placed[value] + lives[value].size for value in placed), default=0)
