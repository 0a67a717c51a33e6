"""The zoo held against real Keras 3: same weights in, same probabilities and statistics out; same gradients in, same weights out."""

import os

os.environ["KERAS_BACKEND"] = "torch"

from collections.abc import Callable
from typing import Any

import keras
import numpy
import pytest
import torch
from torch import nn

from budgetnet import zoo
from budgetnet.optimizer import KerasAdam, KerasSGD
from budgetnet.zoo import blocks

PUBLISHED = [name for name in zoo.names() if name not in (*zoo.OWN, *zoo.TEACHERS)]
"""Those that were written for Keras."""
LARGEST_DIFFERENCE = 1e-4

# Keras's own conversion of torch tensors speaks numpy 1's protocol; the warning is about its code, not ours.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")


def keras_layer(layer: nn.Module) -> keras.Layer:
    """Keras's layer for one of the zoo's, from its type and arguments; dropout is switched off on both sides."""
    layers = keras.layers
    match layer:
        case blocks.Convolution():
            return layers.Conv2D(
                layer.out_channels, layer.kernel_size, activation=layer.activation, use_bias=layer.bias is not None
            )
        case blocks.SeparableConvolution():
            size = layer.depthwise.shape[-1]
            return layers.SeparableConv2D(len(layer.pointwise), size, activation=layer.activation, use_bias=False)
        case blocks.BatchNormalization():
            return layers.BatchNormalization()
        case blocks.Dropout():
            return layers.Dropout(0.0)
        case blocks.MaxPooling():
            return layers.MaxPooling2D()
        case blocks.GlobalAveragePooling():
            return layers.GlobalAveragePooling2D()
        case blocks.GlobalMaxPooling():
            return layers.GlobalMaxPooling2D()
        case blocks.Flatten():
            return layers.Flatten()
        case blocks.Softmax():
            return layers.Activation("softmax")
    raise AssertionError(f"no Keras layer is known for {type(layer).__name__}")


def weights_for_keras(layer: nn.Module) -> list[numpy.ndarray]:
    """A layer's tensors in Keras's order and axes: kernels are (height, width, in, out) there."""
    match layer:
        case blocks.Convolution():
            kernel = layer.weight.detach().permute(2, 3, 1, 0).numpy()
            return [kernel] if layer.bias is None else [kernel, layer.bias.detach().numpy()]
        case blocks.SeparableConvolution():
            return [
                layer.depthwise.detach().permute(2, 3, 0, 1).numpy(),
                layer.pointwise.detach().permute(2, 3, 1, 0).numpy(),
            ]
        case blocks.BatchNormalization():
            tensors = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
            return [tensor.detach().numpy() for tensor in tensors if tensor is not None]
    return []


def twins(name: str) -> tuple[blocks.Network, keras.Sequential]:
    """A zoo network with weights and statistics that are not their defaults, and Keras's network with the same."""
    torch.manual_seed(7)
    network = zoo.find(name).build()
    assert isinstance(network, blocks.Network)
    for layer in network:
        if isinstance(layer, blocks.BatchNormalization):
            for tensor, low, high in (
                (layer.weight, 0.5, 1.5),
                (layer.bias, -1, 1),
                (layer.running_mean, -0.5, 0.5),
                (layer.running_var, 0.5, 2),
            ):
                assert tensor is not None
                nn.init.uniform_(tensor, low, high)
        if isinstance(layer, blocks.Dropout):
            layer.threshold = 0
    reference = keras.Sequential([keras.Input((28, 28, 1)), *(keras_layer(layer) for layer in network)])
    for layer, other in zip(network, reference.layers, strict=True):
        other.set_weights(weights_for_keras(layer))
    return network, reference


def probabilities(reference: keras.Sequential, images: torch.Tensor, training: bool) -> numpy.ndarray:
    return numpy.asarray(keras.ops.convert_to_numpy(reference(images.permute(0, 2, 3, 1).numpy(), training=training)))


@pytest.mark.parametrize("name", PUBLISHED)
def test_forward_passes_are_keras_s(name: str) -> None:
    network, reference = twins(name)
    images = torch.rand(16, 1, 28, 28)
    network.eval()
    with torch.no_grad():
        assert abs(network(images).numpy() - probabilities(reference, images, False)).max() < LARGEST_DIFFERENCE
    network.train()
    with torch.no_grad():
        assert abs(network(images).numpy() - probabilities(reference, images, True)).max() < LARGEST_DIFFERENCE


