"""Where the numbers of a network come from: parameters, buffers, and constants that were never declared.

Identity is that of memory, not of names: a weight that is shared, transposed or wrapped again is one source. Counting marks
single elements, so that parts add up to the total whatever overlaps. Costs a byte per element while it counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from budgetnet.check import declared

FEW_VALUES, FEW_ENTRIES = 6, 32
"""A Sobel filter has five values, a binomial blur three, and its rows repeat."""
Kind = Literal["parameter", "statistic", "buffer", "constant", "random"]


@dataclass
class Source:
    """One origin of numbers; `tensor` keeps its memory alive, so that its address stays its own."""

    number: int
    kind: Kind
    name: str
    tensor: Tensor
    owner: nn.Module | None = None
    trainable: bool = False
    learned: bool = False
    """Whether gradients are kept for it, though no module declares it."""
    met: bool = False
    """Whether it took part in an operation with the image."""
    alone: bool = False
    """Whether it met the image without a parameter: a running mean does so, the helper of a parametrization does not."""
    helps: bool = False
    """Whether training moves it, and weights are computed with it: the helper of a parametrization."""
    kernel: bool = False
    """Whether it was, by itself, the kernel of a convolution or the matrix of a product."""
    value: Tensor | None = None
    """Of constants: a copy of what was first used, to be compared between two images."""
    file: str | None = None
    line: int | None = None


def memory(tensor: Tensor) -> tuple[int, int]:
    """Return the address of the tensor's storage and its size in bytes."""
    storage = tensor.untyped_storage()
    return storage.data_ptr(), storage.nbytes()


class Sources:
    """All known sources of a network, found by memory, and the constants that a forward pass brings along."""

    def __init__(self, network: nn.Module, moving: frozenset[str] = frozenset()) -> None:
        """`moving` names the buffers that training changes: running statistics, whoever wrote the layer."""
        self.all: list[Source] = []
        for name, owner, parameter in declared.parameters(network):
            self._add("parameter", name, parameter, owner)
        for name, owner, buffer in declared.buffers(network):
            self._add("statistic" if name in moving or is_statistic(owner, buffer) else "buffer", name, buffer, owner)
        self.declared = len(self.all)

    def _add(self, kind: Kind, name: str, tensor: Tensor, owner: nn.Module | None = None) -> Source:
        plain = tensor.int_repr() if tensor.is_quantized else tensor.detach()
        source = Source(len(self.all), kind, name, plain, owner, tensor.requires_grad and kind == "parameter")
        source.learned = tensor.requires_grad and kind == "constant"
        self.all.append(source)
        return source

    def constant(self, tensor: Tensor, kind: Kind = "constant", name: str = "") -> Source:
        """Return a new source for a tensor that was declared nowhere."""
        return self._add(kind, name, tensor)

    def declared_at(self, tensor: Tensor) -> Source | None:
        """Return the declared source in whose memory `tensor` lies."""
        if tensor.numel() == 0:
            return None
        address = tensor.data_ptr()
        candidates = []
        for source in self.all[: self.declared]:
            start, size = memory(source.tensor)
            if start <= address < start + size:
                candidates.append(source)
        # Several may share one storage, side by side: the one that begins last before the address is meant.
        before = [source for source in candidates if source.tensor.data_ptr() <= address]
        return max(before, key=lambda source: source.tensor.data_ptr(), default=candidates[0] if candidates else None)

    def undeclared(self) -> list[Source]:
        """Return the sources that the forward pass brought along, in order."""
        return self.all[self.declared :]

    def hidden(self) -> list[Source]:
        """Return the sources that the image met and that no count of parameters sees, each memory once."""
        found: dict[tuple[int, int], Source] = {}
        for source in self.all:
            if source.met and source.kind in {"buffer", "constant", "random"} and source.tensor.numel() > 0:
                found.setdefault((source.tensor.data_ptr(), source.tensor.numel()), source)
        return list(found.values())


def is_statistic(owner: nn.Module | None, buffer: Tensor) -> bool:
    """Return whether this is the running mean or variance of one of torch's normalizations."""
    return isinstance(owner, nn.modules.batchnorm._NormBase) and buffer.is_floating_point() and buffer.ndim == 1


def hidden_numbers(source: Source) -> int:
    """Return how many numbers of its own a hidden source holds: one where all are alike."""
    values = source.tensor.reshape(-1)
    if source.learned:
        return max(values.numel(), 1)  # whatever it begins with
    if values.numel() <= 1 or bool((values == values[0]).all()):
        return 1
    return len(set(_element_addresses(source.tensor)))


def is_plain_pattern(source: Source) -> bool:
    """Return whether a hidden source holds next to nothing: a mask over weights, or few values again and again, as a blur has."""
    if source.learned or source.kind == "random":
        return False
    tensor = source.tensor.detach()
    kinds = tensor.reshape(-1).unique()  # type: ignore[no-untyped-call]
    if kinds.numel() <= 2 and bool((kinds == 0).any()) and not source.kernel:
        return True
    rows = tensor.reshape(tensor.shape[0], -1).unique(dim=0) if tensor.ndim > 1 else kinds  # type: ignore[no-untyped-call]
    return bool(kinds.numel() <= FEW_VALUES and rows.numel() <= FEW_ENTRIES)


def _element_addresses(tensor: Tensor) -> list[int]:
    size = sum((length - 1) * stride for length, stride in zip(tensor.shape, tensor.stride(), strict=True)) + 1
    if 0 not in tensor.stride() and size >= tensor.numel():
        return list(range(tensor.numel()))
    places = torch.arange(max(size, 1)).as_strided(tensor.shape, tensor.stride())
    return list(set(places.reshape(-1).tolist()))


class Census:
    """Counts elements of memory once each: what is claimed by a row of the table is not claimed again."""

    def __init__(self, trainable: Iterable[Tensor] = ()) -> None:
        self._claimed: dict[int, Tensor] = {}
        self._trainable: dict[int, Tensor] = {}
        for tensor in trainable:
            if tensor.numel() > 0:
                self._mark(self._trainable, tensor)

    @staticmethod
    def _mark(masks: dict[int, Tensor], tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        elements = max(storage.nbytes() // tensor.element_size(), 1)
        mask = masks.setdefault(storage.data_ptr(), torch.zeros(elements, dtype=torch.bool))
        view = mask.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
        view.fill_(True)
        return mask

    def claim(self, tensor: Tensor) -> tuple[int, int]:
        """Return how many elements, and how many trainable ones, are counted here for the first time."""
        if tensor.numel() == 0:
            return 0, 0
        key = tensor.untyped_storage().data_ptr()
        before = self._claimed[key].clone() if key in self._claimed else None
        mask = self._mark(self._claimed, tensor)
        new = mask if before is None else mask & ~before
        trainable = self._trainable.get(key)
        return int(new.sum()), 0 if trainable is None else int((new & trainable).sum())


def count_non_zero(tensors: list[Tensor]) -> int:
    """Return how many of the elements, each memory once, are not exactly zero."""
    census, total = Census(), 0
    for tensor in tensors:
        if tensor.numel() == 0:
            continue
        new, _ = census.claim(tensor)
        values = tensor.detach()
        # Where nothing overlaps, which is nearly always, all of the tensor's elements are new.
        total += int(torch.count_nonzero(values)) if new == values.numel() else min(new, int(torch.count_nonzero(values)))
    return total
