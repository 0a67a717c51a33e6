"""The teacher of a run: trained first, in a folder of the run's own, and then asked.

It is never held against the test split, and what it answers to each batch, in evaluation mode, is what the run's network learns beside
the labels. Level 2.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from budgetnet import rundir
from budgetnet.check import measure
from budgetnet.durable import MANIFEST
from budgetnet.errors import InputError
from budgetnet.facts import TeacherFacts
from budgetnet.loss import log_probability_function
from budgetnet.networks import build_network
from budgetnet.preparing import identity_of, splits
from budgetnet.recipe import Recipe
from budgetnet.resumable import Taught, Workplace, carry_out, prepared
from budgetnet.rundir import RunDirectory
from budgetnet.state import as_safetensors, load_network, network_tensors


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