@pytest.mark.parametrize("name", ["one-pool", "separable-gmp"])
def test_a_batch_moves_the_running_statistics_as_in_keras(name: str) -> None:
    network, reference = twins(name)
    images = torch.rand(16, 1, 28, 28)
    with torch.no_grad():
        network.train()(images)
    probabilities(reference, images, True)
    for layer, other in zip(network, reference.layers, strict=True):
        if isinstance(layer, blocks.BatchNormalization):
            for ours, theirs in zip(weights_for_keras(layer)[2:], other.get_weights()[2:], strict=True):
                numpy.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", PUBLISHED)
def test_counts_are_keras_s(name: str) -> None:
    network, reference = twins(name)
    statistics = sum(buffer.numel() for key, buffer in network.named_buffers() if "running" in key)
    assert reference.count_params() == sum(parameter.numel() for parameter in network.parameters()) + statistics


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (
            lambda: keras.optimizers.Adam(0.003),
            lambda parameters: KerasAdam(parameters, rate=0.003, beta_1=0.9, beta_2=0.999, epsilon=1e-7),
        ),
        (lambda: keras.optimizers.SGD(0.3), lambda parameters: KerasSGD(parameters, rate=0.3)),
        (lambda: keras.optimizers.SGD(0.3, momentum=0.9), lambda parameters: KerasSGD(parameters, rate=0.3, momentum=0.9)),
        (
            lambda: keras.optimizers.SGD(0.3, momentum=0.9, nesterov=True),
            lambda parameters: KerasSGD(parameters, rate=0.3, momentum=0.9, nesterov=True),
        ),
    ],
    ids=["adam", "sgd", "momentum", "nesterov"],
)
def test_optimizer_steps_are_keras_s(theirs: Callable[[], Any], ours: Callable[[list[nn.Parameter]], KerasAdam | KerasSGD]) -> None:
    start = torch.randn(200, generator=torch.Generator().manual_seed(3))
    variable, reference = keras.Variable(start.numpy()), theirs()
    parameter = nn.Parameter(start.clone())
    optimizer = ours([parameter])
    generator = torch.Generator().manual_seed(4)
    for step in range(6):
        # Gradients that fall to 1e-6: there epsilon decides, and Keras's is not where torch's is.
        gradient = torch.randn(200, generator=generator) * 10.0 ** -(step + 1)
        if step == 3:  # a rate that changes on the way, as these hand-ins' does
            reference.learning_rate = 0.001
            optimizer.param_groups[0]["lr"] = 0.001
        reference.apply([gradient], [variable])
        parameter.grad = gradient.clone()
        optimizer.step()
        difference = abs(keras.ops.convert_to_numpy(variable) - parameter.detach().numpy()).max()
        assert difference < 1e-6, f"step {step + 1}"


def test_torch_s_own_adam_would_not_do() -> None:
    start = torch.zeros(1)
    ours, torch_s = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    for parameter, optimizer in (
        (ours, KerasAdam([ours], rate=0.003, beta_1=0.9, beta_2=0.999, epsilon=1e-7)),
        (torch_s, torch.optim.Adam([torch_s], lr=0.003, eps=1e-7)),
    ):
        parameter.grad = torch.full((1,), 1e-6)
        optimizer.step()
    assert float((ours - torch_s).detach().abs()) > 1e-4


@pytest.mark.parametrize("kind", ["convolution", "pointwise", "depthwise"])
def test_fresh_kernels_have_keras_s_glorot_bounds(kind: str) -> None:
    torch.manual_seed(0)
    layers = {
        "convolution": (blocks.Convolution(16, 32, 3), keras.layers.Conv2D(32, 3, use_bias=False), 0),
        "depthwise": (blocks.SeparableConvolution(16, 32, 3), keras.layers.SeparableConv2D(32, 3, use_bias=False), 0),
        "pointwise": (blocks.SeparableConvolution(16, 32, 3), keras.layers.SeparableConv2D(32, 3, use_bias=False), 1),
    }
    ours, theirs, index = layers[kind]
    theirs.build((None, 12, 12, 16))
    own, reference = weights_for_keras(ours)[index], theirs.get_weights()[index]
    assert own.shape == reference.shape
    # Uniform: the largest of hundreds of draws stands close under the bound, and the deviation is the bound over root three.
    assert abs(own).max() == pytest.approx(abs(reference).max(), rel=0.06)
    assert own.std() == pytest.approx(reference.std(), rel=0.2)
