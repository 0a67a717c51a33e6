"""Normalisations become scalings, and scalings go into the convolutions beside them, so that a small machine need not compute them.

A scaling after a convolution goes into its weights and bias. One before a convolution goes there too, if nothing else reads it and the
convolution pads with nothing: beyond a padded edge zeros would have to be shifted as well. Computed in float64, kept as float32; answers
differ from the unfolded ones in the last bits only.
"""

from __future__ import annotations

from dataclasses import replace

import numpy

from budgetnet.graph.operations import Array, Convolution, Graph, Normalization, Operation, Scaling


def folded(graph: Graph, *, forward: bool = True) -> Graph:
    """Return an equal graph without normalisations and with as few scalings as can be.

    `forward` False leaves the scalings that stand before a convolution: a target that rounds activations wants them, because they
    bring the channels to one range.
    """
    operations = [_as_scaling(operation) if isinstance(operation, Normalization) else operation for operation in graph.operations]
    graph = Graph(tuple(operations), graph.shapes, graph.answer)
    while (smaller := _without_one_scaling(graph, forward)) is not None:
        graph = smaller
    used = {0, *(operation.result for operation in graph.operations)}
    return replace(graph, shapes={value: shape for value, shape in graph.shapes.items() if value in used})


def _as_scaling(operation: Normalization) -> Scaling:
    deviation = numpy.sqrt(operation.variance.astype(numpy.float64) + operation.epsilon)
    scale = operation.gain / deviation
    return Scaling(operation.source, operation.result, _single(scale), _single(operation.shift - operation.mean * scale))


def _without_one_scaling(graph: Graph, forward: bool) -> Graph | None:
    for scaling in graph.operations:
        if not isinstance(scaling, Scaling):
            continue
        maker, users = graph.maker(scaling.source), graph.users(scaling.result)
        only_user = len(graph.users(scaling.source)) == 1 and graph.answer != scaling.source
        if isinstance(maker, Convolution) and only_user:
            return _merged(graph, maker, scaling, replace(_scaled_after(maker, scaling), result=scaling.result))
        if isinstance(maker, Scaling) and only_user:
            scale = _single(maker.scale.astype(numpy.float64) * scaling.scale)
            shift = _single(maker.shift.astype(numpy.float64) * scaling.scale + scaling.shift)
            return _merged(graph, maker, scaling, Scaling(maker.source, scaling.result, scale, shift))
        if forward and len(users) == 1 and graph.answer != scaling.result:
            user = users[0]
            if isinstance(user, Convolution) and user.padding == (0, 0):
                return _merged(graph, scaling, user, replace(_scaled_before(user, scaling), source=scaling.source))
    return None


def _merged(graph: Graph, first: Operation, second: Operation, both: Operation) -> Graph:
    """Return the graph with `both` in the place of the later of two operations."""
    kept = [both if operation is second else operation for operation in graph.operations if operation is not first]
    return Graph(tuple(kept), graph.shapes, graph.answer)


def _scaled_after(convolution: Convolution, scaling: Scaling) -> Convolution:
    scale = scaling.scale.astype(numpy.float64)
    bias = 0.0 if convolution.bias is None else convolution.bias.astype(numpy.float64)
    return replace(
        convolution, weights=_single(convolution.weights * scale[:, None, None, None]), bias=_single(bias * scale + scaling.shift)
    )


def _scaled_before(convolution: Convolution, scaling: Scaling) -> Convolution:
    outputs, inputs = convolution.weights.shape[:2]
    weights = convolution.weights.astype(numpy.float64)
    # An output of group g reads the channels from g · inputs on.
    channels = (numpy.arange(outputs) // (outputs // convolution.groups))[:, None] * inputs + numpy.arange(inputs)
    bias = numpy.zeros(outputs) if convolution.bias is None else convolution.bias.astype(numpy.float64)
    bias = bias + (weights.sum((2, 3)) * scaling.shift[channels]).sum(1)
    return replace(convolution, weights=_single(weights * scaling.scale[channels][:, :, None, None]), bias=_single(bias))


def _single(values: numpy.typing.NDArray[numpy.float64]) -> Array:
    return numpy.ascontiguousarray(values, dtype=numpy.float32)
