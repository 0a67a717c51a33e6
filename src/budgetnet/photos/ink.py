"""Colours -> ink: how far each point stands out from its ground, whatever the colours are and wherever the light comes from.

The ground is a smooth surface through what most of the picture is (a parabola for each colour, refitted without what stands out), or a
wide median where that leaves a shadow's edge standing. Ink is what differs from it in one direction of colour, so dark on light and
light on dark are one case, and red on green another of the same. Pure; some milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy
from numpy.typing import NDArray
from scipy import ndimage

Plane = NDArray[numpy.float32]
"""(H, W), 0 for the ground and 1 for full ink."""
Mask = NDArray[numpy.bool_]

LEAST_CONTRAST = 0.08
"""Of ink against its ground, where 1 is black on white."""
FITS = 6
TERMS = 6
"""Of a parabola in two directions."""
FITTED = 150
"""Points of the longer side that a parabola is fitted to, at the least."""
BORDER_SHARE = 0.2
"""Of the border's points; where more of them stand out, they are no ink but a shadow."""
COARSE = 96
"""Pixels of the longer side on which a median ground is sought."""


@dataclass(frozen=True, eq=False)
class Ink:
    """What was found."""

    plane: Plane
    mask: Mask
    """Where the ink is."""


def ink_of(colours: NDArray[numpy.float32]) -> Ink | None:
    """Return the ink of a picture (H, W, 3), None where nothing stands out."""
    found = _standing_out(colours, _parabola(colours))
    if found is not None and _at_border(found.mask) <= BORDER_SHARE:
        return found
    wide = _standing_out(colours, _median(colours))
    if wide is not None and (found is None or _at_border(wide.mask) < _at_border(found.mask)):
        return wide
    return found


def _standing_out(colours: NDArray[numpy.float32], ground: NDArray[numpy.float32]) -> Ink | None:
    difference = colours - ground
    distance = numpy.sqrt((difference**2).mean(2))
    top = distance >= numpy.quantile(distance, 0.98)
    direction = difference[top].mean(0)
    length = float(numpy.sqrt((direction**2).sum()))
    if length < 1e-6:
        return None
    plane = (difference @ (direction / length)) / numpy.sqrt(3)
    plane = ndimage.gaussian_filter(plane, max(plane.shape) / 600)
    noise = 1.4826 * float(numpy.median(numpy.abs(plane - numpy.median(plane))))
    threshold = max(_between_two_heaps(plane), 4 * noise)
    mask = plane > threshold
    if not mask.any():
        return None
    full = float(numpy.quantile(plane[mask], 0.7))
    if full < max(LEAST_CONTRAST, 6 * noise):
        return None
    return Ink(numpy.clip((plane - noise) / (full - noise), 0, 1).astype(numpy.float32), mask)


def _parabola(colours: NDArray[numpy.float32]) -> NDArray[numpy.float32]:
    """Return a parabola in rows and columns for each colour, fitted to what does not stand out."""
    height, width = colours.shape[:2]
    step = max(1, max(height, width) // FITTED)
    flat = colours[::step, ::step].reshape(-1, 3)
    terms = _terms(height, width)[::step, ::step].reshape(-1, TERMS)
    ground = numpy.median(_border(colours), axis=0)[None].repeat(len(flat), 0)
    for fit in range(FITS):
        distance = numpy.sqrt(((flat - ground) ** 2).mean(1))
        near = distance <= max(0.35 * float(numpy.quantile(distance, 0.99)), 0.02)
        count = TERMS if fit else 3  # the first by a plane: a parabola would follow the ink
        solution = numpy.linalg.lstsq(terms[near, :count], flat[near], rcond=None)[0]
        ground = terms[:, :count] @ solution
    return numpy.asarray(_terms(height, width) @ solution, numpy.float32)


def _terms(height: int, width: int) -> NDArray[numpy.float32]:
    """Return what a parabola is made of, at each point: (height, width, TERMS)."""
    lines = (numpy.linspace(-1, 1, side, dtype=numpy.float32) for side in (height, width))
    rows, columns = numpy.meshgrid(*lines, indexing="ij")
    return numpy.stack([numpy.ones_like(rows), rows, columns, rows * columns, rows**2, columns**2], axis=-1)


def _median(colours: NDArray[numpy.float32]) -> NDArray[numpy.float32]:
    """Return the median of a wide neighbourhood for each point: it follows the edge of a shadow and passes over strokes."""
    height, width = colours.shape[:2]
    factor = min(1.0, COARSE / max(height, width))
    coarse = ndimage.zoom(colours, (factor, factor, 1), order=1)
    window = max(3, round(0.3 * max(coarse.shape[:2])))
    ground = ndimage.median_filter(coarse, size=(window, window, 1), mode="nearest")
    scale = (height / ground.shape[0], width / ground.shape[1], 1)
    return numpy.asarray(ndimage.zoom(ground, scale, order=1), numpy.float32)[:height, :width]


def _between_two_heaps(plane: Plane) -> float:
    """Return Otsu's threshold: where the two parts of the histogram have the least spread of their own."""
    counts, edges = numpy.histogram(plane, bins=128)
    middles = (edges[:-1] + edges[1:]) / 2
    below = numpy.cumsum(counts)[:-1].astype(numpy.float64)
    above = below[-1] + counts[-1] - below
    sums = numpy.cumsum(counts * middles)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        apart = below * above * (sums[:-1] / below - (sums[-1] - sums[:-1]) / above) ** 2
    return float(edges[1 + int(numpy.nan_to_num(apart).argmax())])


def _border(array: NDArray[numpy.float32]) -> NDArray[numpy.float32]:
    width = max(1, min(array.shape[:2]) // 20)
    parts = (array[:width], array[-width:], array[width:-width, :width], array[width:-width, -width:])
    return numpy.concatenate([part.reshape(-1, *array.shape[2:]) for part in parts])


def _at_border(mask: Mask) -> float:
    edge = numpy.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    return float(edge.mean())
