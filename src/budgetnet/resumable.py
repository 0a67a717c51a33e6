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
from safetensors import SafetensorError
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


@dataclass(frozen=True)
class Taught:
    """A trained teacher: its answers, and what is told of it."""

    log_probabilities: Callable[[Tensor], Tensor]
    """Images (N, C, H, W) -> (N, classes), without gradients."""
    facts: TeacherFacts


def taught(run: RunDirectory, work: Workplace, *, previous: bool) -> tuple[Taught, bool]:
    """Return the teacher of `run`, trained as far as it is not yet, and whether `previous` is still to be done.

    `previous` asks for the checkpoint before the newest one, of what is under way: the teacher, or after it the network.
    """
    whole, folder = work.recipe, run.teacher()
    own = replace(work, recipe=whole.of_teacher())
    _refuse_another(run, own)
    parameters = measure(_fresh(own), name=own.recipe.network, input_shape=work.dataset.shape).parameters.total
    if not folder.finished:
        _train_teacher(run, own, whole, parameters, previous=previous)
        previous = False
    folder.verify(rundir.RESULTS_OF_TEACHER)
    seen = _samples_of(folder, own)
    # Always from its file: what a network keeps beside its weights must not differ between a resumed run and one in a single stretch.
    network = _fresh(own)
    log_probabilities = log_probability_function(network, work.dataset.shape, len(work.dataset.class_names))
    try:
        load_network(network, load(folder.read(rundir.WEIGHTS)))
    except (SafetensorError, ValueError):
        raise InputError(f"{folder.path / rundir.WEIGHTS}: no weights can be read from it.") from None
    network.eval()

    def answers(images: Tensor) -> Tensor:
        with torch.no_grad():
            return log_probabilities(images)

    return Taught(answers, TeacherFacts(network=own.recipe.network, parameters=parameters, samples_seen=seen)), previous


def _fresh(work: Workplace) -> nn.Module:
    dataset = work.dataset
    return build_network(work.recipe, seed=work.seed, input_shape=dataset.shape, classes=len(dataset.class_names))


def _refuse_another(run: RunDirectory, own: Workplace) -> None:
    """Raise `InputError` where the folder of the teacher holds anything but this run's: it was edited, or put there."""
    folder = run.teacher()
    begun = (folder.path / rundir.RECIPE).is_file()
    if run.checkpoints() and not folder.finished:
        raise InputError(
            f"{folder.path}: the run has learned from a teacher, and its files are gone or incomplete; give them back."
        )
    if not begun:
        return
    same_data = folder.fingerprint().get("data_sha256") == run.fingerprint().get("data_sha256")
    if folder.recipe() != own.recipe or folder.identity()["seed"] != own.seed or not same_data:
        raise InputError(f"{folder.path}: holds another teacher than this run's recipe, seed and data ask for.")
    if not folder.finished and (folder.path / MANIFEST).exists():
        raise InputError(
            f"{folder.path}: was finished, but its file {rundir.DONE!r} is gone; it is not trained again over its results."
        )


def _samples_of(folder: RunDirectory, own: Workplace) -> int:
    """Return how many images the finished teacher saw; what its log says must be what its recipe asks for."""
    each, rows = len(splits(own.recipe, own.dataset)[0]), folder.log()
    if [row["samples_seen"] for row in rows] != [each * epoch for epoch in range(1, own.recipe.epochs + 1)]:
        raise InputError(f"{folder.path / rundir.LOG}: is not the log of {own.recipe.epochs} epochs of {each:,} images.")
    return each * own.recipe.epochs


def _train_teacher(run: RunDirectory, own: Workplace, whole: Recipe, parameters: int, *, previous: bool) -> None:
    folder, network = run.teacher(), _fresh(own)
    if not (folder.path / rundir.RECIPE).is_file():
        rundir.create_run(folder.path, own.recipe, identity=identity_of(whole, own.seed), fingerprint=run.fingerprint())
    said = f"First the teacher, {own.recipe.network} with {parameters:,} parameters: {own.recipe.epochs} epochs"
    own.progress.note(f"{said} of the {whole.epochs_in_all} in all.")
    with folder.locked():
        carry_out(folder, prepared(folder, network, own, None, previous=previous))
        folder.finish({rundir.WEIGHTS: as_safetensors(network_tensors(network))}, rundir.RESULTS_OF_TEACHER)
    own.progress.note(f"Now {whole.name} itself, with what the teacher answers beside the labels: {whole.epochs} epochs.")


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
