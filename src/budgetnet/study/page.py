"""A study's document into a README and into one page of HTML that needs nothing else. Pure text, through two templates. No torch.

Titles and names are other people's words: Markdown is escaped by the report's own functions, HTML by the template; a policy in the page's
head refuses whatever would be loaded.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup, escape

from budgetnet.report.canvas import shown_width
from budgetnet.report.html_page import environment, grid, policy, source
from budgetnet.report.markdown import Markdown, block, code, embedded, inline, safe, table
from budgetnet.study.showing import duration
from budgetnet.study.words import interval, passes, percent, points, sentence_case
from budgetnet.version import __version__

MARKER = "<!-- Written by budgetnet study: a new report of the study replaces this folder. -->"
"""First line of every report; what does not begin with it is not replaced."""
RUNS, DIFFERENCES, TRADE, CURVES = "runs.png", "differences.png", "trade.png", "curves.png"
WORDS = {
    RUNS: "Every run as a dot, with the mean of each recipe and its 95 % interval",
    DIFFERENCES: "Differences between recipes, each with its 95 % interval",
    TRADE: "Accuracy against parameters and against training time",
    CURVES: "Accuracy over the epochs, mean and range over the seeds",
}
RECIPE_COLUMNS = (
    "recipe",
    ">n",
    ">mean, final",
    "95 % interval",
    ">std, points",
    ">best epoch",
    ">mean of last 5",
    "meets the contract",
    ">parameters",
    ">a run",
)
COMPARISON_COLUMNS = (
    "first",
    "second",
    ">difference, points",
    "95 % interval",
    ">p, corrected",
    ">n",
    "compared",
    "images told apart",
)
RUN_COLUMNS = ("recipe", ">seed", ">final", ">best", ">last 5", "verdict", ">time", "weights, SHA-256")


def markdown_page(document: dict[str, Any], pictures: Mapping[str, bytes]) -> str:
    """Return the README."""
    shown = {name.removesuffix(".png"): _picture(name, pictures) for name in WORDS}
    return _template().render(
        marker=Markdown(MARKER),
        **shown,
        **_common(document),
        question=embedded(document["question"], levels=1) if document["question"] else "",
        recipes=table(RECIPE_COLUMNS, [_recipe_cells(recipe) for recipe in document["recipes"]]),
        comparisons=table(COMPARISON_COLUMNS, [_comparison_cells(one) for one in document["comparisons"]]),
        runs_table=table(
            RUN_COLUMNS,
            [[code(cell) if cell.isalnum() and len(cell) == 16 else cell for cell in row] for row in _run_rows(document)],
        ),
        command=block(document["command"], "sh"),
    )


@dataclass(frozen=True)
class Charts:
    """What the page draws itself, in the form of `report.charts`."""

    dots: dict[str, Any] | None
    curves: Sequence[dict[str, Any]]


def html_page(document: dict[str, Any], pictures: Mapping[str, bytes], charts: Charts) -> str:
    """Return the page, with its pictures inside it."""
    script = source("charts.js")
    return (
        environment()
        .get_template("study.html.jinja")
        .render(
            **_common(document),
            verdicts=[
                (recipe["recipe"], sum(run["verdict"] == "met" for run in recipe["runs"]), recipe["n"])
                for recipe in document["recipes"]
                if recipe["n"]
            ],
            question=[_with_code(part) for part in document["question"].split("\n\n") if part.strip()],
            tables=[
                ("Recipes", grid(RECIPE_COLUMNS, [_recipe_cells(recipe) for recipe in document["recipes"]])),
                ("Comparisons", grid(COMPARISON_COLUMNS, [_comparison_cells(one) for one in document["comparisons"]])),
            ],
            runs_table=grid(RUN_COLUMNS, _run_rows(document)),
            command=document["command"],
            dotted=charts.dots,
            charts=charts.curves,
            pictures=[
                (WORDS[name], base64.b64encode(pictures[name]).decode(), shown_width(pictures[name]))
                for name in (DIFFERENCES, TRADE)
                if name in pictures
            ],
            charts_css=Markup(source("charts.css")),  # noqa: S704 - our own files
            script=Markup(script),  # noqa: S704
            policy=policy(script),
            version=__version__,
        )
    )


def _with_code(text: str) -> Markup:
    """Return a paragraph, all of it escaped, with what stands between backticks as code."""
    parts = text.split("`")
    whole = len(parts) if len(parts) % 2 else len(parts) - 1
    shown = [Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts[:whole])]
    return Markup("").join([*shown, *(escape(f"`{part}") for part in parts[whole:])])


def _common(document: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": document["title"],
        "contract": document["contract"],
        "answers": [f"{sentence_case(one['sentence'])}." for one in document["comparisons"]],
        "notes": document["notes"],
        "rule": document["rule"],
        "seeds": len(document["seeds"]),
        "data": ", ".join(dict.fromkeys(recipe["data"] for recipe in document["recipes"])),
        "epochs": " and ".join(dict.fromkeys(str(recipe["epochs"]) for recipe in document["recipes"])),
        "number": sum(recipe["n"] for recipe in document["recipes"]),
        "missing": document["missing"],
    }


def _recipe_cells(recipe: dict[str, Any]) -> list[str]:
    parameters, seconds = recipe["parameters"], recipe["seconds"]
    watched = recipe["best"] is not None
    return [
        recipe["recipe"],
        str(recipe["n"]),
        percent(recipe["mean"]),
        interval(recipe["interval"]),
        points(recipe["std"]),
        percent(recipe["best"]) if watched else "not read",
        percent(recipe["last5"]) if watched else "not read",
        passes(recipe),
        "–" if parameters is None else f"{parameters:,}",
        "–" if seconds is None else duration(seconds),
    ]


def _comparison_cells(one: dict[str, Any]) -> list[str]:
    bounds = one["interval"]
    told = [image["p"] < 0.05 for image in one["images"]]
    return [
        one["a"],
        one["b"],
        f"{one['difference'] * 100:+.3f}",
        "–" if bounds is None else f"{bounds[0] * 100:+.3f} to {bounds[1] * 100:+.3f}",
        "–" if one["p"] is None else "< 0.001" if one["p"] < 0.001 else f"{one['p']:.3f}",
        str(one["n"]),
        {"paired": "paired by seed", "welch": "Welch", "none": "not yet"}[one["method"]],
        f"in {sum(told)} of {len(told)} pairs (McNemar)" if told else "–",
    ]


def _run_rows(document: dict[str, Any]) -> list[list[str]]:
    rows = []
    for recipe in document["recipes"]:
        for run in recipe["runs"]:
            lacks = f": {', '.join(run['not_met'])}" if run["not_met"] else ""
            accuracies = [percent(run[name]) for name in ("final", "best", "last5")]
            rows.append(
                [
                    recipe["recipe"],
                    str(run["seed"]),
                    *accuracies,
                    f"{run['verdict']}{lacks}",
                    duration(run["seconds"]),
                    run["weights_sha256"][:16],
                ]
            )
    return rows


def _picture(name: str, pictures: Mapping[str, bytes]) -> Markdown:
    if name not in pictures:
        return Markdown("")
    return Markdown(f'<img src="{name}" alt="{WORDS[name]}" width="{shown_width(pictures[name])}">')


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(  # noqa: S701 - Markdown is escaped by `safe`
        loader=jinja2.PackageLoader("budgetnet"),
        finalize=safe,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["inline"] = inline
    return environment.get_template("study.md.jinja")
