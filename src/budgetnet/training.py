"""One run from its recipe to its results, readable from top to bottom.

`train` starts a run directory, `resume` goes on with one; both end in the same way: the test split is read once for the final
evaluation, the network is measured, and the results are written with `done` last. A recipe that re-enacts a published hand-in
(`watch="test"`) shows the test split after each epoch, as its author did; nothing is ever chosen by it.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import nn

from budgetnet import datasets, kernels, rundir
from budgetnet.allocator import keep_freed_memory
from budgetnet.check import measure
from budgetnet.datasets import Dataset
from budgetnet.durable import MANIFEST
from budgetnet.errors import Diverged, InputError
from budgetnet.evaluate import Evaluation, answers_alike, evaluate
from budgetnet.facts import Facts, TrainingFacts
from budgetnet.fingerprint import differences, take_fingerprint
from budgetnet.interruption import listening
from budgetnet.networks import build_network
from budgetnet.preparing import check_fits, decide_recipe, identity_of, run_name, with_affordable_validation
from budgetnet.progress import Progress, Quiet
from budgetnet.recipe import Recipe
from budgetnet.resumable import Taught, Workplace, carry_out, prepared
from budgetnet.rundir import RunDirectory
from budgetnet.state import Position, as_safetensors, network_tensors
from budgetnet.teaching import taught
from budgetnet.trained import check_source, check_teachers_source

CHECKPOINT_SECONDS = 20.0


def train(
    name: str | Recipe,
    *,
    data: str | None = None,
    seed: int = 0,
    epochs: int | None = None,
    threads: int | None = None,
    settings: list[str] | None = None,
    out: str | Path | None = None,
    data_dir: str | Path | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    progress: Progress | None = None,
    dataset: Dataset | None = None,
) -> RunDirectory:
    """Train one network with one seed and return its finished run directory.

    `name` is a name of the zoo, `path/to/file.py:Class`, or a `Recipe`; `settings` are `field=value` changes of the recipe; `out`
    defaults to `runs/NAME-DATA-seedSEED` and must be free; `dataset` is the recipe's, where it is loaded already.
    Raises `InputError` for wrong input, `Diverged`, and `Interrupted` after Ctrl-C or SIGTERM with the state saved.
    """
    recipe = decide_recipe(name, data, epochs, list(settings or []))
    if not isinstance(seed, int) or seed < 0:
        raise InputError(f"A seed is a whole number from 0, not {seed!r}.")
    _refuse_negative("checkpoint_seconds", checkpoint_seconds)
    path = Path(out) if out is not None else Path("runs") / run_name(recipe, seed)
    _set_threads(threads)
    dataset = dataset or datasets.load(recipe.data, data_dir=Path(data_dir) if data_dir else None)
    recipe = with_affordable_validation(recipe, name, list(settings or []), dataset)
    check_fits(recipe, seed, dataset)
    fingerprint = take_fingerprint(dataset.sha256)
    run = rundir.create_run(path, recipe, identity=identity_of(recipe, seed), fingerprint=fingerprint)
    with run.locked():
        _carry_out(run, recipe, seed, dataset, checkpoint_seconds, progress or Quiet(), previous=False)
    return run


def resume(
    path: str | Path,
    *,
    threads: int | None = None,
    data_dir: str | Path | None = None,
    previous: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    progress: Progress | None = None,
    dataset: Dataset | None = None,
) -> RunDirectory:
    """Go on with an interrupted run from its newest checkpoint (or the one before it) and return it finished.

    With the same fingerprint the end is bit-identical to that of an uninterrupted run; a different one is told through `progress`.
    A finished run is returned as it is.
    """
    run = rundir.open_run(Path(path))
    if run.is_teacher:
        raise InputError(f"{run.path}: is the teacher of a run; go on with that one: budgetnet train --resume {run.path.parent}")
    _refuse_negative("checkpoint_seconds", checkpoint_seconds)
    if run.finished:
        run.verify()
        return run
    if (run.path / MANIFEST).exists() and not run.checkpoints():
        raise InputError(
            f"{run.path}: was finished, but its file {rundir.DONE!r} is gone; it is not trained again over its results."
        )
    with run.locked():
        recipe, identity, old = run.recipe(), run.identity(), run.fingerprint()
        check_source(recipe, identity, run)
        check_teachers_source(recipe, identity, run)
        _set_threads(threads if threads is not None else old.get("threads"))
        dataset = dataset or datasets.load(recipe.data, data_dir=Path(data_dir) if data_dir else None)
        if dataset.sha256 != old.get("data_sha256"):
            raise InputError(f"{recipe.data}: is not the data that {path} was started with (its SHA-256 differs).")
        shown = progress or Quiet()
        changed = differences(old, take_fingerprint(dataset.sha256))
        if changed:
            shown.note(f"Resumed under another fingerprint ({'; '.join(changed)}): the result will not be bit-identical.")
            run.write_json(rundir.FINGERPRINT, {**old, "resumed_under": [*old.get("resumed_under", []), changed]})
        _carry_out(run, recipe, int(identity["seed"]), dataset, checkpoint_seconds, shown, previous=previous)
    return run


def _carry_out(
    run: RunDirectory, recipe: Recipe, seed: int, dataset: Dataset, checkpoint_seconds: float, progress: Progress, *, previous: bool
) -> None:
    keep_freed_memory()
    if kernels.missing():
        progress.note("No C compiler was found: training runs on plain torch, about half as fast. The result is as good.")
    classes = len(dataset.class_names)
    with listening() as stop:
        work = Workplace(recipe, seed, dataset, run.path, checkpoint_seconds, stop, progress)
        network = build_network(recipe, seed=seed, input_shape=dataset.shape, classes=classes)
        facts = measure(network, name=recipe.name, input_shape=dataset.shape)
        teacher = None
        if recipe.teacher is not None:
            nothing_yet = _training_facts(recipe, seed, dataset, Position(), None, teacher=None)
            run.write(rundir.FACTS, Facts(network=facts, training=nothing_yet).model_dump_json(indent=1).encode())
            teacher, previous = taught(run, work, previous=previous)
        fitting = prepared(run, network, work, teacher, previous=previous)
        progress_facts = _training_facts(recipe, seed, dataset, fitting.position, None, teacher=teacher)
        run.write(rundir.FACTS, Facts(network=facts, training=progress_facts).model_dump_json(indent=1).encode())
        carry_out(run, fitting)
        evaluation = evaluate(network, fitting.log_probabilities, dataset.test)
        if not math.isfinite(evaluation.loss):
            raise Diverged(
                f"The loss on the test split is {evaluation.loss}: the last step ruined the weights. A lower --set rate=… may help."
            )
        alike = answers_alike(network, dataset.test, evaluation)
        seen = _training_facts(recipe, seed, dataset, fitting.position, evaluation, alike=alike, teacher=teacher)
        facts = measure(network, name=recipe.name, input_shape=dataset.shape)
        run.finish(_results(network, dataset, evaluation, Facts(network=facts, training=seen)))


def _training_facts(
    recipe: Recipe,
    seed: int,
    dataset: Dataset,
    position: Position,
    evaluation: Evaluation | None,
    *,
    teacher: Taught | None,
    alike: bool = False,
) -> TrainingFacts:
    by_epoch = tuple(row["val_accuracy"] for row in position.log) if recipe.watch == "test" else None
    return TrainingFacts(
        data=recipe.data,
        seed=seed,
        training_images=len(dataset.training),
        samples_seen=position.samples_seen,
        teacher=teacher.facts if teacher else None,
        complete=evaluation is not None,
        accuracy=evaluation.accuracy if evaluation else None,
        loss=evaluation.loss if evaluation else None,
        test_images=evaluation.images if evaluation else None,
        accuracy_by_epoch=by_epoch,
        forward_passes=1 if evaluation and alike else None,
    )


def _results(network: nn.Module, dataset: Dataset, evaluation: Evaluation, facts: Facts) -> dict[str, bytes]:
    wrong = evaluation.misclassified()
    probabilities = evaluation.log_probabilities[wrong].exp()
    summary = {
        "loss": evaluation.loss,
        "accuracy": evaluation.accuracy,
        "images": evaluation.images,
        "correct": evaluation.correct,
        "class_names": list(dataset.class_names),
        "confusion": evaluation.confusion(),
        "misclassified": [
            {
                "index": int(index),
                "label": int(evaluation.labels[index]),
                "predicted": int(evaluation.predicted[index]),
                "probabilities": [round(float(value), 6) for value in row],
            }
            for index, row in zip(wrong, probabilities, strict=True)
        ],
    }
    return {
        rundir.WEIGHTS: as_safetensors(network_tensors(network)),
        rundir.MISCLASSIFIED: as_safetensors({"images": dataset.test.images[wrong]}),
        rundir.EVALUATION: (json.dumps(summary, indent=1, ensure_ascii=False) + "\n").encode(),
        rundir.FACTS: facts.model_dump_json(indent=1).encode(),
    }


def _refuse_negative(name: str, seconds: float) -> None:
    if math.isnan(seconds) or seconds < 0:
        raise InputError(f"--{name.replace('_', '-')} takes 0 or more seconds, not {seconds}.")


def _set_threads(threads: Any) -> None:
    if threads is None:
        return
    if not isinstance(threads, int) or not 1 <= threads <= 1024:
        raise InputError(f"--threads takes a number from 1 to 1024, not {threads}.")
    torch.set_num_threads(threads)
