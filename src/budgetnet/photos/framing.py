"""Ink -> an image as MNIST was made: cropped, its longer side scaled to 20 of 28 pixels, its centre of mass in the middle.

Thin lines are thickened to what MNIST's pens left, because a line of half a pixel would all but vanish. What makes a picture look
like something else than one digit is said in words. Source: LeCun's description of MNIST's making. Pure; some milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from budgetnet.photos.ink import Ink, Mask, Plane, ink_of

FRAME, BOX = 28, 20
"""MNIST's image, and the box that the digit is scaled into."""
SPECK = 0.04
"""Of the largest mark's area: less is dirt."""
NEAR = 0.14
"""Of the picture's ink height: marks closer than that are one, as the bar of a 5 and its belly."""
SECOND_MARK = 0.25
"""Of the largest mark's area: as much beside it is another digit."""
THIN = 2.0
"""Pixels in the frame; thinner lines are thickened to this."""
FULL = 0.72
"""Of the box; a mark that covers more is a blot."""
SMALLEST_MARK = 4
"""Pixels of the longer side of a mark in its picture."""


@dataclass(frozen=True, eq=False)
class Framed:
    """An image for the network, and what speaks against its being one digit."""

    image: NDArray[numpy.uint8] | None
    """(H, W), ink light on dark ground; None where no ink was found."""
    doubts: tuple[str, ...] = ()


def prepared(colours: NDArray[numpy.float32], side: int = FRAME) -> Framed:
    """Return the picture (H, W, 3) of a digit as an image of `side` × `side` pixels."""
    ink = ink_of(colours)
    if ink is None:
        return Framed(None, ("nothing stands out from the ground",))
    # Room around a digit that was cropped to its very edge, so that it can be thickened and joined there too.
    room = max(2, max(colours.shape[:2]) // 14)
    ink = Ink(numpy.pad(ink.plane, room), numpy.pad(_inside(ink.mask), room))
    marks, doubts = _marks(ink.mask)
    rows, columns = numpy.nonzero(marks)
    if max(numpy.ptp(rows), numpy.ptp(columns)) + 1 < SMALLEST_MARK:
        return Framed(None, ("the only mark is a speck",))
    near = ndimage.binary_dilation(marks, iterations=max(1, round(max(marks.shape) / 200)))
    image, covered = _framed(Ink(ink.plane * near, marks), side)
    if covered > FULL:
        doubts = (*doubts, "the mark fills its box like a blot")
    return Framed(image, doubts)


def fitted(colours: NDArray[numpy.float32], shape: tuple[int, int, int]) -> NDArray[numpy.uint8]:
    """Return the picture scaled into (C, H, W) as it is, for networks that were not trained on digits; uint8."""
    channels, height, width = shape
    picture = Image.fromarray((colours * 255).round().astype(numpy.uint8)).convert("L" if channels == 1 else "RGB")
    scale = min(width / picture.width, height / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    array = numpy.asarray(picture.resize(size, Image.Resampling.BILINEAR))
    array = array[..., None] if channels == 1 else array
    ground = numpy.median(numpy.concatenate([array[0], array[-1]]), axis=0)
    canvas = numpy.broadcast_to(ground, (height, width, channels)).astype(numpy.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = array
    return numpy.ascontiguousarray(canvas.transpose(2, 0, 1))


def _inside(mask: Mask) -> Mask:
    """Return the mask without what reaches in from the border (an edge of the paper, a shadow), unless that is the largest part."""
    pieces, count = ndimage.label(mask, structure=numpy.ones((3, 3)))
    areas = ndimage.sum_labels(mask, pieces, range(1, count + 1))
    at_border = {*pieces[0], *pieces[-1], *pieces[:, 0], *pieces[:, -1]} - {0, 1 + int(areas.argmax())}
    return mask & ~numpy.isin(pieces, list(at_border))


def _marks(mask: Mask) -> tuple[Mask, tuple[str, ...]]:
    """Return the mask of the mark that is meant, and what speaks against there being one."""
    joined = ndimage.binary_dilation(mask, iterations=max(1, round(0.004 * max(mask.shape))))
    pieces, count = ndimage.label(joined, structure=numpy.ones((3, 3)))
    areas = ndimage.sum_labels(mask, pieces, range(1, count + 1))
    kept = numpy.isin(pieces, 1 + numpy.flatnonzero(areas >= SPECK * areas.max()))
    rows = numpy.nonzero((kept & mask).any(1))[0]
    reach = max(1, round(NEAR * (rows[-1] - rows[0] + 1) / 2))
    clusters, count = ndimage.label(ndimage.binary_dilation(kept, iterations=reach), structure=numpy.ones((3, 3)))
    areas = ndimage.sum_labels(mask & kept, clusters, range(1, count + 1))
    order = areas.argsort()[::-1]
    largest = mask & kept & (clusters == 1 + order[0])
    others = int((areas >= SECOND_MARK * areas.max()).sum()) - 1
    return largest, (f"there are {others + 1} separate marks; this is the largest",) if others else ()


def _framed(ink: Ink, side: int) -> tuple[NDArray[numpy.uint8], float]:
    """Return the image, and the share of its box that is ink."""
    box = round(BOX * side / FRAME)
    rows, columns = numpy.nonzero(ink.mask)
    height, width = int(numpy.ptp(rows)) + 1, int(numpy.ptp(columns)) + 1
    scale = box / max(height, width)
    plane = _thick_enough(ink, scale)
    rows, columns = numpy.nonzero(plane > 0.5)
    top, left = int(rows.min()), int(columns.min())
    height, width = int(rows.max()) + 1 - top, int(columns.max()) + 1 - left
    scale = box / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    crop = Image.fromarray(plane[top : top + height, left : left + width])
    small = numpy.clip(numpy.asarray(crop.resize(size, Image.Resampling.BILINEAR)), 0, 1)
    covered = float((small > 0.5).sum()) / (size[0] * size[1]) if min(size) > 0.45 * box else 0.0
    mass = float(small.sum())
    middle = [float((small.sum(1 - axis) * numpy.arange(small.shape[axis])).sum()) / mass for axis in (0, 1)]
    place = [min(max(0, round(side / 2 - 0.5 - centre)), side - length) for centre, length in zip(middle, small.shape, strict=True)]
    image = numpy.zeros((side, side), numpy.uint8)
    image[place[0] : place[0] + small.shape[0], place[1] : place[1] + small.shape[1]] = (small * 255).round()
    return image, covered


def _thick_enough(ink: Ink, scale: float) -> Plane:
    """Return the plane with its lines thickened where they would be thinner than `THIN` in the frame."""
    # Across a line of width w the distance to its edge is w / 4 on average.
    thickness = 4 * float(ndimage.distance_transform_edt(ink.mask)[ink.mask].mean() - 0.25) * scale
    if thickness >= THIN:
        return ink.plane
    reach = (THIN - thickness) / scale / 2
    steps = max(1, round(reach))
    grown = numpy.pad(ink.plane, steps)
    rows, columns = numpy.mgrid[-steps : steps + 1, -steps : steps + 1]
    disc = rows**2 + columns**2 <= max(1.0, reach) ** 2
    return numpy.asarray(ndimage.grey_dilation(grown, footprint=disc), numpy.float32)
