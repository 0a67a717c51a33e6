"""A chain laid out once for batches of one shape: what the kernels are told of each link, and where in memory things are.

Addresses of parameters, images and results are written into a copy in each step. Costs some 20 µs a step. See chain.c.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy
import torch
from torch import Tensor

from budgetnet.kernels.links import (
    ACTIVATIONS,
    MOST_CHANNELS,
    Averaging,
    Convolution,
    DepthwiseConvolution,
    Link,
    MaxPooling,
    Shape,
    Shift,
    Stage,
)

CHANNELS_LAST = torch.channels_last
ROW = numpy.dtype(
    [
        *((name, numpy.int32) for name in ("kind", "height", "width", "channels", "out_channels", "size", "pad")),
        *((name, numpy.int32) for name in ("relu_first", "activation", "threshold", "passing")),
        *((name, numpy.float32) for name in ("epsilon", "momentum", "correction")),
        ("key", numpy.uint64),
        *((name, numpy.uintp) for name in ("input", "output", "weight", "bias", "statistics")),
        *((name, numpy.uintp) for name in ("running_mean", "running_variance", "weight_gradient", "bias_gradient")),
        ("batches_tracked", numpy.uintp),
    ],
    align=True,
)
"""`Link` in chain.c; addresses are numbers here."""
Places = numpy.ndarray[Any, numpy.dtype[numpy.intp]]
Rows = numpy.ndarray[Any, numpy.dtype[numpy.void]]


class Program:
    """A chain for batches of one shape: `shapes` are those of `shapes_along`, `count` is the number of images."""

    def __init__(self, links: Sequence[Link], count: int, shapes: list[Shape]) -> None:
        places = [
            (index, name, tensor, link)
            for index, link in enumerate(links)
            for name, tensor in _tensors(link).items()
            if tensor is not None
        ]
        learned = [place for place in places if place[1] in {"weight", "bias"}]
        kept = [place for place in places if place[1] not in {"weight", "bias"}]
        self.parameters = tuple([tensor for _, _, tensor, _ in learned])
        self.interleaved = [isinstance(link, Convolution) for _, _, _, link in learned]
        """Whether the kernels read a parameter with channels last."""
        self.count = count
        self._running = [tensor for _, _, tensor, _ in kept]
        self._forms = [_form(tensor) for tensor in (*self.parameters, *self._running)]
        self._input = torch.Size((count, *shapes[0]))
        self._result = torch.Size((count, *shapes[-1]) if not _is_flat(links[-1]) else (count, shapes[-1][0]))
        self.keys = [link.key for link in links if isinstance(link, Stage)]
        """The links' own, for stages in their order."""
        self._rows = _rows(links, shapes, count)
        self._largest = count * max(map(_numbers, shapes[:-1]))
        self._bytes_between = _lay_out(self._rows, links, shapes, count)
        self._moved = _words((index, name) for index in range(len(links)) for name in ("input", "output", "statistics"))
        self._offsets = self._rows.view(numpy.uintp)[self._moved]
        self._given = _words((index, name) for index, name, _, _ in learned + kept)
        self._keyed = _words((index, "key") for index, link in enumerate(links) if isinstance(link, Stage))
        last = max(index for index, link in enumerate(links) if not isinstance(link, Shift))
        behind = [(index, name) for index in range(last + 1, len(links)) for name in ("input", "output")]
        self._ends = _words([(last, "output"), *behind])
        self._wanted = _words((index, f"{name}_gradient") for index, name, _, _ in learned)
        self._unwanted = _words(
            (index, f"{name}_gradient")
            for index, link in enumerate(links)
            for name, tensor in _tensors(link).items()
            if isinstance(link, Stage) and tensor is None and name in {"weight", "bias"}
        )

    @property
    def gives_logits(self) -> bool:
        """Whether what comes out is one value for each channel."""
        return len(self._result) == 2 or self._result[2:] == (1, 1)

    def fits(self, images: Tensor) -> bool:
        """Return whether it was made for such images, and for parameters and statistics as they are by now."""
        plain = images.dtype == torch.float32 and images.is_cpu and images.shape == self._input
        return plain and self._forms == [_form(tensor) for tensor in (*self.parameters, *self._running)]

    def memory(self) -> tuple[Tensor, Tensor]:
        """Return memory for what lies between the links, and for what comes out."""
        between = torch.empty(self._bytes_between // 4, dtype=torch.float32, device="cpu")
        return between, empty_images(self._result)

    @property
    def reads_in_place(self) -> bool:
        """Whether the parameters lie in memory as the kernels read them."""
        return all(one is other for one, other in zip(self.read(), self.parameters, strict=True))

    def read(self) -> list[Tensor]:
        """Return the parameters as the kernels read them: themselves, or copies in another order."""
        return as_read(self.parameters, self.interleaved)

    def addresses(self, held: Sequence[Tensor]) -> list[int]:
        """Return where the parameters in `held` and the statistics lie."""
        return [tensor.data_ptr() for tensor in (*held, *self._running)]

    def told(self, images: Tensor, between: Tensor, result: int, addresses: list[int], keys: list[int]) -> Rows:
        """Return what the kernels are told, but for where gradients go; `result` is the address of what comes out."""
        rows = self._rows.copy()
        words = rows.view(numpy.uintp)
        words[self._moved] = self._offsets + between.data_ptr()
        words[self._ends] = result
        words[self._given] = addresses
        self.tell_again(rows, images, keys)
        return rows

    def tell_again(self, rows: Rows, images: Tensor, keys: list[int]) -> None:
        """Write into `rows` what differs from step to step where memory stays."""
        words = rows.view(numpy.uintp)
        words[INPUT] = images.data_ptr()
        words[self._keyed] = keys

    def tell_back(self, rows: Rows, found: Sequence[Tensor], room: Tensor) -> tuple[int, int]:
        """Write into `rows` where gradients go; return the addresses of two gradients of the largest input in `room`."""
        words, base = rows.view(numpy.uintp), room.data_ptr()
        words[self._wanted] = [tensor.data_ptr() for tensor in found]
        words[self._unwanted] = base + 8 * self._largest
        return base, base + 4 * self._largest

    def room(self) -> Tensor:
        """Return memory for what passes between the links on the way back, and for gradients of stages that nobody asks for."""
        return torch.empty(2 * self._largest + 2 * MOST_CHANNELS, dtype=torch.float32, device="cpu")


def as_read(parameters: Sequence[Tensor], interleaved: Sequence[bool]) -> list[Tensor]:
    """Return `parameters` dense, with channels last where `interleaved` says so."""
    return [
        tensor.contiguous(memory_format=CHANNELS_LAST) if last else tensor.contiguous()
        for tensor, last in zip(parameters, interleaved, strict=True)
    ]


def _tensors(link: Link) -> dict[str, Tensor | None]:
    """Return a link's tensors by their names in `ROW`."""
    if isinstance(link, Stage):
        running = {"running_mean": link.running_mean, "running_variance": link.running_variance}
        return {"weight": link.weight, "bias": link.bias, **running, "batches_tracked": link.batches_tracked}
    if isinstance(link, Shift):
        return {"bias": link.bias}
    return {"weight": link.kernel} if isinstance(link, Convolution | DepthwiseConvolution) else {}


def _words(fields: Iterable[tuple[int, str]]) -> Places:
    """Return where these fields of rows are, in words of eight bytes."""
    offsets = {name: offset for name, (_, offset, *_) in (ROW.fields or {}).items()}
    return numpy.array([(index * ROW.itemsize + offsets[name]) // 8 for index, name in fields], numpy.intp)


INPUT = _words([(0, "input")])


def _form(tensor: Tensor) -> tuple[torch.Size, torch.dtype, bool, tuple[int, ...]]:
    """Return what a tensor that stays the same object may still change."""
    return tensor.shape, tensor.dtype, tensor.is_cpu, tensor.stride()


def _is_flat(link: Link) -> bool:
    return isinstance(link, Averaging) and not link.keeps_places


def empty_images(shape: torch.Size) -> Tensor:
    """Return memory for images, or for one value a channel."""
    order = CHANNELS_LAST if len(shape) == 4 else torch.contiguous_format
    return torch.empty(shape, dtype=torch.float32, device="cpu", memory_format=order)


def _numbers(shape: Shape) -> int:
    return shape[0] * shape[1] * shape[2]


def _rows(links: Sequence[Link], shapes: list[Shape], count: int) -> Rows:
    """Return what the kernels are told of each link, but for its addresses.

    A stage's output is passing: made again from its input on the way back, which costs less than its way to memory and back. But not where the
    next link changes it in place, or needs that of all images at once. So is a depthwise convolution's output before another convolution.
    """
    rows = numpy.zeros(len(links), ROW)
    for row, link, following, (shape, after) in zip(rows, links, [*links[1:], None], pairwise(shapes), strict=True):
        row["kind"], (row["channels"], row["height"], row["width"]), row["out_channels"] = link.kind, shape, after[0]
        if isinstance(link, Convolution | DepthwiseConvolution):
            row["size"], row["pad"] = link.kernel.shape[2], link.padding
            row["passing"] = isinstance(link, DepthwiseConvolution) and isinstance(following, Convolution)
        elif isinstance(link, MaxPooling):
            row["size"] = link.size
        elif isinstance(link, Stage):
            row["relu_first"], row["activation"] = link.relu_first, ACTIVATIONS.index(link.activation)
            row["threshold"], row["epsilon"], row["momentum"] = link.threshold, link.epsilon, link.momentum
            seen = count * shape[1] * shape[2]
            row["correction"] = seen / max(1, seen - 1) if link.unbiased else 1.0
            row["passing"] = following is not None and not isinstance(following, Stage | Shift)
    return rows


def _lay_out(rows: Rows, links: Sequence[Link], shapes: list[Shape], count: int) -> int:
    """Write into `rows` where in the memory between the links each one reads, writes and keeps statistics; return how many bytes it needs."""
    at = free = kept = 0
    for row, link, (shape, after) in zip(rows, links, pairwise(shapes), strict=True):
        if isinstance(link, Stage):
            row["statistics"], free = free, free + 16 * shape[0]
        row["input"] = at
        if not isinstance(link, Shift) and not row["passing"]:
            at, kept, free = free, free, free + 4 * count * _numbers(after)
        row["output"] = at
    return kept  # without the last output, which has memory of its own
