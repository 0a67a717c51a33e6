"""The README's front picture: accuracy against parameters, of published claims, public points and the project's own records.

SVG, drawn by matplotlib from `records/*/record.json`, the zoo's claims and `records/public-points.toml`. The bytes depend on matplotlib's
release, so what is held against staleness is a digest of what is drawn and of this file, kept in the picture's description.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from budgetnet.record import newest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HERE = Path(__file__).resolve()
INK, QUIET, FAINT = "#1f2328", "#6a737d", "#d8dee4"
PUBLIC, CLAIM, AGAIN, OURS = "#8c959f", "#d1511f", "#d1511f", "#0969a8"
LEFT, RIGHT, LOWEST, HIGHEST = 1_500, 40_000, 99.0, 99.8
FEWEST_SEEDS = 3
"""Two give an interval that is wider than the picture."""
LIMIT_PARAMETERS, LIMIT_ACCURACY = 15_000, 99.4
TICKS = (2_000, 3_000, 4_000, 6_000, 8_000, 10_000, 15_000, 20_000, 30_000)


@dataclass(frozen=True)
class Mark:
    """One point of the picture; accuracies in percent."""

    kind: Literal["public", "chosen on test", "claim", "measured again", "ours"]
    name: str
    parameters: int
    accuracy: float
    low: float | None = None
    high: float | None = None
    """95 % interval of the mean over seeds; None for a single run."""
    seeds: int = 1

    @property
    def shown(self) -> bool:
        """Whether it lies inside the axes."""
        return LEFT <= self.parameters <= RIGHT and LOWEST <= self.accuracy <= HIGHEST


def marks(records: Sequence[dict[str, Any]], public: Path) -> list[Mark]:
    """Return everything there is to draw."""
    points = tomllib.loads(public.read_text(encoding="utf-8"))["point"]
    found = [
        Mark("chosen on test" if point["kind"] == "best" else "public", point["source"], point["parameters"], _final(point))
        for point in points
    ]
    for name in sorted({record["name"] for record in records}):
        record = newest(records, name)
        assert record is not None  # noqa: S101  (its name is taken from the records)
        low, high = (100 * bound for bound in record["interval"]) if record["interval"] else (None, None)
        total, count, claim = record["parameters"]["total"], len(record["seeds"]), record.get("claim")
        kind: Literal["measured again", "ours"] = "measured again" if claim else "ours"
        found.append(Mark(kind, name, total, 100 * record["mean"], low, high, count))
        if claim:
            found.append(Mark("claim", name, total, 100 * claim["accuracy"]))
    return found


def digest(drawn: Sequence[Mark]) -> str:
    """Return the hash over what is drawn and how."""
    content = json.dumps([asdict(mark) for mark in drawn]).encode() + HERE.read_bytes()
    return hashlib.sha256(content).hexdigest()


def digest_in(svg: str) -> str | None:
    """Return the digest that a picture was drawn from."""
    match = re.search(r"drawn from ([0-9a-f]{64})", svg)
    return match[1] if match else None


def words(drawn: Sequence[Mark]) -> str:
    """Return the sentences that belong under the picture."""
    ours = sum(mark.kind == "ours" for mark in drawn)
    again = sum(mark.kind == "measured again" for mark in drawn)
    public = [mark for mark in drawn if mark.kind in {"public", "chosen on test"}]
    outside = sum(not mark.shown for mark in public)
    crosses = (
        "; crosses were chosen on the test split" if any(mark.shown for mark in public if mark.kind == "chosen on test") else ""
    )
    blue = f"Blue: {ours} recipes of our own, mean over seeds with its 95 % interval. " if ours else ""
    return (
        f"{blue}Orange: what {again} rebuilt hand-ins claim (hollow) and reach from fresh weights (filled). "
        f"Grey: {len(public)} public networks, one run each, after the last epoch where it is known{crosses}; {outside} lie outside "
        f"the picture. Intervals are drawn from {FEWEST_SEEDS} seeds on. Sources: [`records/public-points.toml`](records/public-points.toml)."
    )


def svg(drawn: Sequence[Mark]) -> str:
    """Return the picture."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcdefaults()
    settings: Any = {
        "svg.hashsalt": "budgetnet",
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.color": INK,
        "axes.labelcolor": INK,
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(8.8, 5.2), layout="constrained", facecolor="white")
        axes = figure.subplots()
        _frame(axes)
        _draw(axes, [mark for mark in drawn if mark.shown])
        output = io.StringIO()
        metadata = {"Date": None, "Creator": None, "Description": f"accuracy against parameters, drawn from {digest(drawn)}"}
        figure.savefig(output, format="svg", metadata=metadata)
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines()) + "\n"


