"""The report's pictures: curves over the epochs, the confusion matrix, and the gallery of misclassified images.

PNG bytes from plain numbers, drawn with matplotlib's own font and without the user's matplotlib settings, so that the same run
gives the same bytes (with the same matplotlib). White ground with margins: readable on a light page and on a dark one. Twice the
size they are shown at. matplotlib loads inside the functions (0.3 s); each picture costs about 0.3 s. No torch.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, QUIET, FAINT = "#1f2328", "#6a737d", "#d8dee4"
TRAINING, TEST, RATE, RIGHT = "#0969a8", "#d1511f", "#57606a", "#e6f0e9"
DOTS_PER_INCH = 200
FEWEST_CELLS_WITHOUT_NUMBERS = 21
TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999)
PERFECT = 1e-4
"""Where a curve without a single error is drawn: no logarithm reaches it."""


@dataclass(frozen=True)
class Curves:
    """What `curves` draws, each list with an entry for each epoch; accuracies are fractions."""

    rates: Sequence[float]
    training: Sequence[float]
    watched: Sequence[float] | None
    """Accuracy on what was evaluated after each epoch, None where nothing was."""
    watched_name: str
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

    with _drawing(8.6, 5.6) as figure:
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
        below.set_xlim(0.5, len(epochs) + 0.5)
        figure.align_ylabels()
        return _png(figure)


def _accuracy_curves(axes: Axes, epochs: NDArray[np.int_], data: Curves) -> None:
    """Draw errors on a logarithmic scale and write accuracies beside it: 99.4 and 99.5 % lie apart, and 90 % is still there."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    def errors(accuracies: Sequence[float]) -> NDArray[np.float64]:
        return np.clip(1 - np.asarray(accuracies, dtype=np.float64), PERFECT, 1.0)

    marker = "o" if len(epochs) <= 60 else ""
    axes.plot(epochs, errors(data.training), color=TRAINING, linewidth=1.6, marker=marker, markersize=3.5, label="training")
    drawn = list(data.training)
    if data.watched is not None:
        axes.plot(epochs, errors(data.watched), color=TEST, linewidth=1.6, marker=marker, markersize=3.5, label=data.watched_name)
        drawn += data.watched
    if data.final_test is not None:
        axes.plot(
            epochs[-1:], errors([data.final_test]), color=TEST, linestyle="", marker="D", markersize=6, label="test, read once"
        )
        drawn.append(data.final_test)
    if data.limit is not None:
        drawn.append(data.limit)
        axes.axhline(float(errors([data.limit])[0]), color=INK, linewidth=0.9, linestyle=(0, (5, 4)), zorder=1)
        text = f"contract: {_percent(data.limit)}"
        axes.annotate(
            text,
            (0, errors([data.limit])[0]),
            (6, 3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            color=INK,
            fontsize=8,
        )
    axes.set_yscale("log")
    low, high = errors([min(drawn)])[0] * 1.25, errors([max(drawn)])[0] / 1.25
    axes.set_ylim(low, high)  # upside down: fewer errors are higher
    shown = [tick for tick in TICKS if high <= 1 - tick <= low] or [min(drawn), max(drawn)]
    axes.yaxis.set_major_locator(FixedLocator([1 - tick for tick in shown]))
    axes.yaxis.set_major_formatter(FixedFormatter([_percent(tick) for tick in shown]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_title("Accuracy", loc="left")
    axes.legend(loc="lower right", frameon=False, ncols=3)


def confusion(counts: Sequence[Sequence[int]], names: Sequence[str]) -> bytes:
    """Return the confusion matrix, rows by true class; errors are coloured by their number, right answers only named."""
    from matplotlib.colors import LinearSegmentedColormap, ListedColormap

    matrix = np.asarray(counts, dtype=np.int64)
    classes = len(matrix)
    labels = picture_names(names)
    with _drawing(6.6, 6.2) as figure:
        axes = figure.subplots()
        errors = matrix.astype(np.float64)
        np.fill_diagonal(errors, 0)
        most = max(1.0, float(errors.max()))
        axes.imshow(
            np.ma.masked_equal(errors, 0),
            cmap=LinearSegmentedColormap.from_list("errors", ["#fdeee6", "#f0a27e", TEST, "#8f2f0b"]),
            vmin=0,
            vmax=most,
        )
        axes.imshow(np.ma.masked_equal(np.eye(classes), 0), cmap=ListedColormap([RIGHT]), vmin=0, vmax=1)
        if classes < FEWEST_CELLS_WITHOUT_NUMBERS:
            for row, column in np.ndindex(matrix.shape):
                if matrix[row, column]:
                    dark = row != column and matrix[row, column] > 0.6 * most
                    size = min(9.0, 95 / classes)
                    text = f"{matrix[row, column]:,}"
                    axes.text(column, row, text, ha="center", va="center", fontsize=size, color="white" if dark else INK)
        turned = max(map(len, labels)) > 2
        axes.set_xticks(range(classes), labels, rotation=45 if turned else 0, ha="right" if turned else "center", parse_math=False)
        axes.set_yticks(range(classes), labels, parse_math=False)
        axes.tick_params(length=0, labelsize=min(9.0, 180 / classes))
        axes.set_xticks(np.arange(classes + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(classes + 1) - 0.5, minor=True)
        axes.grid(which="minor", color=FAINT, linewidth=0.6)
        axes.grid(which="major", visible=False)
        axes.tick_params(which="minor", length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("The network's answer")
        axes.set_ylabel("True class")
        return _png(figure)


def gallery(mistakes: Sequence[Mistake], names: Sequence[str], columns: int = 10) -> bytes:
    """Return the mistakes in rows, each image upscaled by a whole factor, with its true class, the answer and its probability."""
    channels, height, width = mistakes[0].image.shape
    factor = max(1, round(112 / max(height, width)))
    tile_height, tile_width = height * factor, width * factor
    step_x, step_y, margin = max(tile_width, 112) + 32, tile_height + 70, 28
    columns = min(columns, len(mistakes))
    rows = math.ceil(len(mistakes) / columns)
    canvas = np.full((rows * step_y + margin, columns * step_x - 32 + 2 * margin, 3), 255, dtype=np.uint8)
    total_height, total_width = canvas.shape[:2]
    with _drawing(total_width / DOTS_PER_INCH, total_height / DOTS_PER_INCH, layout=None) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        written = picture_names(names)
        for place, mistake in enumerate(mistakes):
            left = margin + (place % columns) * step_x + (step_x - 32 - tile_width) // 2
            top = margin + (place // columns) * step_y
            big = mistake.image.repeat(factor, axis=1).repeat(factor, axis=2).transpose(1, 2, 0)
            canvas[top : top + tile_height, left : left + tile_width] = big if channels == 3 else big[:, :, :1]
            middle = left + tile_width / 2
            first = f"{written[mistake.label]} → {written[mistake.predicted]}"
            size = min(7.2, 7.2 * 13 / len(first))
            axes.text(middle, top + tile_height + 6, first, ha="center", va="top", fontsize=size, color=INK, parse_math=False)
            sure = _probability(mistake.probability)
            axes.text(middle, top + tile_height + 33, sure, ha="center", va="top", fontsize=5.8, color=QUIET)
        # One cell of the canvas is one dot of the file: nothing is blurred.
        axes.imshow(canvas, interpolation="none", extent=(0, total_width, total_height, 0), aspect="auto")
        return _png(figure)


def picture_names(names: Sequence[str], longest: int = 14) -> list[str]:
    """Return the class names as a picture can write them: cut where long, and `#3` for all where the font lacks a letter of one."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    known = get_font(findfont(FontProperties(family="DejaVu Sans"))).get_charmap()
    if not all(name.strip() and name.isprintable() and all(ord(letter) in known for letter in name) for name in names):
        return [f"#{place}" for place in range(len(names))]
    return [name if len(name) <= longest else f"{name[: longest - 1]}…" for name in names]


def _probability(value: float) -> str:
    percent = math.floor(value * 100)  # 99.9 % is not said as 100 %
    return f"{percent} % sure"


def _percent(fraction: float) -> str:
    return f"{fraction * 100:.6f}".rstrip("0").rstrip(".") + " %"


@contextmanager
def _drawing(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> Iterator[Figure]:
    """Yield a figure of so many inches, in the report's own style whatever the user's settings are."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {  # matplotlib types each key apart
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.color": INK,
        "axes.labelcolor": QUIET,
        "axes.edgecolor": FAINT,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlecolor": INK,
        "axes.titlepad": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#eceff2",
        "grid.linewidth": 0.8,
        "xtick.color": FAINT,
        "ytick.color": FAINT,
        "xtick.labelcolor": QUIET,
        "ytick.labelcolor": QUIET,
        "figure.constrained_layout.h_pad": 0.16,
        "figure.constrained_layout.w_pad": 0.16,
    }
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(style)
        figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, facecolor="white", layout=layout)
        FigureCanvasAgg(figure)
        yield figure


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return file.getvalue()
