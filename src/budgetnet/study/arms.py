"""A study's definition -> its arms: recipes with the names that tables call them by. The one part of planning that builds networks.

Each recipe is built and tried on eight images before anything is trained, so that a misspelt field costs a second and not a night.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from budgetnet.contract import Contract, load_contract
from budgetnet.errors import InputError, did_you_mean
from budgetnet.recipe import Recipe
from budgetnet.study.definition import MOST_PAIRED, MOST_RUNS, Definition, Settings, Variant, combinations, settings_of
from budgetnet.study.spec import RunSpec


@dataclass(frozen=True)
class Arm:
    """One recipe of a study, with the name that tables and pictures call it by."""

    label: str
    recipe: Recipe
    source_sha256: str | None = None

    def spec(self, seed: int) -> RunSpec:
        """Return the run of this recipe with that seed."""
        return RunSpec(self.recipe, seed, self.source_sha256)


@dataclass(frozen=True)
class Study:
    """What is to be trained and compared."""

    name: str
    """Of its folder."""
    title: str
    question: str
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]
    """Places of the arms that are compared."""
    contract: Contract
    threads: int

    def specs(self) -> list[RunSpec]:
        """Return every run, all recipes of a seed before the next seed, so that what is compared exists early."""
        return [arm.spec(seed) for seed in self.seeds for arm in self.arms]


def make_study(definition: Definition, *, name: str, folder: Path | None, data_dir: Path | None) -> Study:
    """Return the study; `folder` is that of its file, from which paths are meant. Raises `InputError` before anything is trained."""
    if not re.fullmatch(r"\w[\w.+-]{0,79}", name):
        raise InputError(f"{name!r} cannot name a study: letters, digits, and . + - _ are meant; choose another --name.")
    changes = combinations(definition)
    number = len(definition.recipes) * len(changes) * len(definition.numbers())
    if number > MOST_RUNS:
        raise InputError(f"This study has {number:,} runs; {MOST_RUNS:,} are the most. Vary fewer fields, or take fewer seeds.")
    contract = load_contract(_from_folder(definition.contract, folder))
    arms: list[Arm] = []
    for asked in definition.recipes:
        for words, settings in changes:
            arms.append(_arm(definition, asked, words, settings, folder))
    fitted = _fitted(arms, definition, data_dir)
    _refuse_doubles(fitted)
    return Study(
        name=name,
        title=definition.title or " or ".join(dict.fromkeys(arm.recipe.name for arm in fitted)),
        question=definition.question.strip(),
        arms=tuple(fitted),
        seeds=definition.numbers(),
        pairs=_pairs(definition, [arm.label for arm in fitted]),
        contract=contract,
        threads=definition.threads,
    )


def _arm(definition: Definition, asked: str | Variant, words: str, settings: Settings, folder: Path | None) -> Arm:
    from budgetnet import zoo
    from budgetnet.networks import default_recipe, is_own, source_sha256

    variant = Variant(name=plain_name(asked), network=asked) if isinstance(asked, str) else asked
    target = _from_folder(variant.network, folder) if is_own(variant.network) else variant.network
    recipe = default_recipe(target)
    if variant.like is not None:
        base = zoo.find(variant.like).recipe
        recipe = base.varied(name=recipe.name, network=recipe.network, strategy="")
    if definition.data is not None:
        recipe = recipe.varied(data=_from_folder(definition.data, folder))
    if definition.epochs is not None:
        recipe = recipe.varied(epochs=definition.epochs)
    # Together, since some need others: a teacher's epochs its network. The last word counts.
    recipe = recipe.with_settings([word for part in (definition.set, variant.set, settings) for word in settings_of(part)])
    if recipe.teacher is not None and is_own(recipe.teacher.network):
        raise InputError(f"{recipe.teacher.network}: a study's teachers are networks of the zoo; `budgetnet train` takes your own.")
    label = variant.name if not words else words if len(definition.recipes) == 1 else f"{variant.name}, {words}"
    return Arm(label, recipe, source_sha256(recipe))


def _fitted(arms: list[Arm], definition: Definition, data_dir: Path | None) -> list[Arm]:
    """Return the arms with a validation part that the data can afford, after each was built and tried."""
    from dataclasses import replace

    from budgetnet import datasets
    from budgetnet.preparing import check_fits, with_affordable_validation

    fitted = []
    loaded = {name: datasets.load(name, data_dir=data_dir) for name in {arm.recipe.data for arm in arms}}
    for arm in arms:
        dataset = loaded[arm.recipe.data]
        chosen = any("validation" in settings for settings in _all_settings(definition))
        # A recipe that was taken over whole (`like`) keeps no validation part, and is left as it is.
        recipe = arm.recipe if chosen else with_affordable_validation(arm.recipe, arm.recipe.network, [], dataset)
        try:
            check_fits(recipe, 0, dataset)
        except InputError as error:
            raise InputError(f"Recipe {arm.label!r}: {error}") from None
        fitted.append(replace(arm, recipe=recipe))
    return fitted


def _all_settings(definition: Definition) -> list[Collection[str]]:
    own = [asked.set for asked in definition.recipes if isinstance(asked, Variant)]
    return [definition.set, definition.grid, *own, *(variation.set for variation in definition.variations)]


def _refuse_doubles(arms: list[Arm]) -> None:
    keys: dict[str, str] = {}
    for arm in arms:
        if arm.label in keys.values():
            raise InputError(f"Two recipes of this study are called {arm.label!r}; give each a name of its own.")
        key = arm.spec(0).key
        if key in keys:
            raise InputError(f"{arm.label!r} is the same recipe as {keys[key]!r}; a study has each recipe once.")
        keys[key] = arm.label


def _pairs(definition: Definition, labels: list[str]) -> tuple[tuple[int, int], ...]:
    default = "pairs" if len(labels) <= MOST_PAIRED else "first"
    asked = default if definition.compare is None else definition.compare
    if asked == "pairs":
        return tuple((one, other) for one in range(len(labels)) for other in range(one + 1, len(labels)))
    if asked == "first":
        return tuple((other, 0) for other in range(1, len(labels)))
    found = []
    for pair in asked:
        for label in pair:
            if label not in labels:
                raise InputError(f"compare: this study has no recipe {label!r}.{did_you_mean(label, labels)}")
        if pair[0] == pair[1]:
            raise InputError(f"compare: {pair[0]!r} cannot be compared with itself.")
        found.append((labels.index(pair[0]), labels.index(pair[1])))
    return tuple(found)


def _from_folder(target: str, folder: Path | None) -> str:
    """Return a path as it is meant: from the study file's folder, where something lies there."""
    path, separator, name = target.rpartition(":") if ".py:" in target else (target, "", "")
    if folder is None or Path(path).is_absolute() or not (folder / path).exists():
        return target
    return f"{(folder / path).resolve()}{separator}{name}"


def plain_name(target: str) -> str:
    """Return what a table calls a recipe: the zoo's name, or of a file its class, else its stem."""
    path, _, name = target.rpartition(":") if ".py:" in target else (target, "", "")
    return name or Path(path).stem if ".py" in target else target
