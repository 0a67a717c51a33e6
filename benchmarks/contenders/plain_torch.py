"""A network from its description in plain torch: `nn.Conv2d`, `nn.BatchNorm2d`, `nn.Dropout`, as tutorials write them. NCHW."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ACTIVATIONS: dict[str | None, Callable[[Tensor], Tensor]] = {"relu": F.relu, "silu": F.silu, None: lambda values: values}
Node = dict[str, Any]


class Described(nn.Module):
    """The network of a description; gives logits (a softmax at the end is left to the loss, as torch's tutorials do)."""

    def __init__(self, nodes: list[Node]) -> None:
        super().__init__()
        self.nodes = nodes
        self.layers = nn.ModuleList([_layer(node) for node in nodes])

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, classes)."""
        values = [images]
        for node, layer in zip(self.nodes, self.layers, strict=True):
            values.append(_apply(node, layer, [values[index] for index in node["inputs"]]))
        return values[-1]


def _layer(node: Node) -> nn.Module:
    match node["kind"]:
        case "convolution":
            return nn.Conv2d(
                node["channels"],
                node["outputs"],
                node["size"],
                stride=node["stride"],
                padding=node["padding"],
                groups=node["groups"],
                bias=node["bias"],
            )
        case "batch_normalization":
            return nn.BatchNorm2d(node["channels"], eps=node["epsilon"], momentum=1 - node["momentum"])
        case "dropout":
            return nn.Dropout(node["rate"])
        case "max_pooling":
            return nn.MaxPool2d(node["size"])
        case "average_pooling":
            return nn.AvgPool2d(node["size"])
    return nn.Identity()


def _apply(node: Node, layer: nn.Module, inputs: list[Tensor]) -> Tensor:
    value: Tensor = layer(inputs[0])
    match node["kind"]:
        case "convolution" | "activation":
            value = ACTIVATIONS[node["activation"]](value)
        case "global_average":
            value = value.mean((2, 3))
        case "global_max":
            value = value.amax((2, 3))
        case "flatten":
            value = value.flatten(1)
        case "add":
            value = inputs[0] + inputs[1]
        case "average":
            value = torch.stack(inputs).mean(0)
        case "concatenate":
            value = torch.cat(inputs, 1)
    return value
