"""What one layer of Keras computes, by its type: fully connected or not, its biases and shifts, its work, and what it sees.

Each of Keras's own layers is known here; any other is open. Weights are asked by the names that Keras gives them (`kernel`,
`bias`, `beta`), on objects whose class is Keras's own, so that the names mean what they say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy

from budgetnet.check import arithmetic
from budgetnet.check.arithmetic import State
from budgetnet.check.keras_config import LAYERS, OPERATIONS
from budgetnet.facts import Finding

DENSE = {"Dense", "EinsumDense", "MultiHeadAttention", "GroupedQueryAttention", "LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional"}
RECURRENT = {"LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional"}
NORMALIZATION = {"BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization", "UnitNormalization"}
JOINING = {"Matmul", "Einsum", "Tensordot", "Dot"}
FOLDING = {"Flatten", "Reshape", "Permute", "Squeeze", "ExpandDims", "Transpose"}
MOST_SEATS = 2**22
KEEPING = ("Padding", "Cropping", "Dropout", "Random", "Noise")


@dataclass
class Seen:
    """What is known of one call of one layer."""

    state: State
    multiply_accumulates: int = 0
    fully_connected: list[Finding] = field(default_factory=list)
    equivalent: list[Finding] = field(default_factory=list)
    biases: list[Finding] = field(default_factory=list)
    shifts: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    blind: list[str] = field(default_factory=list)


def look(layer: Any, node: Any, inputs: Sequence[State], last: bool) -> Seen:
    """Return what this call of `layer` computes; `inputs` are the states of what it is given."""
    word = type(layer).__name__
    state = arithmetic.merged(inputs)
    seen = Seen(state)
    own = str(type(layer).__module__).startswith("keras.")
    known = own and (word in LAYERS if ".layers." in type(layer).__module__ else word in OPERATIONS)
    wrapped = getattr(layer, "layer", None)
    if known and wrapped is not None and not str(type(wrapped).__module__).startswith("keras."):
        known = False
    if not known:
        seen.blind.append(f"{layer.name} ({word}) is code of its own, and what it computes is not known here.")
        seen.state = arithmetic.gone(State(None, None, state.positions, True), state.positions)
        return seen
    into, out = _shape(node.input_tensors[0]), _shape(node.output_tensors[0])
    _biases(layer, word, seen)
    if ".ops." in type(layer).__module__:
        _operation(layer, word, node, seen)
    if word in DENSE or (word == "TimeDistributed" and type(wrapped).__name__ in DENSE):
        _dense(layer, word, into, out, seen)
    elif _is_convolution(word):
        _convolution(layer, word, into, out, seen=seen, last=last)
    else:
        seen.state = _moved(layer, word, into, out, inputs=inputs, last=last)
    if getattr(layer, "weights", None):
        seen.state = State(**{**vars(seen.state), "mixed": True})
    if word in FOLDING:
        seen.state = State(**{**vars(seen.state), "seats": _seats(layer, word, state, into=into, out=out, last=last)})
    elif into != out or _is_convolution(word) or word in DENSE:
        seen.state = State(**{**vars(seen.state), "seats": None})
    return seen


def _seats(layer: Any, word: str, state: State, *, into: Sequence[int], out: Sequence[int], last: bool) -> Any:
    """Return the places of a rearranged tensor's numbers; None where that is not followed."""
    sides = _spatial(into, last)
    if prod(into) > MOST_SEATS or len(into) < 2:
        return None
    seats = state.seats
    if seats is None or seats.shape != tuple(into[1:]):
        places = numpy.arange(prod(sides)).reshape(*sides, 1) if last else numpy.arange(prod(sides)).reshape(1, *sides)
        seats = numpy.broadcast_to(places, into[1:])
    if word == "Permute":
        return seats.transpose([int(place) - 1 for place in layer.dims])
    return None if word == "Transpose" else seats.reshape(out[1:])


def _places_in_channels(state: State, into: Sequence[int], last: bool) -> int:
    """Return how many places there are among the channels of one place, where these are all of the map's."""
    if state.seats is None or state.seats.shape != tuple(into[1:]):
        return 0
    channels = state.seats.reshape(-1, into[-1])[0] if last else state.seats.reshape(into[1], -1)[:, 0]
    count, places = len(numpy.unique(channels)), len(numpy.unique(state.seats))
    return count if count == places > 1 else 0


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(1 if side is None else int(side) for side in tensor.shape)


def _is_convolution(word: str) -> bool:
    return word.startswith(("Conv", "DepthwiseConv", "SeparableConv"))


def _spatial(shape: Sequence[int], last: bool) -> tuple[int, ...]:
    return tuple(shape[1:-1] if last else shape[2:])


def _biases(layer: Any, word: str, seen: Seen) -> None:
    for weight in layer.weights if hasattr(layer, "weights") else []:
        numbers, name = prod(weight.shape), str(weight.name)
        where = f"{layer.name} ({word})"
        if name == "beta" and word in NORMALIZATION:
            what = f"{where} shifts by {numbers:,} learned numbers, as normalizations do"
            seen.shifts.append(Finding(what=what, layer=layer.name, numbers=numbers))
        elif name == "bias" or name.endswith("_bias") or name.startswith("bias"):
            seen.biases.append(Finding(what=f"{where} adds a bias of {numbers:,} numbers", layer=layer.name, numbers=numbers))


