"""`digits`: 1,797 handwritten digits that come with the package, for runs of seconds without any network.

From the UCI repository's «Optical Recognition of Handwritten Digits» (E. Alpaydin, C. Kaynak; CC BY 4.0), in the selection and
order in which scikit-learn bundles them; `embedded/README.md` says how the file was made. Loading costs a few milliseconds.
"""

from __future__ import annotations

import hashlib
import io
from importlib.resources import files

import numpy
from numpy.typing import NDArray

from budgetnet.datasets.dataset import Dataset, build
from budgetnet.errors import InputError

SHA256 = "b2dab7b501728c22e9119ad76740b2e17c77a231e42d1e592380d90886f1a05e"
"""Of `embedded/digits.npz`."""
TEST_IMAGES = 360
"""The last fifth. The images come in the order of their writers: a random split would put the same hands on both sides and
flatter the result, so the end of the file, with hands that the training part hardly holds, is the test split."""
CLASS_NAMES = tuple("0123456789")


def load_digits() -> Dataset:
    """Return `digits`: 1,437 training and 360 test images, gray, 8×8 shown at 28×28.

    Raises `InputError` where the embedded file is damaged.
    """
    packed = (files("budgetnet") / "embedded" / "digits.npz").read_bytes()
    if hashlib.sha256(packed).hexdigest() != SHA256:
        raise InputError("digits: the embedded file is not the one that was shipped; install budgetnet again.")
    with numpy.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        images, labels = enlarge(arrays["images"]), arrays["labels"]
    return build(
        "digits",
        (images[:-TEST_IMAGES], labels[:-TEST_IMAGES]),
        (images[-TEST_IMAGES:], labels[-TEST_IMAGES:]),
        CLASS_NAMES,
        where=("digits", "digits"),
        notes=(
            "digits: 8×8 images with 17 gray levels, shown at 28×28; a stand-in, and no figure on it says anything about MNIST.",
        ),
    )


def enlarge(images: NDArray[numpy.uint8]) -> NDArray[numpy.uint8]:
    """Return (N, 8, 8) images with values 0–16 as (N, 1, 28, 28) with values 0–255.

    A ring of background makes 10×10 points; linear interpolation puts two points between neighbours: 9·3 + 1 = 28. All in
    integers, so the bytes are equal on every machine.
    """
    points = numpy.pad(images.astype(numpy.int32), ((0, 0), (1, 1), (1, 1)))
    points = _between(_between(points).swapaxes(1, 2)).swapaxes(1, 2)
    # A point now counts 3·3 times, and 16 stands for 255; 72 = 9·16/2 rounds to the nearest.
    return ((points * 255 + 72) // 144).astype(numpy.uint8)[:, None]


def _between(points: NDArray[numpy.int32]) -> NDArray[numpy.int32]:
    """Return (N, 28, W) from (N, 10, W): every point thrice, with thirds of the way to the next between."""
    count, _, width = points.shape
    here, following = points[:, :-1], points[:, 1:]
    steps = numpy.stack([3 * here, 2 * here + following, here + 2 * following], axis=2)
    return numpy.concatenate([steps.reshape(count, 27, width), 3 * points[:, -1:]], axis=1)
