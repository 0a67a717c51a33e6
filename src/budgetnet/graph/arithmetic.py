"""Addition, subtraction, multiplication and division: of two values, or of a value and a constant, which is a scaling.

Meanings as `reading` describes them. Raises `InputError` for constants that differ inside a channel's map.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy
from torch import Tensor

from budgetnet.graph.operations import Activation, Array, Merge, Scaling, Shape
from budgetnet.graph.reading import Call, Held, Meaning, Reader, array_of, map_shape, refusal, source_of


def two_sided(kind: Literal["add", "subtract", "multiply", "divide"]) -> Meaning:
    """Return the meaning of `left kind right`, either of which may be a constant."""

    def meaning(call: Call) -> Held:
        left, right = call.arguments[:2]
        if any(value != 1 for value in call.options.values()):
            raise refusal(kind, "with a factor")
        if isinstance(left, Held) and isinstance(right, Held):
            return _merged(call.reader, kind, source_of(left, kind), source_of(right, kind), map_shape(call.shape, kind))
        source = source_of(left if isinstance(left, Held) else right, kind)
        here = call.reader.shapes[source]
        scale, shift = _scale_and_shift(kind, left, right, here[0])
        return call.reader.add(Scaling(source, 0, scale, shift), here)

    return meaning


def _merged(reader: Reader, kind: str, left: int, right: int, shape: Shape) -> Held:
    if kind == "multiply":
        last = reader.operations[-1]
        # x · sigmoid(x) is one function, which matters where values are rounded between operations.
        if isinstance(last, Activation) and last.function == "sigmoid" and {last.source, last.result} == {left, right}:
            return reader.add(Activation(last.source, 0, "silu"), shape)
        return reader.add(Merge((left, right), 0, "multiply"), shape)
    if kind == "divide":
        raise refusal("division", "by a value that depends on the image")
    if kind == "subtract":
        ones = numpy.ones(reader.shapes[right][0], numpy.float32)
        right = reader.add(Scaling(right, 0, -ones, 0 * ones), reader.shapes[right]).value
    return reader.add(Merge((left, right), 0, "add"), shape)


def _scale_and_shift(kind: str, left: Any, right: Any, channels: int) -> tuple[Array, Array]:
    """Return what a constant on one side does to each channel."""
    constant = _by_channel(right if isinstance(left, Held) else left, channels, kind)
    ones, zeros = numpy.ones(channels, numpy.float32), numpy.zeros(channels, numpy.float32)
    if kind == "add":
        return ones, constant
    if kind == "multiply":
        return constant, zeros
    if kind == "subtract":
        return (ones, -constant) if isinstance(left, Held) else (-ones, constant)
    if not isinstance(left, Held):
        raise refusal("division", "by a value that depends on the image")
    return (1 / constant.astype(numpy.float64)).astype(numpy.float32), zeros


def _by_channel(constant: Any, channels: int, kind: str) -> Array:
    array = array_of(constant) if isinstance(constant, Tensor) else numpy.asarray(constant, numpy.float32)
    if array.size == 1:
        return numpy.full(channels, array.reshape(()), numpy.float32)
    flat = array.reshape(-1)
    if array.size == channels and (array.ndim <= 2 or array.shape[-2:] == (1, 1)) and array.shape[-1] in {1, channels}:
        return flat
    raise refusal(kind, f"a constant of the shape {array.shape} for {channels} channels")


def negative(call: Call) -> Any:
    """Return −x."""
    return two_sided("multiply")(replace(call, arguments=(call.arguments[0], -1.0), options={}))
