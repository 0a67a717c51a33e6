"""Charts for pages of HTML: curves over the epochs whose values are read under the pointer, by finger, or with the arrow keys.

What is drawn is stretched to the page's width, what is written is not, so that a chart is as readable on a telephone as on a desk.
Colours are the page's own (`line-0` ... in `charts.css`), so it is dark where the page is. Pure: numbers in, the template's values
out; `charts.html.jinja` places them and `charts.js` answers the pointer. No torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from budgetnet.report.canvas import PERFECT, TICKS, errors, percent

COLOURS = 8
"""Lines that `charts.css` has a colour for."""
WHOLE = 1000
"""Side of the drawing that the page stretches."""
MOST_STOPS = 10
"""Numbers written along the epochs."""


@dataclass(frozen=True)
class Line:
    """One curve: a value for each epoch, None where there is none."""

    name: str
    values: Sequence[float | None]
    colour: int


@dataclass(frozen=True)
class Scale:
    """Where a value stands in a chart, from 0 at its top to 1 at its bottom."""

    low: float
    high: float
    of_errors: bool = False
    """Whether values are accuracies, drawn by the logarithm of their errors: 99.4 and 99.5 % lie apart, and 90 % is still there."""

    def place(self, value: float) -> float:
        """Return the place of a value, held inside the chart."""
        if self.of_errors:
            low, high, error = (float(number) for number in errors([self.low, self.high, value]))
            share = math.log(error / high) / math.log(low / high)
        else:
            share = (self.high - value) / (self.high - self.low)
        return min(max(share, 0.0), 1.0)

    def text(self, value: float) -> str:
        """Return a value as it is written beside its name."""
        return f"{value * 100:.2f} %" if self.of_errors else f"{value:.4g}"


def accuracy_chart(title: str, lines: Sequence[Line], limit: float | None) -> dict[str, Any]:
    """Return the chart of accuracies, with the contract's limit across it where there is one."""
    drawn = [value for line in lines for value in line.values if value is not None] + ([limit] if limit is not None else [])
    worst, best = float(errors([min(drawn)])[0]), float(errors([max(drawn)])[0])
    scale = Scale(1 - min(1.0, worst * 1.3), 1 - max(PERFECT, best / 1.3), of_errors=True)
    ticks = [tick for tick in TICKS if scale.low <= tick <= scale.high] or [min(drawn), max(drawn)]
    chart = _chart(title, lines, scale, [(tick, percent(tick)) for tick in ticks])
    if limit is not None:
        chart["limit"] = {"place": _share(scale.place(limit)), "words": f"contract: {percent(limit)}"}
    return chart


def plain_chart(title: str, lines: Sequence[Line]) -> dict[str, Any]:
    """Return a chart of values from zero up, as of learning rates and losses."""
    most = max((value for line in lines for value in line.values if value is not None and math.isfinite(value)), default=0.0)
    step = _round_step(most / 3) if most > 0 else 1.0
    scale = Scale(0.0, max(most * 1.08, step))
    ticks = [number * step for number in range(int(scale.high / step) + 1)]
    return _chart(title, lines, scale, [(tick, f"{tick:g}") for tick in ticks]) | {"low": True}


@dataclass(frozen=True)
class Dots:
    """A row of values, each with the words that the pointer reads."""

    name: str
    values: Sequence[float]
    words: Sequence[str]
    mean: float
    interval: tuple[float, float] | None
    colour: int


def dots_chart(title: str, rows: Sequence[Dots], limit: float | None) -> dict[str, Any]:
    """Return rows of accuracies as dots on one axis, each with its mean and the interval of the mean."""
    ends = [end for row in rows for end in (row.interval or ())] + ([limit] if limit is not None else [])
    drawn = [value for row in rows for value in row.values] + ends
    room = max(0.0005, 0.06 * (max(drawn) - min(drawn)))
    low, high = min(drawn) - room, max(drawn) + room
    step = _round_step((high - low) / 6)

    def across(value: float) -> float:
        return round(100 * min(max((value - low) / (high - low), 0.0), 1.0), 3)

    return {
        "title": title,
        "limit": None if limit is None else {"place": across(limit), "words": f"contract: {percent(limit)}"},
        "stops": [
            {"place": across(number * step), "words": percent(number * step)}
            for number in range(math.ceil(low / step), math.floor(min(high, 1.0) / step) + 1)
        ],
        "rows": [
            {
                "name": row.name,
                "colour": row.colour,
                "mean": across(row.mean),
                "interval": None if row.interval is None else [across(end) for end in row.interval],
                "dots": sorted(zip(map(across, row.values), row.words, strict=True)),
            }
            for row in rows
        ],
    }


def _chart(title: str, lines: Sequence[Line], scale: Scale, ticks: Sequence[tuple[float, str]]) -> dict[str, Any]:
    epochs = max(len(line.values) for line in lines)
    every = _round_step(epochs / MOST_STOPS) if epochs > MOST_STOPS else 1
    stops = sorted({1, *range(int(every), epochs + 1, max(1, int(every)))})
    across = [_across(epoch, epochs) for epoch in range(epochs)]
    read = {
        "across": across,
        "lines": [
            {
                "name": line.name,
                "colour": line.colour,
                "down": [
                    None if value is None or not math.isfinite(value) else _share(scale.place(value)) for value in line.values
                ],
                "said": ["" if value is None else scale.text(value) for value in line.values],
            }
            for line in lines
        ],
    }
    return {
        "title": title,
        "low": False,
        "limit": None,
        "ticks": [{"place": _share(scale.place(value)), "words": words} for value, words in ticks],
        "stops": [{"place": across[stop - 1], "words": str(stop)} for stop in stops],
        "lines": [
            {
                "name": line.name,
                "colour": line.colour,
                "path": _path(line, scale, epochs),
                "alone": sum(value is not None for value in line.values) == 1,
            }
            for line in lines
        ],
        "read": as_json(read),
    }


def _path(line: Line, scale: Scale, epochs: int) -> str:
    """Return the line as SVG's words; where a value is missing it is broken, and one alone is a dot."""
    parts, open_end = [], False
    for epoch, value in enumerate(line.values):
        if value is None or not math.isfinite(value):
            open_end = False
            continue
        x, y = _across(epoch, epochs) * WHOLE / 100, scale.place(value) * WHOLE
        parts.append(f"{'L' if open_end else 'M'}{x:.1f} {y:.1f}")
        if not open_end:
            parts.append("h0")
        open_end = True
    return "".join(parts)


def _across(epoch: int, epochs: int) -> float:
    """Return where an epoch (from 0 on) stands, in hundredths of the chart's width."""
    return round(100 * (0.015 + 0.97 * epoch / (epochs - 1)), 3) if epochs > 1 else 50.0


def _share(place: float) -> float:
    return round(100 * place, 3)


def _round_step(rough: float) -> float:
    """Return 1, 2 or 5 times a power of ten, not below `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def as_json(value: Any) -> Markup:
    """Return JSON that can stand in a page's script element: nothing in it can end that element."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 - the one letter that could end it is written as a number
