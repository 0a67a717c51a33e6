"""Data sets as a user meets them: the named ones, their order, their split, their hash."""

import hashlib
import json
import os
from pathlib import Path

import numpy
import pytest
import torch
from small_data import idx_files, small_arrays, small_contents, small_row, write_folder

from budgetnet.datasets import DATA_SETS, Dataset, Split, describe, find, load
from budgetnet.datasets.digits import enlarge
from budgetnet.errors import InputError


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BUDGETNET_DATA", raising=False)


def test_mnist_is_mnist(mnist_folder: Path, tmp_path: Path) -> None:
    data = load("mnist", data_dir=mnist_folder, download=False, cache_dir=tmp_path)
    assert data.training.images.shape == (60_000, 1, 28, 28)
    assert data.test.images.shape == (10_000, 1, 28, 28)
    assert data.training.images.dtype == torch.uint8
    assert data.training.labels.dtype == torch.int64
    assert data.training.images.is_contiguous()
    assert data.training.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert torch.bincount(data.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # The mean that everybody normalizes with.
    assert data.training.images.float().mean().item() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert data.sha256 == "ebfc95521e11b28bb31cef6e19fed75cad9b55c132b9d463a6e27eed5261918b"


def test_mnist_in_the_folder_of_the_environment(mnist_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BUDGETNET_DATA", str(mnist_folder))
    assert len(load("mnist", download=False, cache_dir=tmp_path).training) == 60_000


def test_damaged_mnist_fails_and_names_the_file(mnist_folder: Path, tmp_path: Path) -> None:
    contents = idx_files(load("mnist", data_dir=mnist_folder, download=False, cache_dir=tmp_path))
    contents[3] = contents[3][:-1] + b"\x01"
    with pytest.raises(InputError, match=r"t10k-images-idx3-ubyte: is damaged or not the mnist file"):
        load("mnist", data_dir=write_folder(tmp_path / "folder", contents), cache_dir=tmp_path)


def test_mnist_files_are_not_taken_for_fashion_mnist(mnist_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fashion-mnist was not found") as caught:
        load("fashion-mnist", data_dir=mnist_folder, download=False, cache_dir=tmp_path)
    assert f"{mnist_folder} (--data-dir) holds none of its files" in str(caught.value)


def test_digits_are_whole_and_need_nothing(tmp_path: Path) -> None:
    data = load("digits", data_dir=tmp_path / "absent", download=False)
    assert data.training.images.shape == (1437, 1, 28, 28)
    assert data.test.images.shape == (360, 1, 28, 28)
    assert data.training.labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert torch.bincount(data.test.labels, minlength=10).min() > 30
    assert "8×8" in data.notes[0]
    assert data.sha256 == "5e868c692b8dc98898fe52bdaf5441ed953f1fa84a725922125984e10006f925"


def test_digits_are_scikit_learns() -> None:
    """The sums that scikit-learn's own bundled copy has: all pixels, and the first image's."""
    data = load("digits")
    corners = torch.cat([data.training.images, data.test.images])[:, 0, 3:27:3, 3:27:3].double()
    # Every third pixel is an original one: 0–16 shown as 0–255.
    original = (corners * 16 / 255).round()
    assert original.sum().item() == 561_718
    assert original[0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]


def test_enlarging_interpolates_between_the_original_points() -> None:
    image = numpy.zeros((1, 8, 8), dtype=numpy.uint8)
    image[0, 0, 0] = 16
    shown = enlarge(image)[0, 0]
    assert shown.shape == (28, 28)
    assert shown[3].tolist()[:8] == [0, 85, 170, 255, 170, 85, 0, 0]
    assert shown[2, 2] == round(255 * 4 / 9)
    assert shown[7:].sum() == 0


def test_same_file_plain_or_packed_in_every_usual_place(tmp_path: Path) -> None:
    row = small_row()
    hashes = set()
    for number, place in enumerate((".", "small", "SMALL/raw")):
        for packed in (False, True):
            folder = tmp_path / f"{number}{packed}"
            write_folder(folder / place, packed=packed)
            hashes.add(find(row, data_dir=folder, download=False).sha256)
    dotted = write_folder(tmp_path / "dotted")
    for path in dotted.iterdir():
        path.rename(dotted / path.name.replace("-idx", ".idx"))
    hashes.add(find(row, data_dir=dotted, download=False).sha256)
    assert len(hashes) == 1


def test_images_and_labels_arrive_as_they_are(tmp_path: Path) -> None:
    labels, images, test_labels, test_images = small_arrays()
    data = find(small_row(), data_dir=write_folder(tmp_path), download=False)
    assert data.training.images.numpy()[:, 0].tolist() == images.tolist()
    assert data.training.labels.tolist() == labels.tolist()
    assert data.test.images.numpy()[:, 0].tolist() == test_images.tolist()
    assert data.test.labels.tolist() == test_labels.tolist()
    assert data.class_names == ("a", "b", "c", "d", "e")
    assert data.shape == (1, 8, 8)


def test_folder_wins_over_cache_and_option_over_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = small_contents()
    contents[0] = contents[0][:-1] + b"\x00"
    other = small_row(contents)
    write_folder(tmp_path / "cache" / "small", packed=True)
    write_folder(tmp_path / "folder", contents)
    # The folder is asked first: what the cache holds would not pass as `other`.
    assert find(other, data_dir=tmp_path / "folder", cache_dir=tmp_path / "cache", download=False).name == "small"
    monkeypatch.setenv("BUDGETNET_DATA", str(tmp_path / "absent"))
    assert find(other, data_dir=tmp_path / "folder", download=False).name == "small"
    with pytest.raises(InputError, match=r"absent \(BUDGETNET_DATA\) does not exist"):
        find(other, download=False)


def test_hash_changes_with_every_part_of_the_data(tmp_path: Path) -> None:
    hashes = {find(small_row(), data_dir=write_folder(tmp_path / "as-is"), download=False).sha256}
    for number in range(4):
        contents = small_contents()
        # The last pixel of an image file; the last label, 4, of a label file.
        contents[number] = contents[number][:-1] + bytes([contents[number][-1] ^ 4])
        folder = write_folder(tmp_path / str(number), contents)
        hashes.add(find(small_row(contents), data_dir=folder, download=False).sha256)
    assert len(hashes) == 5


def test_hold_out_takes_the_end() -> None:
    data = load("digits")
    trained, validation = data.hold_out(400)
    assert (len(trained), len(validation)) == (1037, 400)
    assert torch.equal(torch.cat([trained.images, validation.images]), data.training.images)
    assert torch.equal(torch.cat([trained.labels, validation.labels]), data.training.labels)
    whole, nothing = data.hold_out(0)
    assert (len(whole), len(nothing)) == (1437, 0)
    assert nothing.images.shape == (0, 1, 28, 28)


@pytest.mark.parametrize(("count", "message"), [(1437, "at most 1,436"), (99_999, "at most 1,436"), (-1, "0 or more")])
def test_hold_out_refuses_what_leaves_nothing(count: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load("digits").hold_out(count)


def test_hold_out_refuses_images_sorted_by_class() -> None:
    split = Split(torch.zeros(6, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 0, 1, 1, 2, 2]))
    data = Dataset("mine", split, split, ("a", "b", "c"), "")
    with pytest.raises(InputError, match="sorted by class"):
        data.hold_out(2)
    assert len(data.hold_out(0)[0]) == 6


def test_table_names_licence_and_source_of_every_set() -> None:
    rows = describe()
    assert [row["name"] for row in rows] == ["mnist", "fashion-mnist", "kmnist", "digits"]
    assert json.loads(json.dumps(rows)) == rows
    for row in rows:
        assert row["licence"]
        assert str(row["source"]).startswith("http")
    for data_set in DATA_SETS.values():
        assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in data_set.mirrors)
        assert len({file.sha256 for file in data_set.files}) == len(data_set.files)
        assert len(data_set.mirrors) == (0 if data_set.name == "digits" else 3)


def test_embedded_data_states_licence_source_and_its_own_hash() -> None:
    folder = Path(load.__code__.co_filename).parents[1] / "embedded"
    text = (folder / "README.md").read_text(encoding="utf-8")
    packed = (folder / "digits.npz").read_bytes()
    assert "CC BY 4.0" in text
    assert "archive.ics.uci.edu" in text
    assert hashlib.sha256(packed).hexdigest() in text
    assert len(packed) < 80_000


@pytest.mark.parametrize(("name", "hint"), [("minst", "'mnist'"), ("MNIST", "'mnist'"), ("fashion_mnist", "'fashion-mnist'")])
def test_misspelt_name_gets_the_closest(name: str, hint: str) -> None:
    with pytest.raises(InputError, match="There is no data set") as caught:
        load(name)
    assert hint in str(caught.value)


def test_everything_failing_lists_places_and_remedies(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError) as caught:
        find(small_row(), data_dir=empty, cache_dir=tmp_path / "cache", mirrors=["http://127.0.0.1:9/"])
    message = str(caught.value)
    for part in (
        f"{empty} (--data-dir)",
        f"{tmp_path / 'cache' / 'small'} holds none of its files",
        "http://127.0.0.1:9/: cannot be reached",
        "BUDGETNET_DATA",
        "--data digits",
    ):
        assert part in message
    assert os.linesep not in message
    with pytest.raises(InputError, match="downloading is off") as caught:
        find(small_row(), cache_dir=tmp_path / "nowhere", download=False)
    assert "no data folder was given" in str(caught.value)
    assert not (tmp_path / "nowhere").exists()
