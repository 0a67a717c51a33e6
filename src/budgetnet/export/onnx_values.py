"""A graph as an ONNX model that gives every value on the way, for whoever wants to look inside: the served page does.

Written operation by operation with onnx's helper, so it starts at once and needs no exporter. uint8 pixels (N, C, H, W) in; the
probabilities and each value as `value_3` out. Needs the extra `onnx`. Source: ONNX's documentation of its operators, opset 20.
"""

from __future__ import annotations

from typing import Any

import numpy

from budgetnet.graph import Activation, Concatenation, Convolution, GlobalPooling, Graph, Merge, Operation, Pooling, Scaling
from budgetnet.graph.operations import sources

OPSET, IR_VERSION = 20, 10
PIXELS, PROBABILITIES = "pixels", "probabilities"
PLAIN = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "hard_swish": "HardSwish", "gelu": "Gelu"}


def model_bytes(graph: Graph) -> bytes:
    """Return the serialized model of a folded graph."""
    from onnx import TensorProto, helper

    writer = _Writer()
    channels, height, width = graph.shapes[0]
    writer.node("Cast", [PIXELS], "plain", to=TensorProto.FLOAT)
    writer.node("Div", ["plain", writer.constant(numpy.float32(255))], value_name(0))
    for operation in graph.operations:
        writer.add(operation)
    writer.node("Flatten", [value_name(graph.answer)], "flat")
    writer.node("Softmax", ["flat"], PROBABILITIES, axis=1)
    outputs = [helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["batch", graph.classes])]
    outputs += [
        helper.make_tensor_value_info(value_name(operation.result), TensorProto.FLOAT, ["batch", *graph.shapes[operation.result]])
        for operation in graph.operations
    ]
    given = helper.make_tensor_value_info(PIXELS, TensorProto.UINT8, ["batch", channels, height, width])
    made = helper.make_graph(writer.nodes, "budgetnet", [given], outputs, writer.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    content: bytes = model.SerializeToString()
    return content


def value_name(value: int) -> str:
    """Return the name of a value among the model's outputs."""
    return f"value_{value}"


class _Writer:
    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))

    def constant(self, array: Any) -> str:
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(numpy.asarray(array, numpy.float32), name))
        return name

    def add(self, operation: Operation) -> None:
        inputs, output = [value_name(value) for value in sources(operation)], value_name(operation.result)
        match operation:
            case Convolution(stride=stride, padding=padding, dilation=dilation, groups=groups):
                arrays = [array for array in (operation.weights, operation.bias) if array is not None]
                names = [self.constant(array) for array in arrays]
                pads = [*padding, *padding]
                self.node("Conv", [*inputs, *names], output, strides=stride, pads=pads, dilations=dilation, group=groups)
            case Scaling(scale=scale, shift=shift):
                self.node("Mul", [*inputs, self.constant(scale[:, None, None])], f"{output}_scaled")
                self.node("Add", [f"{output}_scaled", self.constant(shift[:, None, None])], output)
            case Activation():
                self._activation(operation, inputs[0], output)
            case Pooling(kind=kind, size=size, stride=stride, padding=padding):
                shared = {"kernel_shape": size, "strides": stride, "pads": [*padding, *padding]}
                counts = {} if kind == "maximum" else {"count_include_pad": int(operation.counts_padding)}
                self.node("MaxPool" if kind == "maximum" else "AveragePool", inputs, output, **shared, **counts)
            case GlobalPooling(kind=kind):
                self.node("GlobalMaxPool" if kind == "maximum" else "GlobalAveragePool", inputs, output)
            case Merge(kind=kind):
                self.node("Add" if kind == "add" else "Mul", inputs, output)
            case Concatenation():
                self.node("Concat", inputs, output, axis=1)

    def _activation(self, operation: Activation, given: str, output: str) -> None:
        numbers = operation.numbers
        match operation.function:
            case "leaky_relu":
                self.node("LeakyRelu", [given], output, alpha=numbers[0])
            case "elu":
                self.node("Elu", [given], output, alpha=numbers[0])
            case "clamp":
                self.node("Clip", [given, self.constant(numbers[0]), self.constant(numbers[1])], output)
            case "hard_sigmoid":
                self.node("HardSigmoid", [given], output, alpha=1 / 6, beta=0.5)
            case "silu":
                self.node("Sigmoid", [given], f"{output}_gate")
                self.node("Mul", [given, f"{output}_gate"], output)
            case name:
                self.node(PLAIN[name], [given], output)
