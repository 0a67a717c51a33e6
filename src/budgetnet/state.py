"""The state of a training between two steps: all that the next step depends on, and nothing else.

Tensors (weights, BatchNormalization statistics, optimizer moments, generators) go into a safetensors file, everything else into JSON.
A negative control in the tests drops each kind and sees the resumed run differ. Level 2; 0.2 MB and a few milliseconds to save.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from budgetnet.averaging import Average
from budgetnet.checkpoints import Checkpoint
from budgetnet.errors import InputError
from budgetnet.optimizer import AnyOptimizer


@dataclass
class Position:
    """Where a run stands, and the sums that its next log line needs."""

    epoch: int = 0
    """Complete epochs."""
    step: int = 0
    """Complete steps of the epoch that is under way."""
    samples_seen: int = 0
    """Images that went through an optimizer step, in all."""
    loss_sum: float = 0.0
    """Sum over the images of the epoch under way."""
    correct: int = 0
    """Right answers in the epoch under way, in training mode."""
    seconds: float = 0.0
    """Of the epoch under way."""
    recent_loss: float = 0.0
    """Running mean over the last steps, by which divergence is seen."""
    log: list[dict[str, Any]] = field(default_factory=list)
    timing: list[dict[str, Any]] = field(default_factory=list)


def capture(
    position: Position, network: nn.Module, optimizer: AnyOptimizer, average: Average | None, generators: dict[str, Tensor]
) -> Checkpoint:
    """Return the state as a checkpoint; `generators` holds the states of the epoch's generators by purpose (uint8 tensors)."""
    tensors = {f"network.{name}": tensor for name, tensor in network_tensors(network).items()}
    tensors |= {f"buffer.{name}": tensor for name, tensor in _unsaved_buffers(network).items()}
    tensors |= {f"optimizer.{name}": tensor for name, tensor in optimizer.state_tensors().items()}
    if average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in average.state_tensors().items()}
    tensors |= {f"generator.{purpose}": tensor for purpose, tensor in generators.items()}
    return Checkpoint(asdict(position), as_safetensors(tensors))


def restore(
    checkpoint: Checkpoint, network: nn.Module, optimizer: AnyOptimizer, average: Average | None
) -> tuple[Position, dict[str, Tensor]]:
    """Put a checkpoint's tensors into `network` and `optimizer`; return the position and the generators' states."""
    tensors = load(checkpoint.tensors)
    load_network(network, _under("network.", tensors))
    with torch.no_grad():
        for name, tensor in _under("buffer.", tensors).items():
            network.get_buffer(name).copy_(tensor)
    optimizer.load_state_tensors(_like_parameters(optimizer, _under("optimizer.", tensors)))
    if average is not None:
        average.load_state_tensors(_under("average.", tensors))
    return Position(**checkpoint.state), _under("generator.", tensors)


def load_network(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put saved weights into `network`, keeping its memory layout. Raises `InputError` where they are another network's."""
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(f"The saved weights are not this network's: {str(error).splitlines()[-1].strip()}") from None


def network_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return the network's weights and statistics by name. Raises `InputError` where it keeps anything but tensors."""
    state = network.state_dict()
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise InputError(
                f"{type(network).__name__}: keeps {name} beside its weights, a {type(value).__name__}; only tensors can be saved."
            )
    return state


def as_safetensors(tensors: dict[str, Tensor]) -> bytes:
    """Return a safetensors file's bytes.

    Such a file knows neither strides nor sharing: each tensor is written whole, and gets its layout back on loading.
    """
    return save({name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()})


def all_finite(network: nn.Module) -> bool:
    """Return whether no weight and no statistic is NaN or infinite."""
    return all(bool(tensor.isfinite().all()) for tensor in [*network.parameters(), *network.buffers()])


def _unsaved_buffers(network: nn.Module) -> dict[str, Tensor]:
    saved = network.state_dict().keys()
    return {name: buffer for name, buffer in network.named_buffers() if name not in saved}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _like_parameters(optimizer: AnyOptimizer, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    laid_out = {}
    for name, tensor in tensors.items():
        index = name.partition(".")[0]
        is_moment = index.isdigit() and tensor.shape == parameters[int(index)].shape
        laid_out[name] = torch.empty_like(parameters[int(index)]).copy_(tensor) if is_moment else tensor
    return laid_out
