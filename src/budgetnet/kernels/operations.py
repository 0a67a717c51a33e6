"""Chains of layers as one differentiable operation on torch tensors: float32, shape (N, C, H, W), channels last in memory.

A chain costs one call into the kernels forward and one back, and one piece of memory for all that lies between its layers: for small
networks, what Python and autograd take for each layer is as much as the layer itself. What does not change from step to step is laid out
once, in a `Program`. What each kind of link equals, to float32's rounding, stands in links.py; tests hold values and gradients.
Differentiable once. Callers ask `library()` first.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from budgetnet.kernels.build import loaded
from budgetnet.kernels.links import Link, shapes_along
from budgetnet.kernels.program import CHANNELS_LAST, Program, Rows, as_read, empty_images

NO_CLASS = 2
"""What `chain_step` answers to a label that is no class."""


def chain(images: Tensor, links: Sequence[Link]) -> Tensor:
    """Return what comes out of `links`, one after another.

    Raises `ValueError` where the kernels cannot compute this chain of `images`.
    """
    shapes = shapes_along(images, links)
    if shapes is None:
        raise ValueError(f"no chain of kernels for images of shape {tuple(images.shape)}, {images.dtype}")
    program = Program(links, len(images), shapes)
    return compute(program, images, program.keys)


def compute(program: Program, images: Tensor, keys: list[int]) -> Tensor:
    """Return what comes out of a program's links; `keys` are what the masks of its stages depend on, in their order."""
    return _Chain.apply(images, program, keys, *program.parameters)  # type: ignore[no-any-return, no-untyped-call]


class TrainingStep:
    """A chain's forward pass, cross-entropy and way back in one call, in memory that stays from step to step."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._between, self._result = program.memory()
        self._room, self._gradient = program.room(), empty_images(self._result.shape)
        self.gradients = [torch.empty_like(tensor) for tensor in program.read()]
        """Of the program's parameters, after a call; the next one writes over them."""
        self._rows: Rows | None = None
        self._addresses: list[int] = []

    @property
    def logits(self) -> Tensor:
        """What the chain gave in the last call, (N, classes); the next one writes over it."""
        return self._result.flatten(1)

    def __call__(self, images: Tensor, labels: Tensor, smoothing: float, keys: list[int]) -> tuple[float, int]:
        """Return the mean loss against `labels` (N,) int64 and how many answers are right. Raises `IndexError` for a label of no class."""
        program = self.program
        held = program.read()
        addresses = program.addresses(held)
        if self._rows is None or addresses != self._addresses:
            self._rows = program.told(images, self._between, self._result.data_ptr(), addresses, keys)
            self._rooms = program.tell_back(self._rows, self.gradients, self._room)
            self._addresses = addresses
        else:
            program.tell_again(self._rows, images, keys)
        loss, correct = ctypes.c_double(), ctypes.c_int64()
        failed = loaded().chain_step(
            _pointer(self._rows),
            len(self._rows),
            *map(ctypes.c_void_p, (self._result.data_ptr(), labels.data_ptr())),
            ctypes.c_float(smoothing),
            *map(ctypes.c_void_p, (self._gradient.data_ptr(), *self._rooms)),
            program.count,
            torch.get_num_threads(),
            ctypes.byref(loss),
            ctypes.byref(correct),
        )
        if failed == NO_CLASS:
            raise IndexError("a label is not among the classes")
        _checked(failed)
        return loss.value, correct.value


def _checked(failed: int) -> None:
    if failed:
        raise MemoryError("the training kernels could not get their working memory")


class _Chain(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, images: Tensor, program: Program, keys: list[int], *parameters: Tensor) -> Tensor:
        images = images.contiguous(memory_format=CHANNELS_LAST)
        threads, held = torch.get_num_threads(), as_read(parameters, program.interleaved)
        between, result = program.memory()
        rows = program.told(images, between, result.data_ptr(), program.addresses(held), keys)
        _checked(loaded().chain_forward(_pointer(rows), len(rows), program.count, threads))
        # Not the result: the way back does not need it, and its user may change it in place.
        context.save_for_backward(images, between, *held)
        context.program, context.keys, context.threads = program, keys, threads
        return result

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, between, *held = context.saved_tensors
        program: Program = context.program
        gradient = gradient.contiguous(memory_format=CHANNELS_LAST if gradient.dim() == 4 else torch.contiguous_format)
        # Again, since what was saved may have been packed away and lie elsewhere now.
        rows = program.told(images, between, 0, program.addresses(held), context.keys)
        image_gradient = torch.empty_like(images) if context.needs_input_grad[0] else None
        found, room = [torch.empty_like(tensor) for tensor in held], program.room()
        rooms = program.tell_back(rows, found, room)
        target = 0 if image_gradient is None else image_gradient.data_ptr()
        places = map(ctypes.c_void_p, (gradient.data_ptr(), target, *rooms))
        _checked(loaded().chain_backward(_pointer(rows), len(rows), *places, program.count, context.threads))
        needed = [tensor if needs else None for tensor, needs in zip(found, context.needs_input_grad[3:], strict=True)]
        return (image_gradient, None, None, *needed)


def _pointer(rows: Rows) -> ctypes.c_void_p:
    return ctypes.c_void_p(rows.ctypes.data)
