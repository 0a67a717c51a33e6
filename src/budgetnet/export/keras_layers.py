"""The operations of a graph as Keras layers with weights, channels last.

A relu that alone reads a convolution goes into the layer, as the zoo's layer tables have it. What Keras computes otherwise (a maximum
over a padded edge, unequal padding) is refused by name. Source: Keras 3's documentation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy

from budgetnet.errors import InputError
from budgetnet.graph import (
    Activation,
    Concatenation,
    Convolution,
    GlobalPooling,
    Graph,
    Merge,
    Normalization,
    Operation,
    Pooling,
    Scaling,
)

PLAIN = {"relu": "relu", "sigmoid": "sigmoid", "tanh": "tanh", "silu": "silu", "gelu": "gelu"}
"""Activations that are the same word in Keras."""


def layers_of(keras: Any, graph: Graph) -> Iterator[tuple[Operation, list[Any]]]:
    """Yield each operation with the layers that compute it, the weights to be set once the layer is built."""
    inside: set[int] = set()
    for operation in graph.operations:
        if operation.result in inside:
            continue
        users = graph.users(operation.result)
        following = users[0] if len(users) == 1 and graph.answer != operation.result else None
        if isinstance(operation, Convolution) and isinstance(following, Activation) and following.function == "relu":
            inside.add(following.result)
            yield replace(operation, result=following.result), _convolution(keras, operation, "relu")
        else:
            yield operation, _layers(keras, operation)


def _layers(keras: Any, operation: Operation) -> list[Any]:  # noqa: PLR0911 - a line for each kind
    layers = keras.layers
    match operation:
        case Convolution():
            return _convolution(keras, operation, None)
        case Normalization():
            arrays = [operation.gain, operation.shift, operation.mean, operation.variance]
            return [_with_weights(layers.BatchNormalization(epsilon=operation.epsilon), arrays)]
        case Scaling(scale=scale, shift=shift):
            # A BatchNormalization of mean 0 and variance 1: Keras has no other layer with a factor and a shift for each channel.
            channels = len(scale)
            still = [numpy.zeros(channels, numpy.float32), numpy.ones(channels, numpy.float32)]
            return [_with_weights(layers.BatchNormalization(epsilon=0.0), [scale, shift, *still])]
        case Activation():
            return [_activation(keras, operation)]
        case Pooling():
            return [_pooling(keras, operation)]
        case GlobalPooling(kind=kind):
            pooling = layers.GlobalMaxPooling2D if kind == "maximum" else layers.GlobalAveragePooling2D
            return [pooling(keepdims=True)]
        case Merge(kind=kind):
            return [layers.Add() if kind == "add" else layers.Multiply()]
        case Concatenation():
            return [layers.Concatenate(axis=-1)]


def _convolution(keras: Any, operation: Convolution, activation: str | None) -> list[Any]:
    rows, columns = operation.padding
    before = [keras.layers.ZeroPadding2D((rows, columns))] if rows or columns else []
    outputs, inputs, height, width = operation.weights.shape
    shared = {
        "kernel_size": (height, width),
        "strides": operation.stride,
        "dilation_rate": operation.dilation,
        "use_bias": operation.bias is not None,
        "activation": activation,
    }
    bias = [] if operation.bias is None else [operation.bias]
    if operation.groups > 1 and inputs == 1:
        # (group · multiplier, 1, height, width) -> Keras's (height, width, group, multiplier)
        kernel = operation.weights.reshape(operation.groups, -1, height, width).transpose(2, 3, 0, 1)
        layer = keras.layers.DepthwiseConv2D(depth_multiplier=outputs // operation.groups, **shared)
    else:
        kernel = operation.weights.transpose(2, 3, 1, 0)
        layer = keras.layers.Conv2D(outputs, groups=operation.groups, **shared)
    return [*before, _with_weights(layer, [kernel, *bias])]


def _activation(keras: Any, operation: Activation) -> Any:
    layers, numbers = keras.layers, operation.numbers
    match operation.function:
        case "leaky_relu":
            return layers.LeakyReLU(negative_slope=numbers[0])
        case "elu":
            return layers.ELU(alpha=numbers[0])
        case "hard_sigmoid" | "hard_swish":
            return layers.Activation({"hard_sigmoid": "hard_sigmoid", "hard_swish": "hard_silu"}[operation.function])
        case "clamp" if numbers[0] == 0:
            return layers.ReLU(max_value=numbers[1])
        case "clamp":
            raise InputError(f"Keras has no layer for clamp between {numbers[0]:g} and {numbers[1]:g}.")
        case name:
            return layers.Activation(PLAIN[name])


def _pooling(keras: Any, operation: Pooling) -> Any:
    if operation.padding != (0, 0):
        raise InputError(f"Keras has no {operation.kind} pooling with padding {operation.padding}: its `same` pads otherwise.")
    kind = keras.layers.MaxPooling2D if operation.kind == "maximum" else keras.layers.AveragePooling2D
    return kind(pool_size=operation.size, strides=operation.stride)


def _with_weights(layer: Any, arrays: list[Any]) -> Any:
    """Return the layer as a function that builds it, gives it its weights and applies it."""

    def applied(value: Any) -> Any:
        layer.build(value.shape)
        layer.set_weights(arrays)
        return layer(value)

    return applied
