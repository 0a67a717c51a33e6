"""A user's own data set in one `.npz` file: four arrays, read without pickle and inside bounds.

What the archive claims is checked before anything is unpacked, and the arrays' headers are held against the bytes that are
there, so that a small file can neither fill the memory nor run code. The layout of an .npz is numpy's
(https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html). Costs one pass over the arrays.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

import numpy
from numpy.typing import NDArray

from budgetnet.datasets.dataset import MOST_BYTES, MOST_CLASSES, Dataset, Images, Labels, build
from budgetnet.datasets.idx import CHUNK, open_regular
from budgetnet.errors import InputError

KEYS = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("X_train", "y_train", "X_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("images_train", "labels_train", "images_test", "labels_test"),
    ("training_images", "training_labels", "test_images", "test_labels"),
)
"""Names of training images, training labels, test images, test labels that are understood; the first that fits is taken."""
MOST_MEMBERS = 64
DIRECTORY_BYTES = 64 * 1024
MOST_EXPANSION = 1032
"""How many bytes deflate can make of one, at most (https://zlib.net/zlib_tech.html)."""
HEADER_BYTES = 4096


def load_arrays(path: Path) -> Dataset:
    """Return the data set in the `.npz` at `path`.

    Images: uint8 of shape N×H×W, N×H×W×C or N×C×H×W with C 1 or 3 and sides from 8 to 512, so an axis of 1 or 3 is always the
    channels. Labels: integers from 0, shape N or N×1, every class in the training part. Other arrays are left unread and noted.
    Raises `InputError` for anything else: objects, floats, missing parts, lies in headers, more than 2 GiB.
    """
    with open_regular(path) as file:
        _check_archive(path, file)
        try:
            with zipfile.ZipFile(file) as archive:
                members = _members(path, archive)
                keys = _choose_keys(path, members)
                claimed = sum(members[key].file_size for key in keys)
                if claimed > MOST_BYTES:
                    raise InputError(f"{path}: its arrays claim {claimed:,} bytes; the bound is 2 GiB.")
                arrays = [_read_member(archive, members[key], f"{path} ({key})", images=key in keys[::2]) for key in keys]
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
            raise InputError(f"{path}: is a damaged .npz file ({error}).") from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from None
    where = (f"{path} ({keys[0]})", f"{path} ({keys[2]})")
    training = _channels_first(arrays[0]), arrays[1].reshape(-1)
    test = _channels_first(arrays[2]), arrays[3].reshape(-1)
    unread = sorted(set(members) - set(keys))
    notes = (f"{path.name}: {', '.join(unread)} was not read.",) if unread else ()
    class_names = tuple(str(label) for label in range(_classes(training[1], f"{path} ({keys[1]})")))
    return build(path.name, training, test, class_names, where=where, notes=notes)


def _check_archive(path: Path, file: BufferedReader) -> None:
    """Look at the first and last bytes, before zipfile reads a directory that could be as large as the file."""
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise InputError(f"{path}: is {size:,} bytes; the bound is 2 GiB.")
    start = file.read(4)
    if start != b"PK\x03\x04":
        what = "is empty" if not start else "is no .npz file (a zip archive with numpy arrays)"
        raise InputError(f"{path}: {what}; write it with numpy.savez_compressed.")
    file.seek(max(0, size - 42))
    end = file.read(42)
    # The directory's end is the last 22 bytes, as numpy writes it; before it a zip64 locator would give other figures.
    if len(end) < 42 or end[20:24] != b"PK\x05\x06" or end[:4] == b"PK\x06\x07":
        raise InputError(f"{path}: is truncated, or a zip archive of another kind than numpy writes.")
    if int.from_bytes(end[30:32], "little") > MOST_MEMBERS or int.from_bytes(end[32:36], "little") > DIRECTORY_BYTES:
        raise InputError(f"{path}: holds more than {MOST_MEMBERS} arrays; a data set has four.")
    file.seek(0)


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the archive's members by name without `.npy`."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        key = info.filename.removesuffix(".npy")
        if key in members:
            raise InputError(f"{path}: holds {key!r} twice.")
        members[key] = info
    return members


def _choose_keys(path: Path, members: dict[str, zipfile.ZipInfo]) -> tuple[str, str, str, str]:
    for keys in KEYS:
        if all(key in members for key in keys):
            return keys
    nearest = max(KEYS, key=lambda keys: sum(key in members for key in keys))
    missing = [key for key in nearest if key not in members]
    names = ", ".join(map(repr, sorted(members)[:8])) or "nothing"
    if len(missing) == len(nearest):
        raise InputError(f"{path}: holds {names}; a data set needs {', '.join(nearest[:3])} and {nearest[3]}.")
    part = "test part, which must not be made of training images" if missing == list(nearest[2:]) else " and ".join(missing)
    raise InputError(f"{path}: lacks the {part}; it holds {names}, and needs {', '.join(nearest[:3])} and {nearest[3]}.")


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str, *, images: bool) -> NDArray[Any]:
    """Return one array. What its headers claim is checked before memory is taken for it."""
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} or info.flag_bits & 1:
        raise InputError(f"{where}: is packed or locked in a way that numpy does not use.")
    if info.file_size > MOST_EXPANSION * info.compress_size + HEADER_BYTES:
        raise InputError(f"{where}: claims {info.file_size:,} bytes in {info.compress_size:,} packed ones, which cannot be.")
    with archive.open(info) as member:
        shape, order, dtype = _read_header(member, where)
        (_check_images if images else _check_labels)(shape, dtype, where)
        size = math.prod(shape) * dtype.itemsize
        if size != info.file_size - member.tell():
            raise InputError(
                f"{where}: its header claims {'×'.join(map(str, shape))} {dtype} = {size:,} bytes, "
                f"but {info.file_size - member.tell():,} follow it."
            )
        content = bytearray(size)
        view, count = memoryview(content), 0
        while count < size:
            piece = member.read(min(CHUNK, size - count))
            if not piece:
                raise InputError(f"{where}: ends after {count:,} of {size:,} bytes.")
            view[count : count + len(piece)] = piece
            count += len(piece)
        # One read past the end makes zipfile hold the bytes against their checksum.
        member.read(1)
    return numpy.frombuffer(content, dtype=dtype).reshape(shape, order="F" if order else "C")


