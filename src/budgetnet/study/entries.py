"""The lines of a study's ledger: a run was started, finished, or failed; a failed one may be tried again.

A finished line holds everything that the statistics, the index and the pictures need, so that run directories may be moved or thrown
away: facts without the layer table, the curve, and the indices of the images that were taken for something else. No torch.
"""

from __future__ import annotations

from datetime import UTC, datetime
from statistics import fmean
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from budgetnet import rundir
from budgetnet.durable import sha256
from budgetnet.errors import InputError
from budgetnet.facts import Facts
from budgetnet.recipe import Recipe
from budgetnet.rundir import RunDirectory

FailureKind = Literal["crash", "hang", "memory", "late", "diverged"]
MOST_WORDS = 600


class Line(BaseModel):
    """A frozen line; fields that a later version adds do not matter here."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Result(Line):
    """What a finished run leaves. Accuracies are fractions, `seconds` of training as the run's timing has them."""

    facts: Facts
    """With the layer table left out."""
    seconds: float
    curve: tuple[tuple[float, float, float | None], ...]
    """For each epoch: training loss, training accuracy, and the accuracy on what was watched (None: nothing was)."""
    wrong: tuple[int, ...]
    """Indices of the test images that were not recognised."""
    weights_sha256: str
    fingerprint: dict[str, Any]

    @property
    def accuracy(self) -> float:
        """On the test split, after the last epoch."""
        assert self.facts.training is not None and self.facts.training.accuracy is not None  # noqa: S101, PT018 - `result_of` saw to it
        return self.facts.training.accuracy

    @property
    def by_epoch(self) -> tuple[float, ...] | None:
        """Test accuracy after each epoch, where it was watched."""
        return self.facts.training.accuracy_by_epoch if self.facts.training else None

    @property
    def best(self) -> float | None:
        """The highest of `by_epoch`, which no verdict reads."""
        return max(self.by_epoch) if self.by_epoch else None

    @property
    def last5(self) -> float | None:
        """The mean of `by_epoch` over the last five epochs; None where there are fewer, since the first ones are no end."""
        return fmean(self.by_epoch[-5:]) if self.by_epoch and len(self.by_epoch) >= 5 else None


class Started(Line):
    """A run was begun, or goes on after an interruption."""

    event: Literal["started"] = "started"
    key: str
    at: str
    attempt: int
    recipe: Recipe
    seed: int
    where: str
    """The executor, in words."""


class Finished(Line):
    """A run is complete; a run has one such line."""

    event: Literal["finished"] = "finished"
    key: str
    at: str
    attempt: int
    result: Result


class Failed(Line):
    """A run ended without a result. The second time it is left out."""

    event: Literal["failed"] = "failed"
    key: str
    at: str
    attempt: int
    kind: FailureKind
    words: str


class Forgiven(Line):
    """Someone asked for a failed run to be tried again; its failures no longer count."""

    event: Literal["forgiven"] = "forgiven"
    key: str
    at: str


class Entry(BaseModel):
    """A line of whichever kind."""

    line: Annotated[Started | Finished | Failed | Forgiven, Field(discriminator="event")]


def now() -> str:
    """Return the time for a line: UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def result_of(run: RunDirectory) -> Result:
    """Return what a finished run leaves, after its files were held against their sums. Raises `InputError` where it is no such run."""
    run.verify()
    facts = run.facts()
    if facts.training is None or facts.training.accuracy is None:
        raise InputError(f"{run.path}: has no accuracy.")
    wrong = [image.get("index") for image in run.evaluation().get("misclassified", [])]
    if not all(isinstance(index, int) for index in wrong):
        raise InputError(f"{run.path / rundir.EVALUATION}: a misclassified image lacks its index.")
    return Result(
        facts=facts.model_copy(update={"network": facts.network.model_copy(update={"layers": ()})}),
        seconds=round(run.seconds(), 3),
        curve=tuple((row["loss"], row["accuracy"], row.get("val_accuracy")) for row in run.log()),
        wrong=tuple(sorted(wrong)),
        weights_sha256=sha256(run.read(rundir.WEIGHTS)),
        fingerprint=run.fingerprint(),
    )
