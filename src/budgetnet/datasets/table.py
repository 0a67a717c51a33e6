"""The table of data sets: what each holds, whose it is, where it can be had, and the SHA-256 that proves it. Data only.

Sources of the hashes:
- mnist: of the unpacked files; published with many copies, since mirrors pack the same content differently.
- fashion-mnist: of the unpacked files. The .gz hashes stand in TensorFlow Datasets (tensorflow_datasets/url_checksums/
  fashion_mnist.txt); several public projects give the unpacked ones below, all alike, and unpacking the publisher's two label
  files (github.com/zalandoresearch/fashion-mnist, b2617bb) gives them too.
- kmnist: of the .gz files as the publisher packs them (tensorflow_datasets/url_checksums/kmnist.txt). The unpacked hashes of
  three files come from unpacking .gz files with those hashes. For the training images no unpacked hash is known, so that one
  file is proven by its .gz and refused unpacked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class DataFile:
    """One IDX file of a data set."""

    name: str
    """Without .gz."""
    size: int
    """Bytes, unpacked."""
    sha256: str
    packed: bool = False
    """True where `sha256` is of the .gz as distributed and not of the unpacked content."""


@dataclass(frozen=True)
class DataSet:
    """One row of the table."""

    name: str
    title: str
    shape: tuple[int, int, int]
    """Channels, height, width, as networks see it."""
    training: int
    """Training images."""
    test: int
    """Test images."""
    class_names: tuple[str, ...]
    licence: str
    source: str
    """Address of the publisher."""
    files: tuple[DataFile, ...] = ()
    """Training labels, training images, test labels, test images; none where the set is embedded."""
    folders: tuple[str, ...] = ()
    """Sub-folders of a data folder in which the files may lie; first come, first taken."""
    mirrors: tuple[str, ...] = ()
    """https addresses that end in a slash, to which a file's name with .gz is added."""


def _files(hashes: tuple[str, str, str, str], packed: tuple[bool, bool, bool, bool] = (False,) * 4) -> tuple[DataFile, ...]:
    names = ("train-labels-idx1-ubyte", "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte", "t10k-images-idx3-ubyte")
    sizes = (60_008, 47_040_016, 10_008, 7_840_016)
    return tuple(DataFile(*row) for row in zip(names, sizes, hashes, packed, strict=True))


MNIST = DataSet(
    name="mnist",
    title="MNIST, handwritten digits",
    shape=(1, 28, 28),
    training=60_000,
    test=10_000,
    class_names=tuple("0123456789"),
    licence="CC BY-SA 3.0",
    source="http://yann.lecun.com/exdb/mnist/",
    files=_files(
        (
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        )
    ),
    folders=("mnist", "MNIST/raw"),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://raw.githubusercontent.com/fgnt/mnist/master/",
    ),
)
FASHION_MNIST = DataSet(
    name="fashion-mnist",
    title="Fashion-MNIST, articles of clothing",
    shape=(1, 28, 28),
    training=60_000,
    test=10_000,
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    licence="MIT",
    source="https://github.com/zalandoresearch/fashion-mnist",
    files=_files(
        (
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        )
    ),
    folders=("fashion-mnist", "FashionMNIST/raw"),
    mirrors=(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
    ),
)
KMNIST = DataSet(
    name="kmnist",
    title="Kuzushiji-MNIST, cursive Japanese characters",
    shape=(1, 28, 28),
    training=60_000,
    test=10_000,
    class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    licence="CC BY-SA 4.0",
    source="https://codh.rois.ac.jp/kmnist/",
    files=_files(
        (
            "2a16eeae62da984b8bd24fa32e31d47291f01dac3fe84d5594f304f71e7d374b",
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "a11dc742be8e781a40a92f53d6a4957e7b7d36df2faa097659131ebfd8fd60c6",
            "76fbd229ce87db80dd281af5e6670de4ad0e42fb30a7bd643972994c47c1f42e",
        ),
        packed=(False, True, False, False),
    ),
    folders=("kmnist", "KMNIST/raw"),
    mirrors=(
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        # Copies that other people keep; the hashes above make it unimportant whose they are.
        "https://raw.githubusercontent.com/zzc18765/AiPremiumClass/2187a1b6168b317230cb0d942ab8817aa94e1c89/week3_codes/data/KMNIST/raw/",
        "https://raw.githubusercontent.com/namanlab/CVCNN_Paper/0f30b9c852904dc63a7902c1d2a2f5c61d0547e4/data/KMNIST/raw/",
    ),
)
DIGITS = DataSet(
    name="digits",
    title="Optical Recognition of Handwritten Digits, 8×8 shown at 28×28 (embedded)",
    shape=(1, 28, 28),
    training=1_437,
    test=360,
    class_names=tuple("0123456789"),
    licence="CC BY 4.0",
    source="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
)

DATA_SETS: Mapping[str, DataSet] = MappingProxyType({row.name: row for row in (MNIST, FASHION_MNIST, KMNIST, DIGITS)})
"""Every data set that has a name, in the order in which people are shown them."""


def describe() -> list[dict[str, object]]:
    """Return the table as rows for people and for JSON: name, title, training, test, shape, classes, licence, source, embedded."""
    return [
        {
            "name": row.name,
            "title": row.title,
            "training": row.training,
            "test": row.test,
            "shape": list(row.shape),
            "classes": len(row.class_names),
            "licence": row.licence,
            "source": row.source,
            "embedded": not row.files,
        }
        for row in DATA_SETS.values()
    ]
