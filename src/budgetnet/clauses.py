"""The contract's rules and the verdict's words, as closed data.

A contract is a set of optional clauses, each with its limit; a verdict is a state for each clause that was asked. Values are
checked where they enter: an accuracy of 99.4 is told to be 0.994. No torch; `contract` reads these from TOML, `judging` fills a
verdict.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from budgetnet.facts import Frozen

State = Literal["met", "broken", "unproven"]


def _printable(text: str) -> str:
    # These words reach terminals and Markdown: a contract from elsewhere must not move a cursor there.
    if not text.isprintable():
        raise ValueError("must be one line of printable text")
    return text


def _fraction(value: float) -> float:
    if 1 < value <= 100:
        raise ValueError(f"is a fraction of 1, not a percentage: write {value / 100:.6g} for {value:g} %")
    if not 0 < value <= 1:
        raise ValueError(f"must lie above 0 and not above 1 (given: {value:g})")
    return value


Line = Annotated[str, Field(max_length=400), AfterValidator(_printable)]
Fraction1 = Annotated[float, Field(strict=True, allow_inf_nan=False), AfterValidator(_fraction)]
Whole = Annotated[int, Field(strict=True, ge=0, le=10**12)]
Policy = Literal["allowed", "forbidden"]


class ParameterLimit(Frozen):
    """At most so many parameters, in the named counting convention."""

    at_most: Whole
    count: Literal["total", "trainable", "with_hidden", "non_zero"] = "total"
    """The meanings are those of `facts.ParameterCounts`; `total` is Keras's."""


class EpochLimit(Frozen):
    """At most so many epochs, counted in samples seen: 60,000 images of MNIST are one."""

    at_most: float = Field(strict=True, gt=0, le=10**6, allow_inf_nan=False)


class AccuracyLimit(Frozen):
    """At least this test accuracy after the last epoch, as a fraction of 1."""

    at_least: Fraction1


class SustainedAccuracyLimit(Frozen):
    """At least this test accuracy, as a fraction of 1, after each of the last so many epochs."""

    at_least: Fraction1
    last: int = Field(strict=True, ge=1, le=10_000)


class FullyConnectedRule(Frozen):
    """Whether fully connected layers are allowed, and what computes the same: a convolution that sees its whole input map."""

    allowed: bool = Field(default=False, strict=True)
    equivalent: Policy = "allowed"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.allowed and self.equivalent == "forbidden":
            raise ValueError("allows the layer and forbids its equivalent: choose one")
        return self


class BiasRule(Frozen):
    """Whether biases are allowed, and whether a normalization's learned shift is one."""

    allowed: bool = Field(default=False, strict=True)
    normalization_shift: Policy = "allowed"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.allowed and self.normalization_shift == "forbidden":
            raise ValueError("allows biases and forbids a normalization's shift: choose one")
        return self


class ForwardPassLimit(Frozen):
    """At most so many passes of one image through the network for one answer."""

    at_most: int = Field(strict=True, ge=1, le=10**6)


class Contract(Frozen):
    """The rules as data. A clause that is None is not asked."""

    name: Annotated[Line, Field(min_length=1)]
    title: Line = ""
    source: Line = ""
    """Who hands this contract out, and how its limits were read."""
    data: Annotated[Line, Field(min_length=1)] | None = None
    """The data set that accuracies must be measured on; None: any."""
    parameters: ParameterLimit | None = None
    epochs: EpochLimit | None = None
    accuracy: AccuracyLimit | None = None
    sustained_accuracy: SustainedAccuracyLimit | None = None
    fully_connected: FullyConnectedRule | None = None
    biases: BiasRule | None = None
    forward_passes: ForwardPassLimit | None = None

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not any(getattr(self, clause) for clause in CLAUSES):
            # An empty contract would be met by everything.
            raise ValueError(f"asks nothing; add at least one clause of {', '.join(CLAUSES)}")
        return self


CLAUSES = ("parameters", "epochs", "accuracy", "sustained_accuracy", "fully_connected", "biases", "forward_passes")


class ClauseResult(Frozen):
    """One clause, judged."""

    name: str
    """One of `CLAUSES`."""
    state: State
    measured: int | float | str | None
    """In the unit of `limit`; None where nothing could be measured."""
    limit: int | float | str | None
    why: str
    """One sentence; broken says by how much, unproven what is missing."""


class Verdict(Frozen):
    """A contract, judged: broken if a clause is broken, else unproven if one is, else met."""

    contract: str
    verdict: State
    clauses: tuple[ClauseResult, ...]


def type_of_clause(name: str) -> type[Frozen]:
    """Return the model of the clause `name`, one of `CLAUSES`."""
    models: dict[str, type[Frozen]] = {
        "parameters": ParameterLimit,
        "epochs": EpochLimit,
        "accuracy": AccuracyLimit,
        "sustained_accuracy": SustainedAccuracyLimit,
        "fully_connected": FullyConnectedRule,
        "biases": BiasRule,
        "forward_passes": ForwardPassLimit,
    }
    return models[name]
