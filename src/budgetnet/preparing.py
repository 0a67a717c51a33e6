"""What is decided and tried before a run directory is made: the recipe, and whether network and data fit each other."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import torch

from budgetnet import datasets
from budgetnet.datasets import Dataset, Split
from budgetnet.errors import InputError
from budgetnet.evaluate import as_input
from budgetnet.loss import log_probability_function
from budgetnet.networks import build_network, default_recipe, is_own, source_sha256, split_target, teacher_source_sha256
from budgetnet.randomness import global_generators_restored
from budgetnet.recipe import Recipe, Teacher
from budgetnet.state import network_tensors


def decide_recipe(name: str | Recipe, data: str | None, epochs: int | None, settings: list[str]) -> Recipe:
    """Return the recipe of a run: the target's own, with the data, settings and epochs that were asked for."""
    recipe = name if isinstance(name, Recipe) else default_recipe(str(name))
    if data is not None:
        recipe = recipe.varied(data=data)
    recipe = recipe.with_settings(settings)
    if recipe.data not in datasets.DATA_SETS and Path(recipe.data).exists():
        # A run must find its data again from wherever it is resumed.
        recipe = recipe.varied(data=str(Path(recipe.data).resolve()))
    if recipe.teacher is not None and is_own(recipe.teacher.network):
        file, name_in_file = split_target(recipe.teacher.network)
        target = f"{file}:{name_in_file}" if name_in_file else str(file)
        recipe = recipe.varied(teacher={**recipe.teacher.model_dump(), "network": target})
    return recipe if epochs is None else recipe.varied(epochs=epochs)


def with_affordable_validation(recipe: Recipe, name: str | Recipe, settings: list[str], dataset: Dataset) -> Recipe:
    """Return the recipe with a smaller validation part where its default would take too much of small data."""
    # The default for networks of the user's own is made for MNIST's size; small data keep nine tenths to train on.
    chosen = (
        isinstance(name, Recipe) or not is_own(recipe.network) or any(setting.startswith("validation=") for setting in settings)
    )
    images = len(dataset.training)
    return recipe if chosen or recipe.validation <= images // 5 else recipe.varied(validation=max(1, images // 10))


def check_fits(recipe: Recipe, seed: int, dataset: Dataset) -> None:
    """Raise `InputError` for a network that cannot be built, take the images, learn or be saved; nothing is left behind."""
    classes = len(dataset.class_names)
    splits(recipe, dataset)
    if recipe.teacher is not None:
        check_fits(recipe.of_teacher(), seed, dataset)
    network = build_network(recipe, seed=seed, input_shape=dataset.shape, classes=classes)
    log_probabilities = log_probability_function(network, dataset.shape, classes)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise InputError(f"{recipe.network}: has no trainable parameters.")
    network_tensors(network)
    try:
        with global_generators_restored():
            loss = log_probabilities(as_input(dataset.training.images[:8])).mean()
            torch.autograd.backward(loss)
    except (Exception, SystemExit) as error:
        words = (str(error).strip().splitlines() or ["no words"])[0]
        raise InputError(f"{recipe.network}: cannot be trained: {type(error).__name__}: {words}") from error


def identity_of(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Return what `run.json` holds: seed, command, and the hashes of the user's network files."""
    taught = {} if recipe.teacher is None else {"teacher_source_sha256": teacher_source_sha256(recipe)}
    return {"seed": seed, "command": command_for(recipe, seed), "network_source_sha256": source_sha256(recipe), **taught}


def command_for(recipe: Recipe, seed: int) -> str:
    """Return the command line that makes the run again, from the recipe's differences to the one its network comes with."""
    base = default_recipe(recipe.network).varied(data=recipe.data, epochs=recipe.epochs)
    words = ["budgetnet", "train", recipe.network, "--data", recipe.data, "--seed", str(seed), "--epochs", str(recipe.epochs)]
    own, other = recipe.model_dump(), base.model_dump()
    for field in own:
        if field == "network_arguments":
            for key, value in own[field].items():
                words += ["--set", f"network.{key}={json.dumps(value) if not isinstance(value, str) else value}"]
        elif field == "teacher" and own[field] is None:
            words += ["--set", "teacher=none"] if other[field] is not None else []
        elif field in {"augmentation", "teacher"}:
            known = other[field] or Teacher(network="").model_dump()
            for key, value in own[field].items():
                words += ["--set", f"{field}.{key}={value}"] if value != known[key] else []
        elif own[field] != other[field] and field not in {"name", "strategy"}:
            words += ["--set", f"{field}={own[field]}"]
    return shlex.join(words)


def run_name(recipe: Recipe, seed: int) -> str:
    """Return the name of the run's directory where none is given."""
    return f"{recipe.name}-{Path(recipe.data).stem}-seed{seed}"


def splits(recipe: Recipe, dataset: Dataset) -> tuple[Split, Split | None]:
    """Return what is trained on, and what is looked at after each epoch (None: nothing)."""
    training, validation = dataset.hold_out(recipe.validation)
    watched = {"nothing": None, "validation": validation, "test": dataset.test}[recipe.watch]
    return training, watched
