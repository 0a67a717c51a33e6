"""Chains of layers as one differentiable operation on torch tensors: float32, shape (N, C, H, W), channels last in memory.

A chain costs one call into the kernels forward and one back, and one piece of memory for all that lies between its layers: for small
networks, what Python and autograd take for each layer is as much as the layer itself. What each kind of link equals, to float32's
rounding, stands in links.py; tests hold values and gradients. Differentiable once. Callers ask `library()` first.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from budgetnet.kernels.build import library
from budgetnet.kernels.links import (
    ACTIVATIONS,
    Convolution,
    DepthwiseConvolution,
    Link,
    MaxPooling,
    Shape,
    Shift,
    Stage,
    shapes_along,
)

CHANNELS_LAST = torch.channels_last


def chain(images: Tensor, links: Sequence[Link], shapes: list[Shape] | None = None) -> Tensor:
    """Return what comes out of `links`, one after another; `shapes` are those of `shapes_along`, where the caller has them already.

    Raises `ValueError` where the kernels cannot compute this chain of `images`.
    """
    shapes = shapes or shapes_along(images, links)
    if shapes is None:
        raise ValueError(f"no chain of kernels for images of shape {tuple(images.shape)}, {images.dtype}")
    parameters = [tensor for link in links for tensor in _parameters(link)]
    return _Chain.apply(images, links, shapes, *parameters)  # type: ignore[no-any-return, no-untyped-call]


class _Row(ctypes.Structure):
    """`Link` in chain.c."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("kind", "height", "width", "channels", "out_channels", "size", "pad")),
        *((name, ctypes.c_int32) for name in ("relu_first", "activation", "threshold")),
        *((name, ctypes.c_float) for name in ("epsilon", "momentum", "correction")),
        ("key", ctypes.c_uint64),
        *((name, ctypes.c_void_p) for name in ("input", "output", "weight", "bias", "statistics")),
        *((name, ctypes.c_void_p) for name in ("running_mean", "running_variance", "weight_gradient", "bias_gradient")),
        ("batches_tracked", ctypes.c_void_p),
    )


def _parameters(link: Link) -> tuple[Tensor | None, Tensor | None]:
    """Return the two places of a link's parameters, so that gradients find their way back by position."""
    if isinstance(link, Stage):
        return link.weight, link.bias
    if isinstance(link, Shift):
        return None, link.bias
    return (link.kernel, None) if isinstance(link, Convolution | DepthwiseConvolution) else (None, None)


def _as_kernels_read_it(link: Link, tensor: Tensor | None) -> Tensor | None:
    if tensor is None:
        return None
    return tensor.contiguous(memory_format=CHANNELS_LAST) if isinstance(link, Convolution) else tensor.contiguous()


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _kernels() -> ctypes.CDLL:
    kernels = library()
    if kernels is None:
        raise RuntimeError("the compiled kernels are not available here; ask kernels.library() first")
    return kernels


def _checked(failed: int) -> None:
    if failed:
        raise MemoryError("the training kernels could not get their working memory")


def _numbers(shape: Shape) -> int:
    return shape[0] * shape[1] * shape[2]


def _fill(row: _Row, link: Link, shape: Shape, after: Shape, count: int) -> None:
    """Write into `row` what a link is, but for its addresses."""
    row.kind, (row.channels, row.height, row.width), row.out_channels = link.kind, shape, after[0]
    if isinstance(link, Convolution | DepthwiseConvolution):
        row.size, row.pad = link.kernel.shape[2], link.padding
    elif isinstance(link, MaxPooling):
        row.size = link.size
    elif isinstance(link, Stage):
        row.relu_first, row.activation = link.relu_first, ACTIVATIONS.index(link.activation)
        row.threshold, row.key = link.threshold, link.key
        row.epsilon, row.momentum = link.epsilon, link.momentum
        seen = count * shape[1] * shape[2]
        row.correction = seen / max(1, seen - 1) if link.unbiased else 1.0
        row.running_mean, row.running_variance = _address(link.running_mean), _address(link.running_variance)
        row.batches_tracked = _address(link.batches_tracked)


