"""What a report rests on: a finished run's files, read, bounded and held against each other.

A run directory may come from anywhere. Its files are first held against their SHA-256, then against the shapes below, then against
each other, so that a report never contradicts itself. Every fault is an `InputError` that names the file. No torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from budgetnet import log_form, rundir
from budgetnet.errors import InputError
from budgetnet.facts import Facts, TrainingFacts
from budgetnet.recipe import Recipe, explain
from budgetnet.report.exported import Exported, read_exports
from budgetnet.report.markdown import one_line
from budgetnet.rundir import RunDirectory

Finite = Annotated[float, Field(allow_inf_nan=False)]
Fraction1 = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10**12)]
MOST_CLASSES = 1_000
LARGEST_SIDE = 512
"""Pixels of a misclassified image's side."""


class Row(BaseModel):
    """A frozen row of a file; fields that a later version adds do not matter here."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Identity(Row):
    """What says which run this is."""

    command: str


class Epoch(Row):
    """A line of the log; accuracies are fractions, `val_*` what was watched, None where nothing was."""

    epoch: Count
    rate: Finite
    loss: float
    accuracy: Fraction1
    val_loss: float | None = None
    val_accuracy: Fraction1 | None = None
    samples: Count
    validated: Count = 0


class Timing(Row):
    """A line of the timing."""

    epoch: Count
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Misclassified(Row):
    """A test image that the network took for something else."""

    index: Count
    label: Count
    predicted: Count
    probabilities: tuple[Fraction1, ...]


class Evaluation(Row):
    """The one evaluation on the test split, after the last epoch."""

    loss: Finite
    accuracy: Fraction1
    images: Annotated[int, Field(ge=1)]
    correct: Count
    class_names: Annotated[tuple[str, ...], Field(min_length=2, max_length=MOST_CLASSES)]
    confusion: tuple[tuple[Count, ...], ...]
    """Rows by true class, columns by answer."""
    misclassified: tuple[Misclassified, ...]


@dataclass(frozen=True)
class Evidence:
    """A finished run, read whole."""

    recipe: Recipe
    facts: Facts
    training: TrainingFacts
    epochs: tuple[Epoch, ...]
    timing: tuple[Timing, ...]
    evaluation: Evaluation
    images: NDArray[np.uint8]
    """The misclassified ones, shape (M, channels, height, width), in the order of `evaluation.misclassified`."""
    fingerprint: dict[str, Any]
    command: str
    """What makes the run again."""
    weights_sha256: str
    exports: tuple[Exported, ...]
    """What the run was exported to since, each verified."""
    teacher_epochs: tuple[Epoch, ...] = ()
    """Of the network that was trained before, to learn from it."""
    teacher_timing: tuple[Timing, ...] = ()

    @property
    def seconds(self) -> float:
        """Return the seconds of all epochs, a teacher's with them."""
        return sum(entry.seconds for entry in [*self.teacher_timing, *self.timing])

    def log(self) -> str:
        """Return the log in the published form; with a teacher, its log and then the network's."""
        own = _log(self.epochs, self.timing)
        if not self.teacher_epochs or self.training.teacher is None:
            return own
        told = self.training.teacher
        head = f"The teacher, {one_line(told.network)}, {told.parameters:,} parameters:"
        return "\n\n".join([head, _log(self.teacher_epochs, self.teacher_timing), "The network:", own])


def _log(epochs: tuple[Epoch, ...], timing: tuple[Timing, ...]) -> str:
    return log_form.whole_log([row.model_dump() for row in epochs], [row.model_dump() for row in timing], len(epochs))


def read_run(path: Path) -> Evidence:
    """Return the evidence of the run at `path`. Raises `InputError` where it is unfinished, damaged or contradicts itself."""
    run = rundir.open_run(path)
    recipe = run.recipe()
    if not run.finished:
        raise InputError(
            f"{path}: this run is not finished ({len(run.log())} of {recipe.epochs} epochs), and only the last epoch counts. "
            f"Finish it with: budgetnet train --resume {path}"
        )
    run.verify()
    facts = run.facts()
    if facts.training is None:
        raise InputError(f"{path / rundir.FACTS}: says nothing of a training, so there is no run to report on.")
    evaluation = _check(Evaluation, [run.evaluation()], path / rundir.EVALUATION)[0]
    _check_evaluation(evaluation, facts.training, path / rundir.EVALUATION)
    epochs = _check(Epoch, run.log(), path / rundir.LOG)
    if not epochs or [row.epoch for row in epochs] != list(range(1, len(epochs) + 1)):
        raise InputError(f"{path / rundir.LOG}: a line for each epoch from 1 on is expected.")
    if len({row.val_accuracy is None for row in epochs}) > 1:
        raise InputError(f"{path / rundir.LOG}: has a validation accuracy for some of its epochs only.")
    teacher = _teacher(run, facts.training)
    by_epoch = facts.training.accuracy_by_epoch
    if by_epoch is not None and len(by_epoch) != len(epochs):
        raise InputError(f"{path / rundir.FACTS}: has {len(by_epoch)} accuracies for the {len(epochs)} epochs of the log.")
    return Evidence(
        recipe=recipe,
        facts=facts,
        training=facts.training,
        epochs=epochs,
        timing=_check(Timing, run.timing(), path / rundir.TIMING),
        evaluation=evaluation,
        images=_images(run.read(rundir.MISCLASSIFIED), len(evaluation.misclassified), path / rundir.MISCLASSIFIED),
        fingerprint=run.fingerprint(),
        command=_check(Identity, [run.identity()], path / rundir.RUN)[0].command,
        weights_sha256=hashlib.sha256(run.read(rundir.WEIGHTS)).hexdigest(),
        exports=read_exports(run),
        teacher_epochs=_check(Epoch, teacher.log(), teacher.path / rundir.LOG) if teacher else (),
        teacher_timing=_check(Timing, teacher.timing(), teacher.path / rundir.TIMING) if teacher else (),
    )


