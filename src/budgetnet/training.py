"""One run from its recipe to its results, readable from top to bottom.

`train` starts a run directory, `resume` goes on with one; both end in the same way: the test split is read once for the final
evaluation, the network is measured, and the results are written with `done` last. A recipe that re-enacts a published hand-in
(`watch="test"`) shows the test split after each epoch, as its author did; nothing is ever chosen by it.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from budgetnet import datasets, rundir
from budgetnet.allocator import keep_freed_memory
from budgetnet.check import measure
from budgetnet.datasets import Dataset, Split
from budgetnet.errors import InputError
from budgetnet.evaluate import Evaluation, evaluate
from budgetnet.facts import Facts, TrainingFacts
from budgetnet.fingerprint import differences, take_fingerprint
from budgetnet.fit import Fit
from budgetnet.interruption import listening
from budgetnet.loss import log_probability_function
from budgetnet.networks import build_network, default_recipe, source_sha256
from budgetnet.optimizer import make_optimizer
from budgetnet.progress import Progress, Quiet
from budgetnet.recipe import Recipe
from budgetnet.rundir import RunDirectory
from budgetnet.state import Position, capture, restore
from budgetnet.trained import check_source

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
) -> RunDirectory:
    """Train one network with one seed and return its finished run directory.

    `name` is a name of the zoo, `path/to/file.py:Class`, or a `Recipe`; `settings` are `field=value` changes of the recipe; `out`
    defaults to `runs/NAME-DATA-seedSEED` and must be free. Raises `InputError` for wrong input, `Diverged`, and `Interrupted` after
    Ctrl-C or SIGTERM with the state saved.
    """
    recipe = _decide_recipe(name, data, epochs, settings or [])
    if seed < 0:
        raise InputError(f"A seed is 0 or more, not {seed}.")
    path = Path(out) if out is not None else Path("runs") / _run_name(recipe, seed)
    _set_threads(threads)
    dataset = datasets.load(recipe.data, data_dir=Path(data_dir) if data_dir else None)
    _check_fits(recipe, seed, dataset)
    fingerprint = take_fingerprint(dataset.sha256)
    run = rundir.create_run(path, recipe, identity=_identity(recipe, seed), fingerprint=fingerprint)
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
) -> RunDirectory:
    """Go on with an interrupted run from its newest checkpoint (or the one before it) and return it finished.

    With the same fingerprint the end is bit-identical to that of an uninterrupted run; a different one is told through `progress`.
    A finished run is returned as it is.
    """
    run = rundir.open_run(Path(path))
    if run.finished:
        run.verify()
        return run
    with run.locked():
        recipe, identity, old = run.recipe(), run.identity(), run.fingerprint()
        check_source(recipe, identity, run)
        _set_threads(threads if threads is not None else old.get("threads"))
        dataset = datasets.load(recipe.data, data_dir=Path(data_dir) if data_dir else None)
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
    classes = len(dataset.class_names)
    network = build_network(recipe, seed=seed, input_shape=dataset.shape, classes=classes)
    facts = measure(network, name=recipe.name, input_shape=dataset.shape)
    log_probabilities = log_probability_function(network, dataset.shape, classes)
    training, watched = _splits(recipe, dataset)
    optimizer = make_optimizer(recipe, network.parameters())
    position = Position()
    generator_states: dict[str, Tensor] = {}
    checkpoint = run.load_checkpoint(previous=previous)
    if checkpoint is not None:
        position, generator_states = restore(checkpoint, network, optimizer)
    progress_facts = _training_facts(recipe, seed, dataset, position, None)
    run.write(rundir.FACTS, Facts(network=facts, training=progress_facts).model_dump_json(indent=1).encode())

    def save_state(fit: Fit) -> None:
        run.save_checkpoint(fit.position.samples_seen, capture(fit.position, network, optimizer, fit.generators()))
        if fit.position.step == 0:
            _write_log(run, fit.position)

    with listening() as stop:
        Fit(
            path=run.path,
            recipe=recipe,
            seed=seed,
            network=network,
            log_probabilities=log_probabilities,
            optimizer=optimizer,
            training=training,
            watched=watched,
            classes=classes,
            position=position,
            generator_states=generator_states,
            save=save_state,
            checkpoint_seconds=checkpoint_seconds,
            stop=stop,
            progress=progress,
        ).run()
        _write_log(run, position)
        evaluation = evaluate(network, log_probabilities, dataset.test)
        trained = Facts(
            network=measure(network, name=recipe.name, input_shape=dataset.shape),
            training=_training_facts(recipe, seed, dataset, position, evaluation),
        )
        run.finish(_results(network, dataset, evaluation, trained))


def _splits(recipe: Recipe, dataset: Dataset) -> tuple[Split, Split | None]:
    training, validation = dataset.hold_out(recipe.validation)
    watched = {"nothing": None, "validation": validation, "test": dataset.test}[recipe.watch]
    return training, watched


def _training_facts(
    recipe: Recipe, seed: int, dataset: Dataset, position: Position, evaluation: Evaluation | None
) -> TrainingFacts:
    by_epoch = tuple(row["val_accuracy"] for row in position.log) if recipe.watch == "test" else None
    return TrainingFacts(
        data=recipe.data,
        seed=seed,
        training_images=len(dataset.training),
        samples_seen=position.samples_seen,
        complete=evaluation is not None,
        accuracy=evaluation.accuracy if evaluation else None,
        loss=evaluation.loss if evaluation else None,
        test_images=evaluation.images if evaluation else None,
        accuracy_by_epoch=by_epoch,
        forward_passes=1 if evaluation else None,
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
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    return {
        rundir.WEIGHTS: save(weights),
        rundir.MISCLASSIFIED: save({"images": dataset.test.images[wrong].contiguous()}),
        rundir.EVALUATION: (json.dumps(summary, indent=1, ensure_ascii=False) + "\n").encode(),
        rundir.FACTS: facts.model_dump_json(indent=1).encode(),
    }


def _write_log(run: RunDirectory, position: Position) -> None:
    run.write_lines(rundir.LOG, position.log)
    run.write_lines(rundir.TIMING, position.timing)


def _decide_recipe(name: str | Recipe, data: str | None, epochs: int | None, settings: list[str]) -> Recipe:
    recipe = name if isinstance(name, Recipe) else default_recipe(str(name))
    if data is not None:
        own = data not in datasets.DATA_SETS and Path(data).exists()
        # A run must find its data again from wherever it is resumed.
        recipe = recipe.varied(data=str(Path(data).resolve()) if own else data)
    recipe = recipe.with_settings(settings)
    return recipe if epochs is None else recipe.varied(epochs=epochs)


def _check_fits(recipe: Recipe, seed: int, dataset: Dataset) -> None:
    # Before a directory is made: a network that cannot be built or cannot take the images leaves nothing behind.
    classes = len(dataset.class_names)
    network = build_network(recipe, seed=seed, input_shape=dataset.shape, classes=classes)
    log_probability_function(network, dataset.shape, classes)
    _splits(recipe, dataset)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise InputError(f"{recipe.network}: has no trainable parameters.")


def _identity(recipe: Recipe, seed: int) -> dict[str, Any]:
    return {"seed": seed, "command": command_for(recipe, seed), "network_source_sha256": source_sha256(recipe)}


def command_for(recipe: Recipe, seed: int) -> str:
    """Return the command line that makes the run again, from the recipe's differences to the one its network comes with."""
    base = default_recipe(recipe.network).varied(data=recipe.data, epochs=recipe.epochs)
    words = ["budgetnet", "train", recipe.network, "--data", recipe.data, "--seed", str(seed), "--epochs", str(recipe.epochs)]
    own, other = recipe.model_dump(), base.model_dump()
    for field in own:
        if field == "network_arguments":
            for key, value in own[field].items():
                words += ["--set", f"network.{key}={json.dumps(value) if not isinstance(value, str) else value}"]
        elif own[field] != other[field] and field not in {"name", "strategy"}:
            words += ["--set", f"{field}={own[field]}"]
    return shlex.join(words)


def _run_name(recipe: Recipe, seed: int) -> str:
    return f"{recipe.name}-{Path(recipe.data).stem}-seed{seed}"


def _set_threads(threads: Any) -> None:
    if threads is None:
        return
    if not isinstance(threads, int) or not 1 <= threads <= 1024:
        raise InputError(f"--threads takes a number from 1 to 1024, not {threads}.")
    torch.set_num_threads(threads)
