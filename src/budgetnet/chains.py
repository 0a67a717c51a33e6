"""Layers in a row as the links of one chain for the compiled kernels; nothing here changes a layer.

Costs a look at each layer in each step, to see whether it still holds what it held; a chain is laid out anew only where it does not. Level 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from budgetnet import kernels
from budgetnet.lendable import (
    averages_to_one,
    is_averaging,
    is_convolution,
    is_dropout,
    is_max_pooling,
    is_normalization,
    is_relu,
    is_separable,
    is_silu,
)
from budgetnet.zoo.blocks import BatchNormalization, Dropout, SeparableConvolution

Step = Callable[[Tensor], Tensor]


def along(steps: list[Step], images: Tensor) -> Tensor:
    """Return what the steps make of `images`, one after another."""
    for step in steps:
        images = step(images)
    return images


def plan(layers: list[nn.Module]) -> list[Step]:
    """Return the steps that compute `layers` one after another in training mode: chains of kernels, and layers of other kinds."""
    steps: list[Step] = []
    at = 0
    while at < len(layers):
        parts, taken = take_run(layers, at)
        steps.append(Chain(parts, list(layers[at : at + taken])) if taken else layers[at])
        at += max(1, taken)
    return steps


def take_run(layers: list[nn.Module], at: int) -> tuple[list[Part], int]:
    """Return what computes the layers from `at` on as one chain, and how many layers these are."""
    parts: list[Part] = []
    start = at
    while at < len(layers):
        layer = layers[at]
        if is_max_pooling(layer):
            parts.append(_Pooling(cast(nn.MaxPool2d, layer)))
            at += 1
        elif is_averaging(layer):
            parts.append(_Averaging(layer))
            at += 1
            break
        elif is_convolution(layer) or is_separable(layer):
            parts.append(
                _Convolution(cast(nn.Conv2d, layer)) if is_convolution(layer) else _Separable(cast(SeparableConvolution, layer))
            )
            at += 1
            if getattr(layer, "activation", None) == "relu":
                at = _take_stage(layers, at, parts, rectified=True)
        elif is_relu(layer) and (parts or not cast(nn.ReLU, layer).inplace):  # what comes in may have other readers
            at = _take_stage(layers, at + 1, parts, rectified=True)
        elif is_normalization(layer):
            at = _take_stage(layers, at, parts, rectified=False)
        else:
            break
    return parts, at - start


def _take_stage(layers: list[nn.Module], at: int, parts: list[Part], *, rectified: bool) -> int:
    """Take the normalization at `at`, if there is one, with what came before it and may follow it; return where the next layer is."""
    if not _has(layers, at, is_normalization):
        parts.append(_Rectification())
        return at
    stage = _Stage(cast(nn.BatchNorm2d, layers[at]), relu_first=rectified)
    at += 1
    if _has(layers, at, is_relu) or _has(layers, at, is_silu):
        stage.activation, at = "relu" if is_relu(layers[at]) else "silu", at + 1
    if _has(layers, at, is_dropout):
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
    program: kernels.Program | None = None
    """For the last batch."""
    held: list[object] = field(default_factory=list)
    """What the layers held when `program` was made."""

    def __call__(self, images: Tensor) -> Tensor:
        """Return what the layers make of `images`, and let them keep their running statistics."""
        program = self.prepared(images)
        return along(self.plain, images) if program is None else kernels.compute(program, images, self.keys())

    def prepared(self, images: Tensor) -> kernels.Program | None:
        """Return what computes the layers for such images; None where the kernels do not, or a layer was told to evaluate."""
        if not all(part.ready for part in self.parts):
            return None
        held = [value for part in self.parts for value in part.holds()]
        if self.program is None or not _same(held, self.held) or not self.program.fits(images):
            self.program, self.held = self._program(images), held
        return self.program

    def keys(self) -> list[int]:
        """Draw what this step's masks depend on."""
        return [part.key() for part in self.parts if isinstance(part, _Stage)]

    def _program(self, images: Tensor) -> kernels.Program | None:
        links = [link for part in self.parts for link in part.links()]
        shapes = kernels.shapes_along(images, links)
        return None if shapes is None else kernels.Program(links, len(images), shapes)


