"""What a loaded data set is: two splits of uint8 images with their labels, and the hash that identifies them.

Every loader of this folder ends in `build`, so shapes, dtypes, label ranges and counts are checked once and in one way.
Costs one SHA-256 pass over the arrays (MNIST: 55 MB, about 0.05 s where the processor has SHA instructions).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from budgetnet.errors import InputError

SMALLEST_SIDE, LARGEST_SIDE = 8, 512
"""Bounds of height and width; under 8 a channel axis could be taken for a side."""
MOST_CLASSES = 1000
MOST_BYTES = 2 * 1024**3
"""Bound of all images together, as they stand in memory."""

Images = NDArray[numpy.uint8]
Labels = NDArray[numpy.integer]


@dataclass(frozen=True, eq=False)
class Split:
    """Images with their labels, in one fixed order."""

    images: Tensor
    """uint8, contiguous, shape (N, C, H, W), values 0–255; C is 1 (gray) or 3 (red, green, blue)."""
    labels: Tensor
    """int64, shape (N,), values 0 to classes − 1."""

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training and a test split, with what identifies them."""

    name: str
    """The table's name, or the name of the user's file or folder."""
    training: Split
    test: Split
    class_names: tuple[str, ...]
    sha256: str
    """Of names, shapes and bytes of the four arrays: equal exactly when the data are equal."""
    notes: tuple[str, ...] = ()
    """Sentences that a reader of results should know."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""
        _, channels, height, width = self.training.images.shape
        return channels, height, width

    def hold_out(self, count: int) -> tuple[Split, Split]:
        """Return what is trained on, and the validation part: the last `count` training images.

        Both share the memory of `training`. A count of 0 gives an empty validation part. Raises `InputError` where `count` is
        negative or leaves nothing to train on, and where the training images are sorted by class, since their end would then
        hold only the last classes.
        """
        images, labels = self.training.images, self.training.labels
        total = len(labels)
        if count < 0:
            raise InputError(f"{self.name}: a validation part of {count} images is not possible; give 0 or more.")
        if count >= total:
            raise InputError(
                f"{self.name}: a validation part of {count:,} images leaves nothing to train on; "
                f"the training split has {total:,}, so take at most {total - 1:,}."
            )
        if count and len(self.class_names) > 1 and bool((labels[1:] >= labels[:-1]).all()):
            raise InputError(
                f"{self.name}: the training images are sorted by class, so their last {count:,} would hold only the last "
                f"classes; shuffle images and labels together before saving them."
            )
        kept = total - count
        return Split(images[:kept], labels[:kept]), Split(images[kept:], labels[kept:])


def build(
    name: str,
    training: tuple[Images, Labels],
    test: tuple[Images, Labels],
    class_names: tuple[str, ...],
    *,
    where: tuple[str, str],
    notes: tuple[str, ...] = (),
) -> Dataset:
    """Check both parts and return the data set with its hash.

    Images come as (N, C, H, W) uint8 and labels as (N,) integers; `where` names the origin of either part in messages.
    Raises `InputError` for counts that differ, labels out of range, shapes that differ or are not supported.
    """
    parts = [_split(*part, len(class_names), place) for part, place in zip((training, test), where, strict=True)]
    if parts[0].images.shape[1:] != parts[1].images.shape[1:]:
        raise InputError(
            f"{where[1]}: test images are {shape_text(test[0].shape[1:])}, "
            f"but training images are {shape_text(training[0].shape[1:])}."
        )
    return Dataset(name, parts[0], parts[1], class_names, _sha256(parts[0], parts[1]), notes)


def shape_text(shape: tuple[int, ...]) -> str:
    """Return (C, H, W) in words: `28×28 gray`."""
    channels, height, width = shape
    return f"{height}×{width} {'gray' if channels == 1 else 'colour'}"


def check_shape(shape: tuple[int, ...], where: str) -> None:
    """Raise `InputError` unless (N, C, H, W) is supported: 1 or 3 channels, sides from 8 to 512, at most 2 GiB in all."""
    count, channels, height, width = shape
    if channels not in {1, 3}:
        raise InputError(f"{where}: images have {channels} channels; supported are 1 (gray) and 3 (colour).")
    if not all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in (height, width)):
        raise InputError(
            f"{where}: images are {height}×{width}; supported are sides from {SMALLEST_SIDE} to {LARGEST_SIDE} pixels."
        )
    if count * channels * height * width > MOST_BYTES:
        raise InputError(f"{where}: {count:,} images of {height}×{width} are more than the bound of 2 GiB.")


def _split(images: Images, labels: Labels, classes: int, where: str) -> Split:
    if len(images) != len(labels):
        raise InputError(f"{where}: {len(images):,} images but {len(labels):,} labels.")
    if len(images) == 0:
        raise InputError(f"{where}: holds no images.")
    check_shape(images.shape, where)
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= classes:
        wrong = lowest if lowest < 0 else highest
        index = int(numpy.argmax(labels == wrong))
        raise InputError(f"{where}: label {wrong} of image {index:,} is out of range; labels go from 0 to {classes - 1}.")
    return Split(
        torch.from_numpy(numpy.ascontiguousarray(images)), torch.from_numpy(numpy.ascontiguousarray(labels, dtype=numpy.int64))
    )


def _sha256(training: Split, test: Split) -> str:
    digest = hashlib.sha256()
    for name, split in (("training", training), ("test", test)):
        images = split.images.numpy()
        # Little-endian, so that one data set has one hash on every machine.
        labels = split.labels.numpy().astype("<i8", copy=False)
        digest.update(f"{name} images uint8 {images.shape}\n".encode())
        digest.update(images.reshape(-1).data)
        digest.update(f"{name} labels int64 {labels.shape}\n".encode())
        digest.update(labels.data)
    return digest.hexdigest()
