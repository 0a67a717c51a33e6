"""Which place of the map each number of a tensor stems from: what tells a product that slides from one that knows every place.

Beside each tensor that depends on the image goes one of the same shape that holds places of the current map, counted row by row.
What moves values moves their places with them, by the very same operation, so that no reshaping hides where a number came from.
A convolution or pooling begins a new map. Zeros put around a map have the place -1, another constant there -2, coordinates and
the like -3. Costs about as much as the moves of the forward pass itself; where it cannot be followed there is None, and the
judgement is the stricter one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any

import torch
from torch import Tensor

from budgetnet.check import operations

ZERO, CONSTANT, COORDINATE = -1, -2, -3
MOST_PLACES = 2**22
MOVES = frozenset(
    operations.WHOLE
    | {"expand", "repeat", "slice", "select", "split", "split_with_sizes", "unbind", "unfold", "im2col", "index_select", "index"}
    | {
        "pixel_shuffle",
        "pixel_unshuffle",
        "flip",
        "roll",
        "lift_fresh",
        "rot90",
        "gather",
        "channel_shuffle",
        "native_channel_shuffle",
    }
    | {"as_strided", "_reshape_alias", "movedim", "swapaxes", "repeat_interleave", "take", "unsafe_split"}
)
"""They give each value of their first operand another seat, and change none."""
LEFT_AND_RIGHT = {
    "mm": (0, 1),
    "bmm": (0, 1),
    "dot": (0, 1),
    "vdot": (0, 1),
    "mv": (0, 1),
    "addmm": (1, 2),
    "_addmm_activation": (1, 2),
    "_sparse_addmm": (1, 2),
    "baddbmm": (1, 2),
    "addbmm": (1, 2),
    "addmv": (1, 2),
    "linear": (0, 1),
    "mkldnn_linear": (0, 1),
}
"""The two factors of a product of matrices, as places among its arguments."""


@dataclass(frozen=True)
class Places:
    """The places of one tensor's numbers."""

    of: Tensor
    """Float32, the tensor's shape."""
    sides: tuple[int, ...]
    """Of the map that the places are counted in."""


def of_image(images: Tensor) -> Places:
    """Return the places of a batch of images (N, C, H, W)."""
    return of_map(images)


def of_map(output: Tensor, spatial: int | None = None) -> Places:
    """Return the places of a map that an operation has just made, its last `spatial` dimensions (all after channels)."""
    count = max(output.ndim - 2, 0) if spatial is None else spatial
    sides = tuple(output.shape[output.ndim - count :])
    flat = torch.arange(prod(sides), dtype=torch.float32)
    return Places(flat.reshape(*(1 for _ in range(output.ndim - count)), *sides).expand(output.shape), sides)


def after(  # noqa: PLR0911 - one family of operations after the other
    func: Any, name: str, args: Sequence[Any], known: Sequence[tuple[Tensor, Places | None]], output: Tensor, number: int = 0
) -> Places | None:
    """Return the places of the operation's `output`, its `number`th; None where they are not followed.

    `known` are the operands that depend on the image, with their places.
    """
    if not known or output.numel() > MOST_PLACES or output.numel() == 0:
        return None
    operand, places = known[0]
    if name in operations.CONVOLUTION or name in operations.POOLING:
        return of_map(output, 3 if "3d" in name else 2 if name in operations.POOLING else None)
    if name.startswith("_fft"):
        return of_map(output, 2 if output.ndim > 2 else 1)
    if name.startswith("upsample"):
        return of_map(output)
    if name in operations.MATRIX:
        return _product(name, args, known, output)
    if name in {"cat", "stack"}:
        return _joined(func, args, known, output)
    if places is None:
        return _widest(known[1:], output) if len(known) > 1 else None
    if name == "constant_pad_nd":
        value = float(args[2]) if len(args) > 2 else 0.0
        mark = CONSTANT if value and isfinite(value) else ZERO
        return Places(func(places.of.contiguous(), args[1], float(mark)), places.sides)
    if name in MOVES or name == "embedding":
        return _moved(func, args, operand, places, output, number)
    if name in operations.REDUCTION or name in {"prod", "logcumsumexp"}:
        return _reduced(args, places, output)
    return _widest(known, output)


def _moved(func: Any, args: Sequence[Any], operand: Tensor, places: Places, output: Tensor, number: int) -> Places | None:
    if not args or args[0] is not operand:
        # Rows of a table, picked by values: each row stems from where its number does.
        trailing = output.ndim - places.of.ndim
        if trailing < 0 or output.shape[: places.of.ndim] != places.of.shape:
            return None
        return Places(places.of.reshape(*places.of.shape, *(1,) * trailing).expand(output.shape), places.sides)
    strided = operations.base_name(func) in {"as_strided", "_reshape_alias"}
    if strided and not (operand.is_contiguous() and operand.storage_offset() == 0):
        return None
    try:
        found = func(places.of.contiguous() if strided else places.of, *args[1:])
    except (RuntimeError, TypeError, NotImplementedError, IndexError):
        if operand.numel() != output.numel():
            return None
        found = places.of.reshape(output.shape)  # a view of what is spread out here
    pieces = operations.tensors_in(found)
    return Places(pieces[number], places.sides) if number < len(pieces) and pieces[number].shape == output.shape else None


