"""A network's training steps on compiled kernels: the same layers, the same values, fewer passes over memory.

`accelerated(network)` lends its plain layers (convolutions, BatchNormalization, max-pooling, and runs of these with ReLU and dropout inside
`nn.Sequential`) another way to compute their training step, and takes it back at the end. The network itself, what is checked, evaluated
and saved, stays as its author wrote it. Layers of other kinds, with hooks, or with unusual options keep torch's way. A network of the zoo
that is one chain, or towers of one chain each, takes its whole step at once (`WholeStep`). Level 1.
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
from budgetnet.zoo.blocks import Flatten, Network, Softmax, Towers


@contextmanager
def accelerated(network: nn.Module) -> Iterator[WholeStep | None]:
    """Compute the training steps of `network` with the compiled kernels, where there are any, until the end of the block.

    Gives a `WholeStep` where the network is one chain from the images to its softmax, or several towers that are.
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


class WholeStep:
    """A training step up to the gradients in one call for each chain: what Python and autograd take otherwise is a sixth of a small
    network's step.
    """

    def __init__(self, chains: list[_WholeChain]) -> None:
        self.chains = chains

    def __call__(self, images: Tensor, labels: Tensor, smoothing: float) -> tuple[float, int] | None:
        """Return the mean loss and how many answers are right, with the gradients in the parameters' `grad`.

        Of towers each is computed as if it were alone: the loss is the mean of theirs, the gradients are those of their sum, and an answer
        is right where that of the mean logits is. None, and nothing is changed, where these images need torch's way.
        """
        if not (_fits(images) and _is_batch(images, labels)):
            return None
        if not all(chain.prepared(images) for chain in self.chains):
            return None
        found = [chain.take(images, labels, smoothing) for chain in self.chains]
        if len(found) == 1:
            return found[0]
        joint = torch.stack([chain.logits for chain in self.chains]).sum(0)
        return sum(loss for loss, _ in found) / len(found), int((joint.argmax(1) == labels).sum())


@dataclass
class _WholeChain:
    """A network that is one chain."""

    network: Network
    chain: Chain
    step: kernels.TrainingStep | None = None

    def prepared(self, images: Tensor) -> bool:
        """Return whether the next `take` can be of such images."""
        program = self.chain.prepared(images) if self.network.training else None
        if program is None or any(map(_is_watched, program.parameters)):
            return False
        if self.step is None or self.step.program is not program:
            if not _is_plain(program, self.network):
                return False
            self.step = kernels.TrainingStep(program)
        return True

    def take(self, images: Tensor, labels: Tensor, smoothing: float) -> tuple[float, int]:
        """Return the mean loss and how many answers are right; gradients are in the parameters' `grad` then."""
        step = cast(kernels.TrainingStep, self.step)
        found = step(images, labels, smoothing, self.chain.keys())
        for parameter, gradient in zip(step.program.parameters, step.gradients, strict=True):
            parameter.grad = gradient
        return found

    @property
    def logits(self) -> Tensor:
        """What the last `take` gave before the softmax, (N, classes)."""
        return cast(kernels.TrainingStep, self.step).logits


def _whole_step(network: nn.Module) -> WholeStep | None:
    """Return the step of a network that is one chain, or of towers that are one each."""
    if type(network) is not Towers:
        chain = _whole_chain(network)
        return WholeStep([chain]) if chain else None
    changed = {"logits", "logits_of_each"} & vars(network).keys()
    parts = (network, network.towers, network.average, network.softmax)
    chains = [chain for tower in network.towers if (chain := _whole_chain(tower))]
    learned = [id(parameter) for tower in network.towers for parameter in tower.parameters()]
    alone = len(set(learned)) == len(learned) and len(chains) == len(network.towers)
    return WholeStep(chains) if alone and not changed and all(map(untouched, parts)) else None


def _whole_chain(network: nn.Module) -> _WholeChain | None:
    if type(network) is not Network or not untouched(network) or "logits" in vars(network) or not isinstance(network[-1], Softmax):
        return None
    layers = list(network)[:-1]
    flat = bool(layers) and type(layers[-1]) is Flatten and untouched(layers[-1])
    planned = plan(layers[:-1] if flat else layers)
    return _WholeChain(network, planned[0]) if len(planned) == 1 and isinstance(planned[0], Chain) else None


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
