"""A graph in 8 bits: the stages that the C target computes, each with weights, scales and what is done before its result is stored.

A stage is one operation with the activations and scalings that follow it; they are computed in float on each sum, and only what leaves
the stage is rounded to 8 bits. Weights are symmetric with a scale for each output channel; a value has one scale and one zero point,
from the range that it takes on calibration images. The last stage keeps its floats: they go into the softmax.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from budgetnet.errors import InputError
from budgetnet.graph import (
    Activation,
    Concatenation,
    Convolution,
    GlobalPooling,
    Graph,
    Merge,
    Operation,
    Pooling,
    Scaling,
    execute,
    folded,
)
from budgetnet.graph.operations import Array, Shape, sources

LARGEST_SUM = 2**31 // (127 * 255)
"""Products of 8 bits that surely fit a sum of 32."""


@dataclass(frozen=True)
class Range:
    """How a value is rounded: real = scale · (stored − zero), stored in −128…127."""

    scale: float
    zero: int


@dataclass(frozen=True, eq=False)
class Stage:
    """One step of the C program."""

    kind: str
    """convolution, maximum, average, add, multiply, concatenate or copy."""
    sources: tuple[int, ...]
    result: int
    size: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    counts_padding: bool = False
    weights: NDArray[numpy.int8] | None = None
    """(outputs, height, width, inputs / groups)."""
    factors: Array | None = None
    """Of each output's sum: the scale of the weights times that of the source."""
    bias: Array | None = None
    after: tuple[Activation | Scaling, ...] = ()


@dataclass(frozen=True, eq=False)
class Quantized:
    """A network as stages."""

    stages: tuple[Stage, ...]
    shapes: dict[int, Shape]
    ranges: dict[int, Range]
    answer: int

    @property
    def last_use(self) -> dict[int, int]:
        """Value -> the last stage that reads it."""
        return {value: place for place, stage in enumerate(self.stages) for value in stage.sources}


def quantize(graph: Graph, calibration: Tensor) -> Quantized:
    """Return the stages of a network; `calibration` are float images (N, C, H, W) in [0, 1] of the training split."""
    graph = folded(graph, forward=False)
    groups = _grouped(graph)
    stored = {0, *(group[-1].result for group in groups)}
    ranges = _ranges(graph, stored, calibration)
    stages = tuple(_stage(group, ranges) for group in groups)
    return Quantized(stages, {value: graph.shapes[value] for value in stored}, ranges, graph.answer)


def _grouped(graph: Graph) -> list[list[Operation]]:
    """Return the operations in groups: each begins with one that reads stored values and goes on with what is done to its sums."""
    groups: list[list[Operation]] = []
    place: dict[int, int] = {}
    for operation in graph.operations:
        if isinstance(operation, Activation | Scaling) and operation.source in place:
            group = groups[place[operation.source]]
            alone = len(graph.users(operation.source)) == 1 and operation.source != graph.answer
            if group[-1].result == operation.source and alone:
                group.append(operation)
                place[operation.result] = place[operation.source]
                continue
        place[operation.result] = len(groups)
        groups.append([operation])
    return groups


def _ranges(graph: Graph, stored: set[int], calibration: Tensor) -> dict[int, Range]:
    bounds: dict[int, tuple[float, float]] = {}

    def see(value: int, numbers: Tensor) -> None:
        if value in stored:
            low, high = bounds.get(value, (0.0, 0.0))
            bounds[value] = (min(low, float(numbers.min())), max(high, float(numbers.max())))

    with torch.no_grad():
        for images in torch.split(calibration, 100):
            execute(graph, images, seen=see)
    # Pixels are exact: 0…255 become −128…127.
    return {value: _range(*bound) for value, bound in bounds.items()} | {0: Range(1 / 255, -128)}


def _range(low: float, high: float) -> Range:
    scale = max(high - low, 1e-12) / 255
    # Zero itself must be exact: edges are padded with it, and after a ReLU most numbers are it.
    return Range(float(numpy.float32(scale)), round(-128 - low / scale))


def _stage(group: list[Operation], ranges: dict[int, Range]) -> Stage:
    first, after = group[0], tuple(group[1:])
    result = group[-1].result
    epilogue = tuple(operation for operation in after if isinstance(operation, Activation | Scaling))
    match first:
        case Convolution():
            return _convolution(first, result, epilogue, ranges[first.source])
        case Pooling(kind=kind, size=size, stride=stride, padding=padding, counts_padding=counts):
            return Stage(kind, sources(first), result, size, stride, padding, counts_padding=counts, after=epilogue)
        case GlobalPooling(kind=kind):
            # A window of size 0 stands for the whole map.
            return Stage(kind, sources(first), result, (0, 0), after=epilogue)
        case Merge(kind=kind):
            return Stage(kind, sources(first), result, after=epilogue)
        case Concatenation():
            return Stage("concatenate", sources(first), result, after=epilogue)
        case Activation() | Scaling():
            return Stage("copy", sources(first), result, after=(first, *epilogue))
    raise InputError(f"The target c cannot compute {type(first).__name__}.")


def _convolution(operation: Convolution, result: int, after: tuple[Activation | Scaling, ...], source: Range) -> Stage:
    weights = operation.weights.astype(numpy.float64)
    if weights[0].size > LARGEST_SUM:
        raise InputError(f"A convolution of the network adds {weights[0].size:,} products; 32 bits hold {LARGEST_SUM:,} for sure.")
    scales = numpy.maximum(numpy.abs(weights).max((1, 2, 3)), 1e-12) / 127
    rounded = numpy.rint(weights / scales[:, None, None, None]).astype(numpy.int8)
    return Stage(
        "convolution",
        (operation.source,),
        result,
        (weights.shape[2], weights.shape[3]),
        operation.stride,
        operation.padding,
        operation.dilation,
        operation.groups,
        weights=numpy.ascontiguousarray(rounded.transpose(0, 2, 3, 1)),
        factors=(scales * source.scale).astype(numpy.float32),
        bias=operation.bias,
        after=after,
    )
