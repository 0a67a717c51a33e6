"""A graph as JSON and back: what the page to draw on carries, and what is shipped with the program.

Arrays are base64 of float32, little-endian; a network of 15,000 parameters takes about 80 kB. Reading checks every length, so that a
damaged file is refused and not half read.
"""

from __future__ import annotations

import base64
import dataclasses
from typing import Any, get_args

import numpy

from budgetnet.errors import InputError
from budgetnet.graph.operations import Array, Graph, Operation

FORMAT = "budgetnet graph 1"
KINDS: dict[str, Any] = {kind.__name__: kind for kind in get_args(Operation)}


def packed(graph: Graph) -> dict[str, Any]:
    """Return the graph as JSON values."""
    return {
        "format": FORMAT,
        "answer": graph.answer,
        "shapes": {str(value): list(shape) for value, shape in graph.shapes.items()},
        "operations": [
            {"type": type(operation).__name__}
            | {field.name: _packed(getattr(operation, field.name)) for field in dataclasses.fields(operation)}
            for operation in graph.operations
        ],
    }


def unpacked(document: Any) -> Graph:
    """Return the graph that `packed` gave. Raises `InputError` for anything else."""
    try:
        if document["format"] != FORMAT:
            raise ValueError(document["format"])
        operations = tuple(_operation(dict(values)) for values in document["operations"])
        shapes = {int(value): (int(shape[0]), int(shape[1]), int(shape[2])) for value, shape in document["shapes"].items()}
        return Graph(operations, shapes, int(document["answer"]))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"This is no packed network: {type(error).__name__} {error}.") from None


def _operation(values: dict[str, Any]) -> Operation:
    kind = KINDS[values.pop("type")]
    made: Operation = kind(**{name: _unpacked(value) for name, value in values.items()})
    return made


def _packed(value: Any) -> Any:
    if isinstance(value, numpy.ndarray):
        data = base64.b64encode(value.astype("<f4").tobytes()).decode()
        return {"shape": list(value.shape), "data": data}
    return list(value) if isinstance(value, tuple) else value


def _unpacked(value: Any) -> Any:
    if isinstance(value, dict):
        array: Array = numpy.frombuffer(base64.b64decode(value["data"], validate=True), "<f4").reshape(value["shape"])
        return array.astype(numpy.float32)
    return tuple(value) if isinstance(value, list) else value
