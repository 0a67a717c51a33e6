"""What a person sees of a training: a live bar in a terminal, and one kept line for each epoch in the form of the published logs.

In a pipe there is no bar, only the lines. `Quiet` shows nothing, for callers from Python and for `--json`.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol, TextIO

from budgetnet import log_form

BAR_WIDTH = 30
STEPS_BETWEEN_DRAWS = 5


class Progress(Protocol):
    """What the training tells while it runs."""

    def start(self, samples: int, validated: int, epochs_before: int = 0) -> None:
        """The run begins, or goes on; `epochs_before` are those of its teacher, which are over."""

    def epoch_start(self, epoch: int, epochs: int, rate: float) -> None:
        """An epoch (from 1) begins."""

    def step(self, done: int, samples: int, seconds: float, loss: float, accuracy: float) -> None:
        """`done` of `samples` images of the epoch were trained on."""

    def epoch_end(self, row: dict[str, Any], seconds: float) -> None:
        """An epoch is complete; `row` is its row of the log."""

    def note(self, sentence: str) -> None:
        """Something that the person should know."""


class Quiet:
    """Shows nothing."""

    def start(self, samples: int, validated: int, epochs_before: int = 0) -> None:
        """Show nothing."""

    def epoch_start(self, epoch: int, epochs: int, rate: float) -> None:
        """Show nothing."""

    def step(self, done: int, samples: int, seconds: float, loss: float, accuracy: float) -> None:
        """Show nothing."""

    def epoch_end(self, row: dict[str, Any], seconds: float) -> None:
        """Show nothing."""

    def note(self, sentence: str) -> None:
        """Show nothing."""


class KerasLines:
    """Keras's lines, with its bar while an epoch runs where the output is a terminal."""

    def __init__(self, output: TextIO | None = None) -> None:
        self.output = output or sys.stdout
        self.live = self.output.isatty()
        self.steps = 0

    def start(self, samples: int, validated: int, epochs_before: int = 0) -> None:  # noqa: ARG002
        """Print the header."""
        self._line(log_form.header(samples, validated))

    def epoch_start(self, epoch: int, epochs: int, rate: float) -> None:
        """Print the epoch's head with its learning rate."""
        self.steps = 0
        self._line(log_form.epoch_head(epoch, epochs, rate))

    def step(self, done: int, samples: int, seconds: float, loss: float, accuracy: float) -> None:
        """Draw the bar, at every fifth step."""
        self.steps += 1
        if not self.live or self.steps % STEPS_BETWEEN_DRAWS:
            return
        filled = BAR_WIDTH * done // samples
        bar = ("=" * max(0, filled - 1) + ">").ljust(BAR_WIDTH, ".") if filled < BAR_WIDTH else "=" * BAR_WIDTH
        left = seconds / done * (samples - done)
        text = f"{done:>{len(str(samples))}}/{samples} [{bar}] - ETA: {left:.0f}s - loss: {loss:.4f} - acc: {accuracy:.4f}"
        self.output.write(f"\r{text}\x1b[K")
        self.output.flush()

    def epoch_end(self, row: dict[str, Any], seconds: float) -> None:
        """Print the epoch's line over the bar; it stays."""
        self._line(log_form.epoch_line(row, seconds))

    def note(self, sentence: str) -> None:
        """Print the sentence on a line of its own."""
        self._line(sentence)

    def _line(self, text: str) -> None:
        self.output.write(f"\r\x1b[K{text}\n" if self.live else f"{text}\n")
        self.output.flush()
