"""The study under way: what is missing is submitted, what comes back is written down, what failed is tried once more.

The same loop for every executor. It can end at any moment: the ledger says what is done, the run directories hold what is under way.
"""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path

from budgetnet.errors import InputError
from budgetnet.interruption import StopRequest, listening
from budgetnet.rundir import RunDirectory
from budgetnet.study.entries import result_of
from budgetnet.study.executors import Executor, RunFailed, Stopped
from budgetnet.study.ledger import FAILED, RUNS, TRIES, Ledger
from budgetnet.study.showing import Showing
from budgetnet.study.spec import RunSpec

LISTENING_SECONDS = 0.25


@dataclass(frozen=True)
class Conducted:
    """How it ended."""

    trained: int
    """Runs that this start finished."""
    signal: int | None
    """That stopped it; None where all was done."""


def conduct(specs: Sequence[RunSpec], ledger: Ledger, executor: Executor, showing: Showing) -> Conducted:
    """Train every run that has no result and is not left out; return how it ended.

    Raises `InputError` where the ledger cannot be written to.
    """
    adopted = _adopt(specs, ledger)
    work = _Work(specs, ledger, executor, showing)
    with listening() as request, executor, showing:
        showing.begin(specs, ledger, work.queue, executor)
        if adopted:
            showing.note(f"{adopted} finished run{'s were' if adopted > 1 else ' was'} found that the ledger had not heard of.")
        try:
            work.loop(request)
        finally:
            if request.signal is not None:
                work.halt()
    return Conducted(work.trained, request.signal)


def _adopt(specs: Sequence[RunSpec], ledger: Ledger) -> int:
    """Write down the runs that were complete when the study was killed, before the ledger heard of it; return their number."""
    adopted = 0
    for spec in specs:
        run = RunDirectory(ledger.folder / RUNS / spec.key)
        if ledger.result(spec) is not None or not run.finished:
            continue
        try:
            ledger.finish(spec, result_of(run))
            adopted += 1
        except InputError:
            _put_aside(ledger, spec)
    return adopted


class _Work:
    """The runs of one start."""

    def __init__(self, specs: Sequence[RunSpec], ledger: Ledger, executor: Executor, showing: Showing) -> None:
        self.ledger = ledger
        self.executor = executor
        self.showing = showing
        self.queue = deque(spec for spec in specs if ledger.result(spec) is None and ledger.state(spec) != "left out")
        self.pending: dict[Future[RunDirectory], RunSpec] = {}
        self.trained = 0

    def loop(self, request: StopRequest) -> None:
        ticked = 0.0
        while (self.queue or self.pending) and request.signal is None:
            while self.queue and len(self.pending) < self.executor.slots:
                self._begin(self.queue.popleft())
            done, _ = wait(self.pending, timeout=LISTENING_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                self._take(future, self.pending.pop(future))
            if time.monotonic() - ticked >= LISTENING_SECONDS:
                ticked = time.monotonic()
                self.showing.tick(self.executor.standings())

    def halt(self) -> None:
        """Let the runs under way save their state; one that ends in these seconds still counts."""
        self.showing.note("Stopping: the runs under way save their state.")
        self.executor.stop()
        for future, spec in self.pending.items():
            if not future.cancel():
                self._take(future, spec)

    def _begin(self, spec: RunSpec) -> None:
        self.ledger.start(spec, self.executor.name)
        self.pending[self.executor.submit(spec)] = spec
        self.showing.started(spec)

    def _take(self, future: Future[RunDirectory], spec: RunSpec) -> None:
        try:
            result = result_of(future.result())
        except Stopped:
            return
        except RunFailed as failure:
            self._fail(spec, failure)
        except InputError as error:
            self._fail(spec, RunFailed("crash", str(error)))
        else:
            self.ledger.finish(spec, result)
            self.trained += 1
            self.showing.finished(spec, result)

    def _fail(self, spec: RunSpec, failure: RunFailed) -> None:
        times = self.ledger.fail(spec, failure.kind, failure.words)
        _put_aside(self.ledger, spec)
        if times < TRIES:
            self.queue.append(spec)
        self.showing.failed(spec, failure.kind, failure.words, again=times < TRIES)


def _put_aside(ledger: Ledger, spec: RunSpec) -> None:
    """Move what a failed attempt left out of the way; the second attempt starts from nothing, so that it repeats no bad state."""
    left: Path = ledger.folder / RUNS / spec.key
    if not left.exists():
        return
    aside = ledger.folder / FAILED / spec.key
    shutil.rmtree(aside, ignore_errors=True)
    aside.parent.mkdir(exist_ok=True)
    left.rename(aside)
