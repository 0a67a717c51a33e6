"""`onnx`: one ONNX file in float32 by torch's own exporter, any batch, uint8 pixels in and probabilities out.

Needs the extra `onnx` (onnx, onnxscript, ONNX Runtime). Writing costs about five seconds. Source: torch's documentation of
`torch.onnx.export` with `dynamo=True`, ONNX Runtime's of `InferenceSession`.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
import torch

from budgetnet.errors import InputError
from budgetnet.export.runtime import BATCH, Seconds, Written, timed
from budgetnet.export.subject import Pixels, Probabilities, Subject

NAME = "onnx"
FLOAT = True
EXTRA = "onnx"
WORDS = "one ONNX file, float32, any batch"
INPUT, OUTPUT = "pixels", "probabilities"


def files(subject: Subject) -> tuple[str, ...]:
    """Return the name of the file."""
    return (f"{subject.stem}.onnx",)


def write(subject: Subject, folder: Path) -> Written:
    """Write the model. Raises `InputError` where torch's exporter cannot."""
    path = folder / files(subject)[0]
    save(subject, path)
    return Written((path,))


def save(subject: Subject, path: Path) -> None:
    """Write the float model to `path`, its weights inside."""
    pixels = torch.zeros((2, *subject.dataset.shape), dtype=torch.uint8)
    try:
        with quietly(), torch.no_grad():
            program = torch.onnx.export(
                subject.deployed,
                (pixels,),
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                dynamo=True,
                verbose=False,
            )
    except Exception as error:
        words = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{subject.name}: torch's ONNX exporter cannot write this network: {words}") from error
    if program is None:
        raise InputError(f"{subject.name}: torch's ONNX exporter gave nothing.")
    program.save(path, external_data=False)
    without_remarks(path)


@contextmanager
def quietly() -> Iterator[None]:
    """Keep back what the exporters say of themselves: deprecations inside torch, and packages that nobody asked for."""
    loggers = [logging.getLogger(name) for name in ("", "torch.onnx")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def without_remarks(path: Path) -> None:
    """Take out what the exporter wrote about where each node came from: a third of the file, with paths of this machine."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    for part in (*model.graph.node, *model.graph.initializer, *model.graph.value_info, *model.graph.input, *model.graph.output):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    model.graph.ClearField("doc_string")
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


class Session:
    """ONNX Runtime with one model, on one thread."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session: Any = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        self.name = f"ONNX Runtime {onnxruntime.__version__}"

    def answers(self, images: Pixels) -> Probabilities:
        """Return the probabilities of images (N, C, H, W)."""
        parts = [self._ask(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        return numpy.concatenate(parts)

    def seconds(self, images: Pixels) -> Seconds:
        """Return how long answers take here."""
        return timed(self._ask, images)

    def _ask(self, images: Pixels) -> Probabilities:
        return numpy.asarray(self.session.run([OUTPUT], {INPUT: images})[0])


@contextmanager
def opened(written: Written, subject: Subject) -> Iterator[Session]:  # noqa: ARG001 - every target has this form
    """Give ONNX Runtime with the file loaded."""
    yield Session(written.files[0])