def _frame(axes: Axes) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, MultipleLocator, NullLocator

    axes.set_xscale("log")
    axes.set_xlim(LEFT, RIGHT)
    axes.set_ylim(LOWEST, HIGHEST)
    axes.xaxis.set_major_locator(FixedLocator(list(TICKS)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_locator(MultipleLocator(0.1))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.1f} %"))
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(QUIET)
    axes.tick_params(colors=QUIET)
    axes.set_xlabel("parameters (Keras's total; public points as their authors count)")
    axes.set_ylabel("MNIST test accuracy")
    axes.plot(
        [LEFT, LIMIT_PARAMETERS, LIMIT_PARAMETERS], [LIMIT_ACCURACY, LIMIT_ACCURACY, HIGHEST], color=INK, linewidth=0.9, ls="--"
    )
    axes.text(LIMIT_PARAMETERS * 1.02, HIGHEST - 0.02, "the contract:\n99.4 % in 15,000", color=INK, fontsize=8, va="top")


def _draw(axes: Axes, drawn: Sequence[Mark]) -> None:
    from matplotlib.patheffects import withStroke

    styles: dict[str, dict[str, Any]] = {
        "public": {"marker": "o", "color": PUBLIC, "s": 20, "label": "public network, one run, last epoch"},
        "chosen on test": {"marker": "x", "color": PUBLIC, "s": 24, "label": "public network, chosen on the test split"},
        "claim": {"marker": "D", "facecolors": "white", "edgecolors": CLAIM, "s": 26, "label": "claim of a rebuilt hand-in"},
        "measured again": {"marker": "D", "color": AGAIN, "s": 22, "label": "the same, from fresh weights"},
        "ours": {"marker": "o", "color": OURS, "s": 46, "label": "ours: mean over seeds, 95 % interval", "zorder": 5},
    }
    for kind, style in styles.items():
        own = [mark for mark in drawn if mark.kind == kind]
        if own:
            axes.scatter([mark.parameters for mark in own], [mark.accuracy for mark in own], **{"zorder": 3, **style})
    for mark in drawn:
        color = OURS if mark.kind == "ours" else AGAIN
        if mark.low is not None and mark.high is not None and mark.seeds >= FEWEST_SEEDS:
            low, high = max(mark.low, LOWEST), min(mark.high, HIGHEST)
            axes.plot([mark.parameters] * 2, [low, high], color=color, linewidth=1.4, zorder=4, alpha=0.9, marker="_", markersize=6)
        if mark.kind == "ours":
            place = (mark.parameters, mark.accuracy)
            near_the_axis = mark.parameters < 2 * LEFT
            below_the_crowd = mark.accuracy < LIMIT_ACCURACY + 0.1
            label = axes.annotate(
                f"{mark.name}, {mark.seeds} seeds",
                place,
                xytext=(9 if near_the_axis else -9, -23 if below_the_crowd else 7),
                textcoords="offset points",
                ha="left" if near_the_axis else "right",
                color=OURS,
                weight="bold",
                zorder=2,
            )
            label.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
    # What one hand-in claims and reaches hangs together.
    claims = {mark.name: mark for mark in drawn if mark.kind == "claim"}
    for mark in drawn:
        if mark.kind == "measured again" and mark.name in claims:
            axes.plot([mark.parameters] * 2, [mark.accuracy, claims[mark.name].accuracy], color=CLAIM, linewidth=0.7, zorder=2)
    axes.legend(loc="lower right", frameon=True, framealpha=0.95, edgecolor=FAINT, fontsize=8)


def _final(point: dict[str, Any]) -> float:
    return float(point.get("final", point["claim"]))
