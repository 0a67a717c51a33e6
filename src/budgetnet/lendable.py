"""Which single layers the compiled kernels can compute: exactly torch's and the zoo's own classes, without hooks, with plain options.

Level 1.
"""

from __future__ import annotations

from typing import cast

from torch import nn

from budgetnet import kernels
from budgetnet.zoo.blocks import BatchNormalization, Convolution, Dropout, GlobalAveragePooling, MaxPooling, SeparableConvolution


def untouched(module: nn.Module) -> bool:
    """Return whether a layer is called without hooks, and by its own class's `forward`."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return not any(hooks) and "forward" not in vars(module)


def is_convolution(module: nn.Module) -> bool:
    """Return whether a layer is a square convolution with stride 1 of channels that the kernels take, as its class computes it."""
    if type(module) not in {nn.Conv2d, Convolution} or not untouched(module):
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


def is_separable(module: nn.Module) -> bool:
    """Return whether a layer is the zoo's separable convolution, as its class computes it."""
    return type(module) is SeparableConvolution and untouched(module)


def is_normalization(module: nn.Module) -> bool:
    """Return whether a layer is a BatchNormalization by the batch, with running statistics, as its class computes it."""
    if type(module) not in {nn.BatchNorm2d, BatchNormalization} or not untouched(module):
        return False
    layer = cast(nn.BatchNorm2d, module)
    return layer.momentum is not None and layer.num_features <= kernels.MOST_CHANNELS and layer.track_running_stats


def is_max_pooling(module: nn.Module) -> bool:
    """Return whether a layer is a max-pooling over windows that do not overlap, as its class computes it."""
    if type(module) not in {nn.MaxPool2d, MaxPooling} or not untouched(module):
        return False
    layer = cast(nn.MaxPool2d, module)
    size = layer.kernel_size
    plain = layer.padding == 0 and layer.dilation == 1 and not layer.ceil_mode and not layer.return_indices
    return isinstance(size, int) and layer.stride == size and plain and size <= 15


def is_averaging(module: nn.Module) -> bool:
    """Return whether a layer is a mean over all places, as its class computes it."""
    return averages_to_one(module) and untouched(module)


def averages_to_one(module: nn.Module) -> bool:
    """Return whether a layer gives one mean for each channel, at this moment."""
    if type(module) is nn.AdaptiveAvgPool2d:
        return module.output_size in (1, (1, 1), [1, 1])
    return type(module) is GlobalAveragePooling


def is_relu(module: nn.Module) -> bool:
    """Return whether a layer is a ReLU, as its class computes it."""
    return type(module) is nn.ReLU and untouched(module)


def is_silu(module: nn.Module) -> bool:
    """Return whether a layer is a SiLU, as its class computes it."""
    return type(module) is nn.SiLU and untouched(module)


def is_dropout(module: nn.Module) -> bool:
    """Return whether a layer is the zoo's dropout, as its class computes it."""
    return type(module) is Dropout and untouched(module)
