"""The learning rates that a log prints -> the schedule they follow.

Each candidate is fitted to the first and the last rate and must meet all the others within their printed digits; the simplest that
does is named. Pure; rates are few.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from budgetnet.audit.words import Value

NOT_SHOWN = "not shown"
FEWEST = 3
SLACK = 2e-3
"""Relative: authors round, and schedulers step once more or less."""


def schedule_of(rates: Sequence[tuple[int, Value]], plateau: bool = False) -> str:
    """Return the schedule in words, with its figures; `rates` are (epoch from 0, rate).

    `plateau`: whether the log says ReduceLROnPlateau.

    >>> schedule_of([(e, Value(round(0.003 / (1 + 0.319 * e), 10), 1e-10)) for e in range(20)])
    'inverse-time: 0.003 / (1 + 0.319 × epoch)'
    """
    points = [(epoch, rate) for epoch, rate in rates if math.isfinite(rate.value) and rate.value > 0]
    if not points:
        return "plateau: reduced by ReduceLROnPlateau" if plateau else NOT_SHOWN
    values = [rate.value for _, rate in points]
    if _level(values):
        return f"constant: {values[0]:g}" if len(values) > 1 else f"{values[0]:g}, shown once"
    if plateau:
        return f"plateau: {values[0]:g} falls to {values[-1]:g}"
    if len(points) < FEWEST:
        return f"too few rates to tell: {values[0]:g}, then {values[-1]:g}"
    for candidate in (_steps, _inverse_time, _exponential, _linear, _cosine, _one_cycle):
        if name := candidate(points):
            return name
    return f"other: {values[0]:g} to {values[-1]:g}"


def _level(values: Sequence[float]) -> bool:
    return max(values) - min(values) <= 1e-6 * max(values)


def _meets(points: Sequence[tuple[int, Value]], formula: Callable[[int], float]) -> bool:
    for epoch, rate in points:
        expected = formula(epoch)
        if not abs(expected - rate.value) <= rate.unit + SLACK * rate.value:
            return False
    return True


def _inverse_time(points: Sequence[tuple[int, Value]]) -> str | None:
    (start, first), (end, last) = points[0], points[-1]
    below = last.value * end - first.value * start
    if below == 0 or (decay := (first.value - last.value) / below) <= 0:
        return None
    rate = first.value * (1 + decay * start)
    if not _meets(points, lambda epoch: rate / (1 + decay * epoch)):
        return None
    return f"inverse-time: {float(f'{rate:.5g}'):g} / (1 + {float(f'{decay:.4g}'):g} × epoch)"


def _exponential(points: Sequence[tuple[int, Value]]) -> str | None:
    (start, first), (end, last) = points[0], points[-1]
    factor = (last.value / first.value) ** (1 / (end - start))
    if factor >= 1 or not _meets(points, lambda epoch: first.value * factor ** (epoch - start)):
        return None
    return f"exponential: {first.value / factor**start:g} × {factor:.4g} ^ epoch"


def _linear(points: Sequence[tuple[int, Value]]) -> str | None:
    (start, first), (end, last) = points[0], points[-1]
    slope = (last.value - first.value) / (end - start)
    if slope >= 0 or not _meets(points, lambda epoch: first.value + slope * (epoch - start)):
        return None
    return f"linear: {first.value:g} to {last.value:g}"


def _steps(points: Sequence[tuple[int, Value]]) -> str | None:
    """Levels, each below the one before and held for more than an epoch somewhere."""
    drops = [
        (after[0], after[1].value / before[1].value)
        for before, after in pairwise(points)
        if abs(after[1].value - before[1].value) > 1e-6 * before[1].value
    ]
    if any(factor >= 1 for _, factor in drops) or len(drops) > len(points) // 2:
        return None
    factors = [factor for _, factor in drops]
    places = [epoch for epoch, _ in drops]
    gaps = {after - before for before, after in zip([0, *places], places, strict=False)}
    factor = f"× {factors[0]:.3g}" if max(factors) - min(factors) <= 0.02 * max(factors) else "lower"
    if len(places) > 1 and len(gaps) == 1:
        return f"step: {points[0][1].value:g}, {factor} every {gaps.pop()} epochs"
    return f"step: {points[0][1].value:g}, {factor} after {', '.join(str(place) for place in places[:8])} epochs"


def _cosine(points: Sequence[tuple[int, Value]]) -> str | None:
    values = [rate.value for _, rate in points]
    if any(after > before for before, after in pairwise(values)):
        return None
    start, end, top, low = points[0][0], points[-1][0], values[0], values[-1]
    for length in (end - start, end - start + 1):
        # The last rate printed may not be the floor: it is solved for.
        share = (1 + math.cos(math.pi * (end - start) / length)) / 2
        floor = (low - top * share) / (1 - share)
        if floor > -SLACK * top and _meets(points, lambda epoch, n=length, f=floor: _half_wave(epoch - start, n, top, f)):  # type: ignore[misc]
            return f"cosine: {top:g} to {max(floor, 0.0):.3g}"
    return None


def _half_wave(epoch: int, length: int, top: float, floor: float) -> float:
    return floor + (top - floor) * (1 + math.cos(math.pi * epoch / length)) / 2


def _one_cycle(points: Sequence[tuple[int, Value]]) -> str | None:
    values = [rate.value for _, rate in points]
    peak = values.index(max(values))
    rising = all(after >= before for before, after in pairwise(values[: peak + 1]))
    falling = all(after <= before for before, after in pairwise(values[peak:]))
    if not (rising and falling and 0 < peak < len(values) - 1):
        return None
    return f"one-cycle: {values[0]:g} up to {values[peak]:g} in epoch {points[peak][0] + 1}, down to {values[-1]:.3g}"
