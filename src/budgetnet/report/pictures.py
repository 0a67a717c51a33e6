"""The report's pictures: curves over the epochs, the confusion matrix, and the gallery of misclassified images.

PNG bytes from plain numbers, on the report's `canvas`; each picture costs about 0.3 s. No torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from budgetnet.report.canvas import (
    DOTS_PER_INCH,
    FAINT,
    INK,
    QUIET,
    accuracy_axis,
    drawing,
    errors,
    limit_line,
    picture_names,
    png,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRAINING, VALIDATION, TEST, RATE, RIGHT = "#0969a8", "#3a8f6b", "#d1511f", "#57606a", "#e6f0e9"
MOST_NUMBERED_CLASSES, MOST_NAMED_CLASSES = 20, 60


@dataclass(frozen=True)
class Curves:
    """What `curves` draws, each list with an entry for each epoch; accuracies are fractions."""

    rates: Sequence[float]
    training: Sequence[float]
    watched: Sequence[float] | None
    """Accuracy on what was evaluated after each epoch, None where nothing was."""
    watched_is_test: bool
    """Else it is a validation part."""
    final_test: float | None
    """Drawn as a single point at the last epoch, where the test split was read once."""
    limit: float | None
    """The contract's accuracy."""


@dataclass(frozen=True)
class Mistake:
    """An image and what the network said of it."""

    image: NDArray[np.uint8]
    """Shape (channels, height, width); 1 or 3 channels."""
    label: int
    predicted: int
    probability: float
    """What the network gave its answer, 0–1."""


