"""Moving whole images on a kernel: what `F.grid_sample` does for places along rows and columns, without a grid in memory.

Costs about 4 µs an image of 28×28 and thread. Callers ask `library()` first.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from budgetnet.kernels.build import loaded

LONGEST = 16
"""As in sampling.h."""
POINTS = 5
"""As in sampling.h."""


@dataclass(frozen=True, slots=True)
class Sides:
    """What places are made of along both sides of an image: their coordinates from -1 to 1, and the weights of the bends' points there."""

    across: Tensor
    """(1 + POINTS, W, with zeros behind up to a multiple of LONGEST)."""
    down: Tensor
    """(H, 1 + POINTS)."""
    width: int
    """W."""


def sides(x: Tensor, x_weights: Tensor, y: Tensor, y_weights: Tensor) -> Sides:
    """Return what `move` reads: coordinates (W,) and (H,), weights (W, POINTS) and (H, POINTS)."""
    across = torch.cat([x[None], x_weights.T])
    return Sides(F.pad(across, (0, -len(x) % LONGEST)).contiguous(), torch.cat([y[:, None], y_weights], 1).contiguous(), len(x))


def move(images: Tensor, affine: Tensor, bends: Tensor | None, along: Sides) -> Tensor:
    """Return images (N, C, H, W) float32 in which each place comes from another one of the old: bilinear, zeros outside, channels last.

    That place is `affine` (N, 2, 3) of x, y and one, where the image spans -1 to 1, plus `bends` (N, 2, POINTS, POINTS) with their weights.
    Raises `MemoryError` where there is no memory for a frame, `ValueError` for tensors that are not for these images.
    """
    count, channels, height, width = images.shape
    across = (1 + POINTS, -(-width // LONGEST) * LONGEST)
    fits = along.width == width and along.across.shape == across and along.down.shape == (height, 1 + POINTS)
    if not fits or affine.shape != (count, 2, 3) or (bends is not None and bends.shape != (count, 2, POINTS, POINTS)):
        raise ValueError(f"moves {tuple(affine.shape)} are not for images {tuple(images.shape)}")
    if any(tensor is not None and tensor.dtype != torch.float32 for tensor in (images, affine, bends, along.across, along.down)):
        raise ValueError("images, moves and sides are float32")
    images, affine = images.contiguous(memory_format=torch.channels_last), affine.contiguous()
    bends = None if bends is None else bends.contiguous()
    moved = torch.empty(images.shape, dtype=torch.float32, device="cpu", memory_format=torch.channels_last)
    given = (images, affine, bends, along.across, along.down, moved)
    addresses = [ctypes.c_void_p(None if tensor is None else tensor.data_ptr()) for tensor in given]
    if loaded().move_images(*addresses, count, height, width, channels, torch.get_num_threads()):
        raise MemoryError("the kernel that moves images could not get its working memory")
    return moved
