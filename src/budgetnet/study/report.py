"""The report of a study: a folder with README.md, one self-contained page of HTML, the pictures, and the document as JSON.

Made from the study, its document and the ledger alone, in about three seconds; it appears whole and replaces an earlier one. No torch.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean
from typing import Any

from budgetnet.errors import InputError
from budgetnet.report import charts
from budgetnet.report.placing import README, refuse_foreign, replace_folder
from budgetnet.study import pictures
from budgetnet.study.arms import Study
from budgetnet.study.ledger import Histories
from budgetnet.study.page import CURVES, DIFFERENCES, MARKER, RUNS, TRADE, Charts, html_page, markdown_page

PAGE = "report.html"
DOCUMENT = "study.json"
FILES = frozenset({README, PAGE, "study.html", DOCUMENT, RUNS, DIFFERENCES, TRADE, CURVES})
BELIEVED = 0.05
FAR = 0.05


def refuse_place(folder: Path) -> None:
    """Raise `InputError` where no report of a study can be put: asked before anything is trained."""
    refuse_foreign(folder, FILES, MARKER)


def write_study_report(study: Study, document: dict[str, Any], histories: Histories, folder: Path) -> Path:
    """Write the report into `folder`, and return its README. Raises `InputError` where that holds anything but an earlier report."""
    refuse_place(folder)
    drawn = _pictures(study, document, histories)
    files = {
        README: markdown_page(document, drawn).encode(),
        PAGE: html_page(document, drawn, _charts(study, document, histories)).encode(),
        DOCUMENT: (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode(),
        **drawn,
    }
    try:
        replace_folder(folder, files)
    except OSError as error:
        raise InputError(f"{folder}: the report cannot be written ({error.strerror or error}). Choose another --name.") from None
    return folder / README


def _charts(study: Study, document: dict[str, Any], histories: Histories) -> Charts:
    """Return what the page draws itself: every run as a dot, and the mean of each recipe's runs over the epochs."""
    of_test, recipes = _watched_test(study), _recipes(study, document, histories)
    if not recipes:
        return Charts(None, ())
    near = _near(study, recipes)
    dots = [
        charts.Dots(
            name=recipe.label,
            values=recipe.finals,
            words=[f"seed {run['seed']}: {run['final'] * 100:.2f} %, contract {run['verdict']}" for run in told["runs"]],
            mean=recipe.mean,
            interval=recipe.interval,
            colour=place % charts.COLOURS,
        )
        for place, (recipe, told) in enumerate(zip(recipes, (one for one in document["recipes"] if one["n"]), strict=True))
    ]
    lines = [
        charts.Line(recipe.label, [fmean(values) for values in zip(*recipe.curves, strict=False)], place)
        for place, recipe in enumerate(recipes[: charts.COLOURS])
        if any(recipe.curves)
    ]
    left_out = f", the first {charts.COLOURS} recipes" if len(recipes) > charts.COLOURS else ""
    title = f"Accuracy on the {'test split' if of_test else 'training images'} after each epoch, mean of the runs{left_out}"
    curves = [charts.accuracy_chart(title, lines, near if of_test else None)] if any(line.values for line in lines) else []
    return Charts(charts.dots_chart("Every run: accuracy after the last epoch", dots, near), curves)


def _watched_test(study: Study) -> bool:
    return all(arm.recipe.watch == "test" for arm in study.arms)


def _recipes(study: Study, document: dict[str, Any], histories: Histories) -> list[pictures.Drawn]:
    return [
        _drawn(study, place, recipe, histories, of_test=_watched_test(study))
        for place, recipe in enumerate(document["recipes"])
        if recipe["n"]
    ]


def _near(study: Study, recipes: list[pictures.Drawn]) -> float | None:
    """Return the contract's accuracy; None where it is so far above every run that it would press them into a corner."""
    limit = study.contract.accuracy.at_least if study.contract.accuracy else None
    lowest = min(min(recipe.finals) for recipe in recipes)
    return limit if limit is not None and limit - lowest < FAR else None


def _pictures(study: Study, document: dict[str, Any], histories: Histories) -> dict[str, bytes]:
    of_test, recipes = _watched_test(study), _recipes(study, document, histories)
    if not recipes:
        return {}
    near = _near(study, recipes)
    files = {
        RUNS: pictures.runs(recipes, near),
        TRADE: pictures.trade(recipes, near),
        CURVES: pictures.curves(recipes, near, of_test=of_test),
    }
    if document["comparisons"]:
        files[DIFFERENCES] = pictures.differences([_compared(one) for one in document["comparisons"]])
    return files


def _drawn(study: Study, place: int, recipe: dict[str, Any], histories: Histories, *, of_test: bool) -> pictures.Drawn:
    found = [result for seed in study.seeds if (result := histories.result(study.arms[place].spec(seed)))]
    return pictures.Drawn(
        label=recipe["recipe"],
        finals=recipe["finals"],
        mean=recipe["mean"],
        interval=recipe["interval"],
        parameters=recipe["parameters"],
        seconds=[result.seconds for result in found],
        curves=[result.by_epoch or () if of_test else [accuracy for _, accuracy, _ in result.curve] for result in found],
    )


def _compared(one: dict[str, Any]) -> pictures.Compared:
    seen = one["p"] is not None and one["p"] < BELIEVED
    return pictures.Compared(f"{one['a']} − {one['b']}", one["difference"], one["interval"], seen)
