"""A network's answers for images that it is shown without their labels: an answer each, and what was done to the images before.

Run in the confined child; who counts what is right sits outside. Costs one forward pass an image.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from budgetnet.errors import InputError
from budgetnet.targets.running import words_of

BATCH = 500


def predictions(
    network: nn.Module, images: Path, normalization: tuple[float, float] | None, label: str
) -> tuple[list[int], list[str]]:
    """Return an answer (the place of the largest value) for each image, and what a reader should know.

    Images are uint8 (N, C, H, W) in a `.npy` file; they are shown as values in [0, 1], or as the file normalizes.
    """
    mean, deviation = normalization or (0.0, 1.0)
    network.eval()

    def answer(part: NDArray[numpy.uint8]) -> Tensor:
        with torch.no_grad():
            shown = (torch.from_numpy(part).to(torch.float32) / 255 - mean) / deviation
            like = next((tensor for tensor in network.parameters() if tensor.is_floating_point()), None)
            result = network(shown if like is None else shown.to(like.dtype))
        result = result[0] if isinstance(result, tuple | list) and result else result
        if not isinstance(result, Tensor):
            raise InputError(f"{label}: answers with {type(result).__name__}, and no tensor.")
        return result

    notes = [] if normalization is None else [f"Images were normalized by {mean:g} and {deviation:g}, as the file itself does."]
    return answered(answer, images, label), notes


def answered(answer: Callable[[NDArray[numpy.uint8]], Tensor], images: Path, label: str) -> list[int]:
    """Return the answers for all images of the file, in batches. Raises `InputError` where one cannot be had."""
    every = numpy.load(images, mmap_mode="r", allow_pickle=False)
    found: list[int] = []
    for first in range(0, len(every), BATCH):
        part = numpy.array(every[first : first + BATCH])
        try:
            values = answer(part)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{label}: cannot answer images of {'×'.join(map(str, part.shape[1:]))}: {words_of(error)}") from error
        values = values.reshape(len(values), -1)
        if len(values) != len(part) or values.shape[1] < 2:
            raise InputError(
                f"{label}: answers {len(part)} images with the shape {tuple(values.shape)}, not with a value for each class."
            )
        found += [int(place) for place in values.argmax(1)]
    return found
