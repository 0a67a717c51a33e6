"""The links that a chain of kernels is made of: what each equals, and which shapes can go through it. Costs nothing; see chain.c.

All tensors are float32, of shape (N, C, H, W) with channels last in memory where they are images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

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


@dataclass(frozen=True, slots=True)
class Averaging:
    """`images.mean((2, 3), keepdim=keeps_places)`; stands at the end."""

    keeps_places: bool = False
    kind: ClassVar[int] = 6

    def shape_after(self, shape: Shape) -> Shape | None:
        """Return the shape of what comes out, with its two sides of one."""
        return (shape[0], 1, 1)


Link = Convolution | DepthwiseConvolution | Stage | MaxPooling | Rectification | Shift | Averaging


def shapes_along(images: Tensor, links: Sequence[Link]) -> list[Shape] | None:
    """Return the shape of an image before the first link and after each, None where the kernels cannot compute this chain of `images`."""
    if images.dim() != 4 or images.dtype != torch.float32 or images.device.type != "cpu" or len(images) == 0:
        return None
    if not links or isinstance(links[0], Shift) or any(isinstance(link, Averaging) for link in links[:-1]):
        return None
    _, channels, height, width = images.shape
    shapes: list[Shape] = [(channels, height, width)]
    for link in links:
        if isinstance(link, Stage) and len(images) * shapes[-1][1] * shapes[-1][2] < 2:
            return None  # one value has no variance
        after = link.shape_after(shapes[-1])
        if after is None or max(shapes[-1][0], after[0]) > MOST_CHANNELS:
            return None
        shapes.append(after)
    return shapes


def _is_row(tensor: Tensor, length: int) -> bool:
    return tensor.shape == (length,) and tensor.dtype == torch.float32 and tensor.is_contiguous()


def _convolved(shape: Shape, kernel: Tensor, padding: int) -> Shape | None:
    outputs, _, size, other_size = kernel.shape
    if size != other_size or not 0 <= padding < size:
        return None
    height, width = shape[1] + 2 * padding - size + 1, shape[2] + 2 * padding - size + 1
    return (outputs, height, width) if min(height, width) >= 1 and kernel.dtype == torch.float32 else None
