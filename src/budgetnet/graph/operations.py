"""The operations that a graph is made of. Values are numbered; value 0 is the image in [0, 1], and each operation makes one new value.

A value is a map of shape (C, H, W), float32, without its batch: (10, 1, 1) where a network has only ten numbers left. All arrays are
NumPy's, float32 unless said otherwise. A fully connected layer is a convolution over its whole input map, which is what it computes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy
from numpy.typing import NDArray

Array = NDArray[numpy.float32]
Shape = tuple[int, int, int]
"""Channels, height, width."""


@dataclass(frozen=True, eq=False)
class Convolution:
    """A cross-correlation over positions, zeros outside the map."""

    source: int
    result: int
    weights: Array
    """(outputs, inputs / groups, height, width)."""
    bias: Array | None
    """(outputs,)."""
    stride: tuple[int, int]
    padding: tuple[int, int]
    """Rows above and below, columns left and right."""
    dilation: tuple[int, int]
    groups: int


@dataclass(frozen=True, eq=False)
class Normalization:
    """BatchNormalization by its running statistics, each array (channels,)."""

    source: int
    result: int
    gain: Array
    shift: Array
    mean: Array
    variance: Array
    epsilon: float


@dataclass(frozen=True, eq=False)
class Scaling:
    """Each channel times a number, plus a number; both arrays (channels,)."""

    source: int
    result: int
    scale: Array
    shift: Array


@dataclass(frozen=True, eq=False)
class Activation:
    """One function of each number: `function` is a key of `FUNCTIONS`, `numbers` are what it needs beside its argument."""

    source: int
    result: int
    function: str
    numbers: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Pooling:
    """The largest number or the mean of each window. Outside the map nothing is larger; a mean counts what is outside or does not."""

    source: int
    result: int
    kind: Literal["maximum", "average"]
    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    counts_padding: bool = True


@dataclass(frozen=True, eq=False)
class GlobalPooling:
    """The largest number or the mean of each channel's map: (C, H, W) -> (C, 1, 1)."""

    source: int
    result: int
    kind: Literal["maximum", "average"]


@dataclass(frozen=True, eq=False)
class Merge:
    """Two maps added or multiplied number by number; a side of 1 is repeated to the other's length."""

    sources: tuple[int, int]
    result: int
    kind: Literal["add", "multiply"]


@dataclass(frozen=True, eq=False)
class Concatenation:
    """Maps of one height and width, their channels one after another."""

    sources: tuple[int, ...]
    result: int


Operation = Convolution | Normalization | Scaling | Activation | Pooling | GlobalPooling | Merge | Concatenation

FUNCTIONS = {
    "relu": "max(x, 0)",
    "leaky_relu": "x where x > 0, else numbers[0] · x",
    "clamp": "x held between numbers[0] and numbers[1]",
    "sigmoid": "1 / (1 + exp(−x))",
    "tanh": "the hyperbolic tangent",
    "silu": "x · sigmoid(x)",
    "hard_sigmoid": "min(max(x + 3, 0), 6) / 6",
    "hard_swish": "x · hard_sigmoid(x)",
    "gelu": "x · Φ(x), Φ the normal distribution",
    "elu": "x where x > 0, else numbers[0] · (exp(x) − 1)",
}
"""What each activation computes."""


@dataclass(frozen=True, eq=False)
class Graph:
    """A network: operations in an order in which they can be computed, and the value that goes into the softmax."""

    operations: tuple[Operation, ...]
    shapes: dict[int, Shape]
    """Of each value; 0 is the image."""
    answer: int
    """The value of shape (classes, 1, 1) whose softmax are the probabilities."""

    @property
    def classes(self) -> int:
        """How many answers there are."""
        return self.shapes[self.answer][0]

    def users(self, value: int) -> list[Operation]:
        """Return the operations that read a value."""
        return [operation for operation in self.operations if value in sources(operation)]

    def maker(self, value: int) -> Operation | None:
        """Return the operation that makes a value; None for the image."""
        return next((operation for operation in self.operations if operation.result == value), None)


def sources(operation: Operation) -> tuple[int, ...]:
    """Return the values that an operation reads."""
    return operation.sources if isinstance(operation, Merge | Concatenation) else (operation.source,)
