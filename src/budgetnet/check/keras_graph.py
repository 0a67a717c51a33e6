"""The facts of a built Keras model, from its graph: layers by type, shapes as Keras gives them, and what stands before what.

A layer of Keras's own is known by its type, so its structure is its facts. A layer of anyone else's, or a model with a `call`
of its own, leaves the clauses open. Takes the model, not a file; nothing is run. Costs some milliseconds.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isqrt, prod
from typing import Any

from budgetnet.check import arithmetic, keras_layers
from budgetnet.check.arithmetic import State
from budgetnet.facts import Finding, LayerRow, NetworkFacts, ParameterCounts

MOST_LAYERS = 5_000


@dataclass
class _Walk:
    """What is gathered while the graph is walked in its order."""

    rows: list[LayerRow] = field(default_factory=list)
    fully_connected: list[Finding] = field(default_factory=list)
    equivalent: list[Finding] = field(default_factory=list)
    biases: list[Finding] = field(default_factory=list)
    shifts: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    blind: list[str] = field(default_factory=list)
    unused: list[Finding] = field(default_factory=list)
    claimed: set[int] = field(default_factory=set)
    first_meetings: dict[int, float] = field(default_factory=dict)
    """Layer -> how many images' worth it is given that no weight has met before."""


def image_shape(model: Any) -> tuple[int, int, int] | None:
    """Return channels, height and width of the images that the model takes; None where it does not say."""
    inputs = getattr(model, "inputs", None)
    if not inputs or len(inputs) != 1:
        return None
    sides = list(inputs[0].shape)[1:]
    if any(side is not None and not 0 < side <= 4096 for side in sides):
        return None
    if len(sides) == 3:
        height, width, channels = sides if channels_last(model) else (sides[1], sides[2], sides[0])
        return channels or 1, height or 28, width or 28
    if len(sides) == 2 and all(sides):
        return 1, sides[0], sides[1]
    if len(sides) == 1 and sides[0]:
        side = isqrt(sides[0])
        return (1, side, side) if side * side == sides[0] else (1, 1, sides[0])
    return None


def channels_last(model: Any) -> bool:
    """Return whether the model's layers take channels last: the first that says so decides, as does Keras's setting."""
    for layer in _flat(model):
        order = getattr(layer, "data_format", None)
        if order in {"channels_last", "channels_first"}:
            return bool(order == "channels_last")
    return True


def facts_of(model: Any, *, name: str, input_shape: tuple[int, int, int]) -> NetworkFacts:
    """Return the structure of `model`, a functional or sequential Keras model of one input."""
    walk = _Walk()
    last = channels_last(model)
    if not last:
        walk.notes.append("The model takes channels first; its table shows them so.")
    sides = input_shape[1:] if len(model.inputs[0].shape) != 2 else ()
    answer = _graph(model, {id(model.inputs[0]): arithmetic.of_image(sides)}, walk, last)
    passes = max([1, *(round(count) for count in walk.first_meetings.values())])
    if not walk.first_meetings:
        walk.blind.append("No weight meets the image.")
    counts = _counts(model)
    _unclaimed(model, walk)
    shape = tuple(answer.shape) if answer is not None else ()
    blind = bool(walk.blind)
    return NetworkFacts(
        name=name,
        input_shape=input_shape,
        classes=shape[1] if len(shape) == 2 else None,
        parameters=counts,
        layers=tuple(walk.rows),
        multiply_accumulates=sum(row.multiply_accumulates for row in walk.rows),
        fully_connected=None if blind and not walk.fully_connected else tuple(walk.fully_connected),
        fully_connected_equivalent=None if blind and not walk.equivalent else tuple(walk.equivalent),
        biases=None if blind and not walk.biases else tuple(walk.biases),
        normalization_shifts=tuple(walk.shifts),
        forward_passes=None if blind and passes == 1 else passes,
        notes=tuple(dict.fromkeys([*walk.notes, *walk.blind])),
        unused=tuple(walk.unused),
        receptive_field=max((row.receptive_field for row in walk.rows if row.receptive_field is not None), default=None),
    )


def _flat(model: Any) -> list[Any]:
    found: list[Any] = []
    for layer in list(model.layers)[:MOST_LAYERS]:
        found += _flat(layer) if hasattr(layer, "layers") and hasattr(layer, "inputs") else [layer]
    return found