def _rows(links: Sequence[Link], shapes: list[Shape], count: int) -> ctypes.Array[_Row]:
    """Return what the kernels are told of each link, but for its addresses."""
    rows = (_Row * len(links))()
    for row, link, (shape, after) in zip(rows, links, pairwise(shapes), strict=True):
        _fill(row, link, shape, after, count)
    return rows


def _place(
    rows: ctypes.Array[_Row], links: Sequence[Link], shapes: list[Shape], images: Tensor, between: Tensor, result: int | None
) -> None:
    """Write the addresses of images, statistics and what lies between into `rows`; `result` is that of what comes out."""
    last = max(index for index, link in enumerate(links) if not isinstance(link, Shift))
    at: int | None = images.data_ptr()
    free, count = between.data_ptr(), len(images)
    for index, (row, link, (shape, after)) in enumerate(zip(rows, links, pairwise(shapes), strict=True)):
        if isinstance(link, Stage):
            row.statistics, free = free, free + 16 * shape[0]
        row.input = at
        if index == last:
            at = result
        elif not isinstance(link, Shift):
            at, free = free, free + 4 * count * _numbers(after)
        row.output = at


def _place_parameters(rows: ctypes.Array[_Row], held: Sequence[Tensor | None]) -> None:
    for index, row in enumerate(rows):
        row.weight, row.bias = _address(held[2 * index]), _address(held[2 * index + 1])


def _empty(*shape: int) -> Tensor:
    return torch.empty(shape, dtype=torch.float32, device="cpu")


class _Chain(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, images: Tensor, links: Sequence[Link], shapes: list[Shape], *parameters: Tensor | None) -> Tensor:
        images = images.contiguous(memory_format=CHANNELS_LAST)
        count, threads = len(images), torch.get_num_threads()
        held = [_as_kernels_read_it(links[place // 2], tensor) for place, tensor in enumerate(parameters)]
        between = _empty(sum(count * _numbers(shape) for shape in shapes[1:-1]) + sum(4 * shape[0] for shape in shapes))
        result = torch.empty((count, *shapes[-1]), dtype=torch.float32, device="cpu", memory_format=CHANNELS_LAST)
        rows = _rows(links, shapes, count)
        _place(rows, links, shapes, images, between, result.data_ptr())
        _place_parameters(rows, held)
        _checked(_kernels().chain_forward(rows, len(links), count, threads))
        # Not the result: the way back does not need it, and its user may change it in place.
        context.save_for_backward(images, between, *held)
        context.rows, context.links, context.shapes, context.threads = rows, links, shapes, threads
        return result

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, between, *held = context.saved_tensors
        gradient, rows, shapes = gradient.contiguous(memory_format=CHANNELS_LAST), context.rows, context.shapes
        # Again, since what was saved may have been packed away and lie elsewhere now.
        _place(rows, context.links, shapes, images, between, None)
        _place_parameters(rows, held)
        image_gradient = torch.empty_like(images) if context.needs_input_grad[0] else None
        room = _empty(2, len(images) * max(map(_numbers, shapes[:-1])))
        found = [None if tensor is None else torch.empty_like(tensor) for tensor in held]
        unused = []
        for index, row in enumerate(rows):
            row.weight_gradient, row.bias_gradient = _address(found[2 * index]), _address(found[2 * index + 1])
            if row.kind == Stage.kind and not (row.weight_gradient and row.bias_gradient):
                unused.append(_empty(2, row.channels))
                row.weight_gradient = row.weight_gradient or unused[-1][0].data_ptr()
                row.bias_gradient = row.bias_gradient or unused[-1][1].data_ptr()
        addresses = [ctypes.c_void_p(_address(tensor)) for tensor in (gradient, image_gradient, room[0], room[1])]
        _checked(_kernels().chain_backward(rows, len(rows), *addresses, len(images), context.threads))
        needed = [tensor if needs else None for tensor, needs in zip(found, context.needs_input_grad[3:], strict=True)]
        return (image_gradient, None, None, *needed)
