"""The report's README: evidence and a verdict into Markdown, through the template `report.md.jinja`.

Pure text. Whatever the template inserts is `Markdown` made safe in `markdown`, or is escaped on the way in. No torch; some
milliseconds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import jinja2

from budgetnet import log_form, rundir
from budgetnet.contract import ClauseResult, Contract, Verdict
from budgetnet.recipe import Recipe
from budgetnet.report.canvas import picture_names
from budgetnet.report.evidence import Evidence
from budgetnet.report.exported import COLUMNS as EXPORT_COLUMNS
from budgetnet.report.exported import cells as export_cells
from budgetnet.report.markdown import Markdown, block, code, embedded, inline, one_line, safe, table
from budgetnet.summary import layer_table, wide_table

MARKER = "<!-- Written by budgetnet report: a new report of the run replaces this folder. -->"
"""First line of every report; what does not begin with it is not replaced."""
CURVES, CONFUSION, MISCLASSIFIED = "curves.png", "confusion.png", "misclassified.png"
STATES = {"met": "✅ met", "broken": "❌ broken", "unproven": "❔ unproven"}
LIMITS = {"parameters": "≤ ", "epochs": "≤ ", "forward_passes": "≤ ", "accuracy": "≥ ", "sustained_accuracy": "≥ "}
MOST_TABLE_CLASSES = 20
MOST_SHOWN_MISTAKES = 60
LAST = 5


def page(evidence: Evidence, contract: Contract, verdict: Verdict, strategy: str | None, widths: dict[str, int]) -> str:
    """Return the README of a run.

    `strategy` is the user's own text, None for the recipe's words; `widths` has the width of each picture that was drawn, in points
    of the page.
    """
    evaluation, network, training = evidence.evaluation, evidence.facts.network, evidence.training
    wrong, epochs = evaluation.images - evaluation.correct, counted_epochs(evidence)
    words = strategy if strategy is not None else evidence.recipe.strategy
    return _template().render(
        marker=Markdown(MARKER),
        name=evidence.recipe.name,
        data=training.data,
        final=percent(evaluation.accuracy),
        total=thousands(network.parameters.total),
        verdict_sentence=verdict_sentence(verdict),
        verdict_table=table(("clause", "verdict", ">measured", ">limit", "why"), map(clause_cells, verdict.clauses)),
        contract_name=code(contract.name),
        contract_title=contract.title,
        accuracy_table=accuracy_table(evidence),
        accuracy_words=accuracy_words(evidence),
        epochs=epochs,
        duration=duration(evidence.seconds),
        log=block(evidence.log()),
        score=block(log_form.score(evaluation.loss, evaluation.accuracy)),
        correct=thousands(evaluation.correct),
        images=thousands(evaluation.images),
        wrong=thousands(wrong),
        layers=block(layer_table(network)),
        wide_layers=block(wide_table(network)),
        counting_words=counting_words(evidence),
        strategy=embedded(words) if words.strip() else "This recipe says nothing of its strategy.",
        confusion_words=confusion_words(evidence),
        confusion_table=confusion_table(evidence),
        misclassified_words=misclassified_words(evidence),
        curves=_picture(CURVES, f"Accuracy and learning rate over {epochs}", widths),
        confusion=_picture(CONFUSION, "Confusion matrix: rows by true class, columns by the network's answer", widths),
        gallery=_picture(
            MISCLASSIFIED, "Misclassified images, each with its true class, the network's answer and its probability", widths
        ),
        exports=table(EXPORT_COLUMNS, map(export_cells, evidence.exports)) if evidence.exports else "",
        making_words=making_words(evidence),
        command=block(command(evidence), "sh"),
        weights_table=table(("weights", "SHA-256"), [(code(rundir.WEIGHTS), code(evidence.weights_sha256))]),
        recipe_table=_value_table("recipe", settings(evidence.recipe)),
        fingerprint_table=_value_table("fingerprint", evidence.fingerprint),
    )


def verdict_sentence(verdict: Verdict) -> Markdown:
    """Return the whole verdict in one sentence that begins with its sign."""
    sign = STATES[verdict.verdict].split()[0]
    number = sum(clause.state == verdict.verdict for clause in verdict.clauses)
    clauses = f"{number} of {counted(len(verdict.clauses), 'clause')}"
    if verdict.verdict == "met":
        return Markdown(f"{sign} **The contract is met**, in all of its {counted(len(verdict.clauses), 'clause')}.")
    if verdict.verdict == "broken":
        return Markdown(f"{sign} **The contract is broken**, in {clauses}.")
    return Markdown(f"{sign} **The contract is unproven**: no clause is broken, and {clauses} cannot be decided.")


def accuracy_table(evidence: Evidence) -> Markdown:
    """Return the accuracies as a table, the judged one in bold."""
    columns, rows = accuracies(evidence)
    rows[0][1] = Markdown(f"**{rows[0][1]}**")
    return table(columns, rows)


def accuracies(evidence: Evidence) -> tuple[tuple[str, ...], list[list[str]]]:
    """Return titles and rows of final, best and last-five accuracy side by side, a row for each split that was watched."""
    by_epoch, last = evidence.training.accuracy_by_epoch, min(LAST, len(evidence.epochs))
    others = _best_and_mean(by_epoch, last) if by_epoch else ["not read", "not read"]
    rows = [["test split", percent(evidence.evaluation.accuracy), *others]]
    validated = [epoch.val_accuracy for epoch in evidence.epochs if epoch.val_accuracy is not None]
    if evidence.recipe.watch == "validation" and validated:
        part = f"validation part, {thousands(evidence.epochs[0].validated)} images"
        rows.append([part, percent(validated[-1]), *_best_and_mean(validated, last)])
    return ("", ">final, the judged one", ">best epoch", f">mean of the last {counted(last, 'epoch')}"), rows


def accuracy_words(evidence: Evidence) -> str:
    """Return what the reader must know to read the table: what was looked at when, and how far one run reaches."""
    images, final = evidence.evaluation.images, evidence.evaluation.accuracy
    error = math.sqrt(final * (1 - final) / images)
    if evidence.training.accuracy_by_epoch is None:
        first = (
            "The test split was read once, after the last epoch. Best and last-five are not read, and that is right: "
            "an epoch that is chosen by its test accuracy has been trained on the test split."
        )
    else:
        first = (
            "Test accuracy was printed after each epoch, as in the published hand-ins; "
            "nothing was chosen by it, and the last epoch is judged."
        )
    return (
        f"{first} This is one run with one seed ({evidence.training.seed}): the standard error of {thousands(images)} images is "
        f"{error * 100:.2f} points."
    )


def confusion_words(evidence: Evidence, *, numbered: bool = True) -> str:
    """Return the most frequent confusions and, with `numbered`, how pictures name classes whose names their font cannot write."""
    names, counts = evidence.evaluation.class_names, evidence.evaluation.confusion
    places = [(row, column) for row in range(len(names)) for column in range(len(names)) if row != column and counts[row][column]]
    most = sorted(places, key=lambda place: (-counts[place[0]][place[1]], place))[:3]
    said = ", ".join(f"{names[row]} → {names[column]} ({counts[row][column]:,})" for row, column in most)
    words = f"Most frequent, true class → answer: {said}." if most else "No image was taken for another class."
    if numbered and picture_names(names)[0] == "#0" != names[0]:
        listed = [f"#{place} {name}" for place, name in enumerate(names[:MOST_TABLE_CLASSES])]
        words += f" The pictures number the classes: {', '.join(listed)}{', …' if len(names) > len(listed) else ''}."
    return words


def confusion_table(evidence: Evidence) -> Markdown:
    """Return the confusion matrix as a table; nothing where it would be too wide to read."""
    names, counts = evidence.evaluation.class_names, evidence.evaluation.confusion
    if len(names) > MOST_TABLE_CLASSES:
        return Markdown("")
    titles = ["", *(f">{inline(name)}" for name in names)]
    return table(titles, ([Markdown(f"**{inline(name)}**"), *map(thousands, row)] for name, row in zip(names, counts, strict=True)))


def misclassified_words(evidence: Evidence, most: int = MOST_SHOWN_MISTAKES) -> str:
    """Return what a gallery of at most so many images shows, and how many it leaves out."""
    wrong = evidence.evaluation.images - evidence.evaluation.correct
    shown = min(most, len(evidence.evaluation.misclassified))
    if not wrong:
        return "No image of the test split was misclassified."
    caption = "Under each image: its true class → the network's answer, and how sure the network was."
    if not shown:
        return f"{counted(wrong, 'image')} misclassified; the run kept none of them."
    if shown == wrong:
        return f"{'The only one' if wrong == 1 else f'All {thousands(wrong)}'}, the surest mistakes first. {caption}"
    return f"The {shown} surest mistakes of {thousands(wrong)}; {thousands(wrong - shown)} more are not shown. {caption}"


def command(evidence: Evidence) -> str:
    """Return the command line that makes the run again, with the threads that its bits depend on."""
    threads = evidence.fingerprint.get("threads")
    return f"{evidence.command} --threads {threads}" if isinstance(threads, int) else evidence.command


def counted_epochs(evidence: Evidence) -> str:
    """Return `20 epochs`, or `12 epochs after 8 of its teacher`."""
    before = f" after {len(evidence.teacher_epochs)} of its teacher" if evidence.teacher_epochs else ""
    return counted(len(evidence.epochs), "epoch") + before


def counted(number: int, noun: str) -> str:
    """Return `1 epoch`, `20 epochs`."""
    return f"{thousands(number)} {noun}{'' if number == 1 else 's'}"


def thousands(number: int) -> str:
    """Return `14,568`."""
    return f"{number:,}"


def percent(fraction: float, decimals: int = 2) -> str:
    """Return `99.40 %`, rounded down: what is shown is never more than what was reached."""
    scale = 10**decimals
    return f"{math.floor(round(fraction * 100 * scale, 6)) / scale:.{decimals}f} %"


def _best_and_mean(accuracies: Sequence[float], last: int) -> list[str]:
    best, tail = max(accuracies), accuracies[-last:]
    return [f"{percent(best)} (epoch {accuracies.index(best) + 1})", percent(math.fsum(tail) / last, 3)]


def clause_cells(clause: ClauseResult) -> list[str]:
    """Return a clause's name, verdict, measure, limit and reason, as words."""
    limit = clause.limit if isinstance(clause.limit, str) else f"{LIMITS.get(clause.name, '')}{_measure(clause.name, clause.limit)}"
    return [clause.name.replace("_", " "), STATES[clause.state], _measure(clause.name, clause.measured), limit, clause.why]


