"""What else of an operation a clause looks at: which places a sum reads, what pads a map, which channels never change.

Read off the operation's own arguments while it runs; only plain values are kept, so that no activation stays alive.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from budgetnet.check import operations, places, reach
from budgetnet.check.memory import Content, Memory

CONSTANT = 1e-5
"""A channel whose values differ by less than this part of them is a constant."""
Inputs = Sequence[tuple[int, Tensor, Content]]
"""Of each operand its place among the arguments, itself, and what it depends on."""


def details_of(name: str, args: Sequence[Any], inputs: Inputs, memory: Memory) -> dict[str, Any]:
    """Return the operation's details by name; which there are depends on its family."""
    if name in operations.CONVOLUTION:
        image = inputs[0][1]
        return {
            "bias": any(place == 2 for place, _, _ in inputs),
            "groups": int(args[8]),
            "channels": _folded(image, int(args[8]), memory),
            "padded": inputs[0][2].image and places.constants_everywhere(args, memory.places_of(image)),
            # Where a channel's places are known they say it; a channel of dead activations is no constant of the network.
            "constant": constant_channels(image) if inputs[0][2].image and memory.places_of(image) is None else (),
        }
    if name in operations.MATRIX:
        return {"reach": {number: _reach(name, args, inputs, number, memory) for number in range(len(inputs))}}
    if name in operations.BATCH_NORMALIZATION:
        return {"statistics": args[3] is not None}
    if name in operations.REDUCTION or name in {"avg_pool2d", "_adaptive_avg_pool2d"}:
        return _summed(name, args, inputs, memory)
    return _of_joining(name, args)


def _of_joining(name: str, args: Sequence[Any]) -> dict[str, Any]:
    """Return what an operation puts beside the image's numbers, or in their place."""
    if name == "fill":
        return {"zeros": not bool(args[1])}
    if name == "cat":
        return {"dimension": int(args[1]) if len(args) > 1 else 0}
    return {"widths": list(args[1]), "value": float(args[2]) if len(args) > 2 else 0.0} if name == "constant_pad_nd" else {}


def _reach(name: str, args: Sequence[Any], inputs: Inputs, number: int, memory: Memory) -> reach.Reach | None:
    """Return what the product reads of the operand of that number, against its other factor."""
    factors = places.LEFT_AND_RIGHT.get(name)
    place, tensor, content = inputs[number]
    if factors is None or place not in factors or not content.image:
        return None
    other = args[factors[1] if place == factors[0] else factors[0]]
    return reach.reach_of_product(name, args, tensor, other, memory.places_of(tensor))


def _folded(image: Tensor, groups: int, memory: Memory) -> reach.Reach | None:
    """Return what the channels of one group hold of the map; None where each place has channels of its own, or it cannot be told."""
    known = memory.places_of(image)
    if known is None or known.of.ndim < 3 or known.of.stride(1) == 0 or known.of.shape[1] == groups:
        return None
    ids = known.of[:1].reshape(1, groups, -1, *known.of.shape[2:])
    return None if bool((ids == ids[:, :, :1]).all()) else reach.reach(ids.movedim(2, -1), known.sides)


def _summed(name: str, args: Sequence[Any], inputs: Inputs, memory: Memory) -> dict[str, Any]:
    """Return over which dimensions is summed, along which of them weights were met before, and what that reads of the map."""
    tensor = inputs[0][1]
    pooled = name in {"avg_pool2d", "_adaptive_avg_pool2d"}
    summed = [tensor.ndim - 2, tensor.ndim - 1] if pooled else places.dimensions_of(args, tensor.ndim)
    trail, geometry = memory.trail_of(tensor), memory.geometry_of(tensor)
    marks = [trail.crossed]
    if name == "logsumexp":
        marks.append(trail.in_logarithm)
    elif pooled or name in {"sum", "mean"}:
        marks.append(geometry.weighted if geometry else None)
    weighted = [place for place in summed if any(flags and len(flags) == tensor.ndim and flags[place] for flags in marks)]
    known = memory.places_of(tensor)
    if not weighted or known is None:
        return {"summed": summed, "weighted": weighted, "reach": None}
    return {"summed": summed, "weighted": weighted, "reach": reach.reach_of_sum(weighted, known)}


def constant_channels(image: Tensor) -> tuple[float, ...]:
    """Return the values of the channels (dimension 1) that hold one number other than zero, for all images and places."""
    if image.ndim < 3 or image.shape[0] < 2 or image.is_complex() or not image.is_floating_point():
        return ()
    others = [place for place in range(image.ndim) if place != 1]
    low, high = image.amin(others), image.amax(others)
    same = (high - low <= CONSTANT * low.abs()) & (low.abs() > CONSTANT)
    return tuple(low[same].tolist())
