"""A network's layers as small drawings: the maps that a layer gives, and how much of the image one place of them sees.

Facts in, numbers for the template's SVG out, so that the page decides on looks. No torch; nothing to speak of in time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from budgetnet.facts import LayerRow, NetworkFacts
from budgetnet.summary import shape_text

SIDE = 34.0
"""Of the drawn image, in the drawing's own points."""
STEP = 2.2
"""From one drawn map of a stack to the next."""
MOST_SHEETS = 7
SMALLEST = 2.5


@dataclass(frozen=True)
class Drawn:
    """A layer's row with its drawings."""

    row: LayerRow
    shape: str
    sheets: Sequence[tuple[float, float, float, float]]
    """Left, top, width and height of each map of the stack, the hindmost first; empty for a layer that gives no maps."""
    field: tuple[float, float, float, float] | None
    """Left, top, width and height of the receptive field on the image; None once positions are gone."""
    whole: bool
    """Whether the field is at least the whole image."""
    share: float
    """Of all parameters, in hundredths."""


def drawn_layers(network: NetworkFacts) -> list[Drawn]:
    """Return a drawing for each layer that was called."""
    _, height, width = network.input_shape
    total = max(1, network.parameters.total)
    return [
        Drawn(
            row=row,
            shape=shape_text(row),
            sheets=_sheets(row, max(height, width)),
            field=_field(row.receptive_field, height, width),
            whole=row.receptive_field is not None and row.receptive_field >= max(height, width),
            share=round(100 * row.parameters / total, 2),
        )
        for row in network.layers
    ]


def image_box(network: NetworkFacts) -> dict[str, Any]:
    """Return the width and height of the drawn image."""
    _, height, width = network.input_shape
    longer = max(height, width)
    return {"width": round(SIDE * width / longer, 2), "height": round(SIDE * height / longer, 2)}


def _sheets(row: LayerRow, longer: int) -> list[tuple[float, float, float, float]]:
    match row.output_shape:
        case (_, int(height), int(width), int(channels)):
            sides = [max(SMALLEST, min(SIDE, SIDE * side / longer)) for side in (width, height)]
        case (_, int(channels)):
            sides = [SMALLEST, SMALLEST]
        case _:
            return []
    number = min(MOST_SHEETS, 1 + round(math.log2(max(1, channels))))
    return [
        (
            round(STEP * place, 2),
            round((SIDE - sides[1]) / 2 + STEP * (number - 1 - place), 2),
            round(sides[0], 2),
            round(sides[1], 2),
        )
        for place in reversed(range(number))
    ]


def _field(side: int | None, height: int, width: int) -> tuple[float, float, float, float] | None:
    if side is None:
        return None
    longer = max(height, width)
    across, down = (SIDE * min(side, length) / longer for length in (width, height))
    left, top = (SIDE * width / longer - across) / 2, (SIDE * height / longer - down) / 2
    return (round(left, 2), round(top, 2), round(across, 2), round(down, 2))
