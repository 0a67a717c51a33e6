"""Any torch module -> a graph, through `torch.export`: the operations that it really computes, whatever its modules are called.

Reading costs a second or two, and about four more for the first export of a process. What is constant (a weight that is computed from
parameters) is computed once. An operation without a meaning here is refused by its name. Source: torch's documentation of
`torch.export` and of the core ATen operators.
"""

from __future__ import annotations

import copy
import operator
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from budgetnet.errors import InputError
from budgetnet.graph.executing import execute
from budgetnet.graph.meanings import MEANINGS
from budgetnet.graph.operations import Graph, Operation, sources
from budgetnet.graph.reading import Call, Held, Reader

PROBES = 2
"""Images in the traced batch; more than one, so that a batch is not taken for a channel."""
TOLERANCE = 1e-4
"""Of a probability, between the network and its graph, on random images."""
KEPT_WHOLE = ("silu", "hardswish", "hardsigmoid", "elu", "leaky_relu", "gelu")
"""Activations that torch would else take apart."""


def trace(network: nn.Module, input_shape: tuple[int, int, int]) -> Graph:
    """Return the graph of a network in evaluation mode, for images of (C, H, W) in [0, 1].

    Raises `InputError` where the network cannot be traced, holds an operation that no graph can hold, or answers otherwise than its
    graph does.
    """
    program = _exported(network, input_shape)
    reader = Reader(shapes={0: input_shape})
    known: dict[str, Any] = _constants(program)
    for node in program.graph.nodes:
        if node.op == "placeholder":
            known.setdefault(node.name, Held(0))
        elif node.op == "call_function":
            known[node.name] = _meaning(node, known, reader)
    result = next(node for node in program.graph.nodes if node.op == "output").args[0]
    if len(result) != 1:
        raise InputError(f"The network answers with {len(result)} tensors; one is needed.")
    answer = known[result[0].name]
    if not isinstance(answer, Held) or reader.shapes[answer.value][1:] != (1, 1):
        raise InputError("The network's answer does not come from its image as one number for each class.")
    graph = Graph(_needed(reader.operations, answer.value), reader.shapes, answer.value)
    _hold_against(graph, network, input_shape)
    return graph


def _exported(network: nn.Module, input_shape: tuple[int, int, int]) -> torch.export.ExportedProgram:
    table = torch.export.default_decompositions()
    for name in KEPT_WHOLE:
        table.pop(getattr(torch.ops.aten, name).default, None)  # type: ignore[no-untyped-call]
    try:
        # torch's own exporter still uses what its other half calls deprecated.
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            # A layout in memory would show up as operations that only move numbers.
            plain = copy.deepcopy(network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
            program = torch.export.export(plain.eval(), (torch.zeros((PROBES, *input_shape)),))
            decomposed: torch.export.ExportedProgram = program.run_decompositions(table)
            return decomposed
    except Exception as error:
        words = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"The network {type(network).__name__} cannot be traced by torch.export: {words}") from error


def _constants(program: torch.export.ExportedProgram) -> dict[str, Any]:
    """Return each parameter, buffer and constant under the name of its placeholder."""
    signature = program.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers, **signature.inputs_to_lifted_tensor_constants}
    return {place: program.state_dict.get(name, program.constants.get(name)) for place, name in names.items()}


def _meaning(node: Any, known: dict[str, Any], reader: Reader) -> Any:
    arguments = torch.fx.node.map_arg(tuple(node.args), lambda argument: known[argument.name])
    options = torch.fx.node.map_arg(dict(node.kwargs), lambda argument: known[argument.name])
    if node.target is operator.getitem:
        if isinstance(arguments[0], Held) and arguments[1] != 0:
            raise InputError("The network reads a second result of an operation, which no target here can compute.")
        return arguments[0] if isinstance(arguments[0], Held) else arguments[0][arguments[1]]
    if not any(isinstance(argument, Held) for argument in _flat(arguments)):
        with torch.no_grad():
            result = node.target(*arguments, **options)
        return result.detach() if isinstance(result, Tensor) else result
    name = str(node.target).removeprefix("aten.").partition(".")[0]
    meaning = MEANINGS.get(name)
    if meaning is None:
        raise InputError(f"The network uses the operation {name} (aten.{name}), which the targets c, html and keras do not know.")
    shape = tuple(node.meta["val"].shape) if isinstance(node.meta.get("val"), Tensor) else None
    return meaning(Call(reader, arguments, options, shape))


def _flat(arguments: Any) -> list[Any]:
    return [inner for argument in arguments for inner in (argument if isinstance(argument, list | tuple) else (argument,))]


def _needed(operations: list[Operation], answer: int) -> tuple[Operation, ...]:
    """Return the operations that the answer rests on."""
    wanted, kept = {answer}, []
    for operation in reversed(operations):
        if operation.result in wanted:
            wanted |= set(sources(operation))
            kept.append(operation)
    return tuple(reversed(kept))


def _hold_against(graph: Graph, network: nn.Module, input_shape: tuple[int, int, int]) -> None:
    images = torch.rand((4, *input_shape), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network(images)
        probabilities = execute(graph, images).softmax(1)
    near_one = torch.allclose(expected.sum(1), torch.ones(len(images)), atol=TOLERANCE)
    answers = expected if bool((expected >= 0).all()) and near_one else expected.softmax(1)
    if answers.shape != probabilities.shape or not torch.allclose(answers, probabilities, atol=TOLERANCE):
        raise InputError(
            f"The network {type(network).__name__} answers otherwise than its traced operations do: it ends in something else than a "
            "softmax, or looks at its batch."
        )
