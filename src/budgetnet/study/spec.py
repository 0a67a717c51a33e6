"""What one run of a study is: a recipe and a seed, and the name that follows from them.

The name is the run's identity: it depends on everything that decides the run and on nothing else, so that a study that is enlarged, or
another study in the same folder, finds what was trained before. No torch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from budgetnet.durable import sha256
from budgetnet.recipe import Recipe

SHOWN_DIGITS = 12
WORDS_ONLY = frozenset({"name", "strategy"})
"""Fields of a recipe that decide nothing."""


@dataclass(frozen=True)
class RunSpec:
    """One run to be made."""

    recipe: Recipe
    seed: int
    source_sha256: str | None = None
    """Of the user's network file; None for the zoo's networks."""

    @cached_property
    def key(self) -> str:
        """The run's name, also of its folder: recipe, data, seed, and a sum over what decides it."""
        # What stands at its default is left out, so that a field which a later version adds renames no run of today.
        decides = self.recipe.model_dump(exclude=set(WORDS_ONLY), exclude_defaults=True)
        if self.source_sha256 is not None:
            # A file is what it holds, wherever it lies.
            decides["network"] = [self.source_sha256, self.recipe.network.rpartition(":")[2]]
        digest = sha256(json.dumps([decides, self.seed], sort_keys=True).encode())[:SHOWN_DIGITS]
        return f"{self.recipe.name}-{Path(self.recipe.data).stem}-seed{self.seed}-{digest}"
