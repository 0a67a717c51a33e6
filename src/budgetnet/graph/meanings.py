"""What each of torch's core operators means as an operation of a graph, for a batch of images.

Raises `InputError` with the operator's name and the reason for a form that a graph cannot hold. Source: torch's documentation of the
core ATen operators.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy
from torch import Tensor

from budgetnet.graph.arithmetic import negative, two_sided
from budgetnet.graph.operations import Activation, Concatenation, Convolution, GlobalPooling, Normalization, Pooling
from budgetnet.graph.reading import Call, Held, Meaning, Reader, array_of, map_shape, pair, refusal, source_of


def _convolution(call: Call) -> Held:
    image, weight, bias, stride, padding, dilation, transposed, _, groups = call.arguments
    if transposed or not isinstance(weight, Tensor) or weight.dim() != 4 or isinstance(bias, Held):
        raise refusal("convolution", "only two-dimensional ones with constant kernels, not transposed")
    source = source_of(image, "convolution")
    weights = array_of(weight)
    made = Convolution(
        source, 0, weights, None if bias is None else array_of(bias), pair(stride), pair(padding), pair(dilation), int(groups)
    )
    return call.reader.add(made, map_shape(call.shape, "convolution"))


def _normalization(call: Call) -> Held:
    image, gain, shift, mean, variance, _, epsilon = call.arguments
    source = source_of(image, "batch_norm")
    here = call.reader.shapes[source]
    gain = numpy.ones(here[0], numpy.float32) if gain is None else array_of(gain)
    shift = numpy.zeros(here[0], numpy.float32) if shift is None else array_of(shift)
    return call.reader.add(Normalization(source, 0, gain, shift, array_of(mean), array_of(variance), float(epsilon)), here)


def _fully_connected(reader: Reader, image: Any, weight: Any, bias: Any) -> Held:
    source = source_of(image, "a fully connected layer")
    channels, height, width = reader.shapes[source]
    if not isinstance(weight, Tensor) or weight.dim() != 2 or weight.shape[0] != channels * height * width:
        raise refusal("a fully connected layer", "its weights are not a constant matrix over the whole map")
    kernel = array_of(weight.t()).reshape(-1, channels, height, width)
    made = Convolution(source, 0, kernel, None if bias is None else array_of(bias), (1, 1), (0, 0), (1, 1), 1)
    return reader.add(made, (len(kernel), 1, 1))


def _addmm(call: Call) -> Held:
    if call.options or isinstance(call.arguments[0], Held):
        raise refusal("addmm", "with factors, or a bias that is not constant")
    return _fully_connected(call.reader, call.arguments[1], call.arguments[2], call.arguments[0])


def _mm(call: Call) -> Held:
    return _fully_connected(call.reader, call.arguments[0], call.arguments[1], None)


def _activation(function: str, *defaults: float) -> Meaning:
    def meaning(call: Call) -> Held:
        source = source_of(call.arguments[0], function)
        given = [float(number) for number in call.arguments[1:]]
        if call.options or len(given) > len(defaults):
            raise refusal(function, f"with the call.options {[*call.arguments[1:], *call.options.values()]}")
        return call.reader.add(Activation(source, 0, function, (*given, *defaults[len(given) :])), call.reader.shapes[source])

    return meaning


def _clamp(call: Call) -> Held:
    source = source_of(call.arguments[0], "clamp")
    low, high = [*call.arguments[1:], *call.options.values(), None, None][:2]
    numbers = (-3.0e38 if low is None else float(low), 3.0e38 if high is None else float(high))
    return call.reader.add(Activation(source, 0, "clamp", numbers), call.reader.shapes[source])


def _pooling(kind: Literal["maximum", "average"]) -> Meaning:
    def meaning(call: Call) -> Held:
        source = source_of(call.arguments[0], f"{kind} pooling")
        size = pair(call.arguments[1])
        stride = pair(call.arguments[2]) if len(call.arguments) > 2 and call.arguments[2] else size
        padding = pair(call.arguments[3]) if len(call.arguments) > 3 else (0, 0)
        rest = list(call.arguments[4:]) + list(call.options.values())
        dilation, ceiling = (rest[:1] or [1], rest[1:2]) if kind == "maximum" else ([1], rest[:1])
        if any(side != 1 for side in _flat_sides(dilation)) or any(ceiling) or (kind == "average" and any(rest[2:])):
            raise refusal(f"{kind} pooling", "with dilation, ceil_mode or a divisor")
        counts = bool(rest[1]) if kind == "average" and len(rest) > 1 else True
        channels, height, width = call.reader.shapes[source]
        rows, columns = ((height + 2 * padding[0] - size[0]) // stride[0] + 1, (width + 2 * padding[1] - size[1]) // stride[1] + 1)
        return call.reader.add(Pooling(source, 0, kind, size, stride, padding, counts), (channels, rows, columns))

    return meaning


def _flat_sides(sides: Any) -> list[int]:
    return [side for part in sides for side in (part if isinstance(part, list | tuple) else [part])]


def _adaptive(kind: Literal["maximum", "average"]) -> Meaning:
    def meaning(call: Call) -> Held:
        source = source_of(call.arguments[0], "adaptive pooling")
        channels, height, width = call.reader.shapes[source]
        rows, columns = pair(call.arguments[1])
        if (rows, columns) == (1, 1):
            return call.reader.add(GlobalPooling(source, 0, kind), (channels, 1, 1))
        if height % rows or width % columns:
            raise refusal("adaptive pooling", f"{height}×{width} to {rows}×{columns} has windows of different sizes")
        size = (height // rows, width // columns)
        return call.reader.add(Pooling(source, 0, kind, size, size, (0, 0)), (channels, rows, columns))

    return meaning


def _over_positions(kind: Literal["maximum", "average"]) -> Meaning:
    def meaning(call: Call) -> Held:
        source = source_of(call.arguments[0], "mean or amax")
        sides = {side % 4 for side in call.arguments[1]} if len(call.arguments) > 1 else set()
        if sides != {2, 3}:
            raise refusal("mean or amax", "over anything but height and width")
        return call.reader.add(GlobalPooling(source, 0, kind), (call.reader.shapes[source][0], 1, 1))

    return meaning


def _reshaped(call: Call) -> Held:
    """A view that keeps the order of a map's numbers: the map itself, or flattened. The map's own call.shape is kept."""
    held = call.arguments[0]
    if not isinstance(held, Held) or call.shape is None:
        raise refusal("view", "of a constant")
    channels, height, width = here = call.reader.shapes[held.value]
    if tuple(call.shape[1:]) in {here, (channels * height * width,), (channels, height * width)} or (
        (height, width) == (1, 1) and call.shape[1] == channels
    ):
        return held
    raise refusal("view or reshape", f"from {here} to {tuple(call.shape[1:])}")


def _same(call: Call) -> Any:
    return call.arguments[0]


def _softmax(call: Call) -> Held:
    source = source_of(call.arguments[0], "softmax")
    if call.arguments[1] not in {1, 1 - len(call.shape or ())} or call.reader.shapes[source][1:] != (1, 1):
        raise refusal("softmax", "over anything but the classes")
    return Held(source, softened=True)


def _concatenation(call: Call) -> Held:
    parts = tuple(source_of(held, "cat") for held in call.arguments[0])
    if len(call.arguments) < 2 or call.arguments[1] not in {1, -3}:
        raise refusal("cat", "of anything but channels")
    return call.reader.add(Concatenation(parts, 0), map_shape(call.shape, "cat"))


MEANINGS: dict[str, Meaning] = {
    "convolution": _convolution,
    "_native_batch_norm_legit_no_training": _normalization,
    "addmm": _addmm,
    "mm": _mm,
    "relu": _activation("relu"),
    "leaky_relu": _activation("leaky_relu", 0.01),
    "sigmoid": _activation("sigmoid"),
    "tanh": _activation("tanh"),
    "silu": _activation("silu"),
    "hardsigmoid": _activation("hard_sigmoid"),
    "hardswish": _activation("hard_swish"),
    "gelu": _activation("gelu"),
    "elu": _activation("elu", 1.0),
    "clamp": _clamp,
    "hardtanh": _clamp,
    "max_pool2d_with_indices": _pooling("maximum"),
    "avg_pool2d": _pooling("average"),
    "_adaptive_avg_pool2d": _adaptive("average"),
    "adaptive_max_pool2d": _adaptive("maximum"),
    "mean": _over_positions("average"),
    "amax": _over_positions("maximum"),
    "view": _reshaped,
    "reshape": _reshaped,
    "_unsafe_view": _reshaped,
    "squeeze": _reshaped,
    "unsqueeze": _reshaped,
    "clone": _same,
    "alias": _same,
    "detach": _same,
    "_to_copy": _same,
    "_softmax": _softmax,
    "_log_softmax": _softmax,
    "add": two_sided("add"),
    "sub": two_sided("subtract"),
    "mul": two_sided("multiply"),
    "div": two_sided("divide"),
    "neg": negative,
    "cat": _concatenation,
}
"""Operator -> meaning. Any other that touches the image is refused by its name."""
