"""`onnx-int8`: the ONNX file with weights and activations in 8 bits, calibrated on training images.

ONNX Runtime's static quantization in the QDQ form: unsigned activations, signed weights with a scale for each output channel, and
weights held to 7 bits. Processors without VNNI add two products of 8 bits in 16, which overflows with the full range; with 7 bits the
file answers alike everywhere. BatchNormalization and softmax stay in float. Needs the extra `onnx`; costs about ten seconds.
Source: ONNX Runtime's documentation, «Quantize ONNX models».
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from budgetnet.export import onnx_float
from budgetnet.export.onnx_float import Session
from budgetnet.export.runtime import Written
from budgetnet.export.subject import Pixels, Subject

NAME = "onnx-int8"
FLOAT = False
EXTRA = "onnx"
WORDS = "an ONNX file in 8 bits, calibrated on training images"
CALIBRATION_IMAGES = 1000
BATCH = 100
ROUNDED = (
    "Conv",
    "Gemm",
    "MatMul",
    "Relu",
    "Clip",
    "LeakyRelu",
    "Sigmoid",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Add",
    "Mul",
    "Concat",
)
"""Operations whose values are kept in 8 bits; all others stay as they are."""


def files(subject: Subject) -> tuple[str, ...]:
    """Return the name of the file."""
    return (f"{subject.stem}.int8.onnx",)


def write(subject: Subject, folder: Path) -> Written:
    """Write the float model, then its quantized form; only the latter stays."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc, unused-ignore]
        def __init__(self, images: Pixels) -> None:
            self.batches = iter([images[start : start + BATCH] for start in range(0, len(images), BATCH)])

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.batches, None)
            return None if batch is None else {onnx_float.INPUT: batch}

    path = folder / files(subject)[0]
    plain, prepared = folder / "float.onnx", folder / "prepared.onnx"
    onnx_float.save(subject, plain)
    with onnx_float.quietly():
        quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(path),
            Reader(subject.calibration(CALIBRATION_IMAGES)),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(ROUNDED),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    plain.unlink()
    prepared.unlink()
    onnx_float.without_remarks(path)
    return Written((path,))


@contextmanager
def opened(written: Written, subject: Subject) -> Iterator[Session]:  # noqa: ARG001 - every target has this form
    """Give ONNX Runtime with the file loaded."""
    yield Session(written.files[0])
