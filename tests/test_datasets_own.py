"""A user's own data: an `.npz` file, or a folder of images by class; what is taken, and what is refused and why."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image

from budgetnet.datasets import load
from budgetnet.errors import InputError

Arrays = dict[str, Any]


def own(channels: int | None = None, side: int = 8, *, last: bool = True) -> Arrays:
    """Return sound arrays of 30 training and 9 test images in three classes."""
    pixels = (numpy.arange(39 * side * side * (channels or 1)) * 37 % 251).astype(numpy.uint8)
    images = pixels.reshape(39, side, side) if channels is None else pixels.reshape(39, side, side, channels)
    if channels and not last:
        images = images.transpose(0, 3, 1, 2)
    labels = numpy.arange(39) % 3
    return {"x_train": images[:30], "y_train": labels[:30], "x_test": images[30:], "y_test": labels[30:]}


def save(path: Path, arrays: Arrays) -> str:
    numpy.savez_compressed(path, **arrays)
    return str(path)


@pytest.mark.parametrize(("side", "channels"), [(8, None), (28, None), (28, 1), (32, 3), (512, None)])
def test_shapes_of_an_npz(tmp_path: Path, side: int, channels: int | None) -> None:
    arrays = own(channels, side)
    data = load(save(tmp_path / "mine.npz", arrays))
    assert data.name == "mine.npz"
    assert data.shape == (channels or 1, side, side)
    assert data.class_names == ("0", "1", "2")
    assert data.notes == ()
    expected = arrays["x_train"].reshape(30, side, side, channels or 1).transpose(0, 3, 1, 2)
    assert numpy.array_equal(data.training.images.numpy(), expected)
    assert data.training.images.is_contiguous()
    assert data.test.labels.tolist() == arrays["y_test"].tolist()


def test_same_data_have_one_hash_in_every_form(tmp_path: Path) -> None:
    arrays = own(3)
    forms = {
        "channels last": arrays,
        "channels first": own(3, last=False),
        "fortran": {name: numpy.asfortranarray(array) for name, array in arrays.items()},
        "columns": {name: array[:, None] if name.startswith("y") else array for name, array in arrays.items()},
        "big-endian": {name: array.astype(">i4") if name.startswith("y") else array for name, array in arrays.items()},
        "bytes": {name: array.astype("uint8") for name, array in arrays.items()},
        "other names": dict(
            zip(("train_images", "train_labels", "test_images", "test_labels"), arrays.values(), strict=True),
        ),
    }
    assert len({load(save(tmp_path / f"{name}.npz", form)).sha256 for name, form in forms.items()}) == 1
    with (tmp_path / "stored.npz").open("wb") as file:
        numpy.savez(file, **arrays)
    assert load(str(tmp_path / "stored.npz")).sha256 == load(str(tmp_path / "bytes.npz")).sha256


def test_what_is_not_read_is_noted(tmp_path: Path) -> None:
    data = load(save(tmp_path / "mine.npz", {**own(), "val_images": numpy.array([{}]), "author": numpy.array("me")}))
    assert data.notes == ("mine.npz: author, val_images was not read.",)


class Harm:
    """Touches a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.marker,)


