"""A graph computed in torch: the meaning of each operation in one line, and the yardstick for every target.

Images float32 (N, C, H, W) in [0, 1] -> the value before the softmax, (N, classes). Costs what the network itself costs.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from budgetnet.graph.operations import (
    Activation,
    Array,
    Concatenation,
    Convolution,
    GlobalPooling,
    Graph,
    Merge,
    Normalization,
    Operation,
    Pooling,
    Scaling,
    sources,
)

ACTIVATIONS: dict[str, Callable[..., Tensor]] = {
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "clamp": torch.clamp,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "silu": F.silu,
    "hard_sigmoid": F.hardsigmoid,
    "hard_swish": F.hardswish,
    "gelu": F.gelu,
    "elu": F.elu,
}


def execute(graph: Graph, images: Tensor, *, seen: Callable[[int, Tensor], None] | None = None) -> Tensor:
    """Return what goes into the softmax, (N, classes); `seen` is shown each value with its number, the image first."""
    values = {0: images}
    last_use = {value: place for place, operation in enumerate(graph.operations) for value in sources(operation)}
    if seen is not None:
        seen(0, images)
    for place, operation in enumerate(graph.operations):
        inputs = [values[value] for value in sources(operation)]
        values[operation.result] = compute(operation, inputs)
        if seen is not None:
            seen(operation.result, values[operation.result])
        for value in sources(operation):
            if last_use[value] == place and value != graph.answer:
                values.pop(value, None)
    return values[graph.answer].flatten(1)


def compute(operation: Operation, inputs: list[Tensor]) -> Tensor:  # noqa: PLR0911 - a line for each kind
    """Return the value that one operation makes, (N, C, H, W)."""
    first = inputs[0]
    match operation:
        case Convolution(weights=weights, bias=bias, stride=stride, padding=padding, dilation=dilation, groups=groups):
            shift = None if bias is None else torch.from_numpy(bias)
            return F.conv2d(first, torch.from_numpy(weights), shift, stride, padding, dilation, groups)
        case Normalization():
            return _normalized(first, operation)
        case Scaling(scale=scale, shift=shift_array):
            return first * _by_channel(scale) + _by_channel(shift_array)
        case Activation(function=function, numbers=numbers):
            return ACTIVATIONS[function](first, *numbers)
        case Pooling(kind="maximum", size=size, stride=stride, padding=padding):
            return F.max_pool2d(first, size, stride, padding)
        case Pooling(size=size, stride=stride, padding=padding, counts_padding=counts):
            return F.avg_pool2d(first, size, stride, padding, count_include_pad=counts)
        case GlobalPooling(kind="maximum"):
            return first.amax((2, 3), keepdim=True)
        case GlobalPooling():
            return first.mean((2, 3), keepdim=True)
        case Merge(kind="add"):
            return first + inputs[1]
        case Merge():
            return first * inputs[1]
        case Concatenation():
            return torch.cat(inputs, 1)


def _normalized(value: Tensor, by: Normalization) -> Tensor:
    mean, variance, gain, shift = (torch.from_numpy(array) for array in (by.mean, by.variance, by.gain, by.shift))
    return F.batch_norm(value, mean, variance, gain, shift, training=False, eps=by.epsilon)


def _by_channel(array: Array) -> Tensor:
    return torch.from_numpy(array).view(-1, 1, 1)
