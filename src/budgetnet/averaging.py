"""A running average of a network's weights and statistics, which takes their place at the end: still one network, one forward pass.

The average follows the weights with the recipe's decay for each step, and faster at first, while there is little to average; it is
brought up to date every few steps. Source: Polyak and Juditsky (1992); with decay, as in Tarvainen and Valpola, arXiv:1703.01780.
Costs about 60 µs an update. Level 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

EVERY = 4
"""Steps between two updates."""
EARLY = 9
"""The n-th update forgets at least one part in (n + EARLY): an early average is young."""


class Average:
    """The average of a network's floating-point weights and statistics under a decay in (0, 1) for each step."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._live = _floating(network)
        self._kept = {name: tensor.clone() for name, tensor in self._live.items()}

    def after_step(self, step: int) -> None:
        """Follow the weights as they are after `step`, counted from 0 through all epochs."""
        if (step + 1) % EVERY:
            return
        decay = min(self.decay, self.updates / (self.updates + EARLY)) ** EVERY
        self.updates += 1
        torch._foreach_lerp_(list(self._kept.values()), list(self._live.values()), 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the average into the network, and the weights back at the end of the block."""
        weights = {name: tensor.clone() for name, tensor in self._live.items()}
        self.take_over()
        try:
            yield
        finally:
            _copy(weights, self._live)

    def take_over(self) -> None:
        """Put the average into the network for good."""
        _copy(self._kept, self._live)

    def state_tensors(self) -> dict[str, Tensor]:
        """Return what the next update depends on, by name."""
        return {"updates": torch.tensor([self.updates]), **{f"kept.{name}": tensor for name, tensor in self._kept.items()}}

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `state_tensors` gave."""
        self.updates = int(tensors["updates"].item())
        _copy({name: tensors[f"kept.{name}"] for name in self._kept}, self._kept)


def _floating(network: nn.Module) -> dict[str, Tensor]:
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    return {name: tensor.detach() for name, tensor in tensors.items() if tensor.is_floating_point()}


def _copy(source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
    for name, tensor in target.items():
        tensor.copy_(source[name])
