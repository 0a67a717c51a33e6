"""The pictures of a study: every run as a dot, differences, accuracy against parameters and time, learning curves with bands.

PNG bytes from plain numbers, on the report's `canvas`. Where there are many recipes, each picture says what it leaves out. Each costs about
0.3 s. No torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from budgetnet.report.canvas import INK, QUIET, accuracy_axis, drawing, errors, limit_line, percent, picture_names, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6A3D9A", "#444444")
"""Okabe and Ito's, told apart by all eyes, with one more dark one in place of yellow, which is lost on white."""
MOST_ROWS = 60
MOST_CURVES = len(COLOURS)
LONGEST_LABEL = 38
WIDTH = 8.6
STEPS = (1, 2, 5, 10)
"""Between the numbers at an axis, times a power of ten."""
UNNAMED = "#b0b7bf"


@dataclass(frozen=True)
class Drawn:
    """What is drawn of one recipe; accuracies are fractions."""

    label: str
    finals: Sequence[float]
    mean: float
    interval: tuple[float, float] | None
    parameters: int
    seconds: Sequence[float]
    """Of training, for each run."""
    curves: Sequence[Sequence[float]]
    """For each run, the accuracy after each epoch: on the test split where it was watched, else on the training images."""


@dataclass(frozen=True)
class Compared:
    """What is drawn of one comparison; fractions."""

    label: str
    difference: float
    interval: tuple[float, float] | None
    seen: bool
    """Whether the test, corrected, sees a difference."""


def runs(recipes: Sequence[Drawn], limit: float | None) -> bytes:
    """Return each run as a dot, a row for each recipe, with its mean and the interval of the mean."""
    shown = recipes[:MOST_ROWS]
    with drawing(WIDTH, 1.35 + 0.42 * len(shown)) as figure:
        axes = figure.subplots()
        for row, recipe in enumerate(shown):
            colour = COLOURS[row % len(COLOURS)]
            values = np.asarray(recipe.finals) * 100
            heights = [row - 0.1 - height for height in _heaped(recipe.finals)]
            axes.scatter(values, heights, s=17, color=colour, alpha=0.8, linewidths=0)
            _mean_mark(axes, recipe.mean * 100, recipe.interval, row + 0.16, colour)
        if limit is not None:
            axes.axvline(limit * 100, color=INK, linewidth=0.9, linestyle=(0, (5, 4)), zorder=1)
            words = f"contract: {percent(limit)}"
            axes.annotate(
                words, (limit * 100, 1), xycoords=("data", "axes fraction"), xytext=(4, 3), textcoords="offset points", fontsize=8
            )
        _name_rows(axes, [recipe.label for recipe in shown])
        left_out = f"\nThe first {MOST_ROWS} of {len(recipes)} recipes" if len(recipes) > MOST_ROWS else ""
        axes.set_xlabel(f"Final test accuracy, % — a dot for each run, below it the mean with its 95 % interval{left_out}")
        _widen(axes)
        return png(figure)


def differences(compared: Sequence[Compared]) -> bytes:
    """Return each difference with its interval, beside the line where there is none."""
    shown = compared[:MOST_ROWS]
    with drawing(WIDTH, 1.35 + 0.4 * len(shown)) as figure:
        axes = figure.subplots()
        axes.axvline(0, color=INK, linewidth=0.9, zorder=1)
        for row, one in enumerate(shown):
            colour = COLOURS[0] if one.seen else QUIET
            bounds = one.interval or (one.difference, one.difference)
            axes.plot([bounds[0] * 100, bounds[1] * 100], [row, row], color=colour, linewidth=2.2, solid_capstyle="round", zorder=2)
            axes.scatter(
                [one.difference * 100],
                [row],
                s=42,
                color=colour if one.seen else "white",
                edgecolors=colour,
                linewidths=1.6,
                zorder=3,
            )
        _name_rows(axes, [one.label for one in shown], longest=2 * LONGEST_LABEL)
        axes.set_xlabel("Difference in points, first minus second, 95 % interval — filled where the test sees a difference")
        _widen(axes)
        return png(figure)


