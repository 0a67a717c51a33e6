"""One network fitted inside a run directory, from its newest checkpoint on: a run's own, or its teacher. Level 2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from budgetnet import rundir
from budgetnet.averaging import Average
from budgetnet.datasets import Dataset
from budgetnet.durable import MANIFEST, sha256
from budgetnet.errors import InputError
from budgetnet.facts import TeacherFacts
from budgetnet.fit import Fit
from budgetnet.interruption import StopRequest
from budgetnet.loss import log_probability_function, training_answer_function
from budgetnet.optimizer import AnyOptimizer, make_optimizer
from budgetnet.preparing import splits
from budgetnet.progress import Progress
from budgetnet.recipe import Recipe
from budgetnet.rundir import RunDirectory
from budgetnet.state import Position, capture, restore


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


@dataclass(frozen=True)
class Taught:
    """A trained teacher: its answers, and what is told of it."""

    log_probabilities: Callable[[Tensor], Tensor]
    """Images (N, C, H, W) -> (N, classes), without gradients."""
    facts: TeacherFacts


def prepared(run: RunDirectory, network: nn.Module, work: Workplace, teacher: Taught | None, *, previous: bool) -> Fit:
    """Return the training of `network` as far as the checkpoints in `run` have brought it."""
    recipe = work.recipe
    training, watched = splits(recipe, work.dataset)
    optimizer = make_optimizer(recipe, network.parameters())
    average = Average(network, recipe.averaging) if recipe.averaging else None
    position = Position(samples_seen=teacher.facts.samples_seen if teacher else 0)
    generator_states: dict[str, Tensor] = {}
    checkpoint = run.load_checkpoint(previous=previous)
    if checkpoint is not None:
        _refuse_edited(run, checkpoint.state.pop("origin", None))
        position, generator_states = restore(checkpoint, network, optimizer, average)
    classes = len(work.dataset.class_names)
    log_probabilities = log_probability_function(network, work.dataset.shape, classes)
    return Fit(
        path=work.path,
        recipe=recipe,
        seed=work.seed,
        network=network,
        log_probabilities=log_probabilities,
        training_answers=training_answer_function(network, log_probabilities),
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
