"""What a network declares: its modules, parameters and buffers, read from where torch keeps them.

`parameters()`, `named_modules()` and their kin are methods, and a network may answer them as it likes; the dictionaries that
training, saving and moving a network rest on cannot be talked out of what they hold. Costs a walk over the modules.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn


def modules(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return each module once, with its path in the network (`""` for the network itself), parents before children."""
    found: dict[int, tuple[str, nn.Module]] = {}
    waiting = [("", network)]
    while waiting:
        path, module = waiting.pop()
        if id(module) in found:
            continue
        found[id(module)] = (path, module)
        children = [(f"{path}.{name}" if path else name, child) for name, child in _table(module, "_modules") if child is not None]
        waiting += reversed(children)
    return list(found.values())


def parameters(network: nn.Module) -> list[tuple[str, nn.Module, nn.Parameter]]:
    """Return path, owner and tensor of each parameter, each once."""
    return list(_tensors(network, "_parameters"))


def buffers(network: nn.Module) -> list[tuple[str, nn.Module, Tensor]]:
    """Return path, owner and tensor of each buffer, each once."""
    return list(_tensors(network, "_buffers"))


def tensors(network: nn.Module) -> list[Tensor]:
    """Return all parameters and buffers, each once."""
    return [tensor for _, _, tensor in (*parameters(network), *buffers(network))]


def children(module: nn.Module) -> list[nn.Module]:
    """Return the modules that this one holds directly."""
    return [child for _, child in _table(module, "_modules") if child is not None]


def _table(module: nn.Module, table: str) -> list[tuple[str, Any]]:
    """Return the table's entries; a scripted module keeps them in its compiled form, behind a view with `items` alone."""
    return list((module.__dict__[table] if table in module.__dict__ else getattr(module, table)).items())


def _tensors(network: nn.Module, table: str) -> Iterator[tuple[str, nn.Module, nn.Parameter]]:
    seen: dict[int, Tensor] = {}  # held, because a scripted module makes a new object for each look, and addresses come again
    for path, module in modules(network):
        for name, tensor in _table(module, table):
            if tensor is not None and id(tensor) not in seen:
                seen[id(tensor)] = tensor
                yield (f"{path}.{name}" if path else name), module, tensor
