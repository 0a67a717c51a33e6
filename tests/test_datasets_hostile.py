"""Files that are broken, or made to do harm: one clear sentence each, bounded memory, and no guess at what was meant."""

import gzip
import os
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from small_data import NAMES, idx, small_arrays, small_contents, small_row, write_folder

from budgetnet.datasets import find, load
from budgetnet.errors import InputError

Break = Callable[[Path], object]


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BUDGETNET_DATA", raising=False)


def unreadable(path: Path) -> None:
    """Make reading `path` fail. Root may read everything, so there it becomes a file that fails by nature."""
    if os.geteuid() != 0 or sys.platform != "linux":
        path.chmod(0)
    else:
        path.unlink()
        path.symlink_to("/proc/self/mem")


def into_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def into_broken_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "gone")


IMAGES = small_contents()[1]
BROKEN: dict[str, tuple[str, Break]] = {
    "missing": ("is missing", lambda path: path.unlink()),
    "empty": ("holds 0 bytes where 2,576 are expected", lambda path: path.write_bytes(b"")),
    "short": ("holds 1,000 bytes where 2,576", lambda path: path.write_bytes(IMAGES[:1000])),
    "long": ("holds more than the 2,576 bytes", lambda path: path.write_bytes(IMAGES + b"\0")),
    "very long": ("is 4,000,000 bytes, too many", lambda path: path.write_bytes(bytes(4_000_000))),
    "truncated gzip": ("is truncated", lambda path: path.write_bytes(gzip.compress(IMAGES)[:-20])),
    "truncated gzip header": ("is truncated", lambda path: path.write_bytes(gzip.compress(IMAGES)[:5])),
    "damaged gzip": ("damaged inside its gzip stream", lambda path: path.write_bytes(gzip.compress(IMAGES)[:-8] + bytes(8))),
    "not gzip after all": ("damaged inside its gzip", lambda path: path.write_bytes(b"\x1f\x8b" + bytes(100))),
    "gzip with text after it": (
        "damaged inside its gzip",
        lambda path: path.write_bytes(gzip.compress(IMAGES[:500]) + b"<p>end</p>"),
    ),
    "HTML": ("is an HTML page", lambda path: path.write_bytes(b"\n<!DOCTYPE html><html>Not found</html>")),
    "text": ("holds 5 bytes where 2,576", lambda path: path.write_bytes(b"hello")),
    "wrong magic": ("begins with 0000080d, not", lambda path: path.write_bytes(b"\0\0\x08\x0d" + IMAGES[4:])),
    "magic of labels": ("begins with 00000801, not", lambda path: path.write_bytes(b"\0\0\x08\x01" + IMAGES[4:])),
    "too many claimed": (
        "header claims 41×8×8 = 2,624 bytes, but 2,560 follow",
        lambda path: path.write_bytes(idx(small_arrays()[1], (41, 8, 8))),
    ),
    "too few claimed": ("claims 39×8×8", lambda path: path.write_bytes(idx(small_arrays()[1], (39, 8, 8)))),
    "zero claimed": ("dimension of zero: 40×0×8", lambda path: path.write_bytes(idx(small_arrays()[1], (40, 0, 8)))),
    "absurd claimed": (
        "claims 4,294,967,295×4,294,967,295×4,294,967,295",
        lambda path: path.write_bytes(idx(small_arrays()[1], (2**32 - 1,) * 3)),
    ),
    "flipped bit": ("is damaged or not the small file", lambda path: path.write_bytes(IMAGES[:-1] + bytes([IMAGES[-1] ^ 1]))),
    "folder": ("is a folder where a file should be", into_folder),
    "broken link": ("does not exist", into_broken_link),
    "unreadable": ("cannot be read", unreadable),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_file_in_a_data_folder_is_named(tmp_path: Path, case: str) -> None:
    message, break_it = BROKEN[case]
    folder = write_folder(tmp_path / "data")
    write_folder(tmp_path / "cache" / "small", packed=True)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*")}
    path = folder / NAMES[1]
    break_it(path)
    with pytest.raises(InputError) as caught:
        find(small_row(), data_dir=folder, cache_dir=tmp_path / "cache", mirrors=["http://127.0.0.1:9/"])
    text = str(caught.value)
    assert message in text
    assert NAMES[1] in text
    assert "\n" not in text
    assert len(text) < 500
    # A sound copy lies in the cache: it must be neither taken instead nor touched.
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*")} == before


def test_every_truncation_and_every_flip_of_a_packed_file_is_noticed(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, packed=True)
    whole = find(small_row(), data_dir=folder, download=False).sha256
    path = folder / f"{NAMES[0]}.gz"
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(InputError):
            find(small_row(), data_dir=folder, download=False)
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :])
        try:
            # Gzip's time stamp and such may change; the data may not.
            assert find(small_row(), data_dir=folder, download=False).sha256 == whole
        except InputError as error:
            assert path.name in str(error)  # noqa: PT017


def test_gzip_bomb_needs_no_memory(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    (folder / NAMES[1]).unlink()
    # 512 MiB of zeros in half a MiB.
    (folder / f"{NAMES[1]}.gz").write_bytes(gzip.compress(bytes(16 * 1024**2), mtime=0) * 32)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="holds more than the 2,576 bytes"):
            find(small_row(), data_dir=folder, download=False)
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024**2
    finally:
        tracemalloc.stop()


def _with(number: int, array: numpy.ndarray) -> list[bytes]:
    contents = small_contents()
    contents[number] = idx(array)
    return contents


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (_with(0, numpy.arange(40, dtype=numpy.uint8) % 6), "label 5 of image 5 is out of range; labels go from 0 to 4"),
        (_with(2, numpy.full(10, 255, dtype=numpy.uint8)), "label 255 of image 0 is out of range"),
        (_with(0, numpy.zeros(39, dtype=numpy.uint8)), "40 images but 39 labels"),
        (_with(3, numpy.zeros((11, 8, 8), dtype=numpy.uint8)), "11 images but 10 labels"),
        (_with(3, numpy.zeros((10, 9, 9), dtype=numpy.uint8)), "test images are 9×9 gray, but training images are 8×8 gray"),
        (_with(1, numpy.zeros((40, 7, 8), dtype=numpy.uint8)), "7×8; supported are sides from 8 to 512"),
        (_with(1, numpy.zeros((40, 8, 513), dtype=numpy.uint8)), "8×513; supported"),
    ],
)
def test_sound_files_that_do_not_fit_each_other(tmp_path: Path, contents: list[bytes], message: str) -> None:
    """Their hashes fit, so only what they say can give them away."""
    with pytest.raises(InputError) as caught:
        find(small_row(contents), data_dir=write_folder(tmp_path, contents), download=False)
    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_data_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(InputError, match="does not exist"):
        load("mnist", data_dir=tmp_path / "gone")
    with pytest.raises(InputError, match="is a file, not a folder"):
        load("mnist", data_dir=tmp_path / "file")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(InputError, match="cannot be read"):
        load("mnist", data_dir=tmp_path / "loop")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("notes.txt", "is neither an .npz file nor a folder"),
        ("absent.npz", "There is no data set, file or folder"),
        ("", "There is no data set, file or folder ''"),
        ("x" * 5000, "cannot be read|There is no data set"),
        ("~nobody-of-this-name/data.npz", "cannot be read"),
        ("zero\0byte", "There is no data set"),
    ],
)
def test_path_that_is_no_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("text")
    with pytest.raises(InputError, match=message):
        load(name)
