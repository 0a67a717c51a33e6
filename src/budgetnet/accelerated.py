"""A network's training steps on compiled kernels: the same layers, the same values, fewer passes over memory.

`accelerated(network)` lends its plain layers (convolutions, BatchNormalization, max-pooling, and runs of these with ReLU and dropout inside
`nn.Sequential`) another way to compute their training step, and takes it back at the end. The network itself, what is checked, evaluated
and saved, stays as its author wrote it. Layers of other kinds, with hooks, or with unusual options keep torch's way. Level 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from budgetnet import kernels
from budgetnet.zoo.blocks import BatchNormalization, Convolution, Dropout, MaxPooling, Network, SeparableConvolution

Step = Callable[[Tensor], Tensor]


@contextmanager
def accelerated(network: nn.Module) -> Iterator[None]:
    """Compute the training steps of `network` with the compiled kernels, where there are any, until the end of the block."""
    changed: list[tuple[nn.Module, str]] = []
    try:
        if kernels.library() is not None:
            for module in network.modules():
                changed += _lend(module)
        yield
    finally:
        for module, name in changed:
            vars(module).pop(name, None)


def _lend(module: nn.Module) -> list[tuple[nn.Module, str]]:
    name = "logits" if type(module) is Network else "forward"
    if name in vars(module):
        return []
    original = getattr(module, name)
    if type(module) in {nn.Sequential, Network}:
        layers = list(cast(nn.Sequential, module))  # not its children, of which one that comes twice is given once
        planned = plan(layers[:-1] if type(module) is Network else layers)
    else:
        parts, _ = _take_run([module], 0)
        if not parts or type(module) is nn.ReLU:
            return []
        planned = [Chain(parts, [original])]

    def step(input: Tensor) -> Tensor:  # named as torch's layers name it
        return _along(planned, input) if module.training and _fits(input) else original(input)

    vars(module)[name] = step
    return [(module, name)]


def _along(steps: list[Step], images: Tensor) -> Tensor:
    for step in steps:
        images = step(images)
    return images


def _fits(images: object) -> bool:
    return isinstance(images, Tensor) and images.dtype == torch.float32 and images.device.type == "cpu" and torch.is_grad_enabled()


def plan(layers: list[nn.Module]) -> list[Step]:
    """Return the steps that compute `layers` one after another in training mode: chains of kernels, and layers of other kinds."""
    steps: list[Step] = []
    at = 0
    while at < len(layers):
        parts, taken = _take_run(layers, at)
        steps.append(Chain(parts, list(layers[at : at + taken])) if taken else layers[at])
        at += max(1, taken)
    return steps


def _take_run(layers: list[nn.Module], at: int) -> tuple[list[Part], int]:
    """Return what computes the layers from `at` on as one chain, and how many layers these are."""
    parts: list[Part] = []
    start = at
    while at < len(layers):
        layer = layers[at]
        if _is_max_pooling(layer):
            parts.append(_Pooling(cast(nn.MaxPool2d, layer)))
            at += 1
        elif _is_convolution(layer) or _is_separable(layer):
            parts.append(
                _Convolution(cast(nn.Conv2d, layer)) if _is_convolution(layer) else _Separable(cast(SeparableConvolution, layer))
            )
            at += 1
            if getattr(layer, "activation", None) == "relu":
                at = _take_stage(layers, at, parts, rectified=True)
        elif _is_relu(layer) and (parts or not cast(nn.ReLU, layer).inplace):  # what comes in may have other readers
            at = _take_stage(layers, at + 1, parts, rectified=True)
        elif _is_normalization(layer):
            at = _take_stage(layers, at, parts, rectified=False)
        else:
            break
    return parts, at - start


def _take_stage(layers: list[nn.Module], at: int, parts: list[Part], *, rectified: bool) -> int:
    """Take the normalization at `at`, if there is one, with what came before it and may follow it; return where the next layer is."""
    if not _has(layers, at, _is_normalization):
        parts.append(_Rectification())
        return at
    stage = _Stage(cast(nn.BatchNorm2d, layers[at]), relu_first=rectified)
    at += 1
    if _has(layers, at, _is_relu) or _has(layers, at, _is_silu):
        stage.activation, at = "relu" if _is_relu(layers[at]) else "silu", at + 1
    if _has(layers, at, _is_dropout):
        stage.dropout, at = cast(Dropout, layers[at]), at + 1
    parts.append(stage)
    return at


def _has(layers: list[nn.Module], at: int, kind: Callable[[nn.Module], bool]) -> bool:
    return at < len(layers) and kind(layers[at])


@dataclass
class Chain:
    """Layers that are computed at once. `plain` computes them one by one: for images that the kernels do not take, or where one of the
    layers was told to evaluate.
    """

    parts: list[Part]
    plain: list[Step]

    def __call__(self, images: Tensor) -> Tensor:
        """Return what the layers make of `images`, and let them keep their running statistics."""
        if not all(part.training for part in self.parts):
            return _along(self.plain, images)
        links = [link for part in self.parts for link in part.links()]
        shapes = kernels.shapes_along(images, links)
        return _along(self.plain, images) if shapes is None else kernels.chain(images, links, shapes)


class _Alike:
    """What computes the same in training and evaluation."""

    training: ClassVar[bool] = True


@dataclass
class _Convolution(_Alike):
    layer: nn.Conv2d

    def links(self) -> tuple[kernels.Link, ...]:
        layer = self.layer
        kind = kernels.Convolution if layer.groups == 1 else kernels.DepthwiseConvolution
        convolution = kind(layer.weight, cast(int, layer.padding[0]))
        return (convolution,) if layer.bias is None else (convolution, kernels.Shift(layer.bias))


@dataclass
class _Separable(_Alike):
    layer: SeparableConvolution

    def links(self) -> tuple[kernels.Link, ...]:
        return kernels.DepthwiseConvolution(self.layer.depthwise, 0), kernels.Convolution(self.layer.pointwise, 0)


@dataclass
class _Pooling(_Alike):
    layer: nn.MaxPool2d

    def links(self) -> tuple[kernels.Link, ...]:
        return (kernels.MaxPooling(cast(int, self.layer.kernel_size)),)


class _Rectification(_Alike):
    def links(self) -> tuple[kernels.Link, ...]:
        return (kernels.Rectification(),)


@dataclass
class _Stage:
    """ReLU, normalisation, ReLU or SiLU, dropout; also keeps the running statistics as its layer would."""

    layer: nn.BatchNorm2d
    relu_first: bool
    activation: Literal["none", "relu", "silu"] = "none"
    dropout: Dropout | None = None

    @property
    def training(self) -> bool:
        return self.layer.training and (self.dropout is None or self.dropout.training)

    def links(self) -> tuple[kernels.Link, ...]:
        layer = self.layer
        threshold = self.dropout.threshold if self.dropout else 0
        key = 0
        if self.dropout and threshold:
            key = int(torch.empty((), dtype=torch.int64).random_(generator=self.dropout.generator))
        as_keras = isinstance(layer, BatchNormalization)
        stage = kernels.Stage(
            layer.weight,
            layer.bias,
            layer.eps,
            relu_first=self.relu_first,
            activation=self.activation,
            threshold=threshold,
            key=key,
            running_mean=layer.running_mean,
            running_variance=layer.running_var,
            batches_tracked=None if as_keras else layer.num_batches_tracked,
            momentum=cast(float, layer.momentum),
            unbiased=not as_keras,
        )
        return (stage,)


Part = _Convolution | _Separable | _Pooling | _Rectification | _Stage


def _untouched(module: nn.Module) -> bool:
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return not any(hooks) and "forward" not in vars(module)


def _is_convolution(module: nn.Module) -> bool:
    if type(module) not in {nn.Conv2d, Convolution} or not _untouched(module):
        return False
    layer = cast(nn.Conv2d, module)
    side = layer.kernel_size[0]
    return (
        layer.kernel_size == (side, side)
        and layer.stride == (1, 1)
        and layer.dilation == (1, 1)
        and (layer.groups == 1 or layer.groups == layer.in_channels == layer.out_channels)
        and layer.padding_mode == "zeros"
        and layer.padding in {(pad, pad) for pad in range(side)}
        and max(layer.in_channels, layer.out_channels) <= kernels.MOST_CHANNELS
    )


def _is_separable(module: nn.Module) -> bool:
    return type(module) is SeparableConvolution and _untouched(module)


def _is_normalization(module: nn.Module) -> bool:
    if type(module) not in {nn.BatchNorm2d, BatchNormalization} or not _untouched(module):
        return False
    layer = cast(nn.BatchNorm2d, module)
    return layer.momentum is not None and layer.num_features <= kernels.MOST_CHANNELS and layer.track_running_stats


def _is_max_pooling(module: nn.Module) -> bool:
    if type(module) not in {nn.MaxPool2d, MaxPooling} or not _untouched(module):
        return False
    layer = cast(nn.MaxPool2d, module)
    size = layer.kernel_size
    plain = layer.padding == 0 and layer.dilation == 1 and not layer.ceil_mode and not layer.return_indices
    return isinstance(size, int) and layer.stride == size and plain and size <= 15


def _is_relu(module: nn.Module) -> bool:
    return type(module) is nn.ReLU and _untouched(module)


def _is_silu(module: nn.Module) -> bool:
    return type(module) is nn.SiLU and _untouched(module)


def _is_dropout(module: nn.Module) -> bool:
    return type(module) is Dropout and _untouched(module)
