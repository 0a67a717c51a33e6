"""A network's training steps on compiled kernels: the same layers, the same values, fewer passes over memory.

`accelerated(network)` lends its plain layers (convolutions, BatchNormalization, max-pooling, and runs of these with ReLU and dropout inside
`nn.Sequential`) another way to compute their training step, and takes it back at the end. The network itself, what is checked, evaluated
and saved, stays as its author wrote it. Layers of other kinds, with hooks, or with unusual options keep torch's way. Level 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from budgetnet import kernels
from budgetnet.kernels.operations import MOST_CHANNELS
from budgetnet.zoo.blocks import BatchNormalization, Convolution, Dropout, MaxPooling, Network

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
    if type(module) in {nn.Sequential, Network}:
        layers = list(module.children())
        planned = plan(layers[:-1] if type(module) is Network else layers)
    elif _is_convolution(module) or _is_normalization(module) or _is_max_pooling(module):
        planned = plan([module])
    else:
        return []
    original = getattr(module, name)

    def step(images: Tensor) -> Tensor:
        return _along(planned, images) if module.training and _fits(images) else original(images)

    vars(module)[name] = step
    return [(module, name)]


def _along(steps: list[Step], images: Tensor) -> Tensor:
    for step in steps:
        images = step(images)
    return images


def _fits(images: Tensor) -> bool:
    return images.dtype == torch.float32 and images.device.type == "cpu" and torch.is_grad_enabled()


def plan(layers: list[nn.Module]) -> list[Step]:
    """Return the steps that compute `layers` one after another in training mode, neighbours joined where a kernel does both."""
    steps: list[Step] = []
    at = 0
    while at < len(layers):
        run = _take_run(layers, at)
        if run is None:
            steps.append(layers[at])
            at += 1
            continue
        made, taken = run
        steps += made
        at += taken
    return steps


def _take_run(layers: list[nn.Module], at: int) -> tuple[list[Step], int] | None:
    layer = layers[at]
    if _is_max_pooling(layer):
        size = cast(int, cast(nn.MaxPool2d, layer).kernel_size)
        return [lambda images: _pooled(images, size)], 1
    taken = 0
    steps: list[Step] = []
    relu_first = False
    if _is_convolution(layer):
        convolution = cast(nn.Conv2d, layer)
        steps.append(lambda images: _convolved(convolution, images))
        taken, relu_first = 1, getattr(layer, "activation", None) == "relu"
    if not relu_first and _has(layers, at + taken, _is_relu) and _has(layers, at + taken + 1, _is_normalization):
        taken, relu_first = taken + 1, True
    if _has(layers, at + taken, _is_normalization):
        joined = _Stage(layers[at + taken], relu_first)
        taken += 1
        if _has(layers, at + taken, _is_relu):
            joined.relu_last, taken = True, taken + 1
        if _has(layers, at + taken, _is_dropout):
            joined.dropout, taken = cast(Dropout, layers[at + taken]), taken + 1
        return [*steps, joined], taken
    if relu_first:
        steps.append(F.relu)
    return (steps, taken) if taken else None


def _has(layers: list[nn.Module], at: int, kind: Callable[[nn.Module], bool]) -> bool:
    return at < len(layers) and kind(layers[at])


def _convolved(layer: nn.Conv2d, images: Tensor) -> Tensor:
    padding = cast(int, layer.padding[0])
    if (
        images.dim() != 4
        or images.shape[2] + 2 * padding < layer.kernel_size[0]
        or images.shape[3] + 2 * padding < layer.kernel_size[1]
    ):
        return F.conv2d(images, layer.weight, layer.bias, padding=padding)  # torch's words for what is wrong
    compute = kernels.convolution if layer.groups == 1 else kernels.depthwise_convolution
    result = compute(images, layer.weight, padding)
    return result if layer.bias is None else result + layer.bias[:, None, None]


def _pooled(images: Tensor, size: int) -> Tensor:
    fits = images.dim() == 4 and min(images.shape[2:]) >= size and images.shape[1] <= MOST_CHANNELS
    return kernels.max_pooling(images, size) if fits else F.max_pool2d(images, size)


@dataclass
class _Stage:
    """ReLU, normalisation, ReLU, dropout in two passes; also keeps the running statistics as its layer would."""

    layer: nn.Module
    relu_first: bool
    relu_last: bool = False
    dropout: Dropout | None = None

    def __call__(self, images: Tensor) -> Tensor:
        layer = cast(nn.BatchNorm2d, self.layer)
        threshold = self.dropout.threshold if self.dropout else 0
        key = 0
        if self.dropout and threshold:
            key = int(torch.empty((), dtype=torch.int64).random_(generator=self.dropout.generator))
        result, mean, variance = kernels.stage(
            images,
            layer.weight,
            layer.bias,
            epsilon=layer.eps,
            relu_first=self.relu_first,
            relu_last=self.relu_last,
            threshold=threshold,
            key=key,
        )
        self._update(layer, mean, variance, images.numel() // images.shape[1])
        return result

    @torch.no_grad()
    def _update(self, layer: nn.BatchNorm2d, mean: Tensor, variance: Tensor, count: int) -> None:
        if layer.running_mean is None or layer.running_var is None:
            return
        share = cast(float, layer.momentum)
        if not isinstance(layer, BatchNormalization):
            variance = variance * (count / max(1, count - 1))
            cast(Tensor, layer.num_batches_tracked).add_(1)
        layer.running_mean.lerp_(mean, share)
        layer.running_var.lerp_(variance, share)


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
        and max(layer.in_channels, layer.out_channels) <= MOST_CHANNELS
    )


def _is_normalization(module: nn.Module) -> bool:
    if type(module) not in {nn.BatchNorm2d, BatchNormalization} or not _untouched(module):
        return False
    layer = cast(nn.BatchNorm2d, module)
    return layer.momentum is not None and layer.num_features <= MOST_CHANNELS and layer.track_running_stats


def _is_max_pooling(module: nn.Module) -> bool:
    if type(module) not in {nn.MaxPool2d, MaxPooling} or not _untouched(module):
        return False
    layer = cast(nn.MaxPool2d, module)
    size = layer.kernel_size
    plain = layer.padding == 0 and layer.dilation == 1 and not layer.ceil_mode and not layer.return_indices
    return isinstance(size, int) and layer.stride == size and plain and size <= 15


def _is_relu(module: nn.Module) -> bool:
    return type(module) is nn.ReLU and _untouched(module)


def _is_dropout(module: nn.Module) -> bool:
    return type(module) is Dropout and _untouched(module)
