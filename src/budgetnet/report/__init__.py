"""The hand-in: a finished run directory into a folder with README.md and its pictures, and report.html, a page to look at.

Made from the run directory alone, without torch, in about two seconds. The folder appears whole: it is built beside its place and
renamed. An earlier report is replaced; anything else that lies there is refused.
"""

from __future__ import annotations

from pathlib import Path

from budgetnet.contract import Contract, judge, load_contract
from budgetnet.errors import InputError
from budgetnet.report import pictures
from budgetnet.report.canvas import shown_width
from budgetnet.report.evidence import Evidence, read_run
from budgetnet.report.html_page import html_page
from budgetnet.report.markdown import read_strategy
from budgetnet.report.page import CONFUSION, CURVES, MARKER, MISCLASSIFIED, MOST_SHOWN_MISTAKES, page
from budgetnet.report.placing import README, refuse_foreign, replace_folder

__all__ = ["write_report"]

PAGE = "report.html"
FILES = frozenset({README, PAGE, CURVES, CONFUSION, MISCLASSIFIED})


def write_report(run: Path, *, contract: str = "code9", strategy: Path | None = None, out: Path | None = None) -> Path:
    """Write the report of the run directory `run` into the folder `out` (`run/report` where none is given); return its README.md.

    `contract` is a preset's name or a TOML file; `strategy` a text of the user's, in place of the recipe's own words. Raises
    `InputError` where the run is unfinished or damaged, and where `out` holds anything but an earlier report.
    """
    folder = Path(out) if out is not None else Path(run) / "report"
    refuse_foreign(folder, FILES, MARKER)
    rules = load_contract(contract)
    words = read_strategy(Path(strategy)) if strategy is not None else None
    evidence = read_run(Path(run))
    drawn = _pictures(evidence, rules)
    widths = {name: shown_width(content) for name, content in drawn.items()}
    verdict = judge(evidence.facts, rules)
    texts = {
        README: page(evidence, rules, verdict, words, widths),
        PAGE: html_page(evidence, rules, verdict, words),
    }
    try:
        replace_folder(folder, {name: text.encode() for name, text in texts.items()} | drawn)
    except OSError as error:
        raise InputError(f"{folder}: the report cannot be written ({error.strerror or error}). Choose another --out.") from None
    return folder / README


def _pictures(evidence: Evidence, contract: Contract) -> dict[str, bytes]:
    evaluation, training = evidence.evaluation, evidence.training
    limits = [clause.at_least for clause in (contract.accuracy, contract.sustained_accuracy) if clause]
    validated = [epoch.val_accuracy for epoch in evidence.epochs if epoch.val_accuracy is not None]
    curves = pictures.Curves(
        rates=[epoch.rate for epoch in evidence.epochs],
        training=[epoch.accuracy for epoch in evidence.epochs],
        watched=training.accuracy_by_epoch or validated or None,
        watched_is_test=training.accuracy_by_epoch is not None,
        final_test=evaluation.accuracy if training.accuracy_by_epoch is None else None,
        limit=max(limits) if limits else None,
    )
    files = {CURVES: pictures.curves(curves), CONFUSION: pictures.confusion(evaluation.confusion, evaluation.class_names)}
    mistakes = [
        pictures.Mistake(image, mistake.label, mistake.predicted, mistake.probabilities[mistake.predicted])
        for image, mistake in zip(evidence.images, evaluation.misclassified, strict=True)
    ]
    if mistakes:
        surest = sorted(mistakes, key=lambda mistake: -mistake.probability)[:MOST_SHOWN_MISTAKES]
        files[MISCLASSIFIED] = pictures.gallery(surest, evaluation.class_names)
    return files
