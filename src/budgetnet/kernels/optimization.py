"""Adam's step over all parameters in one call. For small networks torch's own takes longer to look at its lists than to compute.

Costs about 2 µs a parameter tensor. Callers ask `library()` first.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor

from budgetnet.kernels.build import library


@dataclass(frozen=True, slots=True)
class Moment:
    """A parameter, its gradient, and Adam's state of it: tensors of one shape and memory order; `step` (), float32, counts."""

    parameter: Tensor
    gradient: Tensor
    mean: Tensor
    square: Tensor
    step: Tensor
    decay: float
    """Share of the rate that the parameter loses in each step."""

    def fits(self) -> bool:
        """Return whether the kernel can read them: dense float32 on the CPU, in the same order in memory."""
        given = self.parameter
        strides = given.stride()
        alike = all(
            other.dtype == torch.float32 and other.device.type == "cpu" and other.shape == given.shape and other.stride() == strides
            for other in (given, self.gradient, self.mean, self.square)
        )
        dense = given.is_contiguous() or (given.dim() == 4 and given.is_contiguous(memory_format=torch.channels_last))
        return alike and dense and self.step.dtype == torch.float32


class _Slot(ctypes.Structure):
    """`Slot` in adam.h."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("weights", "gradient", "mean", "square", "step")),
        ("numbers", ctypes.c_int64),
        ("decay", ctypes.c_float),
    )


def adam_step(moments: list[Moment], *, rate: float, beta_1: float, beta_2: float, epsilon: float) -> None:
    """Take one step of AdamW along the gradients, in place: parameters, means, squares and counts of steps."""
    kernels = library()
    if kernels is None:
        raise RuntimeError("the compiled kernels are not available here; ask kernels.library() first")
    slots = (_Slot * len(moments))()
    for slot, moment in zip(slots, moments, strict=True):
        slot.weights, slot.gradient = moment.parameter.data_ptr(), moment.gradient.data_ptr()
        slot.mean, slot.square, slot.step = moment.mean.data_ptr(), moment.square.data_ptr(), moment.step.data_ptr()
        slot.numbers, slot.decay = moment.parameter.numel(), moment.decay
    kernels.adam_step(slots, len(moments), *map(ctypes.c_double, (rate, beta_1, beta_2, epsilon)))
