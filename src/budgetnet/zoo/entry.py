"""What the zoo keeps of each network: how to build it, the recipe, what its author claims, and where that is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from budgetnet.recipe import Recipe
from budgetnet.zoo.blocks import Network, Towers


@dataclass(frozen=True)
class Claim:
    """What a published hand-in says of itself. Accuracies are fractions; None where it says nothing."""

    accuracy: float
    """Of the final `evaluate`."""
    best_accuracy: float
    best_epoch: int
    """Counted from 1."""
    parameters: str
    """As written there."""
    loss: float | None = None


@dataclass(frozen=True)
class Entry:
    """One network of the zoo."""

    build: Callable[..., Network | Towers]
    """Constructor; keyword arguments only, all with defaults."""
    recipe: Recipe
    claim: Claim | None
    """None for the project's own designs: what they reach stands in the records."""
    source: str
    """The document, and where in it."""
    layers: Literal["author's", "reconstruction", "own"]
