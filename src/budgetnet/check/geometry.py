"""What an operation does to positions: receptive field, jump, map, padding, and copies of the image.

Pure arithmetic on shapes: receptive field and jump follow kernel, stride and dilation as in Dumoulin and Visin's guide to
convolution arithmetic; where branches meet the larger one is kept. `positions` and `copies` exist because shapes lie: positions may
be folded into channels (then a 1×1 convolution sees them all), and one batch may hold several views of each image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from torch import Tensor

from budgetnet.check import operations


@dataclass(frozen=True)
class Geometry:
    """Of one tensor that depends on the image."""

    field: tuple[float, ...] | None
    """Receptive field, per spatial dimension, in input pixels; None once positions are gone."""
    jump: tuple[float, ...] | None
    positions: float
    """Distinct places of the map that one sample's values stem from, wherever the tensor keeps them."""
    copies: float = 1.0
    """How many images' worth of pixels it holds for each image, before any weight mixes them."""
    margins: tuple[tuple[int, int], ...] = ()
    """Zeros around the map, per spatial dimension, before and after."""
    weighted: tuple[bool, ...] | None = None
    """Along which dimensions it was multiplied by varying weights and not yet summed."""
    statistic: bool = False
    """Whether it is a mean, variance or norm of activations."""
    root: bool = False
    """Whether it is a square root of such a statistic."""
    normalized: bool = False
    """Whether it was divided by such a root."""


def of_image(shape: Sequence[int]) -> Geometry:
    """Return the geometry of a batch of images, shape (N, C, H, W)."""
    return Geometry(field=(1.0, 1.0), jump=(1.0, 1.0), positions=float(prod(shape[2:])))


def merged(parts: Sequence[Geometry]) -> Geometry:
    """Return the geometry where branches meet: the larger field, jump, map and number of copies."""
    if len(parts) == 1:
        return parts[0]
    fields = [part.field for part in parts if part.field is not None]
    jumps = [part.jump for part in parts if part.jump is not None]
    return Geometry(
        field=_largest(fields) if fields else None,
        jump=_largest(jumps) if jumps else None,
        positions=max(part.positions for part in parts),
        copies=max(part.copies for part in parts),
        margins=parts[0].margins if all(part.margins == parts[0].margins for part in parts) else (),
        normalized=any(part.normalized for part in parts),
    )


def _largest(values: list[tuple[float, ...]]) -> tuple[float, ...]:
    longest = max(len(value) for value in values)
    same = [value for value in values if len(value) == longest]
    return tuple(max(column) for column in zip(*same, strict=True))


def after(name: str, arguments: Sequence[Any], sources: Sequence[tuple[Tensor, Geometry]], output: Tensor) -> Geometry:
    """Return the geometry of `output` of the operation `name`, whose image operands are `sources`."""
    operand, _ = sources[0]
    if name in operations.SELECTION and arguments[0] is operand:
        sources = sources[:1]  # what picks shows nothing of itself
    before = merged([geometry for _, geometry in sources])
    plain = _plain(before)
    if name in operations.CONVOLUTION:
        return _convolved(plain, arguments, output)
    if name in operations.POOLING:
        return _pooled(plain, name, arguments, operand, output)
    if name in operations.REDUCTION:
        return _reduced(plain, name, operand, output)
    if name in operations.MATRIX:
        return plain
    if name in {"cat", "stack"}:
        return replace(plain, copies=sum(geometry.copies for _, geometry in sources))
    return _flattened(_moved(name, arguments, before, operand, output), output)


def _plain(before: Geometry) -> Geometry:
    """Return it without what only the next operation may ask about."""
    return replace(before, weighted=None, statistic=False, root=False, normalized=False, margins=())


def _moved(name: str, arguments: Sequence[Any], before: Geometry, operand: Tensor, output: Tensor) -> Geometry:
    """Return the geometry after what keeps, moves, repeats or drops values."""
    plain = _plain(before)
    if name.startswith("upsample") and before.jump and output.ndim == operand.ndim == len(before.jump) + 2:
        scale = [now / then for now, then in zip(output.shape[2:], operand.shape[2:], strict=True)]
        jump = tuple(step / ratio for step, ratio in zip(before.jump, scale, strict=True))
        return replace(plain, jump=jump, positions=float(prod(output.shape[2:])))
    if name == "constant_pad_nd":
        return replace(plain, margins=_padded(before, arguments[1], output))
    if name in operations.COPYING and operand.numel():
        ratio = output.numel() / operand.numel()
        part = ratio if _takes_positions(name, arguments, operand) and ratio < 1 else 1.0
        kept = replace(plain, copies=before.copies * ratio, positions=max(1.0, before.positions * part))
        return replace(kept, normalized=before.normalized)
    if name in operations.REARRANGING:
        same = output.shape == operand.shape
        weighted = before.weighted if same or before.weighted is None else _rearranged(name, arguments, before.weighted, output)
        return replace(before, weighted=weighted, margins=before.margins if same else ())
    kept = replace(plain, margins=before.margins if name in operations.KEEPS_ZEROS else ())
    return replace(kept, statistic=before.statistic, root=before.root or (before.statistic and _is_root(name, arguments)))


