"""A user's own data set as a folder of images: `train/<class>/*.png` and `test/<class>/*.png`.

Read with Pillow, from PNG, BMP or JPEG. Class names are the folders' names, sorted. Training images are put in an order that
mixes the classes and depends on nothing but their names; test images stay sorted by class and name. Costs about 0.1 ms an image.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy
from PIL import Image, UnidentifiedImageError

from budgetnet.datasets.dataset import LARGEST_SIDE, MOST_CLASSES, Dataset, Images, Labels, build, check_shape, shape_text
from budgetnet.errors import InputError

FORMATS = ("PNG", "BMP", "JPEG")
ENDINGS = frozenset({".png", ".bmp", ".jpg", ".jpeg"})
MODES = {"1": "L", "L": "L", "RGB": "RGB"}
"""Pillow's modes that are taken, and what they become: black and white is gray; palettes and transparency are refused."""
MOST_FILE_BYTES = 16 * 1024 * 1024
"""Of one file; four bytes a pixel of the largest image, several times over."""
CLUTTER = frozenset({"thumbs.db", "desktop.ini"})
"""Files that file managers leave behind, passed over as those are whose names begin with a dot."""


def load_folder(path: Path) -> Dataset:
    """Return the data set in the folder at `path`; all images must be of one size, and all gray or all in colour.

    Raises `InputError` naming the first file that is no image, differs, or is larger than 512×512, and for a missing or empty
    part or class, and for test classes that are not the training classes.
    """
    try:
        if not _entries(path):
            raise InputError(f"{path}: is an empty folder; it should hold train/<class>/*.png and test/<class>/*.png.")
        training_files = _files_by_class(path, "train")
        test_files = _files_by_class(path, "test")
        class_names = tuple(training_files)
        for name in sorted(test_files.keys() ^ training_files.keys()):
            has, lacks = ("test", "train") if name in test_files else ("train", "test")
            raise InputError(f"{path}: class {name!r} is in {has}/ but not in {lacks}/; both need the same classes.")
        training = _read(training_files, _mixed)
        test = _read(test_files, lambda files: files, like=training[0].shape)
    except OSError as error:
        raise InputError(f"{error.filename or path}: cannot be read ({error.strerror or error}).") from None
    return build(path.resolve().name, training, test, class_names, where=(str(path / "train"), str(path / "test")))


def _entries(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.name.lower() not in CLUTTER)


def _files_by_class(path: Path, part: str) -> dict[str, list[Path]]:
    """Return the image files of `path`/`part` by class, both sorted by name."""
    if not (path / part).is_dir():
        others = ", ".join(repr(entry.name) for entry in _entries(path)[:8])
        raise InputError(
            f"{path}: has no folder {part}/; it should hold train/<class>/*.png and test/<class>/*.png, and holds {others}."
        )
    files: dict[str, list[Path]] = {}
    for folder in _entries(path / part):
        if not folder.is_dir():
            raise InputError(f"{folder}: lies beside the class folders; put each image into the folder of its class.")
        files[folder.name] = _entries(folder)
        if not files[folder.name]:
            raise InputError(f"{folder}: is an empty folder; every class needs images.")
        for file in files[folder.name]:
            if file.suffix.lower() not in ENDINGS:
                raise InputError(f"{file}: is not one of the images that are read ({', '.join(sorted(ENDINGS))}).")
    if not files:
        raise InputError(f"{path / part}: is an empty folder; it should hold one folder for each class.")
    if len(files) > MOST_CLASSES:
        raise InputError(f"{path / part}: holds {len(files):,} classes; there may be {MOST_CLASSES:,}.")
    return files


Files = list[tuple[Path, int]]


def _mixed(files: Files) -> Files:
    """Return `files` in an order by hashed name: a part of the end, such as a validation part, then holds every class."""
    return sorted(files, key=lambda item: hashlib.sha256(f"{item[0].parent.name}/{item[0].name}".encode()).digest())


def _read(
    by_class: dict[str, list[Path]], arrange: Callable[[Files], Files], like: tuple[int, ...] | None = None
) -> tuple[Images, Labels]:
    """Return images (N, C, H, W) and labels; every image must have the shape of `like`, else of the first by name."""
    first = next(iter(by_class.values()))[0]
    pixels = _read_image(first)
    shape = pixels.shape if like is None else like[1:]
    files = arrange([(file, label) for label, group in enumerate(by_class.values()) for file in group])
    check_shape((len(files), *shape), str(first.parent.parent))
    images = numpy.empty((len(files), *shape), dtype=numpy.uint8)
    for index, (file, _) in enumerate(files):
        pixels = _read_image(file)
        if pixels.shape != shape:
            raise InputError(
                f"{file}: is {shape_text(pixels.shape)}, but {'the training images are' if like else f'{first} is'} "
                f"{shape_text(shape)}; all images must be alike."
            )
        images[index] = pixels
    return images, numpy.array([label for _, label in files], dtype=numpy.int64)


def _read_image(path: Path) -> Images:
    """Return one image as (C, H, W) uint8, without unpacking one that is too large."""
    if not path.is_file():
        raise InputError(f"{path}: is not a file.")
    if path.stat().st_size > MOST_FILE_BYTES:
        raise InputError(
            f"{path}: is {path.stat().st_size:,} bytes, too many for an image of at most {LARGEST_SIDE}×{LARGEST_SIDE}."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                width, height = image.size
                if max(width, height) > LARGEST_SIDE:
                    raise InputError(f"{path}: is {height}×{width}; images may have at most {LARGEST_SIDE}×{LARGEST_SIDE} pixels.")
                if image.mode not in MODES or "transparency" in image.info:
                    raise InputError(f"{path}: has colour mode {image.mode} or transparency; save it as gray or as plain RGB.")
                pixels = numpy.asarray(image.convert(MODES[image.mode]))
    except UnidentifiedImageError:
        raise InputError(f"{path}: is not an image that can be read ({', '.join(FORMATS)}).") from None
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError, Warning) as error:
        raise InputError(f"{path}: is a damaged image ({str(error)[:120]}).") from None
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
