"""What a person sees while a class is graded: a line for each hand-in, and in a terminal a live bar below them. No torch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from budgetnet.grade.plain import counted
from budgetnet.grade.rows import Row

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

MOST_NAMED = 8
MOST_REASON = 110


class Showing(Protocol):
    """What grading tells while it runs."""

    def __enter__(self) -> Self:
        """Grading begins."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Grading ends, however it ends."""

    def begin(self, number: int, damaged: int, passed_over: Sequence[str]) -> None:
        """So many hand-ins were found; so many lines of the ledger were damaged; these names are no hand-ins."""

    def row(self, row: Row, known: bool) -> None:
        """A hand-in is done, or was done before and is unchanged."""


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Self:
        """Show nothing."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Show nothing."""

    def begin(self, number: int, damaged: int, passed_over: Sequence[str]) -> None:
        """Show nothing."""

    def row(self, row: Row, known: bool) -> None:
        """Show nothing."""


class Lines(Silent):
    """A line for each hand-in, on stderr, with a bar below them where that is a terminal."""

    def __init__(self, output: TextIO | None = None) -> None:
        self.output = output or sys.stderr
        self.number = 0
        self.done = 0
        self.bar: Progress | None = None
        self.task: TaskID | None = None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.stop()

    def begin(self, number: int, damaged: int, passed_over: Sequence[str]) -> None:
        """Say what was found, and draw the bar."""
        self.number = number
        if self.output.isatty():
            self._draw()
        self._line(f"{counted(number, 'hand-in')} found.")
        if damaged:
            self._line(f"The ledger had {counted(damaged, 'damaged line')}; what stood there is graded again.")
        if passed_over:
            more = f" and {len(passed_over) - MOST_NAMED} more" if len(passed_over) > MOST_NAMED else ""
            self._line(f"No hand-ins, and passed over: {', '.join(passed_over[:MOST_NAMED])}{more}.")

    def row(self, row: Row, known: bool) -> None:
        """Say what became of a hand-in."""
        self.done += 1
        took = "unchanged since it was graded" if known else f"{row.seconds:.1f} s"
        reason = row.reason if len(row.reason) <= MOST_REASON else f"{row.reason[: MOST_REASON - 1]}…"
        self._line(f"{self.done:>{len(str(self.number))}}/{self.number}  {row.verdict:<8}  {row.hand_in}  ({took})  {reason}")
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, completed=self.done)

    def _draw(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (
            TextColumn("grading"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self.bar = Progress(*columns, console=Console(file=self.output), transient=True)
        self.task = self.bar.add_task("", total=self.number)
        self.bar.start()

    def _line(self, text: str) -> None:
        if self.bar is None:
            self.output.write(text + "\n")
            self.output.flush()
        else:
            # Names and reasons are other people's words: nothing in them is markup.
            self.bar.console.print(text, markup=False, highlight=False, emoji=False, no_wrap=True, overflow="ellipsis")