def test_objects_in_an_npz_are_refused_and_never_run(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    path = save(tmp_path / "mine.npz", {**own(), "y_test": numpy.array([Harm(marker)], dtype=object)})
    with pytest.raises(InputError, match=r"mine\.npz \(y_test\): holds Python objects"):
        load(path)
    assert not marker.exists()
    numpy.load(path, allow_pickle=True)["y_test"]
    assert marker.exists(), "the trap itself must work"


REFUSED: dict[str, tuple[Arrays, str]] = {
    "no test part": ({"x_test": None, "y_test": None}, "lacks the test part"),
    "no labels": ({"y_train": None}, "lacks the y_train"),
    "nothing": (dict.fromkeys(own()), "holds nothing; a data set needs x_train, y_train, x_test and y_test"),
    "floats": ({"x_train": own()["x_train"] / 255}, "images are float64, not uint8"),
    "wide integers": ({"x_test": own()["x_test"].astype(int)}, "images are int64, not uint8"),
    "flat images": ({"x_train": own()["x_train"].reshape(30, 64)}, "images have shape 30×64"),
    "five axes": ({"x_train": own()["x_train"].reshape(30, 1, 1, 8, 8)}, "images have shape 30×1×1×8×8"),
    "two channels": ({"x_train": numpy.zeros((30, 8, 8, 2), numpy.uint8)}, "images have shape 30×8×8×2"),
    "tiny": ({"x_train": numpy.zeros((30, 3, 3, 3), numpy.uint8)}, "are 3×3; supported are sides from 8 to 512"),
    "no images": ({"x_train": numpy.zeros((0, 8, 8), numpy.uint8), "y_train": numpy.zeros(0, int)}, "holds no images"),
    "no test images": ({"x_test": numpy.zeros((0, 8, 8), numpy.uint8), "y_test": numpy.zeros(0, int)}, "holds no images"),
    "one-hot": ({"y_train": numpy.eye(3, dtype=int)[own()["y_train"]]}, "labels have shape 30×3"),
    "float labels": ({"y_train": own()["y_train"] * 1.0}, "labels are float64"),
    "text labels": ({"y_train": own()["y_train"].astype(str)}, "labels are <U"),
    "from one": ({"y_train": own()["y_train"] + 1, "y_test": own()["y_test"] + 1}, "no training image has label 0"),
    "gap": ({"y_train": own()["y_train"] * 2}, "labels go to 4, but no training image has label 1"),
    "negative": ({"y_train": own()["y_train"] - 1}, "label -1 is out of range"),
    "negative in test": ({"y_test": own()["y_test"] - 1}, "label -1 of image 0 is out of range; labels go from 0 to 2"),
    "huge label": ({"y_train": numpy.arange(30, dtype=numpy.uint64) + 2**63}, "is out of range; there may be 1,000 classes"),
    "unknown in test": ({"y_test": own()["y_test"] + 1}, "label 3 of image 2 is out of range; labels go from 0 to 2"),
    "counts": ({"y_train": own()["y_train"][1:]}, "30 images but 29 labels"),
    "shapes": ({"x_test": numpy.zeros((9, 8, 9), numpy.uint8)}, "test images are 8×9 gray, but training images are 8×8 gray"),
    "colours": ({"x_test": numpy.zeros((9, 8, 8, 3), numpy.uint8)}, "test images are 8×8 colour, but training images are 8×8 gray"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_npz_that_is_refused(tmp_path: Path, case: str) -> None:
    change, message = REFUSED[case]
    arrays = {name: array for name, array in {**own(), **change}.items() if array is not None}
    path = tmp_path / "mine.npz"
    if arrays:
        save(path, arrays)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme", b"")
        message = message.replace("nothing", "'readme'")
    with pytest.raises(InputError) as caught:
        load(str(path))
    assert message in str(caught.value)
    assert "mine.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


def _npy(header: str, content: bytes = b"") -> bytes:
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


LIES = {
    "too large": (
        _npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 28, 28)}", b"x" * 10),
        "784,000,000 bytes, but 10",
    ),
    "too small": (_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 8, 8)}", b"x" * 100), "64 bytes, but 100 follow"),
    "absurd": (_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999, 99999999999, 8)}"), "but 0 follow"),
    "negative": (_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 8, 8)}"), "negative dimension"),
    "code": (_npy("__import__('os').system('false')"), "no sound array header"),
    "nested": (_npy("(" * 3000), "no sound array header"),
    "unclosed": (_npy("{'descr': '''|u1"), "no sound array header"),
    "long": (_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 8, 8)}" + " " * 9000), "no sound array header"),
    "no array": (b"hello", "no sound array header"),
    "empty": (b"", "no sound array header"),
}