def _same(values: list[object], others: list[object]) -> bool:
    pairs = zip(values, others, strict=False)
    return len(values) == len(others) and all(
        one is other or (not isinstance(one, Tensor) and one == other) for one, other in pairs
    )


def _tensors(layer: nn.Module, *names: str) -> tuple[object, ...]:
    """Return a layer's tensors. Its dictionaries are asked first: to ask the layer by name takes four times as long."""
    known: list[dict[str, Tensor | None]] = [cast(dict[str, Tensor | None], layer._parameters), layer._buffers]
    found = [next((own[name] for own in known if own.get(name) is not None), None) for name in names]
    return tuple([getattr(layer, name, None) if tensor is None else tensor for name, tensor in zip(names, found, strict=True)])


class _Alike:
    """What computes the same in training and evaluation. `ready` says whether a part is to be computed as its links say, at this moment."""

    ready: ClassVar[bool] = True


@dataclass
class _Convolution(_Alike):
    layer: nn.Conv2d

    def holds(self) -> tuple[object, ...]:
        return (*_tensors(self.layer, "weight", "bias"), self.layer.padding)

    def links(self) -> tuple[kernels.Link, ...]:
        layer = self.layer
        kind = kernels.Convolution if layer.groups == 1 else kernels.DepthwiseConvolution
        convolution = kind(layer.weight, cast(int, layer.padding[0]))
        return (convolution,) if layer.bias is None else (convolution, kernels.Shift(layer.bias))


@dataclass
class _Separable(_Alike):
    layer: SeparableConvolution

    def holds(self) -> tuple[object, ...]:
        return _tensors(self.layer, "depthwise", "pointwise")

    def links(self) -> tuple[kernels.Link, ...]:
        return kernels.DepthwiseConvolution(self.layer.depthwise, 0), kernels.Convolution(self.layer.pointwise, 0)


@dataclass
class _Pooling(_Alike):
    layer: nn.MaxPool2d

    def holds(self) -> tuple[object, ...]:
        return (self.layer.kernel_size,)

    def links(self) -> tuple[kernels.Link, ...]:
        return (kernels.MaxPooling(cast(int, self.layer.kernel_size)),)


@dataclass
class _Averaging:
    layer: nn.Module

    @property
    def ready(self) -> bool:
        return averages_to_one(self.layer)

    def holds(self) -> tuple[object, ...]:
        return ()

    def links(self) -> tuple[kernels.Link, ...]:
        return (kernels.Averaging(keeps_places=type(self.layer) is nn.AdaptiveAvgPool2d),)


class _Rectification(_Alike):
    def holds(self) -> tuple[object, ...]:
        return ()

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
    def ready(self) -> bool:
        return self.layer.training and (self.dropout is None or self.dropout.training)

    @property
    def threshold(self) -> int:
        return self.dropout.threshold if self.dropout else 0

    def key(self) -> int:
        """Draw what this step's mask depends on."""
        if self.dropout is None or not self.threshold:
            return 0
        return int(torch.empty((), dtype=torch.int64).random_(generator=self.dropout.generator))

    def holds(self) -> tuple[object, ...]:
        layer = self.layer
        tensors = _tensors(layer, "weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        return (*tensors, layer.eps, layer.momentum, self.threshold)

    def links(self) -> tuple[kernels.Link, ...]:
        layer = self.layer
        as_keras = isinstance(layer, BatchNormalization)
        stage = kernels.Stage(
            layer.weight,
            layer.bias,
            layer.eps,
            relu_first=self.relu_first,
            activation=self.activation,
            threshold=self.threshold,
            running_mean=layer.running_mean,
            running_variance=layer.running_var,
            batches_tracked=None if as_keras else layer.num_batches_tracked,
            momentum=cast(float, layer.momentum),
            unbiased=not as_keras,
        )
        return (stage,)


Part = _Convolution | _Separable | _Pooling | _Averaging | _Rectification | _Stage
