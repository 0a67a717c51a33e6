"""A network's training steps on compiled kernels: the same layers, the same values, fewer passes over memory.

`accelerated(network)` lends its plain layers (convolutions, BatchNormalization, max-pooling, and runs of these with ReLU and dropout inside
`nn.Sequential`) another way to compute their training step, and takes it back at the end. The network itself, what is checked, evaluated
and saved, stays as its author wrote it. Layers of other kinds, with hooks, or with unusual options keep torch's way. A network of the zoo
that is one chain takes its whole step at once (`WholeStep`). Level 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from budgetnet import kernels
from budgetnet.chains import Chain, along, plan, take_run
from budgetnet.lendable import untouched
from budgetnet.zoo.blocks import Flatten, Network, Softmax


@contextmanager
def accelerated(network: nn.Module) -> Iterator[WholeStep | None]:
    """Compute the training steps of `network` with the compiled kernels, where there are any, until the end of the block.

    Gives a `WholeStep` where the network is one chain from the images to its softmax.
    """
    changed: list[tuple[nn.Module, str]] = []
    try:
        whole = None
        if kernels.library() is not None:
            whole = _whole_step(network)
            for module in network.modules():
                changed += _lend(module)
        yield whole
    finally:
        for module, name in changed:
            vars(module).pop(name, None)


@dataclass
class WholeStep:
    """A training step up to the gradients in one call: what Python and autograd take for it otherwise is a sixth of a small network's step."""

    network: Network
    chain: Chain
    step: kernels.TrainingStep | None = None

    def __call__(self, images: Tensor, labels: Tensor, smoothing: float) -> tuple[float, int] | None:
        """Return the mean loss and how many answers are right, with the gradients in the parameters' `grad`.

        None, and nothing is changed, where these images need torch's way.
        """
        program = self.chain.prepared(images) if self.network.training and _fits(images) else None
        if program is None or not _is_batch(images, labels) or any(map(_is_watched, program.parameters)):
            return None
        if self.step is None or self.step.program is not program:
            if not _is_plain(program, self.network):
                return None
            self.step = kernels.TrainingStep(program)
        found = self.step(images, labels, smoothing, self.chain.keys())
        for parameter, gradient in zip(program.parameters, self.step.gradients, strict=True):
            parameter.grad = gradient
        return found


def _whole_step(network: nn.Module) -> WholeStep | None:
    if type(network) is not Network or not untouched(network) or "logits" in vars(network) or not isinstance(network[-1], Softmax):
        return None
    layers = list(network)[:-1]
    flat = bool(layers) and type(layers[-1]) is Flatten and untouched(layers[-1])
    planned = plan(layers[:-1] if flat else layers)
    return WholeStep(network, planned[0]) if len(planned) == 1 and isinstance(planned[0], Chain) else None


def _is_plain(program: kernels.Program, network: Network) -> bool:
    """Return whether the chain gives logits (N, classes), and has each parameter once and in the order in which kernels read it."""
    learned, held = list(program.parameters), list(network.parameters())
    same = len(learned) == len(held) and {id(one) for one in learned} == {id(one) for one in held}
    return same and program.reads_in_place and program.gives_logits


def _is_watched(parameter: Tensor) -> bool:
    """Return whether a parameter does not learn, or somebody wants to see its gradient before the optimizer does."""
    return not parameter.requires_grad or bool(parameter._backward_hooks or parameter._post_accumulate_grad_hooks)


def _is_batch(images: Tensor, labels: Tensor) -> bool:
    plain = labels.dtype == torch.int64 and labels.is_cpu and labels.is_contiguous() and labels.shape == images.shape[:1]
    return plain and not images.requires_grad and images.is_contiguous(memory_format=torch.channels_last)


def _lend(module: nn.Module) -> list[tuple[nn.Module, str]]:
    name = "logits" if type(module) is Network else "forward"
    if name in vars(module):
        return []
    original = getattr(module, name)
    if type(module) in {nn.Sequential, Network}:
        layers = list(cast(nn.Sequential, module))  # not its children, of which one that comes twice is given once
        planned = plan(layers[:-1] if type(module) is Network else layers)
    else:
        parts, _ = take_run([module], 0)
        if not parts or type(module) is nn.ReLU:
            return []
        planned = [Chain(parts, [original])]

    def step(input: Tensor) -> Tensor:  # named as torch's layers name it
        return along(planned, input) if module.training and _fits(input) else original(input)

    vars(module)[name] = step
    return [(module, name)]


def _fits(images: object) -> bool:
    return isinstance(images, Tensor) and images.dtype == torch.float32 and images.device.type == "cpu" and torch.is_grad_enabled()