@pytest.mark.parametrize("case", LIES)
def test_array_whose_header_lies(tmp_path: Path, case: str) -> None:
    content, message = LIES[case]
    path = tmp_path / "mine.npz"
    sound = Path(save(tmp_path / "sound.npz", own()))
    with zipfile.ZipFile(sound) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            archive.writestr(name, content if name == "x_train.npy" else source.read(name))
    with pytest.raises(InputError, match=r"mine\.npz \(x_train\)") as caught:
        load(str(path))
    assert message in str(caught.value)


def _claim(content: bytes, size: int) -> bytes:
    """Return the archive with `size` as the unpacked size of every member in its directory."""
    changed, at = bytearray(content), content.find(b"PK\x01\x02")
    while at >= 0:
        changed[at + 24 : at + 28] = size.to_bytes(4, "little")
        at = content.find(b"PK\x01\x02", at + 4)
    return bytes(changed)


def _many_members() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(65):
            archive.writestr(f"a{number}.npy", b"")
    return file.getvalue()


def _bzip2(_: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_BZIP2) as archive:
        for name in own():
            archive.writestr(f"{name}.npy", b"")
    return file.getvalue()


ARCHIVES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "claims gigabytes together": ("claim 4,000,000,000 bytes; the bound is 2 GiB", lambda content: _claim(content, 10**9)),
    "claims more than deflate can": ("which cannot be", lambda content: _claim(content, 10**8)),
    "truncated": ("is truncated", lambda content: content[:-30]),
    "half": ("is truncated", lambda content: content[: len(content) // 2]),
    "empty": ("is empty", lambda _: b""),
    "html": ("is no .npz file", lambda content: b"<!DOCTYPE html>" + content),
    "single array": ("is no .npz file", lambda content: b"\x93NUMPY" + content),
    "many members": ("holds more than 64 arrays", lambda _: _many_members()),
    "other packing": ("in a way that numpy does not use", _bzip2),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_archive_that_is_refused(tmp_path: Path, case: str) -> None:
    message, change = ARCHIVES[case]
    path = Path(save(tmp_path / "mine.npz", own()))
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=r"mine\.npz") as caught:
        load(str(path))
    assert message in str(caught.value)


def test_no_flipped_byte_of_an_archive_changes_the_data(tmp_path: Path) -> None:
    path = Path(save(tmp_path / "mine.npz", own()))
    whole, content = load(str(path)).sha256, path.read_bytes()
    noticed = 0
    for at in range(0, len(content), 3):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x41]) + content[at + 1 :])
        try:
            # Time stamps and such may change; the data may not.
            assert load(str(path)).sha256 == whole
        except InputError:
            noticed += 1
    assert noticed > len(content) / 3 / 2


def draw(folder: Path, mode: str = "L", size: tuple[int, int] = (28, 28)) -> Path:
    """Write twelve training and four test images in two classes; every picture is of another shade."""
    for part, count in (("train", 6), ("test", 2)):
        for label, name in enumerate(("cat", "dog")):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                shade = 10 * number + 100 * label + (5 if part == "test" else 0)
                Image.new("L", size, shade).convert(mode).save(folder / part / name / f"{number}.png")
    return folder


@pytest.mark.parametrize(("mode", "size"), [("L", (28, 28)), ("RGB", (32, 32)), ("1", (8, 8)), ("L", (40, 20))])
def test_folder_of_images(tmp_path: Path, mode: str, size: tuple[int, int]) -> None:
    data = load(str(draw(tmp_path / "pets", mode, size)))
    assert data.name == "pets"
    assert data.class_names == ("cat", "dog")
    assert data.shape == (3 if mode == "RGB" else 1, size[1], size[0])
    assert (len(data.training), len(data.test)) == (12, 4)
    assert data.test.labels.tolist() == [0, 0, 1, 1]
    if mode != "1":
        shades = data.training.images[:, 0, 0, 0]
        assert sorted(shades.tolist()) == [0, 10, 20, 30, 40, 50, 100, 110, 120, 130, 140, 150]
        assert ((shades >= 100).long() == data.training.labels).all()
        assert data.test.images[:, 0, -1, -1].tolist() == [5, 15, 105, 115]


