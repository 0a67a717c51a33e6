"""The report as one page of HTML that needs nothing else: evidence and a verdict through the template `report.html.jinja`.

The same words and numbers as in the README, and what only a page can do: values under the pointer, a confusion matrix that picks from
the gallery, each mistake with all of its probabilities, the layers drawn. No request leaves it: a policy in its head refuses whatever
would be loaded, and any script but its own. Everything inserted is escaped. Readable without the script. No torch; some milliseconds.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Sequence
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from budgetnet import log_form
from budgetnet.contract import Contract, Verdict
from budgetnet.report import page as words
from budgetnet.report.charts import Line, accuracy_chart, as_json, plain_chart
from budgetnet.report.drawings import drawn_layers, image_box
from budgetnet.report.evidence import Evidence
from budgetnet.report.exported import COLUMNS as EXPORT_COLUMNS
from budgetnet.report.exported import cells as export_cells
from budgetnet.report.markdown import one_line
from budgetnet.version import __version__

SIGNS = {"met": "✓", "unproven": "?", "broken": "✗"}
MOST_SHOWN = 400
"""Misclassified images; the surest mistakes come first."""
MOST_MATRIX_CLASSES = 40
TRAINING, TEST, VALIDATION, RATE = 0, 1, 2, 6
"""Colours of the lines."""


def html_page(evidence: Evidence, contract: Contract, verdict: Verdict, strategy: str | None) -> str:
    """Return the page of a run; `strategy` is the user's own text, None for the recipe's words."""
    evaluation, network = evidence.evaluation, evidence.facts.network
    epochs = words.counted_epochs(evidence)
    script = "\n".join(source(name) for name in ("charts.js", "gallery.js"))
    titles, accuracies = words.accuracies(evidence)
    names = [one_line(name) for name in evaluation.class_names]
    mistakes, read = _mistakes(evidence, names)
    return (
        environment()
        .get_template("report.html.jinja")
        .render(
            policy=policy(script),
            script=Markup(script),  # noqa: S704 - our own files
            styles=Markup(source("report.css") + source("charts.css")),  # noqa: S704
            name=one_line(evidence.recipe.name),
            data=one_line(evidence.training.data),
            final=words.percent(evaluation.accuracy),
            total=words.thousands(network.parameters.total),
            state=verdict.verdict,
            signs=SIGNS,
            verdict=_verdict_words(verdict),
            clauses=[(clause.state, *words.clause_cells(clause)) for clause in verdict.clauses],
            contract=one_line(contract.name),
            contract_title=one_line(contract.title),
            accuracies=grid(titles, accuracies),
            accuracy_words=words.accuracy_words(evidence),
            charts=_charts(evidence, contract),
            epochs=epochs,
            duration=words.duration(evidence.seconds),
            log=evidence.log(),
            score=log_form.score(evaluation.loss, evaluation.accuracy),
            confusion_words=words.confusion_words(evidence, numbered=False),
            matrix=_matrix(evidence, names),
            misclassified_words=words.misclassified_words(evidence, MOST_SHOWN),
            mistakes=mistakes,
            read=read,
            layers=drawn_layers(network),
            box=image_box(network),
            example=_picture(evidence.images[0]) if len(evidence.images) else "",
            counting_words=words.counting_words(evidence),
            strategy=(strategy if strategy is not None else evidence.recipe.strategy).strip()
            or "This recipe says nothing of its strategy.",
            exports=grid(EXPORT_COLUMNS, [export_cells(row) for row in evidence.exports]) if evidence.exports else None,
            making_words=words.making_words(evidence),
            command=words.command(evidence),
            weights=evidence.weights_sha256,
            settings=[(field, words.value_text(value)) for field, value in words.settings(evidence.recipe).items()],
            fingerprint=[(field, words.value_text(value)) for field, value in evidence.fingerprint.items()],
            version=__version__,
        )
    )


def policy(script: str) -> str:
    """Return what a page may do: show what is in it, and run this script."""
    # A browser replaces every line ending by a newline before it takes the sum; our files have no others.
    allowed = f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src '{allowed}'; base-uri 'none'; form-action 'none'"
    )


def grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Return a table as the template draws it; a column whose title begins with `>` is set to the right."""
    right = [column.startswith(">") for column in columns]
    return {
        "columns": [(column.removeprefix(">"), to_right) for column, to_right in zip(columns, right, strict=True)],
        "rows": [list(zip(row, right, strict=True)) for row in rows],
    }