def curves(data: Curves) -> bytes:
    """Return the chart of accuracy above that of the learning rate, over the same epochs."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    with drawing(8.6, 5.6) as figure:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.3, 1))
        epochs = np.arange(1, len(data.rates) + 1)
        _accuracy_curves(above, epochs, data)
        marker = "o" if len(epochs) <= 60 else ""
        below.plot(epochs, data.rates, color=RATE, linewidth=1.4, marker=marker, markersize=3)
        below.set_ylim(0, max(data.rates) * 1.12)
        below.yaxis.set_major_locator(MaxNLocator(4))
        below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        below.set_title("Learning rate", loc="left")
        below.set_xlabel("Epoch")
        below.xaxis.set_major_locator(MaxNLocator(20, integer=True, min_n_ticks=1))
        margin = max(0.5, len(epochs) / 60)
        below.set_xlim(1 - margin, len(epochs) + margin)
        figure.align_ylabels()
        return png(figure)


def _accuracy_curves(axes: Axes, epochs: NDArray[np.int_], data: Curves) -> None:
    """Draw errors on a logarithmic scale and write accuracies beside it: 99.4 and 99.5 % lie apart, and 90 % is still there."""
    marker = "o" if len(epochs) <= 60 else ""
    axes.plot(epochs, errors(data.training), color=TRAINING, linewidth=1.6, marker=marker, markersize=3.5, label="training")
    drawn = list(data.training)
    if data.watched is not None:
        color, name = (TEST, "test") if data.watched_is_test else (VALIDATION, "validation")
        axes.plot(epochs, errors(data.watched), color=color, linewidth=1.6, marker=marker, markersize=3.5, label=name)
        drawn += data.watched
    if data.final_test is not None:
        axes.plot(
            epochs[-1:],
            errors([data.final_test]),
            color=TEST,
            linestyle="",
            marker="D",
            markersize=6,
            clip_on=False,
            label="test, read once",
        )
        drawn.append(data.final_test)
    if data.limit is not None:
        drawn.append(data.limit)
        limit_line(axes, data.limit)
    accuracy_axis(axes, drawn)
    axes.set_title("Accuracy", loc="left")
    axes.legend(loc="lower right", frameon=False, ncols=3)


def confusion(counts: Sequence[Sequence[int]], names: Sequence[str]) -> bytes:
    """Return the confusion matrix, rows by true class; errors are coloured by their number, right answers only named."""
    from matplotlib.colors import LinearSegmentedColormap, ListedColormap

    matrix = np.asarray(counts, dtype=np.int64)
    classes = len(matrix)
    with drawing(6.0, 5.9) as figure:
        axes = figure.subplots()
        errors = matrix.astype(np.float64)
        np.fill_diagonal(errors, 0)
        most = max(8.0, float(errors.max()))  # where there are few mistakes, one of them is no alarm
        axes.imshow(
            np.ma.masked_equal(errors, 0),
            cmap=LinearSegmentedColormap.from_list("errors", ["#fdeee6", "#f0a27e", TEST, "#8f2f0b"]),
            vmin=0,
            vmax=most,
        )
        axes.imshow(np.ma.masked_equal(np.eye(classes), 0), cmap=ListedColormap([RIGHT]), vmin=0, vmax=1)
        if classes <= MOST_NUMBERED_CLASSES:
            for row, column in np.ndindex(matrix.shape):
                if matrix[row, column]:
                    dark = row != column and matrix[row, column] > 0.6 * most
                    size = min(9.0, 95 / classes)
                    text = f"{matrix[row, column]:,}"
                    axes.text(column, row, text, ha="center", va="center", fontsize=size, color="white" if dark else INK)
        _name_cells(axes, picture_names(names))
        axes.spines[:].set_visible(False)
        axes.set_xlabel("The network's answer")
        axes.set_ylabel("True class")
        return png(figure)


def _name_cells(axes: Axes, labels: Sequence[str]) -> None:
    """Write the class names along a matrix and rule it; a matrix too fine for names keeps its numbers and no rules."""
    classes = len(labels)
    axes.grid(which="major", visible=False)
    axes.tick_params(which="both", length=0)
    if classes > MOST_NAMED_CLASSES:
        return
    turned = max(map(len, labels)) > 2
    axes.set_xticks(range(classes), labels, rotation=45 if turned else 0, ha="right" if turned else "center", parse_math=False)
    axes.set_yticks(range(classes), labels, parse_math=False)
    axes.tick_params(labelsize=min(9.0, 180 / classes))
    axes.set_xticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=FAINT, linewidth=0.6)


def gallery(mistakes: Sequence[Mistake], names: Sequence[str], columns: int = 10) -> bytes:
    """Return the mistakes in rows, each image upscaled by a whole factor, with its true class, the answer and its probability."""
    written = picture_names(names)
    captions = [(written[mistake.label], written[mistake.predicted]) for mistake in mistakes]
    two_lines = any(len(true) + len(said) > 8 for true, said in captions)
    longest = max(len(said) + 2 if two_lines else len(true) + len(said) + 3 for true, said in captions)
    size_of_names = min(9.0, 100 / longest)
    channels, height, width = mistakes[0].image.shape
    factor = max(1, round(140 / max(height, width)))
    tile_height, tile_width = height * factor, width * factor
    gap, margin = 32, 28
    step_x, step_y = max(tile_width, 140) + gap, tile_height + (116 if two_lines else 88)
    columns = min(columns, len(mistakes))
    canvas = np.full(
        (math.ceil(len(mistakes) / columns) * step_y + margin, columns * step_x - gap + 2 * margin, 3), 255, dtype=np.uint8
    )
    total_height, total_width = canvas.shape[:2]
    with drawing(total_width / DOTS_PER_INCH, total_height / DOTS_PER_INCH, layout=None) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        for place, (mistake, (true, said)) in enumerate(zip(mistakes, captions, strict=True)):
            left = margin + (place % columns) * step_x + (step_x - gap - tile_width) // 2
            top = margin + (place // columns) * step_y
            big = mistake.image.repeat(factor, axis=1).repeat(factor, axis=2).transpose(1, 2, 0)
            canvas[top : top + tile_height, left : left + tile_width] = big if channels == 3 else big[:, :, :1]
            lines = (true, f"→ {said}") if two_lines else (f"{true} → {said}",)
            below = top + tile_height + 22
            styled = [(line, size_of_names, INK) for line in lines] + [(_sureness(mistake.probability), 7.2, QUIET)]
            for line, size, color in styled:
                axes.text(
                    left + tile_width / 2, below, line, ha="center", va="center", fontsize=size, color=color, parse_math=False
                )
                below += 28
        # One cell of the canvas is one dot of the file: nothing is blurred.
        axes.imshow(canvas, interpolation="none", extent=(0, total_width, total_height, 0), aspect="auto")
        return png(figure)


def _sureness(probability: float) -> str:
    return f"{math.floor(probability * 100)} % sure"  # 99.9 % is not said as 100 %
