"""Two traces with different images, held against each other: what stays is a weight, what changes is not.

An operand that depends on the image by its history but never changes is a constant in disguise. A constant that changes with the
image was computed where the trace cannot see. Random numbers that change from pass to pass are noise and no weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isclose

import torch
from torch import Tensor

from budgetnet.check.sources import Source
from budgetnet.check.trace import Event, Trace
from budgetnet.facts import Finding

STRUCTURE = ("fully_connected", "biases", "forward_passes")
OUTSIDE = (*STRUCTURE, "parameters")
"""What is open where something is computed that torch does not see: that may bring any number of numbers along."""
MANY_SCALARS = 64
"""More different Python numbers than this on the image's path look like weights written out."""
MOST_QUESTIONS = 6
"""Truth values of the image, read into Python, up to which both answers are followed."""
MANY_READS = 8
"""More weights read into Python than this can do what no trace shows."""
ROUNDING = 1e-6
"""Part of the largest value of a tensor by which another value may differ and be the same, being near zero."""


@dataclass
class Findings:
    """What was found; a reason under `blind` means that the clause cannot be told."""

    fully_connected: list[Finding] = field(default_factory=list)
    equivalent: list[Finding] = field(default_factory=list)
    biases: list[Finding] = field(default_factory=list)
    shifts: list[Finding] = field(default_factory=list)
    hidden: list[Finding] = field(default_factory=list)
    unused: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    blind: dict[str, str] = field(default_factory=dict)
    """Clause -> why it cannot be told."""

    def say(self, note: str) -> None:
        """Add a note once."""
        if note not in self.notes:
            self.notes.append(note)

    def take(self, other: Findings) -> None:
        """Add what was found on another way through the network."""
        for name in ("fully_connected", "equivalent", "biases", "shifts"):
            own, more = getattr(self, name), getattr(other, name)
            known = {one.what for one in own}
            own += [one for one in more if one.what not in known]
        for note in other.notes:
            self.say(note)
        self.blind = {**other.blind, **self.blind}

    def cannot_tell(self, why: str, *clauses: str) -> None:
        """Leave these clauses open, all three of structure where none is named."""
        for clause in clauses or STRUCTURE:
            self.blind.setdefault(clause, why)
        self.say(why)


class Evidence:
    """Both traces and what their comparison says; `findings` collects from here on."""

    def __init__(self, first: Trace, second: Trace, batch: int) -> None:
        self.first, self.second, self.batch = first, second, batch
        self.findings = Findings()
        self.noise: set[int] = set()
        """Sources that are drawn anew in each pass, or that were computed from the image past torch: no numbers of the network's."""
        self.comparable = [event.name for event in first.events] == [event.name for event in second.events]
        self._compare()

    def source(self, number: int) -> Source:
        """Return the source of that number in the first trace."""
        return self.first.sources.all[number]

    def _compare(self) -> None:
        first, second, found = self.first, self.second, self.findings
        for what, why in {**second.memory.unknown, **first.memory.unknown}.items():
            found.cannot_tell(why, *(OUTSIDE if what == "outside" else STRUCTURE))
        if first.image_reads or first.questions > MOST_QUESTIONS:
            found.cannot_tell(
                "The network reads the image's values into Python, so that another image may take another way through it."
            )
        elif not self.comparable:
            found.cannot_tell("The network computes differently from image to image, so that one trace does not show it all.")
        if first.weight_reads > MANY_READS:
            found.cannot_tell(f"Weights are read as {first.weight_reads:,} Python numbers, whose use cannot be followed.")
        if len(first.scalars) > MANY_SCALARS:
            found.cannot_tell(f"{len(first.scalars):,} different Python numbers meet the image: they may be weights written out.")
        for one, other in zip(first.sources.undeclared(), second.sources.undeclared(), strict=False):
            if not self.comparable or one.value is None or other.value is None or same_values(one.value, other.value):
                continue
            self.noise.add(one.number)
            if one.kind == "random":
                found.say("The network draws random numbers in evaluation mode: its answers are not repeatable.")
            else:
                why = "A tensor changes with the image without a computation that torch saw (NumPy, or plain Python)."
                found.cannot_tell(why, *OUTSIDE)

    def partner(self, event: Event) -> Event | None:
        """Return the same operation in the second trace, or None where the traces took different ways."""
        if not self.comparable:
            return None
        return next((other for one, other in zip(self.first.events, self.second.events, strict=True) if one is event), None)

    def weights(self, place: int, event: Event) -> list[bool]:
        """Return for each operand of the event at `place` whether it acts as a weight: numbers that stay, whatever the image."""
        return [
            self._is_constant(place, index) if operand.content.image else bool(operand.content.sources - self.noise)
            for index, operand in enumerate(event.operands)
        ]

    def _is_constant(self, place: int, index: int) -> bool:
        operand = self.first.events[place].operands[index]
        if operand.values is None or not operand.content.sources or not self.comparable or operand.numbers <= 1:
            return False
        other = self.second.events[place].operands[index].values
        largest = max((abs(value) for value in operand.values[2:]), default=0.0)
        same = other is not None and all(
            isclose(a, b, rel_tol=1e-5, abs_tol=ROUNDING * largest) for a, b in zip(operand.values, other, strict=True)
        )
        # All zero is what a residual branch with a zeroed last scale gives: it adds nothing, now.
        return same and operand.values[0] > 0


def same_values(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors hold the same, NaN apart."""
    return one.shape == other.shape and one.dtype == other.dtype and torch.equal(torch.nan_to_num(one), torch.nan_to_num(other))