def _joined(func: Any, args: Sequence[Any], known: Sequence[tuple[Tensor, Places | None]], output: Tensor) -> Places | None:
    if not all(places for _, places in known):
        return None
    held = {id(tensor): places for tensor, places in known}
    parts = []
    for tensor in operations.tensors_in(args[0]):
        places = held.get(id(tensor))
        if places is None:
            parts.append(_constant_places(tensor))
        else:
            parts.append(places.of)
    found = func(parts, *args[1:])
    sides = max((places.sides for _, places in known if places), key=prod)
    return Places(found, sides) if found.shape == output.shape else None


def _constant_places(tensor: Tensor) -> Tensor:
    """Return the marks of what does not depend on the image, channel by channel (dimension 1)."""
    if tensor.is_complex() or tensor.ndim < 2 or tensor.numel() == 0:
        return torch.full(tensor.shape, float(COORDINATE))
    others = [place for place in range(tensor.ndim) if place != 1]
    low, high = (value.to(torch.float32) for value in (tensor.amin(others, keepdim=True), tensor.amax(others, keepdim=True)))
    marks = torch.where(low != high, COORDINATE, torch.where(low == 0, ZERO, CONSTANT))
    return marks.to(torch.float32).expand(tensor.shape)


def _widest(known: Sequence[tuple[Tensor, Places | None]], output: Tensor) -> Places | None:
    """Return the places where values are joined one by one: those of the operand that knows most of them."""
    best: Places | None = None
    most = -1.0
    for _, places in known:
        if places is None:
            continue
        try:
            spread = places.of.expand(output.shape)
        except RuntimeError:
            continue
        extent = float(places.of.max() - places.of.min()) if places.of.numel() else 0.0
        if extent > most:
            best, most = Places(spread, places.sides), extent
    return best


def dimensions_of(args: Sequence[Any], ndim: int) -> list[int]:
    """Return the dimensions that a reduction with these arguments goes over: all where it names none."""
    given = args[1] if len(args) > 1 else None
    if isinstance(given, int) and not isinstance(given, bool):
        return [given % max(ndim, 1)]
    if isinstance(given, list | tuple) and given and all(isinstance(item, int) for item in given):
        return sorted({int(item) % max(ndim, 1) for item in given})
    return list(range(ndim))


def _reduced(args: Sequence[Any], places: Places, output: Tensor) -> Places | None:
    dimensions = dimensions_of(args, places.of.ndim)
    keep = output.ndim == places.of.ndim
    if places.of.ndim == 0:
        return Places(torch.zeros(output.shape), (1,))
    low = places.of.amin(dimensions, keepdim=keep)
    if low.shape != output.shape:
        return None
    return Places(low, places.sides)


def _product(name: str, args: Sequence[Any], known: Sequence[tuple[Tensor, Places | None]], output: Tensor) -> Places | None:
    """Rows keep the place that they begin at: patches stay apart, one place stays itself."""
    if name not in LEFT_AND_RIGHT:
        return None
    left, right = (args[place] for place in LEFT_AND_RIGHT[name])
    found: list[tuple[Tensor, Places | None]] = []
    for tensor, places in known:
        if places is None:
            continue
        if tensor is left and places.of.ndim >= 1:
            low = places.of.amin(-1)
            low = low.unsqueeze(-1) if output.ndim == places.of.ndim else low
        elif tensor is right and places.of.ndim >= 2:
            low = places.of.amin(-2)
            low = low.unsqueeze(-2) if output.ndim == places.of.ndim else low
        else:
            continue
        found.append((tensor, Places(low, places.sides)))
    return _widest(found, output)


def constants_everywhere(args: Sequence[Any], places: Places | None) -> bool:
    """Return whether each output of this convolution reads a constant that was put around the map."""
    if places is None or not bool((places.of == CONSTANT).any()):
        return False
    weight, stride, padding, dilation, transposed = args[1], *args[3:7]
    spatial = weight.ndim - 2
    if transposed or places.of.ndim != weight.ndim or spatial not in {1, 2, 3}:
        return True
    marks = (places.of[:1] == CONSTANT).any(1, keepdim=True).to(torch.float32)
    convolve = {1: torch.nn.functional.conv1d, 2: torch.nn.functional.conv2d, 3: torch.nn.functional.conv3d}[spatial]
    seen = convolve(marks, torch.ones(1, 1, *weight.shape[2:]), None, list(stride), list(padding), list(dilation))
    return bool((seen > 0).all())
