"""One network fitted inside a run directory, from its newest checkpoint on, and the same for the teacher of a run.

A teacher is trained first, in a folder of the run's own; it is never held against the test split, and what it answers to each batch,
in evaluation mode, is what the run's network learns beside the labels. Level 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load
from torch import Tensor, nn

from budgetnet import rundir
from budgetnet.averaging import Average
from budgetnet.check import measure
from budgetnet.datasets import Dataset
from budgetnet.durable import MANIFEST, sha256
from budgetnet.errors import InputError
from budgetnet.facts import TeacherFacts
from budgetnet.fit import Fit
from budgetnet.interruption import StopRequest
from budgetnet.loss import log_probability_function
from budgetnet.networks import build_network
from budgetnet.optimizer import AnyOptimizer, make_optimizer
from budgetnet.preparing import identity_of, splits
from budgetnet.progress import Progress
from budgetnet.recipe import Recipe
from budgetnet.rundir import RunDirectory
from budgetnet.state import Position, as_safetensors, capture, load_network, network_tensors, restore


@dataclass(frozen=True)
class Workplace:
    """What a run is carried out with: the same for its teacher and for its network, but for the recipe."""

    recipe: Recipe
    seed: int
    dataset: Dataset
    path: Path
    """The run directory, for messages."""
    checkpoint_seconds: float
    stop: StopRequest
    progress: Progress
    previous: bool
    """Whether to go on from the checkpoint before the newest one."""


@dataclass(frozen=True)
class Taught:
    """A trained teacher: its answers, and what is told of it."""

    log_probabilities: Callable[[Tensor], Tensor]
    """Images (N, C, H, W) -> (N, classes), without gradients."""
    facts: TeacherFacts


def taught(run: RunDirectory, work: Workplace) -> Taught:
    """Return the teacher of the recipe in `work`, trained in `run` as far as it is not yet."""
    whole, dataset = work.recipe, work.dataset
    work = replace(work, recipe=whole.of_teacher())
    network = build_network(work.recipe, seed=work.seed, input_shape=dataset.shape, classes=len(dataset.class_names))
    parameters = measure(network, name=work.recipe.network, input_shape=dataset.shape).parameters.total
    if not run.finished:
        if not (run.path / rundir.RECIPE).is_file():
            identity, fingerprint = identity_of(whole, work.seed), RunDirectory(work.path).fingerprint()
            rundir.create_run(run.path, work.recipe, identity=identity, fingerprint=fingerprint)
        said = f"First the teacher, {work.recipe.network} with {parameters:,} parameters: {work.recipe.epochs} epochs"
        work.progress.note(f"{said} of the {whole.epochs_in_all} in all.")
        carry_out(run, prepared(run, network, work, None))
        run.finish({rundir.WEIGHTS: as_safetensors(network_tensors(network))}, rundir.RESULTS_OF_TEACHER)
        work.progress.note(f"Now {whole.name} itself, with what the teacher answers beside the labels: {whole.epochs} epochs.")
    run.verify(rundir.RESULTS_OF_TEACHER)
    load_network(network, load(run.read(rundir.WEIGHTS)))
    samples = int(run.log()[-1]["samples_seen"])
    return Taught(
        _answers(network, dataset), TeacherFacts(network=work.recipe.network, parameters=parameters, samples_seen=samples)
    )


def prepared(run: RunDirectory, network: nn.Module, work: Workplace, teacher: Taught | None) -> Fit:
    """Return the training of `network` as far as the checkpoints in `run` have brought it."""
    recipe = work.recipe
    training, watched = splits(recipe, work.dataset)
    optimizer = make_optimizer(recipe, network.parameters())
    average = Average(network, recipe.averaging) if recipe.averaging else None
    position = Position(samples_seen=teacher.facts.samples_seen if teacher else 0)
    generator_states: dict[str, Tensor] = {}
    checkpoint = run.load_checkpoint(previous=work.previous)
    if checkpoint is not None:
        _refuse_edited(run, checkpoint.state.pop("origin", None))
        position, generator_states = restore(checkpoint, network, optimizer, average)
    classes = len(work.dataset.class_names)
    return Fit(
        path=work.path,
        recipe=recipe,
        seed=work.seed,
        network=network,
        log_probabilities=log_probability_function(network, work.dataset.shape, classes),
        optimizer=optimizer,
        average=average,
        training=training,
        watched=watched,
        classes=classes,
        position=position,
        generator_states=generator_states,
        capture=_state_taker(run, network, optimizer, average),
        checkpoint_seconds=work.checkpoint_seconds,
        stop=work.stop,
        progress=work.progress,
        teacher=teacher.log_probabilities if teacher else None,
    )


def carry_out(run: RunDirectory, fitting: Fit) -> None:
    """Train to the end; the network then has its final weights, and the log is whole."""
    fitting.run()
    if fitting.average is not None:
        fitting.average.take_over()
    # A kill between the last checkpoint and its log leaves the log one epoch behind.
    _write_log(run, {"log": fitting.position.log, "timing": fitting.position.timing})


def _answers(network: nn.Module, dataset: Dataset) -> Callable[[Tensor], Tensor]:
    log_probabilities = log_probability_function(network, dataset.shape, len(dataset.class_names))
    network.eval()

    def answers(images: Tensor) -> Tensor:
        with torch.no_grad():
            return log_probabilities(images)

    return answers


def _state_taker(
    run: RunDirectory, network: nn.Module, optimizer: AnyOptimizer, average: Average | None
) -> Callable[[Fit], Callable[[], None]]:
    origin = _origin(run)

    def take(fit: Fit) -> Callable[[], None]:
        samples, ends_epoch = fit.position.samples_seen, fit.position.step == 0
        taken = capture(fit.position, network, optimizer, average, fit.generators())
        taken.state["origin"] = origin

        def write() -> None:
            run.save_checkpoint(samples, taken)
            if ends_epoch:
                _write_log(run, taken.state)

        return write

    return take


def _origin(run: RunDirectory) -> str:
    """Return a hash of what a run was started with: its words, and its teacher where it has one."""
    teacher = run.teacher()
    return sha256(run.read(rundir.RECIPE) + run.read(rundir.RUN) + (teacher.read(MANIFEST) if teacher.finished else b""))


def _refuse_edited(run: RunDirectory, origin: str | None) -> None:
    if origin != _origin(run):
        raise InputError(
            f"{run.path}: {rundir.RECIPE}, {rundir.RUN} or its teacher has changed since the run was started; give it its old content."
        )


def _write_log(run: RunDirectory, state: dict[str, Any]) -> None:
    run.write_lines(rundir.LOG, state["log"])
    run.write_lines(rundir.TIMING, state["timing"])
