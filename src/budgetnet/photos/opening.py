"""An image file -> colours, whatever it is: bounded in bytes and pixels, turned as its EXIF says, its transparency laid on a ground.

Refused with a sentence: what is no image, is cut off, has more than 50 million pixels, or more than one picture. At most about 400 MB
are taken for the largest that is accepted; a JPEG is decoded at a fraction of its size. Source: Pillow's documentation.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from budgetnet.errors import InputError

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
"""Names of files that a folder is searched for."""
LARGEST_FILE = 64 * 2**20
MOST_PIXELS = 50_000_000
SIDE = 480
"""Pixels of the longer side that are enough for a digit."""
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
MOSTLY_OPAQUE = 0.6

Colours = NDArray[numpy.float32]
"""(H, W, 3), red, green, blue in [0, 1]."""


def opened(path: Path) -> Colours:
    """Return the colours of an image file, its longer side at most `SIDE` pixels. Raises `InputError`: what is wrong with it."""
    return from_bytes(_content(path), str(path))


def from_bytes(content: bytes, name: str) -> Colours:
    """Return the colours of an image file's content; `name` is what a sentence about it begins with."""
    if not content:
        raise InputError(f"{name}: is empty.")
    try:
        with warnings.catch_warnings():
            # Pillow's own warning about large pictures comes before ours, and as a warning only.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _refuse_unbounded(image, name)
                turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
                return _colours(_small(image), turn)
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"{name}: is not an image that can be read ({', '.join(FORMATS)}), whatever its name says.") from None
    except Image.DecompressionBombError:
        raise InputError(f"{name}: has more than {MOST_PIXELS:,} pixels; make it smaller.") from None
    except Exception as error:  # decoders raise nearly anything for damaged files
        words = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{name}: is damaged, or cut off: {words}.") from None


def _content(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise InputError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}.")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    if len(content) > LARGEST_FILE:
        raise InputError(f"{path}: is larger than {LARGEST_FILE // 2**20} MiB; make it smaller.")
    return content


def _refuse_unbounded(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise InputError(f"{name}: has {width:,} × {height:,} pixels, and at most {MOST_PIXELS:,} are read; make it smaller.")
    # Telephones put a second, smaller picture behind a JPEG; the first is the photograph.
    if image.format not in {"JPEG", "MPO"} and getattr(image, "is_animated", False):
        raise InputError(f"{name}: holds more than one picture (an animation or pages); save the one that is meant as a PNG.")


def _small(image: Image.Image) -> Image.Image:
    """Decode, at a fraction of the size where that can be had, and bring the longer side near `SIDE`."""
    image.draft(None, (SIDE, SIDE))
    if image.mode.startswith(("I", "F")):
        return _from_numbers(image)
    transparent = image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info
    if image.mode in {"P", "PA", "1"} or transparent:
        image = image.convert("RGBA" if transparent else "RGB")
    image = _reduced(image)
    return image.convert("RGBA" if transparent else "RGB")


def _from_numbers(image: Image.Image) -> Image.Image:
    """Bring 16 or 32 bits, or floats, to 8: by what the format can hold where that is known, else by the largest number there is."""
    numbers = numpy.asarray(image, dtype=numpy.float32)
    finite = numpy.nan_to_num(numbers, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(finite.min()), float(finite.max())
    if image.mode.startswith("I") and low >= 0 and high < 65536:
        low, high = 0.0, 65535.0 if high > 255 else 255.0
    scaled = (finite - low) * (255 / max(high - low, 1e-9))
    return _reduced(Image.fromarray(scaled.round().astype(numpy.uint8))).convert("RGB")


def _reduced(image: Image.Image) -> Image.Image:
    factor = max(image.size) // SIDE
    return image.reduce(factor) if factor > 1 else image


def _colours(image: Image.Image, turn: Image.Transpose | None) -> Colours:
    if turn is not None:
        image = image.transpose(turn)
    array = numpy.asarray(image, dtype=numpy.float32) / numpy.float32(255)
    if array.shape[2] == 3:
        return array
    colours, opaque = array[..., :3], array[..., 3:]
    if float(opaque.max()) == 0:
        return numpy.ones_like(colours)
    return colours * opaque + _ground(colours, opaque) * (1 - opaque)


def _ground(colours: Colours, opaque: Colours) -> Colours:
    """Return the colour under a transparent picture: its own ground where it has one, else what its strokes stand out from."""
    if float(opaque.mean()) > MOSTLY_OPAQUE:
        return numpy.median(colours[opaque[..., 0] > 0.5], axis=0).astype(numpy.float32)
    mean = float((colours * opaque).sum() / (3 * opaque.sum()))
    return numpy.full(3, 1.0 if mean < 0.5 else 0.0, numpy.float32)
