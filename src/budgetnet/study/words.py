"""A study and a list of runs as text for a terminal. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from budgetnet.study.showing import duration


def study_text(document: dict[str, Any]) -> str:
    """Return the numbers of each recipe, the sentence of each comparison, and what must be known beside them."""
    rows = [["recipe", "n", "mean", "95 % interval", "std", "best", "last 5", "meets it", "parameters", "each"]]
    rows += [_recipe_row(recipe) for recipe in document["recipes"]]
    lines = [f"{document['title']} (final test accuracy, contract {document['contract']})", "", *_table(rows), ""]
    lines += [sentence_case(comparison["sentence"]) + "." for comparison in document["comparisons"]]
    lines += ["", *(f"Note: {note}" for note in document["notes"])] if document["notes"] else []
    if "report" in document:
        lines += ["", f"Written: {document['report']}"]
    return "\n".join(lines)


def runs_text(rows: Sequence[dict[str, Any]]) -> str:
    """Return runs as a table."""
    if not rows:
        return "No run meets this."
    table = [["accuracy", "best", "last 5", "parameters", "recipe", "data", "seed", "epochs", "time", "state", "run"]]
    for row in rows:
        seconds = "–" if row["seconds"] is None else duration(row["seconds"])
        reason = f" ({row['reason']})" if row["reason"] else ""
        table.append(
            [
                *(percent(row[name]) for name in ("accuracy", "best", "last5")),
                "–" if row["parameters"] is None else f"{row['parameters']:,.0f}",
                str(row["recipe"] or "–"),
                str(row["data"] or "–"),
                _whole(row["seed"]),
                _whole(row["epochs"]),
                seconds,
                f"{row['state']}{reason}"[:60],
                row["run"],
            ]
        )
    return "\n".join([*_table(table), "", f"{len(rows)} run{'s' if len(rows) > 1 else ''}"])


def percent(value: float | None, digits: int = 2) -> str:
    """Return a fraction as a percentage, a dash where there is none."""
    return "–" if value is None else f"{value * 100:.{digits}f} %"


def points(value: float | None, digits: int = 2) -> str:
    """Return a fraction as points, hundredths."""
    return "–" if value is None else f"{value * 100:.{digits}f}"


def interval(bounds: Sequence[float] | None) -> str:
    """Return an interval of percentages."""
    return "–" if bounds is None else f"{bounds[0] * 100:.2f} to {bounds[1] * 100:.2f} %"


def passes(recipe: dict[str, Any]) -> str:
    """Return how many runs met the contract, with the interval of the probability."""
    if recipe["pass_probability"] is None:
        return "–"
    low, high = recipe["pass_interval"]
    count = round(recipe["pass_probability"] * recipe["n"])
    return f"{count} of {recipe['n']} ({low * 100:.0f}–{high * 100:.0f} %)"


def _recipe_row(recipe: dict[str, Any]) -> list[str]:
    parameters = recipe["parameters"]
    return [
        recipe["recipe"],
        str(recipe["n"]),
        percent(recipe["mean"]),
        interval(recipe["interval"]),
        points(recipe["std"]),
        percent(recipe["best"]),
        percent(recipe["last5"]),
        passes(recipe),
        "–" if parameters is None else f"{parameters:,}",
        "–" if recipe["seconds"] is None else duration(recipe["seconds"]),
    ]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def sentence_case(sentence: str) -> str:
    """Return a sentence with its capital where it begins with our own words; a recipe's name keeps its letters."""
    return sentence.replace("no difference", "No difference", 1) if sentence.startswith("no difference") else sentence


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"
