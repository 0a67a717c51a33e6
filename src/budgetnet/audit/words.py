"""The words of an audit, as closed data: lines, logs, claims, findings, documents. Plain data, JSON both ways, no torch.

An *epoch row* is what a log says of one epoch; accuracies are fractions of 1 everywhere, with the unit of their last printed digit
beside them, so that a comparison never asks for more digits than the author showed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from budgetnet.clauses import ClauseResult, State
from budgetnet.facts import Frozen

Kind = Literal["prose", "block", "code", "output"]


@dataclass(frozen=True, slots=True)
class Line:
    """A cleaned line: `number` is its place in the file, from 1; `kind` where it stood: running text, a fence, code, an output."""

    number: int
    text: str
    kind: Kind = "prose"
    original: str | None = None
    """As its author wrote it, where `text` has other words or numbers for the readers."""


@dataclass(frozen=True, slots=True)
class Value:
    """A number as printed: `unit` is the worth of its last digit, `images` the denominator of `9912/10000`."""

    value: float
    unit: float
    images: int | None = None

    def agrees(self, other: Value) -> bool:
        """Return whether both can be the same number, rounded or cut at their last printed digits."""
        return abs(self.value - other.value) <= max(self.unit, other.unit) * 1.001 if self.unit != other.unit else self.same(other)

    def same(self, other: Value) -> bool:
        """Return whether both are the same number, up to binary fractions."""
        return abs(self.value - other.value) <= 0.02 * min(self.unit, other.unit)


@dataclass(slots=True)
class EpochRow:
    """One epoch of a log. `metrics` holds `loss`, `acc`, `val_loss`, `val_acc`, `lr`, where they are printed."""

    line: int
    text: str
    number: int | None = None
    planned: int | None = None
    metrics: dict[str, Value] = field(default_factory=dict)
    steps: int | None = None
    """What the progress bar counts to: batches, or samples with Keras before 2.2."""
    seconds: float | None = None
    time_each: float | None = None
    """Seconds for each of `steps`."""
    running: bool = False
    """The training figures are means over the epoch while it ran (Keras, tqdm), not measured after it."""
    batch_loss: bool = False
    """`loss` is the last batch's."""
    tested: bool = False
    """The log calls what it watches the test set."""
    fresh: bool = False
    """The line `Train on …` or a heading stands between this row and the one before."""
    first_line: int = 0
    """Where the epoch's head stands; `line` is where its figures stand."""
    counted: bool = False
    """The log shows no number for it; it was counted here."""
    header: tuple[int, int | None] | None = None
    """(samples, validated) of a `Train on …` line above."""


@dataclass(slots=True)
class Log:
    """One training, as pasted: its rows in order, and the lines where rows of it are quoted again."""

    rows: list[EpochRow]
    quoted: list[int] = field(default_factory=list)

    @property
    def line(self) -> int:
        """Where it begins."""
        return min(self.rows[0].first_line or self.rows[0].line, self.rows[0].line)

    @property
    def end(self) -> int:
        """Where its last figures stand."""
        return self.rows[-1].line

    @property
    def first(self) -> int:
        """The number of the first epoch shown, as the log counts."""
        return self.rows[0].number or 0

    @property
    def last(self) -> int:
        """The number of the last epoch shown."""
        return self.rows[-1].number or 0

    @property
    def reached(self) -> int:
        """How many epochs these weights had seen at the end, by the log's own numbers."""
        return self.last + 1 if self.first == 0 else self.last

    @property
    def epochs(self) -> int:
        """How many epochs the log tells of; those that it leaves out in the middle are counted."""
        return self.last - self.first + 1

    @property
    def planned(self) -> int | None:
        """The 20 of `Epoch 3/20`."""
        return next((row.planned for row in reversed(self.rows) if row.planned), None)

    def watched(self) -> list[tuple[EpochRow, Value]]:
        """Return the rows with the accuracy that is watched: validation or test; training where nothing else is printed."""
        for name in ("val_acc", "acc"):
            found = [(row, row.metrics[name]) for row in self.rows if name in row.metrics]
            if found:
                return found
        return []

    @property
    def watches(self) -> bool:
        """Whether the log shows an accuracy on images that were not trained with."""
        return any("val_acc" in row.metrics for row in self.rows)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of `evaluate`, pasted: `[loss, accuracy]`, or a line that says the test accuracy."""

    line: int
    text: str
    accuracy: Value
    loss: Value | None = None


class Found(Frozen):
    """Something said of a document, with its evidence: a finding, something unproven, or a note that accuses nobody."""

    what: str
    """One sentence."""
    evidence: str
    """Quoted shortly."""
    file: str
    line: int
    proof: str = ""
    """What would prove the claim."""


class Claim(Frozen):
    """A figure that the text claims."""

    kind: Literal["accuracy", "parameters", "epochs"]
    value: float
    unit: float
    label: Literal["plain", "final", "best", "training", "limit", "target", "mean", "other", "trainable", "non-trainable", "total"]
    """`limit`: «under 15,000»; `target`: what was asked of the author, not what is claimed;
    `other`: other people's."""
    epoch: int | None = None
    """The epoch that an accuracy is said of."""
    line: int
    text: str
    state: Literal["shown", "contradicted", "unproven", "not held"] = "unproven"

    @property
    def number(self) -> Value:
        """The value with its unit."""
        return Value(self.value, self.unit)


class LogSummary(Frozen):
    """What one log says, in the order of the text. Accuracies are fractions, on what the log watches."""

    line: int
    epochs: int
    first_epoch: int
    last_epoch: int
    planned: int | None
    final: float | None
    best: float | None
    best_epoch: int | None
    last5: float | None
    last5_min: float | None
    schedule: str
    rates: tuple[float, ...]
    microseconds_per_sample: float | None
    samples: int | None
    batch: int | None
    watches: Literal["test", "validation", "unknown", "nothing"]
    evaluated: float | None
    quoted: tuple[int, ...]
    clauses: tuple[ClauseResult, ...] = ()


class TextFacts(Frozen):
    """What a hand-in shows of one network, by its own words: its most telling log's figures, and those of its only layer table."""

    log: int | None
    """The line where that log begins."""
    epochs: int | None
    final: float | None
    best: float | None
    last5: float | None
    last5_min: float | None
    evaluated: float | None
    schedule: str | None
    parameters: int | None
    """The sum of the layer table."""
    trainable: int | None
    non_trainable: int | None
    biased_layers: int | None
    fully_connected_layers: int | None
    layers_over_their_whole_map: int | None


class Document(Frozen):
    """One hand-in, audited. `verdict` and `clauses` are what it shows of `contract`; None and empty without one."""

    file: str
    logs: tuple[LogSummary, ...]
    claims: tuple[Claim, ...]
    findings: tuple[Found, ...]
    unproven: tuple[Found, ...]
    notes: tuple[Found, ...]
    facts: TextFacts
    contract: str | None = None
    verdict: State | None = None
    clauses: tuple[ClauseResult, ...] = ()