def _is_root(name: str, arguments: Sequence[Any]) -> bool:
    return name in operations.ROOT or (name == "pow" and len(arguments) > 1 and arguments[1] in (0.5, -0.5))


def _flattened(geometry: Geometry, output: Tensor) -> Geometry:
    """Return it without field and jump where the output has no spatial dimensions left."""
    if geometry.field is not None and output.ndim < 3:
        return replace(geometry, field=None, jump=None)
    return geometry


def _takes_positions(name: str, arguments: Sequence[Any], operand: Tensor) -> bool:
    if name in {"slice", "select"} and operand.ndim == 4:
        dimension = int(arguments[1]) if len(arguments) > 1 else 0
        return dimension % operand.ndim >= 2
    return name not in {"split", "split_with_sizes", "unbind"} and operand.ndim != 4


def _rearranged(name: str, arguments: Sequence[Any], weighted: tuple[bool, ...], output: Tensor) -> tuple[bool, ...]:
    if name == "permute":
        return tuple(weighted[int(place)] for place in arguments[1])
    # Which dimension went where is not followed through a view: any of them may be a weighted one, the batch apart.
    return tuple(place > 0 for place in range(output.ndim))


def _pair(value: object, count: int) -> list[int]:
    values = [int(item) for item in value] if isinstance(value, list | tuple) else [int(value)]  # type: ignore[call-overload]
    return (values * count)[:count] if len(values) == 1 else values[:count]


def _convolved(before: Geometry, arguments: Sequence[Any], output: Tensor) -> Geometry:
    weight, stride, dilation, transposed = arguments[1], arguments[3], arguments[5], arguments[6]
    spatial = weight.ndim - 2
    positions = float(prod(output.shape[2:]))
    if before.field is None or before.jump is None or len(before.field) != spatial:
        return replace(before, field=None, jump=None, positions=positions)
    steps, gaps = _pair(stride, spatial), _pair(dilation, spatial)
    if transposed:
        field = tuple(
            seen + (-(-(gap * (side - 1) + 1) // step) - 1) * jump
            for seen, jump, side, gap, step in zip(before.field, before.jump, weight.shape[2:], gaps, steps, strict=True)
        )
        return replace(before, field=field, jump=tuple(j / s for j, s in zip(before.jump, steps, strict=True)), positions=positions)
    field = tuple(
        seen + (side - 1) * gap * jump
        for seen, jump, side, gap in zip(before.field, before.jump, weight.shape[2:], gaps, strict=True)
    )
    return replace(before, field=field, jump=tuple(j * s for j, s in zip(before.jump, steps, strict=True)), positions=positions)


def _pooled(before: Geometry, name: str, arguments: Sequence[Any], operand: Tensor, output: Tensor) -> Geometry:
    spatial = 3 if "3d" in name else 2
    positions = float(prod(output.shape[-spatial:]))
    if before.field is None or before.jump is None or len(before.field) != spatial:
        return replace(before, positions=positions)
    if "adaptive" in name:
        if positions == 1:
            return replace(before, field=None, jump=None, positions=1.0)
        kernel = [-(-then // now) for then, now in zip(operand.shape[-spatial:], output.shape[-spatial:], strict=True)]
        steps = kernel
    else:
        kernel = _pair(arguments[1], spatial)
        steps = _pair(arguments[2], spatial) if len(arguments) > 2 and arguments[2] else kernel
    covers = all(side >= length for side, length in zip(kernel, operand.shape[-spatial:], strict=True))
    if positions == 1 and covers and operand.shape[-1] > 1:
        return replace(before, field=None, jump=None, positions=1.0)  # a global pooling by another name
    field = tuple(seen + (side - 1) * jump for seen, jump, side in zip(before.field, before.jump, kernel, strict=True))
    return replace(before, field=field, jump=tuple(j * s for j, s in zip(before.jump, steps, strict=True)), positions=positions)


def _reduced(before: Geometry, name: str, operand: Tensor, output: Tensor) -> Geometry:
    ratio = operand.numel() / max(output.numel(), 1)
    over_channels = operand.ndim == 4 and operand.shape[2:] == output.shape[-2:]
    positions = before.positions if over_channels else max(1.0, before.positions / ratio)
    gone = not over_channels and ratio > 1
    return replace(
        before,
        field=None if gone else before.field,
        jump=None if gone else before.jump,
        positions=positions,
        statistic=ratio > 1,
        root=ratio > 1 and name in operations.ROOT,
    )


def _padded(before: Geometry, widths: Sequence[int], output: Tensor) -> tuple[tuple[int, int], ...]:
    """Add what `constant_pad_nd` put around; its widths begin with the last dimension."""
    spatial = output.ndim - 2
    margins = list(before.margins) or [(0, 0)] * spatial
    for place in range(min(len(widths) // 2, spatial)):
        first, last = margins[spatial - 1 - place]
        margins[spatial - 1 - place] = (first + int(widths[2 * place]), last + int(widths[2 * place + 1]))
    return tuple(margins)
