"""Compiled training kernels, see chain.c: chains of convolution, pooling, and ReLU + BatchNormalization + ReLU + dropout; whole training
steps of networks that are one chain; Adam's step; images moved and bent.

`library()` gives them, or None where no C compiler with OpenMP is found: everything then runs on plain torch, slower, with the same
meaning. They are compiled once (about three seconds) into the user's cache, for this processor. BUDGETNET_KERNELS=plain switches them off.
"""

from budgetnet.kernels.build import description, library, missing
from budgetnet.kernels.links import (
    MOST_CHANNELS,
    Averaging,
    Convolution,
    DepthwiseConvolution,
    Link,
    MaxPooling,
    Rectification,
    Shift,
    Stage,
    shapes_along,
)
from budgetnet.kernels.moving import POINTS, Sides, move, sides
from budgetnet.kernels.operations import TrainingStep, chain, compute
from budgetnet.kernels.optimization import AdamStep, Moment
from budgetnet.kernels.program import Program

__all__ = [
    "MOST_CHANNELS",
    "POINTS",
    "AdamStep",
    "Averaging",
    "Convolution",
    "DepthwiseConvolution",
    "Link",
    "MaxPooling",
    "Moment",
    "Program",
    "Rectification",
    "Shift",
    "Sides",
    "Stage",
    "TrainingStep",
    "chain",
    "compute",
    "description",
    "library",
    "missing",
    "move",
    "shapes_along",
    "sides",
]
