"""What the meanings share: the operations read so far, and arguments turned into arrays, pairs and shapes.

A `Reader` gathers operations; a `Meaning` takes one `Call` of an operator, adds what it computes, and returns the value that holds the
result. Costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy
from torch import Tensor

from budgetnet.errors import InputError
from budgetnet.graph.operations import Array, Operation, Shape


@dataclass(frozen=True)
class Held:
    """A value that comes from the image. `softened` says that a softmax was taken, after which nothing may follow."""

    value: int
    softened: bool = False


@dataclass
class Reader:
    """The operations read so far, with the shape of each value."""

    shapes: dict[int, Shape]
    operations: list[Operation] = field(default_factory=list)

    def add(self, operation: Operation, shape: Shape) -> Held:
        """Append an operation that makes a value of this shape; its own result number is replaced by the next free one."""
        number = len(self.operations) + 1
        self.operations.append(replace(operation, result=number))
        self.shapes[number] = shape
        return Held(number)


@dataclass(frozen=True)
class Call:
    """One use of an operator."""

    reader: Reader
    arguments: Sequence[Any]
    """Constants as tensors or plain values, what comes from the image as `Held`."""
    options: dict[str, Any]
    shape: tuple[int, ...] | None
    """Of the result, batch first; None where there are several."""


Meaning = Callable[[Call], Any]


def refusal(name: str, why: str) -> InputError:
    """Return the error for a known operation in an unknown form."""
    return InputError(f"The network uses {name} in a form that the targets c, html and keras do not know: {why}.")


def source_of(held: Any, name: str) -> int:
    """Return the number of a value that an operation may read."""
    if not isinstance(held, Held):
        raise refusal(name, "a constant stands where the image's value is expected")
    if held.softened:
        raise refusal(name, "it follows the softmax")
    return held.value


def array_of(tensor: Tensor) -> Array:
    """Return a constant as float32, its last axis fastest."""
    return numpy.ascontiguousarray(tensor.detach().cpu().float().numpy())


def pair(sides: Sequence[int]) -> tuple[int, int]:
    """Return one or two sides as two."""
    return (int(sides[0]), int(sides[-1]))


def map_shape(shape: tuple[int, ...] | None, name: str) -> Shape:
    """Return a result's shape without its batch."""
    if shape is None or len(shape) not in {2, 4}:
        raise refusal(name, f"its result has the shape {shape}")
    return (shape[1], 1, 1) if len(shape) == 2 else (shape[1], shape[2], shape[3])
