"""A network held still while it is measured: whatever calls of it change is put back, and so are torch's random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from budgetnet.check import declared

STIR = 0.1
TABLES = ("_parameters", "_buffers", "_modules")


@contextmanager
def held(network: nn.Module) -> Iterator[None]:
    """Put back whatever a forward pass changes: modes, attributes, and the values of parameters and buffers."""
    attributes = [(module, dict(module.__dict__)) for _, module in declared.modules(network)]
    tables = [{name: dict(module.__dict__[name]) for name in TABLES if _is_plain(module, name)} for module, _ in attributes]
    tensors = [tensor for tensor in declared.tensors(network) if not nn.parameter.is_lazy(tensor)]
    values = [tensor.detach().clone() for tensor in tensors]
    try:
        yield
    finally:
        for (module, before), contents in zip(attributes, tables, strict=True):
            module.__dict__.clear()
            module.__dict__.update(before)
            for name, content in contents.items():
                module.__dict__[name].clear()
                module.__dict__[name].update(content)
        with torch.no_grad():
            for tensor, value in zip(tensors, values, strict=True):
                if not torch.equal(tensor, value):
                    tensor.copy_(value)


def _is_plain(module: nn.Module, name: str) -> bool:
    """Return whether the table is a dictionary of Python's; a compiled (scripted) module has views of its own, which nothing changes."""
    return isinstance(module.__dict__.get(name), dict)


@contextmanager
def random_numbers_held(network: nn.Module) -> Iterator[None]:
    """Put torch's random numbers back, those of the network's devices too."""
    devices = {parameter.device.index or 0 for _, _, parameter in declared.parameters(network) if parameter.is_cuda}
    with torch.random.fork_rng(devices=sorted(devices)):
        yield


def stir(network: nn.Module) -> None:
    """Make parameters differ whose numbers are all alike, as after a step of training: zeros add nothing that a trace could see.

    Call it where the network is held.
    """
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _, _, tensor in declared.parameters(network):
            if tensor.is_floating_point() and tensor.numel() and bool((tensor == tensor.reshape(-1)[0]).all()):
                noise = torch.rand(tensor.shape, generator=generator) * STIR
                tensor.add_(noise.to(tensor.device, tensor.dtype))
