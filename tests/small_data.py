"""A data set of fifty 8×8 images in four IDX files, small enough to break in every way."""

import gzip
import hashlib
from pathlib import Path

import numpy

from budgetnet.datasets import DataFile, DataSet, Dataset

NAMES = ("train-labels-idx1-ubyte", "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte", "t10k-images-idx3-ubyte")


def idx(array: numpy.ndarray, claimed: tuple[int, ...] | None = None) -> bytes:
    """Return `array` as an IDX file, with the dimensions that it should claim where they are not its own."""
    shape = claimed or array.shape
    return bytes((0, 0, 8, len(shape))) + b"".join(side.to_bytes(4, "big") for side in shape) + array.tobytes()


def small_arrays() -> tuple[numpy.ndarray, ...]:
    """Return training labels and images, test labels and images; every pixel differs from its neighbours."""
    images = (numpy.arange(50 * 64) * 37 % 251).astype(numpy.uint8).reshape(50, 8, 8)
    labels = (numpy.arange(50) % 5).astype(numpy.uint8)
    return labels[:40], images[:40], labels[40:], images[40:]


def idx_files(data: Dataset) -> list[bytes]:
    """Return the four files that gray `data` came from, byte for byte."""
    parts = (data.training.labels, data.training.images[:, 0], data.test.labels, data.test.images[:, 0])
    return [idx(part.numpy().astype(numpy.uint8)) for part in parts]


def small_contents() -> list[bytes]:
    return [idx(array) for array in small_arrays()]


def small_row(contents: list[bytes] | None = None) -> DataSet:
    """Return the table's row for these contents, so that broken ones can carry a hash that fits."""
    contents = contents or small_contents()
    files = tuple(
        DataFile(name, len(content), hashlib.sha256(content).hexdigest()) for name, content in zip(NAMES, contents, strict=True)
    )
    return DataSet(
        name="small",
        title="fifty images",
        shape=(1, 8, 8),
        training=40,
        test=10,
        class_names=tuple("abcde"),
        licence="none",
        source="https://data.example/small",
        files=files,
        folders=("small", "SMALL/raw"),
        mirrors=("https://data.example/small/",),
    )


def write_folder(folder: Path, contents: list[bytes] | None = None, *, packed: bool = False) -> Path:
    """Write the four files into `folder`, plain or gzipped, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in zip(NAMES, contents or small_contents(), strict=True):
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
        else:
            (folder / name).write_bytes(content)
    return folder
