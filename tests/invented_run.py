"""A run directory that nobody trained: 12 epochs of an invented network on an invented test split, its files in agreement."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from budgetnet import rundir
from budgetnet.facts import Facts, Finding, LayerRow, NetworkFacts, ParameterCounts, TrainingFacts
from budgetnet.recipe import Recipe
from budgetnet.schedule import rate_of_epoch

DIGITS = tuple("0123456789")
EPOCHS = 12


def confusion_of(right: int = 98, classes: int = 10) -> list[list[int]]:
    """Return a matrix with `right` on the diagonal and a few mistakes that differ from class to class."""
    matrix = [[0] * classes for _ in range(classes)]
    for label in range(classes):
        matrix[label][label] = right + label
        matrix[label][(label * 3 + 1) % classes] += 1 + label % 3
    return matrix


def network_facts() -> NetworkFacts:
    rows = [
        ("conv2d", "Conv2D", (None, 26, 26, 16), 144, 144, 97344, 3, 1),
        ("batch_normalization", "BatchNormalization", (None, 26, 26, 16), 64, 32, 10816, 3, 1),
        ("max_pooling2d", "MaxPooling2D", (None, 13, 13, 16), 0, 0, 0, 4, 2),
        ("conv2d_1", "Conv2D", (None, 1, 1, 10), 27040, 27040, 27040, 28, 2),
        ("flatten", "Flatten", (None, 10), 0, 0, 0, None, None),
    ]
    return NetworkFacts(
        name="small",
        input_shape=(1, 28, 28),
        classes=10,
        parameters=ParameterCounts(total=27248, trainable=27216, non_trainable=32, with_hidden=27248, non_zero=27200),
        layers=tuple(
            LayerRow(
                name=name,
                type=kind,
                output_shape=shape,
                parameters=parameters,
                trainable=trainable,
                multiply_accumulates=operations,
                receptive_field=field,
                jump=jump,
            )
            for name, kind, shape, parameters, trainable, operations, field, jump in rows
        ),
        multiply_accumulates=135200,
        fully_connected=(),
        fully_connected_equivalent=(Finding(what="conv2d_1 sees its whole input map of 13×13", layer="conv2d_1", numbers=27040),),
        biases=(),
        normalization_shifts=(Finding(what="batch_normalization shifts by 16 numbers", layer="batch_normalization", numbers=16),),
        forward_passes=1,
    )


def write_run(
    path: Path,
    *,
    recipe: Recipe | None = None,
    class_names: tuple[str, ...] = DIGITS,
    confusion: list[list[int]] | None = None,
    finished: bool = True,
    channels: int = 1,
    seconds: float = 19.02,
    **changes: object,
) -> Path:
    """Write a run whose files agree with each other; `changes` replace fields of its evaluation."""
    recipe = recipe or Recipe(
        name="small", network="small", epochs=EPOCHS, watch="test", strategy="Few layers.\n\n# Why\nIt is *small*."
    )
    fingerprint = {"budgetnet": "0.1.0", "torch": "2.13.0", "threads": 2, "cpu_vendor": "AuthenticAMD", "data_sha256": "ab" * 32}
    identity = {"seed": 0, "command": f"budgetnet train {recipe.network} --data mnist --seed 0 --epochs {recipe.epochs}"}
    run = rundir.create_run(path, recipe, identity=identity, fingerprint=fingerprint)
    confusion = confusion or confusion_of(classes=len(class_names))
    images, correct = sum(map(sum, confusion)), sum(confusion[place][place] for place in range(len(confusion)))
    accuracy = correct / images
    by_epoch = [min(accuracy + 0.002 * (epoch % 2), 1 - 0.1 / epoch**1.5) for epoch in range(1, recipe.epochs)] + [accuracy]
    log = [log_row(recipe, epoch, by_epoch[epoch - 1]) for epoch in range(1, recipe.epochs + 1)]
    run.write_lines(rundir.LOG, log if finished else log[:3])
    run.write_lines(rundir.TIMING, [{"epoch": row["epoch"], "seconds": seconds + epoch / 100} for epoch, row in enumerate(log, 1)])
    if not finished:
        return path
    wrong = [
        (row, column)
        for row, counts in enumerate(confusion)
        for column, count in enumerate(counts)
        if row != column
        for _ in range(count)
    ]
    evaluation = {
        "loss": 0.0725811,
        "accuracy": accuracy,
        "images": images,
        "correct": correct,
        "class_names": list(class_names),
        "confusion": confusion,
        "misclassified": [mistake(place, row, column, len(class_names)) for place, (row, column) in enumerate(wrong)],
    } | changes
    training = TrainingFacts(
        data="mnist",
        seed=0,
        training_images=60000,
        samples_seen=60000 * recipe.epochs,
        complete=True,
        accuracy=accuracy,
        loss=0.0725811,
        test_images=images,
        accuracy_by_epoch=tuple(by_epoch) if recipe.watch == "test" else None,
        forward_passes=1,
    )
    run.finish(
        {
            rundir.EVALUATION: json.dumps(evaluation).encode(),
            rundir.FACTS: Facts(network=network_facts(), training=training).model_dump_json().encode(),
            rundir.WEIGHTS: save({"kernel": np.arange(12, dtype=np.float32)}),
            rundir.MISCLASSIFIED: save({"images": drawn([row for row, _ in wrong], channels)}),
        }
    )
    return path


def log_row(recipe: Recipe, epoch: int, watched: float) -> dict[str, float | int | None]:
    seen: dict[str, float | int | None] = {"epoch": epoch, "samples": 60000, "samples_seen": 60000 * epoch}
    seen |= {"rate": rate_of_epoch(recipe, epoch - 1), "loss": 0.4 / epoch, "accuracy": 1 - 0.12 / epoch}
    if recipe.watch == "nothing":
        return seen | {"validated": 0, "val_loss": None, "val_accuracy": None}
    return seen | {"validated": 5000, "val_loss": 0.3 / epoch, "val_accuracy": watched}


def mistake(place: int, label: int, predicted: int, classes: int) -> dict[str, Any]:
    probabilities = [0.0] * classes
    probabilities[predicted] = round(0.45 + 0.54 * (place * 7 % 23) / 23, 6)
    probabilities[label] = round(1 - probabilities[predicted], 6)
    return {"index": place * 31, "label": label, "predicted": predicted, "probabilities": probabilities}


def drawn(labels: list[int], channels: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return images of 28×28 with as many strokes as the label says."""
    images = np.zeros((len(labels), channels, 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 4:24, 4] = 120
        for stroke in range(label % 10):
            image[stroke % channels, 4 + 2 * stroke, 4:24] = 255
    return images
