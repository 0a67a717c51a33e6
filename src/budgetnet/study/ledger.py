"""The ledger of a folder of studies: what was started, what it came to, what failed. It alone is the truth.

The index beside it and every report are made from it and can be made anew. One process writes, under the folder's lock; each line is on
the disk before anything rests on it, and a torn last line is repaired. A run has one finished line, whatever was killed when.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from pydantic import ValidationError

from budgetnet.durable import flush_folder
from budgetnet.errors import InputError
from budgetnet.journal import Journal, Reading, read_journal
from budgetnet.recipe import Recipe
from budgetnet.study.entries import MOST_WORDS, Entry, Failed, FailureKind, Finished, Forgiven, Result, Started, now
from budgetnet.study.spec import RunSpec

LEDGER = "ledger.jsonl"
LOCK = ".ledger.lock"
RUNS = "runs"
FAILED = "failed"
TRIES = 2
"""A run that failed is tried once more, then left out."""

State = Literal["finished", "left out", "failed", "started"]


@dataclass
class History:
    """All that the ledger says of one run."""

    key: str
    recipe: Recipe | None = None
    seed: int | None = None
    result: Result | None = None
    failures: list[Failed] = field(default_factory=list)
    """Those that count: since they were last forgiven."""
    attempts: int = 0

    @property
    def state(self) -> State:
        """Where the run stands."""
        if self.result is not None:
            return "finished"
        if len(self.failures) >= TRIES:
            return "left out"
        return "failed" if self.failures else "started"


class Histories:
    """The lines of a ledger, put together run by run."""

    def __init__(self, reading: Reading) -> None:
        self.damaged = reading.damaged
        self.runs: dict[str, History] = {}
        for text in reading.texts:
            line = parse_line(text)
            if line is None:
                self.damaged += 1
            else:
                self.take(line)

    def take(self, line: Started | Finished | Failed | Forgiven) -> None:
        """Put one line to the rest."""
        history = self.runs.setdefault(line.key, History(line.key))
        if isinstance(line, Started):
            history.recipe, history.seed = line.recipe, line.seed
            history.attempts = max(history.attempts, line.attempt)
        elif isinstance(line, Finished):
            history.result = history.result or line.result
        elif isinstance(line, Failed):
            history.failures.append(line)
        else:
            history.failures.clear()

    def result(self, spec: RunSpec) -> Result | None:
        """Return what the run came to, None where it has no result."""
        history = self.runs.get(spec.key)
        return history.result if history else None

    def failures(self, spec: RunSpec) -> list[Failed]:
        """Return the failures of the run that count."""
        history = self.runs.get(spec.key)
        return history.failures if history else []

    def state(self, spec: RunSpec) -> State | None:
        """Return where the run stands, None where it was never started."""
        history = self.runs.get(spec.key)
        return history.state if history else None


class Ledger(Histories):
    """The ledger of a folder, open for writing. Not to be made by hand: `open_ledger` holds the folder's lock around it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = Journal(folder / LEDGER)
        self.torn = self.journal.torn
        super().__init__(self.journal.reading)

    def start(self, spec: RunSpec, where: str) -> int:
        """Write down that the run is begun or goes on; return which attempt this is, from 1."""
        attempt = len(self.failures(spec)) + 1
        line = Started(key=spec.key, at=now(), attempt=attempt, recipe=spec.recipe, seed=spec.seed, where=where)
        self._write(line)
        return attempt

    def finish(self, spec: RunSpec, result: Result) -> None:
        """Write down what the run came to; a run that has a result already is left as it is."""
        if self.result(spec) is None:
            self._write(Finished(key=spec.key, at=now(), attempt=len(self.failures(spec)) + 1, result=result))

    def fail(self, spec: RunSpec, kind: FailureKind, words: str) -> int:
        """Write down that the run ended without a result; return how often it did."""
        attempt = len(self.failures(spec)) + 1
        self._write(Failed(key=spec.key, at=now(), attempt=attempt, kind=kind, words=words[:MOST_WORDS]))
        return attempt

    def forgive(self, spec: RunSpec) -> None:
        """Let the run's failures no longer count."""
        if self.failures(spec):
            self._write(Forgiven(key=spec.key, at=now()))

    def _write(self, line: Started | Finished | Failed | Forgiven) -> None:
        self.journal.append(line.model_dump_json())
        self.take(line)


def read_histories(folder: Path) -> Histories:
    """Return what the ledger of a folder says, without a lock: a study may be under way. Raises `InputError` where there is none."""
    if not (folder / LEDGER).exists():
        raise InputError(
            f"{folder}: holds no ledger of studies ({LEDGER}); name the folder that `budgetnet study` wrote, with --out."
        )
    return Histories(read_journal(folder / LEDGER))


@contextlib.contextmanager
def open_ledger(folder: Path) -> Iterator[Ledger]:
    """Make the folder where it is missing, hold it, and yield its ledger. Raises `InputError` where that cannot be."""
    try:
        (folder / RUNS).mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(f"{folder}: another study is under way in this folder; wait for it, or choose another --out.") from None
    except OSError as error:
        raise InputError(f"{folder}: cannot hold a study ({error.strerror or error}); choose another --out.") from None
    try:
        yield Ledger(folder)
        flush_folder(folder)
    finally:
        lock.release()


def parse_line(text: str) -> Started | Finished | Failed | Forgiven | None:
    """Return a line of the ledger, None where it is of no kind that is known."""
    try:
        return Entry.model_validate_json(f'{{"line":{text}}}').line
    except ValidationError:
        return None
