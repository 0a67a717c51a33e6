"""Chains of layers as one differentiable operation on torch tensors: float32, shape (N, C, H, W), channels last in memory.

A chain costs one call into the kernels forward and one back, and one piece of memory for all that lies between its layers: for small
networks, what Python and autograd take for each layer is as much as the layer itself. Each kind of link equals a composition of torch's own
operations (named under it) to float32's rounding; tests hold values and gradients. Differentiable once. Callers ask `library()` first.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from budgetnet.kernels.build import library

CHANNELS_LAST = torch.channels_last
MOST_CHANNELS = 512
"""As MAX_CHANNELS in stage.h."""
ACTIVATIONS = ("none", "relu", "silu")
"""In the order of stage.h."""
Shape = tuple[int, int, int]
"""Channels, height and width of an image."""


@dataclass(frozen=True, slots=True)
class Convolution:
    """`F.conv2d(images, kernel, padding=padding)`: a square kernel (C_out, C_in, K, K), stride 1, padding below the kernel's side."""

    kernel: Tensor
    padding: int
    kind: ClassVar[int] = 0

    def shape_after(self, shape: Shape) -> Shape | None:
        """Return the shape of what comes out, None where this shape cannot go in."""
        return _convolved(shape, self.kernel, self.padding) if self.kernel.shape[1] == shape[0] else None


@dataclass(frozen=True, slots=True)
class DepthwiseConvolution:
    """`F.conv2d(images, kernel, padding=padding, groups=C)`: a square kernel (C, 1, K, K), stride 1, padding below the kernel's side."""

    kernel: Tensor
    padding: int
    kind: ClassVar[int] = 1

    def shape_after(self, shape: Shape) -> Shape | None:
        """Return the shape of what comes out, None where this shape cannot go in."""
        fits = self.kernel.shape[:2] == (shape[0], 1)
        return _convolved(shape, self.kernel, self.padding) if fits else None


@dataclass(frozen=True, slots=True)
class Stage:
    """ReLU (`relu_first`), `F.batch_norm` by the batch's statistics, `activation`, dropout of threshold / 256, in this order.

    The mask depends on `key` (64 bits) and the place alone. Running statistics (C,), where given, move towards the batch's by the share
    `momentum`; the variance is the biased one unless `unbiased`. `batches_tracked` (), int64, counts the batches.
    """

    weight: Tensor | None
    bias: Tensor | None
    epsilon: float
    relu_first: bool = False
    activation: Literal["none", "relu", "silu"] = "none"
    threshold: int = 0
    key: int = 0
    running_mean: Tensor | None = None
    running_variance: Tensor | None = None
    batches_tracked: Tensor | None = None
    momentum: float = 0.0
    unbiased: bool = False
    kind: ClassVar[int] = 2

    def shape_after(self, shape: Shape) -> Shape | None:
        """Return the shape of what comes out, None where this shape cannot go in."""
        held = (self.weight, self.bias, self.running_mean, self.running_variance)
        whole = (self.running_mean is None) == (self.running_variance is None) and 0 <= self.threshold < 256
        return shape if whole and all(tensor is None or _is_row(tensor, shape[0]) for tensor in held) else None


@dataclass(frozen=True, slots=True)
class MaxPooling:
    """`F.max_pool2d(images, size)`."""

    size: int
    kind: ClassVar[int] = 3

    def shape_after(self, shape: Shape) -> Shape | None:
        """Return the shape of what comes out, None where this shape cannot go in."""
        channels, height, width = shape
        return (channels, height // self.size, width // self.size) if 1 <= self.size <= min(height, width) else None


@dataclass(frozen=True, slots=True)
class Rectification:
    """`F.relu(images)`."""

    kind: ClassVar[int] = 4

    def shape_after(self, shape: Shape) -> Shape | None:
        """Return the shape of what comes out: the same."""
        return shape


@dataclass(frozen=True, slots=True)
class Shift:
    """`images + bias[:, None, None]`; stands behind another link, never first."""

    bias: Tensor
    kind: ClassVar[int] = 5

    def shape_after(self, shape: Shape) -> Shape | None:
        """Return the shape of what comes out, None where this shape cannot go in."""
        return shape if _is_row(self.bias, shape[0]) else None


Link = Convolution | DepthwiseConvolution | Stage | MaxPooling | Rectification | Shift


def shapes_along(images: Tensor, links: Sequence[Link]) -> list[Shape] | None:
    """Return the shape of an image before the first link and after each, None where the kernels cannot compute this chain of `images`."""
    if images.dim() != 4 or images.dtype != torch.float32 or images.device.type != "cpu" or len(images) == 0:
        return None
    if not links or isinstance(links[0], Shift):
        return None
    _, channels, height, width = images.shape
    shapes: list[Shape] = [(channels, height, width)]
    for link in links:
        after = link.shape_after(shapes[-1])
        if after is None or max(shapes[-1][0], after[0]) > MOST_CHANNELS:
            return None
        shapes.append(after)
    return shapes


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


def _is_row(tensor: Tensor, length: int) -> bool:
    return tensor.shape == (length,) and tensor.dtype == torch.float32 and tensor.is_contiguous()


def _convolved(shape: Shape, kernel: Tensor, padding: int) -> Shape | None:
    outputs, _, size, other_size = kernel.shape
    if size != other_size or not 0 <= padding < size:
        return None
    height, width = shape[1] + 2 * padding - size + 1, shape[2] + 2 * padding - size + 1
    return (outputs, height, width) if min(height, width) >= 1 and kernel.dtype == torch.float32 else None


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
