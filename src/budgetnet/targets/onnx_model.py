"""An `.onnx` file: bounded, examined, its graph read, and its answers through onnxruntime.

Run in the confined child. The file is read as bytes, so that nothing it names beside itself is ever opened; shapes are inferred
for one image. Needs the extra `onnx`.
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import torch
from torch import Tensor, nn

from budgetnet.check import onnx_graph, onnx_rules
from budgetnet.check.behaviour import observe
from budgetnet.errors import InputError
from budgetnet.facts import NetworkFacts
from budgetnet.targets.answers import answered
from budgetnet.targets.running import words_of

if TYPE_CHECKING:
    from budgetnet.targets.worker import Work

LARGEST_SIDE = 4096
USUAL = {1: 28, 3: 32}


def facts_of_file(job: Work) -> dict[str, Any]:
    """Return facts, notes and predictions of an `.onnx` file. Raises `InputError` where it is refused or broken."""
    if find_spec("onnx") is None or find_spec("onnxruntime") is None:
        raise InputError(
            f"{job.label}: reading an .onnx file needs onnx and onnxruntime; install them: pip install 'budgetnet[onnx]'."
        )
    onnx = importlib.import_module("onnx")
    importlib.import_module("onnx.inliner")
    path = Path(job.path)
    content = path.read_bytes()
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:
        raise InputError(f"{job.label}: is no sound .onnx file: {words_of(error)}") from None
    _refuse_external(model, job.label)
    model = _inlined(onnx, model, job.label)
    notes: list[str] = []
    name, shape = _input(model, job, notes)
    try:
        inferred = _inferred(onnx, model, name, shape)
    except Exception as error:
        raise InputError(f"{job.label}: its shapes do not fit together: {words_of(error)}") from None
    facts = onnx_graph.facts_of(inferred, name=path.stem, input_name=name, input_shape=shape, label=job.label)
    facts, session = _observed(content, model, facts, name, shape, notes=notes)
    found = None
    if job.images:
        if session is None:
            raise InputError(f"{job.label}: onnxruntime cannot run it, so it cannot answer images.")
        shown = session
        found = answered(lambda part: shown(torch.from_numpy(part).to(torch.float32) / 255), Path(job.images), job.label)
    return {"network": facts.model_dump(mode="json"), "notes": notes, "predictions": found}


def _refuse_external(model: Any, label: str) -> None:
    """Refuse tensors whose numbers lie in other files, wherever in the graph they stand."""
    todo = [model.graph]
    while todo:
        graph = todo.pop()
        tensors = list(graph.initializer)
        for node in graph.node:
            for attribute in node.attribute:
                tensors += [attribute.t, *attribute.tensors]
                todo += [part for part in (attribute.g, *attribute.graphs) if part.node]
        for tensor in tensors:
            if tensor.external_data or tensor.data_location == 1:
                place = next((str(entry.value)[:80] for entry in tensor.external_data if entry.key == "location"), "another file")
                raise InputError(
                    f"{label}: keeps numbers in {place!r} and not in itself; save it as one file, without external data."
                )


def _inlined(onnx: Any, model: Any, label: str) -> Any:
    """Return the model with the functions that the file defines written out where they are called."""
    if not model.functions:
        return model
    try:
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:
        raise InputError(f"{label}: its own functions cannot be written out: {words_of(error)}") from None


def _input(model: Any, job: Work, notes: list[str]) -> tuple[str, tuple[int, int, int]]:
    """Return the image's input and its shape: channels, height, width."""
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1:
        raise InputError(f"{job.label}: takes {len(inputs)} inputs, and a classifier of images takes one.")
    sides = [int(side.dim_value) for side in inputs[0].type.tensor_type.shape.dim]
    if any(side < 0 or side > LARGEST_SIDE for side in sides[1:]):
        raise InputError(f"{job.label}: takes images with a side of more than {LARGEST_SIDE:,}.")
    if job.input_shape:
        channels, height, width = job.input_shape
        return inputs[0].name, (channels, height, width)
    if len(sides) != 4:
        raise InputError(
            f"{job.label}: takes an input of {len(sides)} dimensions; images have four (number, channels, height, width)."
        )
    channels = sides[1] or 1
    usual = USUAL.get(channels, 28)
    shape = (channels, sides[2] or usual, sides[3] or usual)
    if 0 in sides[1:]:
        notes.append(f"Input guessed as {'x'.join(map(str, shape))}: the file leaves sides open; --input says otherwise.")
    return inputs[0].name, shape


def _inferred(onnx: Any, model: Any, name: str, shape: tuple[int, int, int]) -> Any:
    """Return a copy of the model with the shapes of every tensor, for one image."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for value in copy.graph.input:
        if value.name == name:
            dimensions = value.type.tensor_type.shape.dim
            for dimension, side in zip(dimensions, (1, *shape), strict=False):
                dimension.Clear()
                dimension.dim_value = side
    for value in copy.graph.output:
        value.type.tensor_type.ClearField("shape")
    return onnx.shape_inference.infer_shapes(copy, strict_mode=False, data_prop=True)


class _Session(nn.Module):
    """The model as torch would have it, run by onnxruntime; image by image where the file fixes the size of the batch."""

    def __init__(self, content: bytes, name: str, batch: int) -> None:
        super().__init__()
        runtime = importlib.import_module("onnxruntime")
        runtime.set_default_logger_severity(4)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self._session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._name, self._batch = name, batch

    def forward(self, images: Tensor) -> Tensor:
        """Return the first output for images (N, C, H, W)."""
        if self._batch == 0:
            return self._run(images)
        filled = len(images) + (-len(images)) % self._batch
        shown = torch.cat([images, images[-1:].repeat(filled - len(images), 1, 1, 1)])
        return torch.cat([self._run(part) for part in torch.split(shown, self._batch)])[: len(images)]

    def _run(self, images: Tensor) -> Tensor:
        answer = self._session.run(None, {self._name: images.to(torch.float32).contiguous().numpy()})[0]
        return torch.from_numpy(numpy.array(answer))


def _observed(
    content: bytes, model: Any, facts: NetworkFacts, name: str, shape: tuple[int, int, int], *, notes: list[str]
) -> tuple[NetworkFacts, _Session | None]:
    first = next(value for value in model.graph.input if value.name == name).type.tensor_type.shape.dim
    batch = int(first[0].dim_value) if len(first) else 0

    def probe(seed: int) -> Tensor:
        return torch.rand((3, *shape), generator=torch.Generator().manual_seed(seed))

    try:
        session = _Session(content, name, batch)
        session(probe(0))
    except Exception as error:
        notes.append(f"onnxruntime cannot run it, so that its answers were not seen: {words_of(error)}")
        return facts, None
    seen = observe(session, probe)
    drawn = any(node.op_type in onnx_rules.RANDOM for node in model.graph.node)
    # Its random numbers have seeds of their own: what looks like memory is chance.
    chance = drawn and bool(seen.depends_on_calls)
    return facts.model_copy(
        update={
            "output": seen.output,
            "depends_on_batch": None if batch > 1 else seen.depends_on_batch,
            "random_in_evaluation": True if chance else seen.random_in_evaluation,
            "depends_on_calls": False if chance else seen.depends_on_calls,
            "notes": (*facts.notes, *seen.notes),
        }
    ), session