def test_folder_mixes_classes_the_same_way_everywhere(tmp_path: Path) -> None:
    first = load(str(draw(tmp_path / "one" / "pets")))
    (tmp_path / "one" / "pets" / "train" / "cat" / ".DS_Store").write_text("clutter")
    second = load(str(draw(tmp_path / "two" / "pets")))
    assert first.sha256 == second.sha256 == load(str(tmp_path / "one" / "pets")).sha256
    # Fixed by the names alone; the end holds both classes, so it can be a validation part.
    assert set(first.hold_out(4)[1].labels.tolist()) == {0, 1}


def _png_of(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def _into(mode: str, size: tuple[int, int] = (28, 28)) -> Callable[[Path], object]:
    return lambda folder: Image.new(mode, size).save(folder / "train/dog/3.png")


def _without(name: str) -> Callable[[Path], object]:
    def remove(folder: Path) -> None:
        for path in sorted((folder / name).rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()

    return remove


FOLDERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "text": ("3.png: is not an image that can be read", lambda folder: (folder / "train/dog/3.png").write_text("a dog")),
    "truncated": (
        "3.png: is a damaged image",
        lambda folder: (folder / "train/dog/3.png").write_bytes((folder / "train/dog/3.png").read_bytes()[:48]),
    ),
    "other size": ("3.png: is 28×29 gray, but", _into("L", (29, 28))),
    "colour among gray": ("3.png: is 28×28 colour, but", _into("RGB")),
    "transparent": ("3.png: has colour mode RGBA", _into("RGBA")),
    "palette": ("3.png: has colour mode P", _into("P")),
    "deep": ("3.png: has colour mode I;16", _into("I;16")),
    "large": ("3.png: is 513×28; images may have at most 512×512", _into("L", (28, 513))),
    "bomb": ("3.png: is", lambda folder: (folder / "train/dog/3.png").write_bytes(_png_of(2**31 - 1, 2**31 - 1))),
    "hollow": ("3.png: is a damaged image", lambda folder: (folder / "train/dog/3.png").write_bytes(_png_of(28, 28))),
    "not an image": ("notes.txt: is not one of the images", lambda folder: (folder / "train/dog/notes.txt").write_text("x")),
    "folder as image": ("9.png: is not a file", lambda folder: (folder / "train/dog/9.png").mkdir()),
    "stray image": ("lies beside the class folders", lambda folder: (folder / "train/cat/0.png").rename(folder / "train/0.png")),
    "no train": ("has no folder train/", lambda folder: (folder / "train").rename(folder / "training")),
    "no test": ("has no folder test/", lambda folder: (folder / "test").rename(folder / "val")),
    "empty class": ("is an empty folder; every class needs images", lambda folder: (folder / "train/emu").mkdir()),
    "empty train": ("is an empty folder; it should hold one folder for each class", _without("train")),
    "empty": ("is an empty folder; it should hold train/<class>", _without("")),
    "class only in train": (
        "class 'dog' is in train/ but not in test/",
        lambda folder: (folder / "test/dog").rename(folder / "dog"),
    ),
    "test of another size": ("0.png: is 8×8 gray, but the training images are 28×28 gray", lambda folder: _shrink(folder / "test")),
}


def _shrink(folder: Path) -> None:
    for path in folder.rglob("*.png"):
        Image.new("L", (8, 8)).save(path)


@pytest.mark.parametrize("case", FOLDERS)
def test_folder_that_is_refused(tmp_path: Path, case: str) -> None:
    message, change = FOLDERS[case]
    folder = draw(tmp_path / "pets")
    change(folder)
    with pytest.raises(InputError) as caught:
        load(str(folder))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
