"""Convolution arithmetic on plain numbers, for graphs that are read and not run (Keras, ONNX): fields, jumps, maps, coverage.

As in Dumoulin and Visin's guide to convolution arithmetic. A state goes with each tensor that depends on the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any


@dataclass(frozen=True)
class State:
    """What one tensor of a graph sees of the image."""

    field: tuple[float, ...] | None
    """Receptive field per spatial dimension, in input pixels; None once positions are gone."""
    jump: tuple[float, ...] | None
    positions: float
    """Places of the map that one sample's values stem from, wherever the tensor keeps them."""
    mixed: bool = False
    """Whether a weight has met the image on the way here."""
    copies: float = 1.0
    """How many images' worth one sample's batch entries hold: more than 1 once views are put side by side along the batch."""
    weighted: bool = False
    """Whether it was multiplied by varying numbers and not yet summed."""
    normalized: bool = False
    """Whether a normalization's division came right before."""
    seats: Any = None
    """Of a tensor that was rearranged: an array of its shape without the batch, the place of the map of each number."""


def of_image(sides: Sequence[int]) -> State:
    """Return the state of the image itself, with these spatial sides."""
    return State(tuple(1.0 for _ in sides), tuple(1.0 for _ in sides), float(prod(sides)))


def merged(states: Sequence[State]) -> State:
    """Return the state where branches meet: the larger of each."""
    if len(states) == 1:
        return states[0]
    fields = [state.field for state in states if state.field is not None]
    jumps = [state.jump for state in states if state.jump is not None]
    same = len({len(value) for value in (*fields, *jumps)}) == 1
    return State(
        tuple(max(column) for column in zip(*fields, strict=True)) if fields and same else None,
        tuple(max(column) for column in zip(*jumps, strict=True)) if jumps and same else None,
        max(state.positions for state in states),
        any(state.mixed for state in states),
        max(state.copies for state in states),
    )


def slid(
    state: State,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    outputs: Sequence[int],
    *,
    up: bool = False,
) -> State:
    """Return the state after a window slid over the map: a convolution or a pooling, transposed where `up`."""
    positions = float(prod(outputs))
    if state.field is None or state.jump is None or len(state.field) != len(kernel):
        return replace(state, field=None, jump=None, positions=positions, weighted=False, normalized=False)
    reach = [gap * (side - 1) + 1 for side, gap in zip(kernel, dilations, strict=True)]
    if up:
        reach = [-(-side // step) for side, step in zip(reach, strides, strict=True)]
    field = tuple(seen + (side - 1) * step for seen, step, side in zip(state.field, state.jump, reach, strict=True))
    jump = tuple(step / stride if up else step * stride for step, stride in zip(state.jump, strides, strict=True))
    return replace(state, field=field, jump=jump, positions=positions, weighted=False, normalized=False)


def gone(state: State, positions: float = 1.0) -> State:
    """Return the state once its places are no longer places: pooled over all of them, or flattened."""
    return replace(state, field=None, jump=None, positions=positions, weighted=False, normalized=False)


def covers(
    sides: Sequence[int],
    *,
    kernel: Sequence[int],
    strides: Sequence[int],
    before: Sequence[int],
    dilations: Sequence[int],
    outputs: Sequence[int],
) -> bool:
    """Return whether every output position of this convolution sees every position of its input map of these sides."""
    for side, size, stride, pad, gap, count in zip(sides, kernel, strides, before, dilations, outputs, strict=True):
        if gap > 1 and side > 1:
            return False  # a dilated kernel leaves positions out
        last_start = (count - 1) * stride - pad
        if -pad + gap * (size - 1) < side - 1 or last_start > 0:
            return False
    return True


def side_of(values: tuple[float, ...] | None) -> int | None:
    """Return the larger side as the layer table shows it."""
    return None if not values else round(max(values))
