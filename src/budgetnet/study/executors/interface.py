"""What every executor is: a place with so many slots that takes a run and gives back its directory, later."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from budgetnet.rundir import RunDirectory
from budgetnet.study.entries import FailureKind
from budgetnet.study.spec import RunSpec


@dataclass(frozen=True)
class Limits:
    """What each run may take."""

    memory_mib: int | None = None
    """Of private memory; None for no limit but the machine's."""
    seconds: float | None = None
    """From start to end, on the wall clock."""
    quiet_seconds: float = 900.0
    """Without a step, a run is taken for hanging."""


@dataclass(frozen=True)
class Standing:
    """Where a run under way stands."""

    epoch: int = 0
    """Complete ones."""
    epochs: int = 0
    share: float = 0.0
    """Of the epoch under way, 0–1."""
    accuracy: float | None = None
    """After the last complete epoch: on what is watched, else on the training images."""


class RunFailed(Exception):
    """A run ended without a result, and why."""

    def __init__(self, kind: FailureKind, words: str) -> None:
        super().__init__(words)
        self.kind: FailureKind = kind
        self.words = words


class Stopped(Exception):
    """A run was stopped because the study was; its state is saved, and it goes on with the next start."""


class Executor(Protocol):
    """A place that trains runs. Used as a context: at its end nothing of it is left running."""

    name: str
    """In words, for the ledger."""

    @property
    def slots(self) -> int:
        """How many runs it takes at a time."""

    def __enter__(self) -> Self:
        """Get the place ready. Raises `InputError` where it cannot be."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End every run that is under way."""

    def submit(self, spec: RunSpec) -> Future[RunDirectory]:
        """Train a run, or go on with it; the future gives the finished directory, or raises `RunFailed` or `Stopped`."""

    def standings(self) -> dict[str, Standing]:
        """Return where each run under way stands, by its key."""

    def stop(self) -> None:
        """Ask the runs under way to save their state and end; their futures raise `Stopped`."""
