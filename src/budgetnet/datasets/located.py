"""A data set's four IDX files in a folder: found, read, proven by SHA-256, and checked.

A folder may hold several data sets whose files bear the same names, so a file that is another set's is told from a broken one.
Reading MNIST costs about 0.4 s and the 55 MB that it returns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from budgetnet.datasets.dataset import Dataset, build
from budgetnet.datasets.idx import file_sha256, parse, read_content
from budgetnet.datasets.table import DATA_SETS, DataFile, DataSet
from budgetnet.errors import InputError


class OtherDataSetError(Exception):
    """A file is sound, but another data set's."""


def read_located(row: DataSet, folder: Path) -> Dataset | None:
    """Return the data set that lies in `folder` or in a usual sub-folder of it, or None where nothing of it is there.

    The files may be plain or gzipped. The first place that holds any file of the set must hold all four, sound; else
    `InputError` names the file and what is wrong. A place that holds another data set's files counts as empty.
    """
    for place in (*(folder / name for name in row.folders), folder):
        if any(candidate(place, file) for file in row.files):
            try:
                return read_folder(row, place)
            except OtherDataSetError:
                continue
    return None


def read_folder(row: DataSet, place: Path) -> Dataset:
    """Return the data set whose four files lie directly in `place`.

    Raises `InputError`, and `OtherDataSetError` where the first wrong file is another data set's.
    """
    paths, contents = [], []
    for file in row.files:
        path = candidate(place, file)
        if path is None:
            raise InputError(f"{place}: {file.name} (or {file.name}.gz) is missing; the {row.name} files beside it need it.")
        paths.append(path)
        contents.append(read_file(row, file, path))
    labels, images, test_labels, test_images = (
        parse(content, str(path), 3 if "images" in file.name else 1)
        for content, path, file in zip(contents, paths, row.files, strict=True)
    )
    return build(
        row.name,
        (images[:, None], labels),
        (test_images[:, None], test_labels),
        row.class_names,
        where=(str(paths[1]), str(paths[3])),
    )


def read_file(row: DataSet, file: DataFile, path: Path) -> bytearray:
    """Return the unpacked bytes of `path`, proven to be `file`.

    Says what is wrong in the order of what helps most: not a gzip stream, too short or long, a wrong IDX header, and last the
    hash. Raises `InputError`, and `OtherDataSetError` where the content is a file of another data set.
    """
    content = read_content(path, file.size)
    digest = file_sha256(path) if file.packed else hashlib.sha256(content).hexdigest()
    if digest == file.sha256:
        return content
    unpacked = hashlib.sha256(content).hexdigest() if file.packed else digest
    for other in DATA_SETS.values():
        if other.name != row.name and unpacked in {known.sha256 for known in other.files}:
            raise OtherDataSetError(f"{path}: is a file of {other.name}, not of {row.name}.")
    parse(content, str(path), 3 if "images" in file.name else 1)
    if file.packed:
        raise InputError(
            f"{path}: is not the file {file.name}.gz as {row.source} distributes it (SHA-256 {digest[:16]}…, "
            f"expected {file.sha256[:16]}…); this file can only be proven in that form, so keep the .gz as it was downloaded."
        )
    raise InputError(
        f"{path}: is damaged or not the {row.name} file; its content has SHA-256 {digest[:16]}…, expected {file.sha256[:16]}…."
    )


def candidate(place: Path, file: DataFile) -> Path | None:
    """Return the path of `file` in `place`, or None; a broken link counts as there, so that it is named and not passed over."""
    try:
        return next((path for path in _spellings(place, file) if path.exists() or path.is_symlink()), None)
    except OSError as error:
        raise InputError(f"{place}: cannot be read ({error.strerror or error}).") from None


def _spellings(place: Path, file: DataFile) -> Iterator[Path]:
    endings = (".gz", "") if file.packed else ("", ".gz")
    # Some copies write train-images.idx3-ubyte.
    for stem in (file.name, file.name.replace("-idx", ".idx")):
        for ending in endings:
            yield place / f"{stem}{ending}"