def _read_header(member: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, numpy.dtype[Any]]:
    """Return shape, whether the order is Fortran's, and dtype. Refuses what is no plain array of integers."""
    try:
        version = numpy.lib.format.read_magic(member)
        read = numpy.lib.format.read_array_header_1_0 if version == (1, 0) else numpy.lib.format.read_array_header_2_0
        shape, order, dtype = read(member, max_header_size=HEADER_BYTES)
    except Exception as error:
        raise InputError(f"{where}: has no sound array header ({type(error).__name__}).") from None
    if dtype.hasobject:
        raise InputError(f"{where}: holds Python objects, which are never loaded because they can run code; save plain integers.")
    if any(side < 0 for side in shape):
        raise InputError(f"{where}: its header claims a negative dimension.")
    return shape, bool(order), dtype


def _check_images(shape: tuple[int, ...], dtype: numpy.dtype[Any], where: str) -> None:
    if dtype != numpy.uint8:
        raise InputError(
            f"{where}: images are {dtype}, not uint8; save them as whole numbers 0–255, "
            "for values from 0 to 1 with numpy.round(images * 255).astype('uint8')."
        )
    if len(shape) != 3 and not (len(shape) == 4 and {shape[1], shape[3]} & {1, 3}):
        raise InputError(
            f"{where}: images have shape {'×'.join(map(str, shape))}; "
            "give N×height×width, or with 1 or 3 channels N×height×width×channels or N×channels×height×width."
        )


def _check_labels(shape: tuple[int, ...], dtype: numpy.dtype[Any], where: str) -> None:
    if dtype.kind not in "ui":
        raise InputError(f"{where}: labels are {dtype}; give whole numbers from 0, one for each image.")
    if len(shape) != 1 and not (len(shape) == 2 and shape[1] == 1):
        raise InputError(
            f"{where}: labels have shape {'×'.join(map(str, shape))}; give one whole number for each image, not one-hot rows."
        )


def _channels_first(images: Images) -> Images:
    """Return (N, C, H, W); an axis of 1 or 3 is the channels, because no side may be that short."""
    if images.ndim == 3:
        return images[:, None]
    return images if images.shape[1] in {1, 3} else images.transpose(0, 3, 1, 2)


def _classes(labels: Labels, where: str) -> int:
    """Return how many classes the training labels have. Raises `InputError` unless they count from 0 without gaps."""
    present = numpy.unique(labels)
    if len(present) == 0:
        raise InputError(f"{where}: holds no images.")
    if int(present[0]) < 0:
        raise InputError(f"{where}: label {int(present[0])} is out of range; labels count from 0.")
    highest = int(present[-1])
    if highest >= MOST_CLASSES:
        raise InputError(f"{where}: label {highest} is out of range; there may be {MOST_CLASSES:,} classes, labelled from 0.")
    if len(present) != highest + 1:
        gap = next(label for label in range(highest) if label not in set(present.tolist()))
        raise InputError(f"{where}: labels go to {highest}, but no training image has label {gap}; number the classes from 0 on.")
    return highest + 1