def source(name: str) -> str:
    """Return the text of a file of the templates."""
    text, _, _ = jinja2.PackageLoader("budgetnet").get_source(environment(), name)
    return text


@cache
def environment() -> jinja2.Environment:
    """Return what makes pages: everything inserted is escaped, and nothing may be missing."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("budgetnet"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _verdict_words(verdict: Verdict) -> str:
    number = sum(clause.state == verdict.verdict for clause in verdict.clauses)
    clauses = words.counted(len(verdict.clauses), "clause")
    return {
        "met": f"The contract is met, in all of its {clauses}.",
        "broken": f"The contract is broken, in {number} of {clauses}.",
        "unproven": f"The contract is unproven: no clause is broken, and {number} of {clauses} cannot be decided.",
    }[verdict.verdict]


def _charts(evidence: Evidence, contract: Contract) -> list[dict[str, Any]]:
    by_epoch, epochs = evidence.training.accuracy_by_epoch, evidence.epochs
    limits = [clause.at_least for clause in (contract.accuracy, contract.sustained_accuracy) if clause]
    lines = [Line("training", [epoch.accuracy for epoch in epochs], TRAINING)]
    if by_epoch is not None:
        lines.append(Line("test", by_epoch, TEST))
    else:
        validated = [epoch.val_accuracy for epoch in epochs]
        if any(value is not None for value in validated):
            lines.append(Line("validation", validated, VALIDATION))
        lines.append(Line("test, read once", [*[None] * (len(epochs) - 1), evidence.evaluation.accuracy], TEST))
    return [
        accuracy_chart("Accuracy", lines, max(limits) if limits else None),
        plain_chart("Loss", [Line("training", [epoch.loss for epoch in epochs], TRAINING)]),
        plain_chart("Learning rate", [Line("rate", [epoch.rate for epoch in epochs], RATE)]),
    ]


def _matrix(evidence: Evidence, names: list[str]) -> dict[str, Any] | None:
    """Return the rows of the confusion matrix; None where it would be too wide to read."""
    counts = evidence.evaluation.confusion
    if len(names) > MOST_MATRIX_CLASSES:
        return None
    most = max(8, *(count for row, line in enumerate(counts) for column, count in enumerate(line) if row != column))
    rows = [
        {
            "name": names[row],
            "place": row,
            "cells": [
                {
                    "count": words.thousands(count),
                    "column": column,
                    "right": row == column,
                    "heat": round(100 * count / most) if count else 0,
                }
                for column, count in enumerate(line)
            ],
        }
        for row, line in enumerate(counts)
    ]
    return {"names": names, "rows": rows}


def _mistakes(evidence: Evidence, names: list[str]) -> tuple[list[dict[str, Any]], Markup]:
    """Return the gallery's tiles, the surest mistakes first, and what the page's script reads of them."""
    found = zip(evidence.images, evidence.evaluation.misclassified, strict=True)
    surest = sorted(found, key=lambda pair: -pair[1].probabilities[pair[1].predicted])[:MOST_SHOWN]
    tiles = [
        {
            "picture": _picture(image),
            "label": mistake.label,
            "predicted": mistake.predicted,
            "words": f"{names[mistake.label]} → {names[mistake.predicted]}",
            "sure": f"{int(mistake.probabilities[mistake.predicted] * 100)} %",
            "index": mistake.index,
        }
        for image, mistake in surest
    ]
    probabilities = [[round(value, 4) for value in mistake.probabilities] for _, mistake in surest]
    return tiles, as_json({"names": names, "probabilities": probabilities})


def _picture(image: NDArray[Any]) -> str:
    """Return an image (channels, height, width) as the address of a picture that is in the page."""
    file = io.BytesIO()
    Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
