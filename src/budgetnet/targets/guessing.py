"""The input shape of a network that nobody told us: from its first layers, from what its file says, else the usual ones.

A guess is tried, by sending an image of that shape through, and said. Costs a forward pass for each try.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from math import isqrt, prod
from typing import Any, Literal

import torch
from torch import nn

from budgetnet.check import declared

Shape = tuple[int, int, int]
HINTS: tuple[tuple[str, Shape], ...] = (
    (r"(?i)cifar", (3, 32, 32)),
    (r"(?i)svhn", (3, 32, 32)),
    (r"(?i)mnist", (1, 28, 28)),
    (r"28\s*,\s*28", (1, 28, 28)),
    (r"32\s*,\s*32", (3, 32, 32)),
    (r"(?i)load_digits", (1, 8, 8)),
    (r"(?i)imagenet|224\s*,\s*224", (3, 224, 224)),
)
SIDES = {1: (28, 32, 8, 64, 14, 128, 224), 3: (32, 28, 64, 96, 224, 128, 299)}
MOST_TRIES = 24
NORMALIZED = re.compile(r"Normalize\(\s*(?:mean\s*=\s*)?[(\[]?\s*([\d.]+)[^)\]]*[)\]]?\s*,\s*(?:std\s*=\s*)?[(\[]?\s*([\d.]+)")


def hinted_channels(text: str) -> int:
    """Return the channels that the hand-in's text speaks of, 1 where it does not."""
    return next((shape[0] for pattern, shape in HINTS if re.search(pattern, text)), 1)


def normalization(text: str) -> tuple[float, float] | None:
    """Return mean and deviation that the hand-in's text normalizes images by (torchvision's `Normalize`), or None."""
    match = NORMALIZED.search(text)
    if match is None:
        return None
    try:
        mean, deviation = float(match[1]), float(match[2])
    except ValueError:
        return None
    return (mean, deviation) if 0 <= mean <= 1 and 0 < deviation <= 1 else None


WRITTEN = re.compile(r"(?<![\w.])(?:([13])\s*[x×]\s*(\d{1,3})\s*[x×]\s*\2|(\d{1,3})\s*[x×]\s*\3\s*[x×]\s*([13]))(?!\w)")
"""A shape that the text speaks of, channels first or last: `1 x 28 x 28`, `32x32x3`."""
USUAL_SIDES = {8, 14, 16, 20, 28, 32, 48, 64, 96, 128, 160, 192, 224, 227, 256, 299}


def guess_shape(network: nn.Module, text: str) -> tuple[Shape, str] | None:
    """Return the first shape that `network` answers with a row for each image, else the first that it can take, and why.

    None where none of the usual shapes fits.
    """
    tried: set[Shape] = set()
    possible: tuple[Shape, str] | None = None
    for shape, why in _guesses(network, text):
        if shape in tried or len(tried) == MOST_TRIES:
            continue
        tried.add(shape)
        answered = _answered(network, shape)
        if answered == "row":
            return shape, why
        if answered and possible is None:
            possible = shape, why
    return possible


def _guesses(network: nn.Module, text: str) -> Iterable[tuple[Shape, str]]:
    channels = _first_channels(network)
    written = [(int(a or d), int(b or c), int(b or c)) for a, b, c, d in WRITTEN.findall(text)]
    hints = [shape for pattern, shape in HINTS if re.search(pattern, text)]
    hints += [shape for shape in written if shape[1] in USUAL_SIDES]
    said = [(shape, "the file speaks of it") for shape in hints]
    usual = [((depth, side, side), "it is a usual one") for depth in (1, 3) for side in SIDES[depth]]
    if channels is not None and channels not in SIDES:
        yield from (*said, *usual)  # images of so many channels are rare: mostly they are made of the image's own
    if channels is not None:
        yield from (
            (shape, f"{why}, and the first convolution takes {channels} channels") for shape, why in said if shape[0] == channels
        )
        sides = SIDES.get(channels, SIDES[3])
        yield from (((channels, side, side), f"the first convolution takes {channels} channels") for side in sides)
    features = next((module.in_features for _, module in declared.modules(network) if isinstance(module, nn.Linear)), 0)
    for depth in (1, 3):
        side = isqrt(features // depth) if features % depth == 0 else 0
        if side and side * side * depth == features:
            yield (depth, side, side), f"the first linear layer takes {features} numbers"
    yield from said
    yield from usual


def _first_channels(network: nn.Module) -> int | None:
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    return next((int(module.in_channels) for _, module in declared.modules(network) if isinstance(module, kinds)), None)


def _answered(network: nn.Module, shape: Shape) -> Literal["row", "other", ""]:
    """Return whether the network answers images of this shape with a row of numbers each, in another form, or not at all."""
    try:
        network = copy.deepcopy(network)  # a lazy layer takes the first shape it meets, and a counter counts
    except Exception:
        network = network.eval()
    training = network.training
    network.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            answer: Any = network(torch.rand((2, *shape), generator=torch.Generator().manual_seed(0)))
    except Exception:
        return ""
    finally:
        network.train(training)
    if isinstance(answer, torch.Tensor) and answer.ndim > 1 and prod(answer.shape[1:]) == answer.shape[1]:
        return "row"
    return "other" if isinstance(answer, torch.Tensor | tuple | list | dict) else ""
