"""A finished run's network once more: its weights loaded, the test split sent through it, everything measured anew.

This is what lets a stranger check a verdict. What cannot be measured again is taken as recorded: the data set's name, the samples seen
and, where test accuracy was printed after each epoch, that history.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import load
from torch import nn

from budgetnet import datasets, rundir
from budgetnet.check import measure
from budgetnet.datasets import Dataset
from budgetnet.errors import InputError
from budgetnet.evaluate import Evaluation, answers_alike, evaluate
from budgetnet.facts import Facts
from budgetnet.loss import log_probability_function
from budgetnet.networks import build_network, source_sha256, teacher_source_sha256
from budgetnet.recipe import Recipe
from budgetnet.rundir import RunDirectory
from budgetnet.state import load_network


def load_trained(run: RunDirectory, dataset: Dataset) -> nn.Module:
    """Return the network of a finished run with its final weights, after its files were verified."""
    run.verify()
    recipe = run.recipe()
    check_source(recipe, run.identity(), run)
    network = build_network(recipe, seed=0, input_shape=dataset.shape, classes=len(dataset.class_names))
    # Asked once before its weights are loaded, so that lazy layers have their shapes.
    log_probability_function(network, dataset.shape, len(dataset.class_names))
    load_network(network, load(run.read(rundir.WEIGHTS)))
    return network.eval()


def evaluate_run(run: RunDirectory, *, data_dir: str | Path | None = None) -> Evaluation:
    """Send the test split through a finished run's network again."""
    run.verify()
    dataset = datasets.load(run.recipe().data, data_dir=Path(data_dir) if data_dir else None)
    network = load_trained(run, dataset)
    return evaluate(network, log_probability_function(network, dataset.shape, len(dataset.class_names)), dataset.test)


def measure_again(run: RunDirectory, *, data_dir: str | Path | None = None) -> Facts:
    """Return a finished run's facts, the network's and the accuracy measured anew from its weights; what it saw is its own word."""
    recorded = run.facts()
    if recorded.training is None or not run.finished:
        raise InputError(f"{run.path}: only a finished run can be measured again.")
    dataset = datasets.load(run.recipe().data, data_dir=Path(data_dir) if data_dir else None)
    network = load_trained(run, dataset)
    evaluation = evaluate(network, log_probability_function(network, dataset.shape, len(dataset.class_names)), dataset.test)
    passes = 1 if answers_alike(network, dataset.test, evaluation) else None
    training = recorded.training.model_copy(
        update={
            "accuracy": evaluation.accuracy,
            "loss": evaluation.loss,
            "test_images": evaluation.images,
            "forward_passes": passes,
        }
    )
    return Facts(network=measure(network, name=recorded.network.name, input_shape=dataset.shape), training=training)


def check_source(recipe: Recipe, identity: dict[str, Any], run: RunDirectory) -> None:
    """Raise `InputError` where the user's network file is no longer the one that the run was started with."""
    if source_sha256(recipe) != identity.get("network_source_sha256"):
        raise InputError(f"{recipe.network}: has changed since {run.path} was started; give it its old content, or train anew.")


def check_teachers_source(recipe: Recipe, identity: dict[str, Any], run: RunDirectory) -> None:
    """Raise `InputError` where the teacher's file is another one than it was; only who goes on training needs it."""
    if recipe.teacher is not None and teacher_source_sha256(recipe) != identity.get("teacher_source_sha256"):
        name = recipe.teacher.network
        raise InputError(f"{name}: the teacher has changed since {run.path} was started; give it its old content, or train anew.")
