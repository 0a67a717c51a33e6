"""A study as a person writes it: recipes, variations, seeds, contract, data, epochs; from a TOML file or from the command line.

Reading says what was asked; `arms` turns it into recipes. Every fault is one sentence that names the file and the field. No torch.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from budgetnet.errors import InputError
from budgetnet.facts import Frozen
from budgetnet.recipe import Scalar, explain, parse_scalar

LARGEST_FILE = 2**20
MOST_SEEDS = 10_000
MOST_RUNS = 100_000
MOST_PAIRED = 5
"""So many arms are compared each with each; more are compared with the first."""

Settings = dict[str, Scalar]
Label = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Variant(Frozen):
    """One recipe of a study, where a name alone does not say it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Label
    """What tables and pictures call it."""
    network: str
    """A name of the zoo, or `path/to/file.py:Class` beside the study file."""
    like: str | None = None
    """The zoo's network whose recipe is taken; the network's own where none is named."""
    set: Settings = Field(default_factory=dict)
    """Fields of the recipe to change; `network.NAME` reaches the constructor."""


class Variation(Frozen):
    """A change that is tried on every recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Label
    set: Settings = Field(default_factory=dict)


class Definition(Frozen):
    """What was asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    title: str = Field(default="", max_length=200)
    question: str = Field(default="", max_length=4_000)
    """What the study is to answer, and what a reader must know of how it does; it opens the report."""
    recipes: list[str | Variant] = Field(min_length=1, max_length=1_000)
    grid: dict[str, Annotated[list[Scalar], Field(min_length=1, max_length=1_000)]] = Field(default_factory=dict)
    """Field -> values: every combination is tried on every recipe."""
    variations: list[Variation] = Field(default_factory=list, max_length=1_000)
    """Or a list of changes, each tried on every recipe."""
    set: Settings = Field(default_factory=dict)
    """Of every recipe alike."""
    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] | list[Annotated[int, Field(ge=0, le=2**31)]] = 5
    """Their number, counted from 0, or the seeds themselves."""
    contract: str = "code9"
    data: str | None = None
    epochs: int | None = Field(default=None, ge=1, le=10_000)
    threads: int = Field(default=1, ge=1, le=1024)
    """Of each run."""
    compare: Literal["pairs", "first"] | list[Annotated[list[str], Field(min_length=2, max_length=2)]] | None = None
    """`pairs`: each with each; `first`: each with the first; or the pairs by name. Up to five recipes are compared in pairs, else with
    the first."""

    def numbers(self) -> tuple[int, ...]:
        """Return the seeds, each once, in order."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else tuple(sorted(set(self.seeds)))


def read_definition(path: Path) -> Definition:
    """Return what a study file asks. Raises `InputError` that names the place."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    if len(content) > LARGEST_FILE:
        raise InputError(f"{path}: is larger than {LARGEST_FILE:,} bytes; a study file holds words, not data.")
    try:
        document = tomllib.loads(content.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: is not TOML that can be read: {error}.") from None
    try:
        return Definition.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{path}: {_first_of(error)}") from None


def define(recipes: list[str], **given: Any) -> Definition:
    """Return a study of recipes by name, as the command line asks for it; a value of None takes the default."""
    try:
        return Definition.model_validate({"recipes": recipes, **{key: value for key, value in given.items() if value is not None}})
    except ValidationError as error:
        raise InputError(f"This study cannot be made: {_first_of(error)}") from None


def changed(definition: Definition, **given: Any) -> Definition:
    """Return a copy in which what was given (not None) takes the place of what the file says."""
    changes = {key: value for key, value in given.items() if value is not None}
    try:
        return Definition.model_validate({**definition.model_dump(), **changes})
    except ValidationError as error:
        raise InputError(f"This study cannot be made: {_first_of(error)}") from None


def combinations(definition: Definition) -> list[tuple[str, Settings]]:
    """Return what is tried on each recipe: the words that are added to its name, and the settings. At least one, perhaps empty."""
    if definition.grid and definition.variations:
        raise InputError("A study has a grid or a list of variations, not both.")
    if definition.variations:
        return [(variation.name, dict(variation.set)) for variation in definition.variations]
    fields = list(definition.grid)
    found = []
    for values in product(*definition.grid.values()):
        words = ", ".join(f"{field.removeprefix('network.')} {_shown(value)}" for field, value in zip(fields, values, strict=True))
        found.append((words, dict(zip(fields, values, strict=True))))
    return found


def settings_of(settings: Settings) -> list[str]:
    """Return settings in the command line's form, `field=value`."""
    return [f"{field}={_shown(value)}" for field, value in settings.items()]


def parse_settings(words: Iterable[str]) -> Settings:
    """Return `field=value` words as settings."""
    settings: Settings = {}
    for word in words:
        field, separator, text = word.partition("=")
        if not separator or not field:
            raise InputError(f"--set takes field=value, not {word!r}.")
        settings[field] = parse_scalar(text)
    return settings


def parse_grid(words: Iterable[str]) -> dict[str, list[Scalar]]:
    """Return `field=value,value` words as a grid."""
    grid: dict[str, list[Scalar]] = {}
    for word in words:
        field, separator, text = word.partition("=")
        if not separator or not field or not text:
            raise InputError(f"--vary takes field=value,value,…, not {word!r}.")
        grid[field] = [parse_scalar(value) for value in text.split(",")]
    return grid


def parse_seeds(text: str) -> int | list[int]:
    """Return `5` as a number of seeds, `0,3,7` or `5-9` as the seeds themselves."""
    if re.fullmatch(r"\d{1,9}", text):
        return int(text)
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part.strip())
        last = int(match[2] or match[1]) if match else -1
        if match is None or last < int(match[1]) or last - int(match[1]) >= MOST_SEEDS:
            raise InputError(f"--seeds takes a number of seeds (5), or the seeds themselves (0,3,7 or 5-9), not {text!r}.")
        seeds += range(int(match[1]), last + 1)
    return seeds


def _first_of(error: ValidationError) -> str:
    # A list or a union that fits nowhere has a finding for each of its kinds; the first says enough.
    return explain(error).split("; ")[0][:300]


def _shown(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
