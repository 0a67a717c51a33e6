"""A network from its description in Keras 3, on whatever backend `KERAS_BACKEND` names; NHWC, Keras's own defaults."""

from collections.abc import Callable
from typing import Any

import keras

Node = dict[str, Any]
JOINING = {"add": keras.layers.Add, "average": keras.layers.Average, "concatenate": keras.layers.Concatenate}


def keras_network(nodes: list[Node], shape: tuple[int, int, int]) -> keras.Model:
    """Return the model for images of `shape` (height, width, channels), with fresh weights."""
    values = keras_values(nodes, shape)
    return keras.Model(values[0], values[-1])


def keras_values(nodes: list[Node], shape: tuple[int, int, int]) -> list[Any]:
    """Return the image and what each node makes, in the nodes' order, which a model's own list of layers does not keep."""
    values = [keras.Input(shape)]
    for node in nodes:
        values.append(_apply(node, [values[index] for index in node["inputs"]]))
    return values


def _apply(node: Node, inputs: list[Any]) -> Any:
    if node["kind"] == "convolution":
        return _convolution(node, inputs[0])
    if node["kind"] in JOINING:
        return JOINING[node["kind"]]()(inputs)
    return _layer(node)(inputs[0])


def _layer(node: Node) -> Any:
    layers = keras.layers
    makers: dict[str, Callable[[], Any]] = {
        "batch_normalization": lambda: layers.BatchNormalization(epsilon=node["epsilon"], momentum=node["momentum"]),
        "dropout": lambda: layers.Dropout(node["rate"]),
        "max_pooling": lambda: layers.MaxPooling2D(node["size"]),
        "average_pooling": lambda: layers.AveragePooling2D(node["size"]),
        "global_average": layers.GlobalAveragePooling2D,
        "global_max": layers.GlobalMaxPooling2D,
        "flatten": layers.Flatten,
        "softmax": lambda: layers.Activation("softmax"),
        "activation": lambda: layers.Activation(node["activation"]),
    }
    if node["kind"] not in makers:
        raise ValueError(f"no Keras layer is known for {node['kind']!r}")
    return makers[node["kind"]]()


def _convolution(node: Node, value: Any) -> Any:
    layers, size, padding = keras.layers, node["size"], node["padding"]
    same = padding != [0, 0] and node["stride"] == [1, 1] and [2 * side for side in padding] == [side - 1 for side in size]
    if padding != [0, 0] and not same:
        value = layers.ZeroPadding2D(padding)(value)
    shared = {
        "strides": tuple(node["stride"]),
        "padding": "same" if same else "valid",
        "use_bias": node["bias"],
        "activation": node["activation"],
    }
    if node["groups"] > 1 and node["groups"] == node["channels"]:
        # Keras's own word for one kernel a channel; `Conv2D(groups=…)` has no gradient on TensorFlow's CPU.
        return layers.DepthwiseConv2D(tuple(size), depth_multiplier=node["outputs"] // node["channels"], **shared)(value)
    return layers.Conv2D(node["outputs"], tuple(size), groups=node["groups"], **shared)(value)