def _graph(model: Any, states: dict[int, State], walk: _Walk, last: bool) -> Any:
    """Walk one model's nodes in order, and return its first output; `states` gets what each tensor sees."""
    functional = getattr(model, "_functional", None) or model
    depths = getattr(functional, "_nodes_by_depth", None)
    custom = type(model).call not in _own_calls()
    if depths is None or custom:
        walk.blind.append(f"The model {type(model).__name__} has a call of its own, which is not followed.")
        return model.outputs[0] if getattr(model, "outputs", None) else None
    for depth in sorted(depths, reverse=True):
        for node in depths[depth]:
            operation = node.operation
            inputs = [states[id(tensor)] for tensor in node.input_tensors if id(tensor) in states]
            if type(operation).__name__ == "InputLayer" or not inputs:
                if type(operation).__name__ != "InputLayer":
                    walk.blind.append(f"{operation.name} computes something that does not depend on the image.")
                continue
            after = _node(operation, node, inputs, walk, last)
            states.update({id(tensor): after for tensor in node.output_tensors})
    return functional.outputs[0]


def _own_calls() -> tuple[Any, Any]:
    """Return the `call` of Keras's own two graph models: any other is code that is not followed."""
    functional = importlib.import_module("keras.src.models.functional").Functional
    sequential = importlib.import_module("keras.src.models.sequential").Sequential
    return functional.call, sequential.call


def _node(operation: Any, node: Any, inputs: Sequence[State], walk: _Walk, last: bool) -> State:
    """Look at one call of one layer, operation or inner model; return what its outputs see."""
    state = arithmetic.merged(inputs)
    weights = list(getattr(operation, "weights", []))
    if weights and not state.mixed:
        # Several views that one first layer is shown, one by one or side by side in the batch.
        walk.first_meetings[id(operation)] = walk.first_meetings.get(id(operation), 0.0) + state.copies
    if hasattr(operation, "layers") and hasattr(operation, "inputs"):
        inner = {id(tensor): one for tensor, one in zip(operation.inputs, inputs, strict=False)}
        outer = walk.first_meetings
        walk.first_meetings = {}
        _graph(operation, inner, walk, last)
        walk.first_meetings = outer
        functional = getattr(operation, "_functional", None) or operation
        return inner.get(id(functional.outputs[0]), state)
    seen = keras_layers.look(operation, node, inputs, last)
    walk.blind += seen.blind
    walk.notes += seen.notes
    fresh = [weight for weight in weights if id(weight) not in walk.claimed]
    walk.claimed |= {id(weight) for weight in fresh}
    for found, new in (
        (walk.fully_connected, seen.fully_connected),
        (walk.equivalent, seen.equivalent),
        (walk.biases, seen.biases),
    ):
        found += [one for one in new if one not in found]
    walk.shifts += [one for one in seen.shifts if one not in walk.shifts]
    walk.rows.append(
        LayerRow(
            name=operation.name,
            type=type(operation).__name__,
            output_shape=tuple(None if place == 0 else side for place, side in enumerate(node.output_tensors[0].shape)),
            parameters=sum(prod(weight.shape) for weight in fresh),
            trainable=sum(prod(weight.shape) for weight in fresh if weight.trainable),
            multiply_accumulates=seen.multiply_accumulates,
            receptive_field=arithmetic.side_of(seen.state.field),
            jump=round(max(seen.state.jump)) if seen.state.jump and float(max(seen.state.jump)).is_integer() else None,
        )
    )
    return seen.state


def _counts(model: Any) -> ParameterCounts:
    unique = {id(weight): weight for weight in model.weights}
    trainable = {id(weight) for weight in model.trainable_weights}
    total = sum(prod(weight.shape) for weight in unique.values())
    held = sum(prod(weight.shape) for key, weight in unique.items() if key in trainable)
    moving = sum(
        prod(weight.shape)
        for key, weight in unique.items()
        if key not in trainable and str(weight.name) in {"moving_mean", "moving_variance"}
    )
    non_zero = sum(int((weight.value != 0).sum()) for weight in unique.values())
    return ParameterCounts(
        total=total,
        trainable=held,
        non_trainable=total - held,
        with_hidden=total,
        non_zero=non_zero,
        frozen=total - held - moving,
    )


def _unclaimed(model: Any, walk: _Walk) -> None:
    """Give rows to layers of the model that its graph never calls."""
    for layer in _flat(model):
        left = [weight for weight in layer.weights if id(weight) not in walk.claimed]
        if left:
            walk.claimed |= {id(weight) for weight in left}
            numbers = sum(prod(weight.shape) for weight in left)
            what = f"Declared in {layer.name} and never used by the graph: {numbers:,} parameters, counted all the same."
            walk.notes.append(what)
            walk.unused.append(Finding(what=what, layer=layer.name, numbers=numbers))
            walk.rows.append(
                LayerRow(
                    name=layer.name,
                    type=type(layer).__name__,
                    output_shape=(),
                    parameters=numbers,
                    trainable=sum(prod(weight.shape) for weight in left if weight.trainable),
                    multiply_accumulates=0,
                    receptive_field=None,
                    jump=None,
                )
            )
