"""The hand-in: a finished run directory into a folder with README.md and its pictures.

Made from the run directory alone, without torch, in about two seconds. The folder appears whole: it is built beside its place and
renamed. An earlier report is replaced; anything else that lies there is refused.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from budgetnet.contract import Contract, judge, load_contract
from budgetnet.errors import InputError
from budgetnet.report import pictures
from budgetnet.report.evidence import Evidence, read_run
from budgetnet.report.markdown import read_strategy
from budgetnet.report.page import CONFUSION, CURVES, MARKER, MISCLASSIFIED, MOST_SHOWN_MISTAKES, page

__all__ = ["write_report"]

README = "README.md"
FILES = frozenset({README, CURVES, CONFUSION, MISCLASSIFIED})


def write_report(run: Path, *, contract: str = "code9", strategy: Path | None = None, out: Path | None = None) -> Path:
    """Write the report of the run directory `run` into the folder `out` (`run/report` where none is given); return its README.md.

    `contract` is a preset's name or a TOML file; `strategy` a text of the user's, in place of the recipe's own words. Raises
    `InputError` where the run is unfinished or damaged, and where `out` holds anything but an earlier report.
    """
    folder = Path(out) if out is not None else Path(run) / "report"
    _refuse_foreign(folder)
    rules = load_contract(contract)
    words = read_strategy(Path(strategy)) if strategy is not None else None
    evidence = read_run(Path(run))
    drawn = _pictures(evidence, rules)
    widths = {name: pictures.shown_width(content) for name, content in drawn.items()}
    text = page(evidence, rules, judge(evidence.facts, rules), words, widths)
    try:
        _replace(folder, {README: text.encode(), **drawn})
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


def _refuse_foreign(folder: Path) -> None:
    """Raise `InputError` where `folder` is neither free, nor empty, nor a report of ours."""
    advice = "Choose another --out, or move it away."
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"{folder}: is there already, and no folder. {advice}")
    found = sorted(child.name for child in folder.iterdir()) if folder.is_dir() else []
    if not found:
        return
    foreign = [name for name in found if name not in FILES]
    if foreign:
        raise InputError(f"{folder}: holds {foreign[0]!r}, which is no part of a report. {advice}")
    if not _begins_with_marker(folder / README):
        raise InputError(f"{folder}: holds files that were not written as a report. {advice}")


def _begins_with_marker(path: Path) -> bool:
    marker = MARKER.encode()
    try:
        with path.open("rb") as file:
            return file.read(len(marker)) == marker
    except OSError:
        return False


def _replace(folder: Path, files: dict[str, bytes]) -> None:
    """Build the folder beside its place, then rename; the old one leaves only when the new one is complete."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    workplace = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=".tmp", dir=folder.parent))
    try:
        new, old = workplace / "new", workplace / "old"
        new.mkdir()
        for name, content in files.items():
            (new / name).write_bytes(content)
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
