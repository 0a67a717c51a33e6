"""The kernel that moves images against torch's sampling of a grid, and augmentation with and without it."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from budgetnet import augment, kernels
from budgetnet.recipe import Augmentation

pytestmark = pytest.mark.usefixtures("compiled")


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 28, 28), (3, 32, 32), (1, 8, 8), (2, 5, 3), (1, 1, 19), (4, 30, 9)])
@pytest.mark.parametrize("bent", [False, True])
@pytest.mark.parametrize("far", [0.1, 3.0])
def test_moved_images_are_those_of_grid_sample(channels: int, height: int, width: int, bent: bool, far: float) -> None:
    images = numbers(5, channels, height, width).contiguous(memory_format=torch.channels_last)
    affine = torch.eye(2, 3)[None] + far * numbers(5, 2, 3, seed=1)
    bends = 0.2 * numbers(5, 2, kernels.POINTS, kernels.POINTS, seed=2) if bent else None
    x, y = torch.linspace(-1, 1, width), torch.linspace(-1, 1, height)
    x_weights, y_weights = numbers(width, kernels.POINTS, seed=3), numbers(height, kernels.POINTS, seed=4)
    moved = kernels.move(images, affine, bends, kernels.sides(x, x_weights, y, y_weights))

    places = torch.stack([x.expand(height, width), y[:, None].expand(height, width), torch.ones(height, width)], 2).double()
    grid = torch.einsum("hwk,nak->nhwa", places, affine.double())
    if bends is not None:
        grid += torch.einsum("nayx,hy,wx->nhwa", bends.double(), y_weights.double(), x_weights.double())
    expected = F.grid_sample(images.double(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    assert moved.shape == images.shape
    # Pixels are random, so a place that is off by a float32's rounding shows in the value.
    assert float((moved - expected).abs().max()) <= 3e-5 * max(height, width)


def test_a_place_that_is_no_number_reads_nothing_outside() -> None:
    affine = torch.full((2, 2, 3), float("nan"))
    affine[1] = float("inf")  # times zero and minus one: no number either, or far away
    side, weights = torch.linspace(-1, 1, 6), torch.zeros(6, kernels.POINTS)
    moved = kernels.move(torch.ones(2, 1, 6, 6), affine, None, kernels.sides(side, weights, side, weights))
    assert torch.equal(moved, torch.zeros(2, 1, 6, 6))


@pytest.mark.parametrize(
    ("affine", "bends", "width"),
    [
        (torch.zeros(2, 2, 3), None, 6),
        (torch.zeros(3, 2, 3).double(), None, 6),
        (torch.zeros(3, 2, 3), torch.zeros(3, 2, 4, 4), 6),
        (torch.zeros(3, 2, 3), None, 16),
    ],
)
def test_moves_for_other_images_are_refused(affine: torch.Tensor, bends: torch.Tensor | None, width: int) -> None:
    down, across = torch.linspace(-1, 1, 6), torch.linspace(-1, 1, width)
    along = kernels.sides(across, torch.zeros(width, kernels.POINTS), down, torch.zeros(6, kernels.POINTS))
    with pytest.raises(ValueError, match="images"):
        kernels.move(torch.ones(3, 1, 6, 6), affine, bends, along)


def test_sides_of_another_kind_are_refused() -> None:
    side, weights = torch.linspace(-1, 1, 8), torch.zeros(8, kernels.POINTS)
    good = kernels.sides(side, weights, side, weights)
    images, affine = torch.ones(2, 1, 8, 8), torch.zeros(2, 2, 3)
    for wrong in [
        kernels.Sides(good.across.double(), good.down, 8),
        kernels.Sides(good.across[:3], good.down, 8),
        kernels.Sides(good.across, good.down[:, :2], 8),
    ]:
        with pytest.raises(ValueError, match=r"images|float32"):
            kernels.move(images, affine, None, wrong)


def test_the_default_dtype_changes_no_augmentation() -> None:
    images, options = torch.rand((4, 1, 9, 11), generator=torch.Generator().manual_seed(0)), Augmentation(rotation=9, elastic=0.8)
    expected = augment.augment(images, options, torch.Generator().manual_seed(7))
    caches = (augment._sides, augment._basis)
    for cache in caches:
        cache.cache_clear()
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(augment.augment(images, options, torch.Generator().manual_seed(7)), expected)
    finally:
        torch.set_default_dtype(torch.float32)
        for cache in caches:
            cache.cache_clear()


@pytest.mark.parametrize("elastic", [0.0, 0.8])
def test_augmentation_is_the_same_without_a_compiler(elastic: float, monkeypatch: pytest.MonkeyPatch) -> None:
    options = Augmentation(rotation=9, scale=0.1, shear=0.08, shift=1.8, elastic=elastic)
    images = torch.rand((16, 3, 20, 28), generator=torch.Generator().manual_seed(0))
    fast = augment.augment(images, options, torch.Generator().manual_seed(7))
    monkeypatch.setattr(kernels, "library", lambda: None)
    plain = augment.augment(images, options, torch.Generator().manual_seed(7))
    assert float((fast - plain).abs().max()) <= 3e-5
    assert fast.stride() == plain.stride()