def _teacher(run: RunDirectory, training: TrainingFacts) -> RunDirectory | None:
    """Return the directory of the run's teacher, held against what the run says of it; None where labels alone were learned."""
    recipe, told, place = run.recipe(), training.teacher, run.path / rundir.FACTS
    if recipe.teacher is None or told is None:
        if recipe.teacher is not None or told is not None:
            raise InputError(f"{place}: the facts and the recipe do not agree on whether there was a teacher.")
        return None
    teacher, rows = run.teacher(), run.log()
    own = teacher.log()
    if teacher.recipe() != recipe.of_teacher() or told.network != recipe.teacher.network:
        raise InputError(f"{teacher.path}: is not the teacher that the run's recipe names.")
    if [row["epoch"] for row in own] != list(range(1, recipe.teacher.epochs + 1)) or own[-1]["samples_seen"] != told.samples_seen:
        raise InputError(f"{teacher.path / rundir.LOG}: is not the log of the {recipe.teacher.epochs} epochs that the run counts.")
    before = rows[0]["samples_seen"] - int(rows[0].get("samples", 0)) if rows else None
    if before != told.samples_seen or rows[-1]["samples_seen"] != training.samples_seen:
        raise InputError(
            f"{run.path / rundir.LOG}: its samples do not begin where the teacher's end, or end elsewhere than the run's."
        )
    return teacher


RowType = TypeVar("RowType", bound=Row)


def _check(kind: type[RowType], rows: Iterable[dict[str, Any]], path: Path) -> tuple[RowType, ...]:
    try:
        return tuple(kind.model_validate(row) for row in rows)
    except ValidationError as error:
        # One finding is enough: a file of another kind has thousands.
        first = explain(error).split("; ")[0][:300]
        raise InputError(f"{path}: {first}") from None


def _check_evaluation(evaluation: Evaluation, training: TrainingFacts, path: Path) -> None:
    """Raise `InputError` where the counts do not add up to each other, or not to the facts that are judged."""
    classes, confusion = len(evaluation.class_names), evaluation.confusion
    if len(confusion) != classes or any(len(row) != classes for row in confusion):
        raise InputError(f"{path}: the confusion matrix is not {classes} × {classes}, a row and a column for each class name.")
    total, right = sum(map(sum, confusion)), sum(confusion[place][place] for place in range(classes))
    if (total, right) != (evaluation.images, evaluation.correct):
        raise InputError(
            f"{path}: the confusion matrix counts {right} right of {total} images, "
            f"the evaluation {evaluation.correct} of {evaluation.images}."
        )
    exact = evaluation.correct / evaluation.images
    for said, where in ((evaluation.accuracy, "its accuracy"), (training.accuracy, f"the accuracy in {rundir.FACTS}")):
        if said is None or abs(said - exact) > 1e-6:
            raise InputError(f"{path}: {evaluation.correct} of {evaluation.images} images are right, but {where} is {said}.")
    wrong = evaluation.images - evaluation.correct
    if len(evaluation.misclassified) > wrong:
        raise InputError(f"{path}: lists {len(evaluation.misclassified)} misclassified images, but {wrong} are wrong.")
    for mistake in evaluation.misclassified:
        if not (mistake.label < classes and mistake.predicted < classes and len(mistake.probabilities) == classes):
            raise InputError(f"{path}: the misclassified image {mistake.index} does not fit the {classes} classes.")


def _images(content: bytes, expected: int, path: Path) -> NDArray[np.uint8]:
    """Return the misclassified images. Raises `InputError` for anything but one uint8 tensor of the expected length."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(content)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: is no safetensors file that can be read ({reason}).") from None
    images = tensors.get("images")
    if images is None:
        raise InputError(f"{path}: has no tensor «images».")
    if images.dtype != np.uint8:
        raise InputError(f"{path}: the images are {images.dtype}, and uint8 is expected.")
    fits = images.ndim == 4 and len(images) == expected and images.shape[1] in {1, 3}
    if not (fits and all(1 <= side <= LARGEST_SIDE for side in images.shape[2:])):
        shape = " × ".join(map(str, images.shape)) or "a single number"
        raise InputError(f"{path}: {expected} images × 1 or 3 channels × height × width are expected, not {shape}.")
    return np.asarray(images, dtype=np.uint8)
