"""What one sum of products reads of the map: a single place, some places, a whole side of it, or a vector without places.

This is what tells a 1×1 convolution from a fully connected layer where both are a product with a matrix. Judged by the places that
`places` keeps; costs a look at up to 64 rows of a product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from budgetnet.check.places import LEFT_AND_RIGHT, Places

MOST_ROWS = 64
"""Rows of a matrix product that are looked at one by one."""


@dataclass(frozen=True)
class Reach:
    """What one sum of products reads of the map."""

    kind: Literal["place", "vector", "patch", "whole"]
    """One place of several, with the same weights at each; the only place that there is; some places; a whole side of the map or all."""
    places: int
    """How many places one sum reads."""


def reach_of_product(name: str, args: Sequence[Any], operand: Tensor, weight: Tensor, places: Places | None) -> Reach | None:
    """Return what each sum of a product of `operand` (with these places) and `weight` reads; None where it cannot be told."""
    if places is None or name not in LEFT_AND_RIGHT:
        return None
    left = args[LEFT_AND_RIGHT[name][0]] is operand
    ids = places.of if left or places.of.ndim < 2 else places.of.transpose(-1, -2)
    if name in {"bmm", "baddbmm", "addbmm"} and _differs_in_batch(weight) and _varies(ids.flatten(1)[:, 0]):
        return Reach("whole", 1)  # weights of its own for each place
    return reach(ids, places.sides)


def _differs_in_batch(weight: Tensor) -> bool:
    return weight.shape[0] > 1 and weight.stride(0) != 0 and not torch.equal(weight[0], weight[1])


def _varies(values: Tensor) -> bool:
    return values.numel() > 1 and bool((values != values.flatten()[0]).any())


def reach(ids: Tensor, sides: Sequence[int]) -> Reach:
    """Return what a sum over the last dimension of `ids` reads of a map of these sides."""
    rows = ids.reshape(-1, ids.shape[-1]) if ids.ndim else ids.reshape(1, 1)
    if bool((rows == rows[:, :1]).all()):
        return Reach("place" if _varies(rows[:, 0]) else "vector", 1)
    width = sides[-1] if sides else 1
    high, wide, _ = _extent(ids[ids >= 0], width)
    most = 0
    whole = False
    for row in rows[:: max(1, len(rows) // MOST_ROWS)][:MOST_ROWS]:
        tall, broad, count = _extent(row[row >= 0], width)
        most = max(most, count)
        whole |= (tall == high > 1) or (broad == wide > 1)
    return Reach("whole" if whole else "patch", most)


def _extent(ids: Tensor, width: int) -> tuple[int, int, int]:
    """Return how many rows, columns and places of a map of that width these are."""
    own = ids.unique()  # type: ignore[no-untyped-call]
    rows, columns = own.div(width, rounding_mode="floor").unique(), (own % width).unique()
    return int(rows.numel()), int(columns.numel()), int(own.numel())


def reach_of_sum(dimensions: Sequence[int], places: Places | None) -> Reach | None:
    """Return what a sum over these dimensions reads; None where it cannot be told."""
    if places is None:
        return None
    kept = [place for place in range(places.of.ndim) if place not in dimensions]
    moved = places.of.permute(*kept, *dimensions)
    return reach(moved.flatten(len(kept)) if dimensions else moved.unsqueeze(-1), places.sides)
