"""What a person sees of a study under way: a line for each run that ends, and in a terminal a live view of the whole below them.

Runs done, running (each with its epoch and accuracy), failed, and the time left. In a pipe there are only the lines. No torch.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from budgetnet.study.entries import Result
from budgetnet.study.executors import Executor, Standing
from budgetnet.study.ledger import Ledger
from budgetnet.study.spec import RunSpec

if TYPE_CHECKING:
    from rich.live import Live

MOST_RUNNING_SHOWN = 16
SECONDS_BETWEEN_DRAWS = 1.0


class Showing(Protocol):
    """What a study tells while it runs."""

    def __enter__(self) -> Self:
        """The study begins."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """The study ends, however it ends."""

    def begin(self, specs: Sequence[RunSpec], ledger: Ledger, missing: Collection[RunSpec], executor: Executor) -> None:
        """These runs are asked for, these of them are to be trained, there."""

    def started(self, spec: RunSpec) -> None:
        """A run begins, or goes on."""

    def finished(self, spec: RunSpec, result: Result) -> None:
        """A run is complete and written down."""

    def failed(self, spec: RunSpec, kind: str, words: str, *, again: bool) -> None:
        """A run ended without a result, and is tried again or left out."""

    def tick(self, standings: dict[str, Standing]) -> None:
        """A moment passed; the runs under way stand there."""

    def note(self, sentence: str) -> None:
        """Something that the person should know."""


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Self:
        """Show nothing."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Show nothing."""

    def begin(self, specs: Sequence[RunSpec], ledger: Ledger, missing: Collection[RunSpec], executor: Executor) -> None:
        """Show nothing."""

    def started(self, spec: RunSpec) -> None:
        """Show nothing."""

    def finished(self, spec: RunSpec, result: Result) -> None:
        """Show nothing."""

    def failed(self, spec: RunSpec, kind: str, words: str, *, again: bool) -> None:
        """Show nothing."""

    def tick(self, standings: dict[str, Standing]) -> None:
        """Show nothing."""

    def note(self, sentence: str) -> None:
        """Show nothing."""


class Lines(Silent):
    """A line for each run that ends, on stderr; below them a live view where that is a terminal."""

    def __init__(self, output: TextIO | None = None) -> None:
        self.output = output or sys.stderr
        self.live: Live | None = None
        self.number = self.done = self.lost = 0
        self.begun = time.monotonic()
        self.drawn = 0.0
        self.running: dict[str, Standing] = {}
        self.epochs_left: dict[str, int] = {}
        """Of the runs that are missing: key -> epochs."""
        self.epochs_made = 0.0
        self.slots = 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Take the live view away."""
        if self.live is not None:
            self.live.stop()

    def begin(self, specs: Sequence[RunSpec], ledger: Ledger, missing: Collection[RunSpec], executor: Executor) -> None:
        """Say what is asked and what is there."""
        self.number = len(specs)
        self.done = sum(ledger.result(spec) is not None for spec in specs)
        self.lost = self.number - self.done - len(missing)
        self.slots = executor.slots
        self.epochs_left = {spec.key: spec.recipe.epochs_in_all for spec in missing}
        self.begun = time.monotonic()
        if self.output.isatty() and missing:
            self._open()
        self.note(f"{self.number} runs: {self.done} there, {len(missing)} to train on {executor.name}.")
        if ledger.torn or ledger.damaged:
            self.note("The ledger was repaired: a line was torn or damaged, and what it said is found or made again.")
        if self.lost:
            self.note(f"{self.lost} failed before and left out; --again tries them anew.")

    def finished(self, spec: RunSpec, result: Result) -> None:
        """Say what a run reached."""
        self.done += 1
        self.epochs_made += self.epochs_left.pop(spec.key, 0)
        self._line(f"{self._count()}  {result.accuracy:.2%}  {spec.key}  ({duration(result.seconds)})")

    def failed(self, spec: RunSpec, kind: str, words: str, *, again: bool) -> None:
        """Say why a run has no result."""
        if not again:
            self.lost += 1
            self.epochs_left.pop(spec.key, None)
        self._line(f"{self._count()}  {kind}  {spec.key}: {words} {'It is tried once more.' if again else 'It is left out.'}")

    def tick(self, standings: dict[str, Standing]) -> None:
        """Draw the live view, once a second."""
        self.running = standings
        if self.live is not None and time.monotonic() - self.drawn >= SECONDS_BETWEEN_DRAWS:
            self.drawn = time.monotonic()
            self.live.update(self.view(), refresh=True)

    def note(self, sentence: str) -> None:
        """Print the sentence on a line of its own."""
        self._line(sentence)

    def seconds_left(self) -> float | None:
        """Return how long the rest takes at the pace so far; None before there is one."""
        under_way = sum(standing.epoch + standing.share for standing in self.running.values())
        made, whole = self.epochs_made + under_way, sum(self.epochs_left.values())
        elapsed = time.monotonic() - self.begun
        return elapsed / made * (whole - under_way) if made > 0 else None

    def view(self) -> str:
        """Return the live view's text."""
        left = self.seconds_left()
        rest = f", about {duration(left)} left" if left is not None else ""
        failed = f", {self.lost} failed" if self.lost else ""
        lines = [f"{self.done} of {self.number} runs done, {len(self.running)} running{failed}{rest}"]
        for key, standing in list(self.running.items())[:MOST_RUNNING_SHOWN]:
            reached = "" if standing.accuracy is None else f", {standing.accuracy:.2%}"
            lines.append(f"  {key}: epoch {standing.epoch + 1 if standing.share else standing.epoch} of {standing.epochs}{reached}")
        if len(self.running) > MOST_RUNNING_SHOWN:
            lines.append(f"  and {len(self.running) - MOST_RUNNING_SHOWN} more")
        return "\n".join(lines)

    def _count(self) -> str:
        return f"{self.done:>{len(str(self.number))}}/{self.number}"

    def _open(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self.live = Live("", console=Console(file=self.output, highlight=False, markup=False), auto_refresh=False, transient=True)
        self.live.start()

    def _line(self, text: str) -> None:
        if self.live is None:
            self.output.write(text + "\n")
            self.output.flush()
        else:
            self.live.console.print(text, markup=False, highlight=False, emoji=False)


def duration(seconds: float) -> str:
    """Return a time as a person says it: `40 s`, `12 min`, `3 h 20 min`, `2 days 4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} days {minutes % 1440 // 60} h"
