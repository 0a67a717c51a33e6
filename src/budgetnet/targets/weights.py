"""Weights beside a network: a safetensors file, or a state dictionary of torch, read without running what it brings along.

Run in the confined child. Names must fit the network's; prefixes that wrappers add (`module.`, `_orig_mod.`, `model.`) are
taken off.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from budgetnet.errors import InputError
from budgetnet.targets.running import words_of

PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
INSIDE = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "ema")
TORCH_ENDINGS = (".pt", ".pth", ".bin", ".ckpt")
SHOWN = 3


def load_weights(network: nn.Module, path: Path, shape: tuple[int, int, int], label: str) -> None:
    """Put the weights of `path` into `network`. Raises `InputError` where the file is none, or does not fit."""
    state = _state(path, label)
    with torch.no_grad():
        if any(nn.parameter.is_lazy(tensor) for tensor in (*network.parameters(), *network.buffers())):
            network.eval()(torch.rand((2, *shape)))
    wanted = network.state_dict()
    state = _unwrapped(state, set(wanted))
    counters = {name for name in wanted if name.endswith("num_batches_tracked")}
    missing = sorted(wanted.keys() - state.keys() - counters)
    surplus = sorted(state.keys() - wanted.keys())
    if missing or surplus:
        said = [
            f"{len(names)} {word} ({', '.join(names[:SHOWN])})"
            for names, word in ((missing, "missing"), (surplus, "unknown"))
            if names
        ]
        raise InputError(f"{label}: the weights of {path.name} do not fit the network: {' and '.join(said)}.")
    for name, value in state.items():
        if tuple(value.shape) != tuple(wanted[name].shape):
            shapes = f"{tuple(value.shape)} and not {tuple(wanted[name].shape)}"
            raise InputError(f"{label}: the weights of {path.name} do not fit the network: {name!r} has the shape {shapes}.")
    network.load_state_dict(state, strict=False)


def _state(path: Path, label: str) -> dict[str, Tensor]:
    suffix = path.suffix.lower()
    try:
        if suffix == ".safetensors":
            content: Any = load_file(path)
        elif suffix in TORCH_ENDINGS:
            content = torch.load(path, map_location="cpu", weights_only=True)
        else:
            raise InputError(f"{label}: weights are a .safetensors file, or a state dictionary in a .pt file, not {path.name}.")
    except InputError:
        raise
    except SafetensorError as error:
        raise InputError(f"{label}: {path.name} is no sound safetensors file: {words_of(error)}") from None
    except Exception as error:
        if "weights_only" in str(error) or type(error).__name__ == "UnpicklingError":
            raise InputError(
                f"{label}: {path.name} holds more than weights, and reading it would run code that it brings along; "
                "save network.state_dict() alone."
            ) from None
        raise InputError(f"{label}: {path.name} cannot be read: {words_of(error)}") from None
    for key in INSIDE:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{label}: {path.name} holds no state dictionary; save network.state_dict().")
    return {str(name): value for name, value in content.items()}


def _unwrapped(state: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        if state and all(name.startswith(prefix) for name in state) and not wanted & state.keys():
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state