def trade(recipes: Sequence[Drawn], limit: float | None) -> bytes:
    """Return accuracy against parameters and against training time, a point with its interval for each recipe."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    shown = recipes[:MOST_ROWS]
    with drawing(WIDTH, 4.4) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        for row, recipe in enumerate(shown):
            colour, bounds = COLOURS[row] if row < MOST_CURVES else UNNAMED, recipe.interval or (recipe.mean, recipe.mean)
            minutes = float(np.mean(recipe.seconds)) / 60
            label = _labels([recipe.label])[0] if row < MOST_CURVES else None
            for axes, place in ((left, recipe.parameters), (right, minutes)):
                axes.plot([place, place], [bounds[0] * 100, bounds[1] * 100], color=colour, linewidth=1.6, alpha=0.7)
                axes.scatter([place], [recipe.mean * 100], s=46, color=colour, zorder=3, label=label if axes is left else None)
        if limit is not None:
            for axes in (left, right):
                axes.axhline(limit * 100, color=INK, linewidth=0.9, linestyle=(0, (5, 4)), zorder=1)
        left.set_ylabel("Final test accuracy, %, mean and 95 % interval")
        left.set_xlabel("Parameters, total" + (" — grey: recipes beyond the first eight" if len(recipes) > MOST_CURVES else ""))
        right.set_xlabel("Training time of a run, minutes")
        left.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=STEPS))
        left.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        for axes in (left, right):
            axes.margins(0.12)
        _legend(figure, len(shown))
        return png(figure)


def curves(recipes: Sequence[Drawn], limit: float | None, *, of_test: bool) -> bytes:
    """Return the accuracy over the epochs: the mean over seeds as a line, from the lowest to the highest as a band."""
    from matplotlib.ticker import MaxNLocator

    shown = [recipe for recipe in recipes if recipe.curves][:MOST_CURVES]
    drawn: list[float] = [] if limit is None else [limit]
    with drawing(WIDTH, 5.0) as figure:
        axes = figure.subplots()
        most = 1
        for row, recipe in enumerate(shown):
            length = min(len(curve) for curve in recipe.curves)
            values = np.asarray([curve[:length] for curve in recipe.curves])
            epochs, colour = np.arange(1, length + 1), COLOURS[row]
            most = max(most, length)
            axes.fill_between(epochs, errors(values.min(0)), errors(values.max(0)), color=colour, alpha=0.14, linewidth=0)
            label = _labels([recipe.label])[0]
            axes.plot(epochs, errors(values.mean(0)), color=colour, linewidth=1.7, label=label, marker="o" if length < 3 else "")
            drawn += [float(values.min()), float(values.max())]
        if limit is not None and of_test:
            limit_line(axes, limit)
        accuracy_axis(axes, drawn)
        left_out = f"\nThe first {MOST_CURVES} of {len(recipes)} recipes" if len(recipes) > MOST_CURVES else ""
        axes.set_xlabel(f"Epoch — the mean over the seeds, and from the lowest to the highest{left_out}")
        axes.set_ylabel(f"Accuracy on the {'test split' if of_test else 'training images'}")
        axes.xaxis.set_major_locator(MaxNLocator(20, integer=True, min_n_ticks=1))
        axes.set_xlim(1 - max(0.3, most / 60), most + max(0.3, most / 60))
        _legend(figure, len(shown))
        return png(figure)


def _heaped(values: Sequence[float]) -> list[float]:
    """Return how high each dot is drawn, so that equal accuracies lie on each other and none is hidden."""
    seen: dict[float, int] = {}
    heights = []
    for value in values:
        seen[value] = seen.get(value, -1) + 1
        heights.append(min(seen[value] * 0.11, 0.33))
    return heights


def _mean_mark(axes: Axes, mean: float, interval: tuple[float, float] | None, row: float, colour: str) -> None:
    if interval is not None:
        axes.plot([interval[0] * 100, interval[1] * 100], [row, row], color=colour, linewidth=2.4, solid_capstyle="round", zorder=2)
    axes.scatter([mean], [row], marker="D", s=44, color="white", edgecolors=colour, linewidths=1.8, zorder=4)


def _name_rows(axes: Axes, labels: Sequence[str], longest: int = LONGEST_LABEL) -> None:
    axes.set_yticks(range(len(labels)), _labels(labels, longest), parse_math=False)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(axis="y", visible=False)


def _widen(axes: Axes) -> None:
    """Give a picture of hardly differing values an axis on which hundredths of a point do not look like worlds."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    low, high = axes.get_xlim()
    least = 0.1
    if high - low < least:
        middle = (low + high) / 2
        axes.set_xlim(middle - least / 2, middle + least / 2)
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=STEPS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6f}".rstrip("0").rstrip(".") or "0"))


def _labels(labels: Sequence[str], longest: int = LONGEST_LABEL) -> list[str]:
    """Return names as a picture can write them, long ones cut in the middle: it is their ends that differ."""
    half = longest // 2
    short = [label if len(label) <= longest else f"{label[: half - 1]}…{label[-half:]}" for label in labels]
    return picture_names(short, longest)


def _legend(figure: object, number: int) -> None:
    columns = 2 if number > 3 else max(1, number)
    figure.legend(loc="outside upper left", frameon=False, ncols=columns)  # type: ignore[attr-defined]
