"""The numbers of an ONNX graph: which tensors are constants, how many of them are weights, and each counted once.

A graph of ONNX does not say which of its constants were trained. Initializers of floating point (and integers that quantized
operations compute with) are parameters; arrays in Constant nodes are counted as hidden beside them; single numbers (an epsilon, a
bound) and places are no weights. BatchNormalization's mean and variance are not trainable.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy

from budgetnet.errors import InputError

FLOATING = {1, 10, 11, 16, 17, 18, 19, 20, 22, 23}
"""ONNX's numbers of floating types."""
WIDTHS = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
"""Bytes for each number of a type."""
QUANTIZED = {"QLinearConv", "ConvInteger", "QLinearMatMul", "MatMulInteger", "DequantizeLinear"}
KEPT = {"Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Cast", "DequantizeLinear"}
"""Operations whose result holds the numbers of their first operand."""
EXTERNAL = 1
MOST_NUMBERS = 128 * 2**20


@dataclass(frozen=True)
class Constant:
    """A tensor that does not depend on the image."""

    numbers: int
    floating: bool
    shape: tuple[int, ...]
    sources: frozenset[str] = frozenset()
    """Initializers and Constant nodes that it stems from."""
    values: Any = None
    """A NumPy array, of initializers and Constant nodes."""


@dataclass
class Numbers:
    """All constants of a graph, and what was claimed of them."""

    known: dict[str, Constant] = field(default_factory=dict)
    initializers: dict[str, Constant] = field(default_factory=dict)
    nodes: dict[str, Constant] = field(default_factory=dict)
    """Arrays that stand in Constant nodes."""
    claimed: set[str] = field(default_factory=set)
    met: set[str] = field(default_factory=set)

    def weights_of(self, constants: list[Constant]) -> int:
        """Claim the initializers that these stem from, and return how many numbers are claimed for the first time."""
        fresh = {name for constant in constants for name in constant.sources} & self.initializers.keys() - self.claimed
        self.claimed |= fresh
        return sum(self.initializers[name].numbers for name in fresh)


def constant_of(tensor: Any, label: str) -> Constant:
    """Return a tensor of the file as a constant. Raises `InputError` where its data lies elsewhere, or is not there."""
    import onnx

    name = str(tensor.name)[:80]
    if tensor.data_location == EXTERNAL or tensor.external_data:
        raise InputError(f"{label}: keeps the numbers of {name!r} in another file, which is not read; save it as one file.")
    shape = tuple(int(side) for side in tensor.dims)
    if any(side < 0 for side in shape) or prod(shape) > MOST_NUMBERS:
        raise InputError(f"{label}: {name!r} claims to hold {prod(shape):,} numbers, which is more than is read.")
    if tensor.raw_data and tensor.data_type in WIDTHS and len(tensor.raw_data) != prod(shape) * WIDTHS[tensor.data_type]:
        raise InputError(f"{label}: {name!r} holds {len(tensor.raw_data):,} bytes, which does not fit its shape {shape}.")
    try:
        values = onnx.numpy_helper.to_array(tensor)
    except Exception as error:
        raise InputError(f"{label}: {name!r} cannot be read ({' '.join(str(error).split())[:120]}).") from None
    return Constant(prod(shape), tensor.data_type in FLOATING, shape, frozenset({name}), values)


def gather(graph: Any, label: str) -> Numbers:
    """Return the constants of `graph` before any node is looked at."""
    if graph.sparse_initializer:
        raise InputError(f"{label}: holds sparse tensors, which are not read.")
    found = Numbers()
    total = 0
    for tensor in graph.initializer:
        constant = constant_of(tensor, label)
        total += constant.numbers
        if total > MOST_NUMBERS:
            raise InputError(f"{label}: holds more than {MOST_NUMBERS:,} numbers, which is more than is read.")
        found.known[tensor.name] = constant
    used_as_weights = {name for node in graph.node if node.op_type in QUANTIZED for name in _computed_with(node)}
    single = {
        name for node in graph.node if node.op_type in {"Conv", "ConvTranspose", "Gemm", "PRelu"} for name in list(node.input)[1:]
    }
    for name, constant in found.known.items():
        wide = constant.numbers > 1 or name in single
        if (constant.floating and wide and name not in _scales(graph)) or name in used_as_weights:
            found.initializers[name] = Constant(
                constant.numbers, constant.floating, constant.shape, frozenset({name}), constant.values
            )
    return found


def _computed_with(node: Any) -> list[str]:
    places = {
        "QLinearConv": (3, 8),
        "ConvInteger": (1,),
        "QLinearMatMul": (0, 3),
        "MatMulInteger": (0, 1),
        "DequantizeLinear": (0,),
    }
    return [node.input[place] for place in places[node.op_type] if place < len(node.input)]


def _scales(graph: Any) -> set[str]:
    """Return the scales of quantization, which are no weights."""
    found: set[str] = set()
    for node in graph.node:
        if node.op_type in {"QuantizeLinear", "DequantizeLinear"}:
            found |= set(list(node.input)[1:])
        if node.op_type in {"QLinearConv", "QLinearMatMul"}:
            found |= {name for place, name in enumerate(node.input) if place in {1, 2, 4, 5, 6, 7}}
    return found


def statistics(graph: Any) -> set[str]:
    """Return the names of BatchNormalizations' means and variances."""
    return {name for node in graph.node if node.op_type == "BatchNormalization" for name in list(node.input)[3:5]}


def derived(op_type: str, constants: list[Constant], shape: tuple[int, ...]) -> Constant:
    """Return what an operation on constants alone gives."""
    sources = frozenset[str]().union(*(constant.sources for constant in constants))
    floating = any(constant.floating for constant in constants) and op_type not in {"Shape", "Size"}
    numbers = constants[0].numbers if constants and op_type in KEPT else prod(shape)
    if op_type == "DequantizeLinear":
        floating = True
    return Constant(numbers, floating, shape, sources)


def non_zero(numbers: Numbers) -> int:
    """Return how many of the parameters are not exactly zero."""
    return sum(int(numpy.count_nonzero(constant.values)) for constant in numbers.initializers.values())