def _operation(layer: Any, word: str, node: Any, seen: Seen) -> None:
    """Look for arrays of numbers among the arguments of a bare operation."""
    arrays = [value for value in _leaves((node.arguments.args, node.arguments.kwargs)) if hasattr(value, "shape")]
    constants = [value for value in arrays if type(value).__name__ != "KerasTensor"]
    if constants:
        numbers = sum(prod(value.shape) for value in constants)
        seen.blind.append(f"{layer.name} ({word}) computes with {numbers:,} numbers that no layer declares.")
    elif word in JOINING:
        seen.notes.append(f"{layer.name} ({word}) multiplies two tensors that both depend on the image.")


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value]


def _dense(layer: Any, word: str, into: Sequence[int], out: Sequence[int], seen: Seen) -> None:
    kernels = [weight for weight in layer.weights if len(weight.shape) > 1]
    numbers = sum(prod(weight.shape) for weight in kernels)
    shapes = " and ".join("×".join(str(side) for side in weight.shape) for weight in kernels[:2])
    what = f"{layer.name} ({word}) multiplies its input by a weight matrix ({shapes})"
    seen.fully_connected.append(Finding(what=what, layer=layer.name, numbers=numbers))
    places = prod(into[1:-1])
    if word in {"MultiHeadAttention", "GroupedQueryAttention"}:
        seen.multiply_accumulates = numbers * places + 2 * places * places * out[-1]
    else:
        seen.multiply_accumulates = numbers * places
    if word in RECURRENT or len(out) < 3:
        seen.state = arithmetic.gone(seen.state, seen.state.positions)


def _convolution(layer: Any, word: str, into: Sequence[int], out: Sequence[int], *, seen: Seen, last: bool) -> None:
    sides, outputs = _spatial(into, last), _spatial(out, last)
    up = "Transpose" in word
    kernel, strides = tuple(layer.kernel_size), tuple(layer.strides)
    dilations = tuple(layer.dilation_rate) if not isinstance(layer.dilation_rate, int) else (layer.dilation_rate,) * len(kernel)
    same = str(getattr(layer, "padding", "valid")) in {"same", "causal"}
    before = tuple(
        max((count - 1) * step + gap * (size - 1) + 1 - side, 0) // 2 if same else 0
        for count, step, gap, size, side in zip(outputs, strides, dilations, kernel, sides, strict=True)
    )
    weights = [weight for weight in layer.weights if len(weight.shape) > 1]
    numbers = sum(prod(weight.shape) for weight in weights)
    seen.multiply_accumulates = numbers * prod(sides if up else outputs)
    covers = not up and arithmetic.covers(
        sides, kernel=kernel, strides=strides, before=before, dilations=dilations, outputs=outputs
    )
    where = f"{layer.name} ({word})"
    folded = seen.state.positions / max(prod(sides), 1)
    if covers and folded > 1.5:
        seen_here = f"{folded:.0f} positions that were folded into its channels"
        what = f"{where} sees {seen_here}: it computes what a fully connected layer computes"
        seen.equivalent.append(Finding(what=what, layer=layer.name, numbers=numbers))
    elif (mixed := _places_in_channels(seen.state, into, last)) and int(getattr(layer, "groups", 1)) == 1 and "Depth" not in word:
        what = f"{where} sees {mixed} positions as its channels, each with weights of its own: a fully connected layer of them"
        seen.equivalent.append(Finding(what=what, layer=layer.name, numbers=numbers))
    elif covers and prod(sides) > 1:
        shown = "×".join(str(side) for side in sides)
        what = f"{where} sees its whole {shown} input map: it computes what a fully connected layer computes"
        seen.equivalent.append(Finding(what=what, layer=layer.name, numbers=numbers))
    elif covers:
        what = f"{where} is a convolution on a single position: it computes what a fully connected layer of that vector computes"
        seen.equivalent.append(Finding(what=what, layer=layer.name, numbers=numbers))
    seen.state = arithmetic.slid(seen.state, kernel, strides, dilations, outputs, up=up)


def _moved(layer: Any, word: str, into: Sequence[int], out: Sequence[int], *, inputs: Sequence[State], last: bool) -> State:  # noqa: PLR0911 - one for each family
    state = arithmetic.merged(inputs)
    if word == "Concatenate":
        axis = int(getattr(layer, "axis", -1))
        if axis % max(len(out), 1) == 0:
            return State(**{**vars(state), "copies": sum(one.copies for one in inputs)})
        return state
    if word in {"MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D"}:
        outputs, size = _spatial(out, last), tuple(layer.pool_size)
        slid = arithmetic.slid(state, size, tuple(layer.strides), (1,) * len(size), outputs)
        return arithmetic.gone(slid) if prod(outputs) == 1 and prod(_spatial(into, last)) > 1 else slid
    reduced = word in {"Mean", "Max", "Min", "Sum", "Amax", "Amin"} or word.startswith("Global")
    if reduced and len(into) > 2:
        return arithmetic.gone(state)
    if word in FOLDING:
        same = len(out) == len(into) and sorted(_spatial(out, last)) == sorted(_spatial(into, last))
        return state if same else State(None, None, state.positions, state.mixed, state.copies)
    if word.startswith("UpSampling") and state.jump:
        scale = [now / then for now, then in zip(_spatial(out, last), _spatial(into, last), strict=True)]
        jump = tuple(step / ratio for step, ratio in zip(state.jump, scale, strict=True))
        return State(**{**vars(state), "jump": jump, "positions": float(prod(_spatial(out, last)))})
    if any(part in word for part in KEEPING):
        return (
            State(**{**vars(state), "positions": max(state.positions, float(prod(_spatial(out, last))))})
            if "Padding" in word
            else state
        )
    return state
