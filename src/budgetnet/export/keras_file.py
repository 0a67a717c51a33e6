"""`keras`: a `.keras` file that real Keras 3 loads, with its `summary()` and its `evaluate`.

The network's operations as Keras layers, channels last: uint8 pixels (N, H, W, C) in, probabilities out, compiled with the loss and the
accuracy that `evaluate` prints. BatchNormalization stays a layer, so the table counts what torch's network counts. Needs the extra
`keras`; any backend loads the file, this one is written with torch's. Costs some seconds. Source: Keras 3's documentation of the layers.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy

from budgetnet.errors import InputError
from budgetnet.export.keras_layers import layers_of
from budgetnet.export.runtime import BATCH, Seconds, Written, timed
from budgetnet.export.subject import Pixels, Probabilities, Subject

NAME = "keras"
FLOAT = True
EXTRA = "keras"
WORDS = "a .keras file for Keras 3, float32"


def files(subject: Subject) -> tuple[str, ...]:
    """Return the name of the file."""
    return (f"{subject.stem}.keras",)


def write(subject: Subject, folder: Path) -> Written:
    """Build the model in Keras and save it. Raises `InputError` for an operation that no Keras layer computes."""
    path = folder / files(subject)[0]
    with quietly():
        model = _built(subject)
        try:
            model.save(path)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror or error}.") from None
    return Written((path,), {"parameters": int(model.count_params())})


def _built(subject: Subject) -> Any:
    keras = _keras()
    channels, height, width = subject.dataset.shape
    pixels = keras.Input((height, width, channels), dtype="uint8", name="pixels")
    values: dict[int, Any] = {0: keras.layers.Rescaling(1 / 255, name="rescaling")(pixels)}
    for operation, layers in layers_of(keras, subject.graph):
        inputs = operation.sources if hasattr(operation, "sources") else (operation.source,)
        value: Any = [values[source] for source in inputs]
        value = value if len(value) > 1 else value[0]
        for layer in layers:
            value = layer(value)
        values[operation.result] = value
    answer = keras.layers.Flatten(name="flatten")(values[subject.graph.answer])
    model = keras.Model(
        pixels, keras.layers.Activation("softmax", name="probabilities")(answer), name=subject.stem.replace("-", "_")
    )
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class Loaded:
    """A file that Keras loaded again."""

    def __init__(self, path: Path) -> None:
        keras = _keras()
        with quietly():
            self.model: Any = keras.models.load_model(path)
        self.name = f"Keras {keras.__version__} on {keras.backend.backend()}"

    def answers(self, images: Pixels) -> Probabilities:
        """Return the probabilities of images (N, C, H, W)."""
        parts = [self._ask(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        return numpy.concatenate(parts)

    def seconds(self, images: Pixels) -> Seconds:
        """Return how long answers take here."""
        return timed(self._ask, images)

    def _ask(self, images: Pixels) -> Probabilities:
        with quietly():
            return numpy.asarray(self.model.predict_on_batch(numpy.ascontiguousarray(images.transpose(0, 2, 3, 1))))


@contextmanager
def opened(written: Written, subject: Subject) -> Iterator[Loaded]:  # noqa: ARG001 - every target has this form
    """Give Keras with the file loaded."""
    yield Loaded(written.files[0])


def _keras() -> Any:
    """Return Keras, on torch where the user chose nothing else: torch is here in any case."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    with quietly():
        import keras
    return keras


@contextmanager
def quietly() -> Iterator[None]:
    """Keep back Keras's warnings about itself and NumPy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
