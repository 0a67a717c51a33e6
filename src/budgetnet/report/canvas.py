"""What every picture is drawn on: one style whatever the user's settings are, PNG bytes, and an axis on which 99.4 and 99.5 % lie apart.

White ground with margins: readable on a light page and on a dark one. Twice the size it is shown at. The same numbers give the same
bytes, with the same matplotlib, which loads inside the functions (0.3 s). No torch.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, QUIET, FAINT = "#1f2328", "#6a737d", "#d8dee4"
DOTS_PER_INCH = 200
TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999)
PERFECT = 5e-5
"""Share of errors at which an accuracy of 100 % is drawn: no logarithm reaches it."""


@contextmanager
def drawing(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> Iterator[Figure]:
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


def png(figure: Figure) -> bytes:
    """Return the figure as PNG bytes."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return file.getvalue()


def errors(accuracies: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return shares of errors as the logarithmic axis draws them."""
    return np.clip(1 - np.asarray(accuracies, dtype=np.float64), PERFECT, 1.0)


def accuracy_axis(axes: Axes, drawn: Sequence[float]) -> None:
    """Make the upright axis one of errors, logarithmic and upside down, that says accuracies; `drawn` are those it must hold."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    axes.set_yscale("log")
    low, high = errors([min(drawn)])[0] * 1.25, errors([max(drawn)])[0] / 1.25
    axes.set_ylim(low, high)  # upside down: fewer errors are higher
    shown = [tick for tick in TICKS if high <= 1 - tick <= low] or [min(drawn), max(drawn)]
    shown += [1.0] if max(drawn) > 1 - PERFECT else []
    axes.yaxis.set_major_locator(FixedLocator(list(errors(shown))))
    axes.yaxis.set_major_formatter(FixedFormatter([percent(tick) for tick in shown]))
    axes.yaxis.set_minor_locator(NullLocator())


def limit_line(axes: Axes, limit: float) -> None:
    """Draw the contract's accuracy across such an axis."""
    line = float(errors([limit])[0])
    axes.axhline(line, color=INK, linewidth=0.9, linestyle=(0, (5, 4)), zorder=1)
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}  # a curve passes behind the words
    place = axes.get_yaxis_transform()
    axes.text(0.008, line / 1.04, f"contract: {percent(limit)}", transform=place, va="bottom", fontsize=8, bbox=ground)


def shown_width(png: bytes) -> int:
    """Return the width to show a picture at: half of its own, so that it is sharp on a dense screen."""
    return int.from_bytes(png[16:20], "big") // 2  # PNG: signature, length and name of IHDR, then the width


def picture_names(names: Sequence[str], longest: int = 14) -> list[str]:
    """Return the class names as a picture can write them: cut where long, and `#3` for all where the font lacks a letter of one."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    known = get_font(findfont(FontProperties(family="DejaVu Sans"))).get_charmap()
    if not all(name.strip() and name.isprintable() and all(ord(letter) in known for letter in name) for name in names):
        return [f"#{place}" for place in range(len(names))]
    return [name if len(name) <= longest else f"{name[: longest - 1]}…" for name in names]


def percent(fraction: float) -> str:
    """Return a fraction as a percentage with the digits that it has, up to six."""
    return f"{fraction * 100:.6f}".rstrip("0").rstrip(".") + " %"