def _measure(name: str, value: float | str | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if name.endswith("accuracy"):
        return percent(value)
    return f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else thousands(value)


def counting_words(evidence: Evidence) -> str:
    """Return the counts that Keras's table does not give: parameters have four meanings, and all are always shown."""
    network = evidence.facts.network
    hidden, non_zero = thousands(network.parameters.with_hidden), thousands(network.parameters.non_zero)
    return (
        f"Parameters counted in other ways: {hidden} with constants hidden in buffers, attributes or code; {non_zero} that are "
        f"not zero. One image takes {thousands(network.multiply_accumulates)} multiply-accumulates."
    )


def _picture(name: str, words: str, widths: dict[str, int]) -> Markdown:
    """Return the tag of a picture, which alone can say its width; nothing for one that was not drawn. `words` are our own."""
    return Markdown(f'<img src="{name}" alt="{words}" width="{widths[name]}">' if name in widths else "")


def settings(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe's fields but for its words, the network's arguments as `--set` names them."""
    fields = recipe.model_dump(exclude={"strategy", "network_arguments"})
    return fields | {f"network.{name}": value for name, value in recipe.network_arguments.items()}


def _value_table(title: str, values: dict[str, Any]) -> Markdown:
    return table((title, "value"), ((code(field), code(value_text(value))) for field, value in values.items()))


def value_text(value: object) -> str:
    """Return a setting's value as it is written on a command line."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def making_words(evidence: Evidence) -> str:
    """Return the seed, and how much of the training split was seen."""
    training = evidence.training
    seen = f"{thousands(training.samples_seen)} samples of a training split of {thousands(training.training_images)}"
    taught = ""
    if training.teacher is not None:
        told = training.teacher
        taught = (
            f", {thousands(told.samples_seen)} of them by its teacher {one_line(told.network)}, a network of {thousands(told.parameters)} "
            "parameters whose answers it learned and that is no part of it"
        )
    return f"Seed {training.seed}, {seen}{taught}. To make it again:"


def duration(seconds: float) -> str:
    """Return `95 seconds`, `12 minutes`, `2.5 hours`."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} seconds"
    return f"{whole // 60} minutes" if whole < 7200 else f"{whole / 3600:.1f} hours"


@cache
def _template() -> jinja2.Template:
    # The page is Markdown, where HTML's escapes would show; `finalize` is its autoescape.
    environment = jinja2.Environment(  # noqa: S701
        loader=jinja2.PackageLoader("budgetnet"),
        undefined=jinja2.StrictUndefined,
        finalize=safe,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.md.jinja")
