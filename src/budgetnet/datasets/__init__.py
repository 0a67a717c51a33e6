"""Data sets: `load` gives a named one, or a user's own `.npz` or folder of images, as uint8 tensors in memory.

Named sets are looked for in the folder given (`data_dir`, else the environment variable BUDGETNET_DATA), then in the user's
cache, then at public mirrors; `digits` comes with the package. What is found is proven by SHA-256 before it is used. The
validation part is made in `Dataset.hold_out` and nowhere else. Loading MNIST costs about 0.4 s.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from budgetnet.datasets.arrays import load_arrays
from budgetnet.datasets.dataset import Dataset, Split
from budgetnet.datasets.digits import load_digits
from budgetnet.datasets.fetch import Patience, Progress, default_cache, read_cached
from budgetnet.datasets.folder import load_folder
from budgetnet.datasets.located import read_located
from budgetnet.datasets.table import DATA_SETS, DataFile, DataSet, describe
from budgetnet.errors import InputError, did_you_mean

__all__ = ["DATA_SETS", "DataFile", "DataSet", "Dataset", "Split", "describe", "find", "load"]

VARIABLE = "BUDGETNET_DATA"
"""The environment variable that names a data folder where none is given."""


def load(
    name_or_path: str,
    *,
    data_dir: Path | None = None,
    download: bool = True,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Return the data set of that name, or the user's own: the path of an `.npz` file or of a folder of images by class.

    A name wins over a file of that name (`./mnist` is the file). Both splits come as uint8 (N, C, H, W) with labels int64 (N,).
    `data_dir` counts for the downloadable sets; `download=False` keeps to what is on this machine; `cache_dir` takes the place
    of the user's cache. Raises `InputError` for anything that cannot be had or is not sound: what, where, and what to do.
    """
    row = DATA_SETS.get(name_or_path)
    if row is None:
        return _load_own(name_or_path)
    if not row.files:
        return load_digits()
    return find(row, data_dir=data_dir, download=download, cache_dir=cache_dir, progress=progress)


def find(
    row: DataSet,
    *,
    data_dir: Path | None = None,
    download: bool = True,
    cache_dir: Path | None = None,
    mirrors: Sequence[str] | None = None,
    progress: Progress | None = None,
    patience: Patience | None = None,
) -> Dataset:
    """Return a downloadable data set from the data folder, else the cache, else a mirror.

    A data folder that holds the set broken or in part is an error, never passed over; one that holds nothing of it is.
    `mirrors` takes the place of the table's (https, or http of this very machine). Raises `InputError`.
    """
    folder, origin = _data_folder(data_dir)
    if folder is not None:
        found = read_located(row, folder)
        if found is not None:
            return found
    try:
        return read_cached(
            row, cache_dir or default_cache(), download=download, mirrors=mirrors, progress=progress, patience=patience
        )
    except InputError as error:
        looked = f"{folder} ({origin}) holds none of its files" if folder else f"no data folder was given (--data-dir, {VARIABLE})"
        raise InputError(
            f"{row.name} was not found: {looked}; {str(error).rstrip('.')}. Name a folder that holds it with --data-dir or "
            f"{VARIABLE}, or use --data digits, which comes with the program."
        ) from None


def _data_folder(data_dir: Path | None) -> tuple[Path | None, str]:
    """Return the data folder, or None, and which setting named it. Raises `InputError` where it is none."""
    text, origin = (os.environ.get(VARIABLE, ""), VARIABLE) if data_dir is None else (str(data_dir), "--data-dir")
    if not text:
        return None, origin
    folder = Path(text)
    try:
        folder = folder.expanduser()
        next(folder.iterdir(), None)
    except FileNotFoundError:
        raise InputError(f"The data folder {folder} ({origin}) does not exist.") from None
    except NotADirectoryError:
        raise InputError(f"The data folder {folder} ({origin}) is a file, not a folder.") from None
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"The data folder {folder} ({origin}) cannot be read ({reason}).") from None
    return folder, origin


def _load_own(text: str) -> Dataset:
    try:
        path = Path(text).expanduser()
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, RuntimeError) as error:
        raise InputError(f"{text}: cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    # An empty path would mean the current folder.
    if text and is_folder:
        return load_folder(path)
    if text and exists and path.suffix.lower() == ".npz":
        return load_arrays(path)
    if text and exists:
        raise InputError(f"{text}: is neither an .npz file nor a folder of images by class.")
    raise InputError(f"There is no data set, file or folder {text!r}.{did_you_mean(text.lower(), DATA_SETS)}")
