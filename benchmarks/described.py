"""A network of the zoo as plain data, so that other libraries can build the very same one: a list of nodes, each with its inputs.

Node `i` (from 1; 0 is the image) is a dictionary with a `kind`, the indices of its `inputs`, and what the layer is made of. Chains are
walked by type; anything else is traced by `torch.fx` down to the layers that have a kind, so sums, means and concatenations are seen as well.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from budgetnet.errors import InputError
from budgetnet.zoo import blocks

Node = dict[str, Any]
ADDITIONS = {operator.add, operator.iadd, torch.add, "add", "add_"}
ACTIVATIONS = {F.relu: "relu", torch.relu: "relu", "relu": "relu", F.silu: "silu"}


def described(network: nn.Module) -> list[Node]:
    """Return the nodes of a network that takes one tensor of images. Raises `InputError` for a layer that has no kind here."""
    nodes: list[Node] = []
    _emit(network, 0, nodes)
    return nodes


def _emit(module: nn.Module, source: int, nodes: list[Node]) -> int:
    """Append what `module` does to node `source`; return the index of its result."""
    if isinstance(module, blocks.SeparableConvolution):
        inputs, outputs = module.pointwise.shape[1], module.pointwise.shape[0]
        size = list(module.depthwise.shape[2:])
        middle = _append(nodes, [source], **_convolution(inputs, inputs, size, groups=inputs))
        return _append(nodes, [middle], **_convolution(inputs, outputs, [1, 1], activation=module.activation))
    layer = _layer(module)
    if layer is not None:
        return _append(nodes, [source], **layer)
    if isinstance(module, nn.Sequential):
        for child in module:
            source = _emit(child, source, nodes)
        return source
    if isinstance(module, nn.Identity):
        return source
    if not list(module.children()):
        raise InputError(f"{type(module).__name__}: no kind of node is known for it; add one to {__file__} and to its builders.")
    return _emit_traced(module, source, nodes)


def _layer(module: nn.Module) -> Node | None:
    if isinstance(module, nn.Conv2d):
        if isinstance(module.padding, str) or set(module.dilation) != {1}:
            raise InputError(f"{type(module).__name__}: padding in words and dilation are not described.")
        return _convolution(
            module.in_channels,
            module.out_channels,
            list(module.kernel_size),
            stride=list(module.stride),
            padding=list(module.padding),
            groups=module.groups,
            bias=module.bias is not None,
            activation=getattr(module, "activation", None),
        )
    if isinstance(module, nn.BatchNorm2d):
        momentum = 1 - float(module.momentum or 0)
        return {"kind": "batch_normalization", "channels": module.num_features, "epsilon": module.eps, "momentum": momentum}
    if isinstance(module, nn.Dropout):
        return {"kind": "dropout", "rate": module.p}
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        return {"kind": "max_pooling" if isinstance(module, nn.MaxPool2d) else "average_pooling", "size": module.kernel_size}
    simple = {
        blocks.GlobalAveragePooling: {"kind": "global_average"},
        blocks.GlobalMaxPooling: {"kind": "global_max"},
        nn.Flatten: {"kind": "flatten"},
        nn.Softmax: {"kind": "softmax"},
        nn.ReLU: {"kind": "activation", "activation": "relu"},
        nn.SiLU: {"kind": "activation", "activation": "silu"},
    }
    return next((dict(node) for cls, node in simple.items() if isinstance(module, cls)), None)


def _convolution(
    channels: int,
    outputs: int,
    size: list[int],
    *,
    stride: list[int] | None = None,
    padding: list[int] | None = None,
    groups: int = 1,
    bias: bool = False,
    activation: str | None = None,
) -> Node:
    return {
        "kind": "convolution",
        "channels": channels,
        "outputs": outputs,
        "size": size,
        "stride": stride or [1, 1],
        "padding": padding or [0, 0],
        "groups": groups,
        "bias": bias,
        "activation": activation,
    }


class _OneLevel(torch.fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:  # noqa: ARG002
        return True


def _emit_traced(module: nn.Module, source: int, nodes: list[Node]) -> int:
    known: dict[torch.fx.Node, int] = {}
    for step in _OneLevel().trace(module).nodes:
        inputs = [known[argument] for argument in step.all_input_nodes if argument in known]
        match step.op:
            case "placeholder":
                known[step] = source
            case "call_module":
                called = module.get_submodule(str(step.target))
                average = isinstance(called, blocks.Average)
                known[step] = _append(nodes, inputs, kind="average") if average else _emit(called, inputs[0], nodes)
            case "output":
                return inputs[0]
            case _:
                known[step] = _append(nodes, inputs, **_operation(step))
    raise InputError(f"{type(module).__name__}: its trace has no output.")


def _operation(step: torch.fx.Node) -> Node:
    target, spatial = step.target, (2, 3)
    if target in ADDITIONS and len(step.all_input_nodes) == 2:
        return {"kind": "add"}
    if target in {torch.cat, torch.concat}:
        return {"kind": "concatenate"}
    if target in ACTIVATIONS:
        return {"kind": "activation", "activation": ACTIVATIONS[target]}
    if target in {"mean", torch.mean} and spatial in step.args:
        return {"kind": "global_average"}
    if target in {"amax", torch.amax} and spatial in step.args:
        return {"kind": "global_max"}
    if target in {"flatten", torch.flatten} and 1 in step.args:
        return {"kind": "flatten"}
    raise InputError(f"{step.format_node()}: no kind of node is known for this operation; add one to {__file__}.")


def _append(nodes: list[Node], inputs: list[int], **node: Any) -> int:
    nodes.append({**node, "inputs": inputs})
    return len(nodes)
