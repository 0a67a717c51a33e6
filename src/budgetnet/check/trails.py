"""What was done to values that only a later operation can make sense of: multiplied crosswise, put into logarithms, into a spectrum.

A layer can be taken apart: products now, their sum later; a sum of logarithms, then an exponential; a product of spectra between
two Fourier transforms. Each step alone is harmless, so each tensor carries what its steps were. Costs nothing to speak of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from budgetnet.check import operations

LOGARITHM = frozenset({"log", "log2", "log10", "log1p", "_log_softmax"})
EXPONENTIAL = frozenset({"exp", "exp2", "expm1"})
BENDING = frozenset(
    {"logaddexp", "logaddexp2", "maximum", "minimum", "fmax", "fmin", "clamp", "clamp_min", "clamp_max", "threshold"}
)
"""With numbers of its own for an operand, each of these shifts where the answer bends."""
ENDS = operations.CONVOLUTION | operations.NORMALIZATION | operations.MATRIX | frozenset(operations.POOLING)


@dataclass(frozen=True)
class Trail:
    """The steps that a tensor's values went through."""

    crossed: tuple[bool, ...] | None = None
    """Along which dimensions it met weights that also vary along a dimension which the image did not have: all pairs of both."""
    logged: bool = False
    """Whether it is a logarithm."""
    exponential: bool = False
    """Whether it is an exponential, so that factors are shifts."""
    lifted: int = 0
    """How many numbers of its own multiplied an exponential."""
    spectral: bool = False
    """Whether it is a spectrum of the map."""
    shares: bool = False
    """Whether it is a softmax of the image's own values, as attention's weights are."""
    in_logarithm: tuple[bool, ...] | None = None
    """Along which dimensions varying weights were added to a logarithm: factors, once an exponential is taken."""
    addressed: tuple[bool, ...] | None = None
    """Of indices: along which dimensions other numbers than the image's had their part in them."""


NONE = Trail()


def varies(tensor: Tensor, ndim: int) -> list[bool]:
    """Return along which of `ndim` dimensions, aligned at the end, the tensor's values can differ."""
    flags = [False] * ndim
    for place in range(1, min(tensor.ndim, ndim) + 1):
        flags[ndim - place] = tensor.shape[-place] > 1 and tensor.stride(-place) != 0
    return flags


def after(  # noqa: PLR0911 - one family of operations after the other
    name: str,
    args: Sequence[Any],
    images: Sequence[tuple[Tensor, Trail]],
    others: Sequence[tuple[Tensor, bool]],
    output: Tensor,
) -> Trail:
    """Return the trail of `output`.

    `images` are the operands that depend on the image, with their trails; `others` those that do not, and whether they are numbers
    of the network.
    """
    if name in ENDS:
        return NONE
    before = _merged([trail for _, trail in images])
    weights = [tensor for tensor, own in others if own]
    if name in {"embedding", "index"} and before.addressed and args[0] is not images[0][0]:
        seats = (*before.addressed, *(False for _ in range(output.ndim - len(before.addressed))))
        return replace(NONE, crossed=_fitting(seats, output))
    if name.startswith("_fft"):
        forward = name == "_fft_r2c" or (name == "_fft_c2c" and bool(args[3]))
        return replace(NONE, spectral=forward)
    if name == "_softmax":
        return Trail(exponential=True, shares=True)
    if name in operations.REDUCTION:
        return replace(NONE, logged=before.logged, exponential=before.exponential, spectral=before.spectral)
    if name in LOGARITHM:
        return replace(NONE, crossed=_fitting(before.crossed, output), logged=True)
    if name in EXPONENTIAL or (name == "pow" and args and not isinstance(args[0], Tensor)):
        crossed = _fitting(before.crossed, output)
        if before.in_logarithm is not None and len(before.in_logarithm) == output.ndim:
            crossed = _either(crossed, before.in_logarithm)
        return replace(NONE, crossed=crossed, exponential=True)
    if name in operations.REARRANGING | operations.COPYING:
        crossed = _seated(name, args, before.crossed, output)
        return replace(before, crossed=crossed, in_logarithm=_seated(name, args, before.in_logarithm, output))
    kept = replace(before, crossed=_fitting(before.crossed, output), in_logarithm=_fitting(before.in_logarithm, output))
    if others and not output.is_floating_point() and name not in operations.SELECTION:
        flags = [any(column) for column in zip(*(varies(tensor, output.ndim) for tensor, _ in others), strict=True)]
        kept = replace(kept, addressed=_either(kept.addressed, tuple(flags)))
    return _met(name, kept, images, weights, output) if weights else kept


def _met(name: str, kept: Trail, images: Sequence[tuple[Tensor, Trail]], weights: Sequence[Tensor], output: Tensor) -> Trail:
    """Add what meeting weights one by one leaves."""
    ndim = output.ndim
    own = [any(column) for column in zip(*(varies(tensor, ndim) for tensor, _ in images), strict=True)]
    held = [any(column) for column in zip(*(varies(tensor, ndim) for tensor in weights), strict=True)]
    if any(weight and not image and place > 0 for place, (weight, image) in enumerate(zip(held, own, strict=True))):
        pairs = tuple(weight and image and place > 0 for place, (weight, image) in enumerate(zip(held, own, strict=True)))
        kept = replace(kept, crossed=_either(kept.crossed, pairs))
    if kept.logged and name in operations.ADDITION and any(held):
        kept = replace(kept, in_logarithm=_either(kept.in_logarithm, tuple(held)))
    if kept.exponential and name in operations.PRODUCT:
        kept = replace(kept, lifted=kept.lifted + max(tensor.numel() for tensor in weights))
    return kept


def _either(one: tuple[bool, ...] | None, other: tuple[bool, ...]) -> tuple[bool, ...] | None:
    both = other if one is None or len(one) != len(other) else tuple(a or b for a, b in zip(one, other, strict=True))
    return both if any(both) else None


def _merged(trails: Sequence[Trail]) -> Trail:
    if len(trails) == 1:
        return trails[0]
    crossed = next((trail.crossed for trail in trails if trail.crossed), None)
    return Trail(
        crossed=crossed,
        logged=any(trail.logged for trail in trails),
        exponential=any(trail.exponential for trail in trails),
        lifted=max((trail.lifted for trail in trails), default=0),
        spectral=any(trail.spectral for trail in trails),
        shares=any(trail.shares for trail in trails),
        in_logarithm=next((trail.in_logarithm for trail in trails if trail.in_logarithm), None),
        addressed=next((trail.addressed for trail in trails if trail.addressed), None),
    )


def _fitting(flags: tuple[bool, ...] | None, output: Tensor) -> tuple[bool, ...] | None:
    return flags if flags is not None and len(flags) == output.ndim else None


def _seated(name: str, args: Sequence[Any], flags: tuple[bool, ...] | None, output: Tensor) -> tuple[bool, ...] | None:
    if flags is None:
        return None
    if name == "permute":
        return tuple(flags[int(place)] for place in args[1])
    if name in {"transpose", "t"}:
        one, other = (int(args[1]), int(args[2])) if name == "transpose" else (0, len(flags) - 1)
        order = list(flags)
        order[one], order[other] = order[other], order[one]
        return tuple(order)
    if len(flags) == output.ndim and name not in {"view", "_unsafe_view", "reshape", "as_strided", "_reshape_alias"}:
        return flags
    # Which dimension went where is not followed through a view: any of them may be meant, the batch apart.
    return tuple(place > 0 for place in range(output.ndim))
