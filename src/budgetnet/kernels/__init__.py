"""Compiled training kernels: convolution, max-pooling, and ReLU + BatchNormalization + ReLU + dropout, in chains, and Adam's step; see chain.c.

`library()` gives them, or None where no C compiler with OpenMP is found: everything then runs on plain torch, slower, with the same
meaning. They are compiled once (about three seconds) into the user's cache, for this processor. BUDGETNET_KERNELS=plain switches them off.
"""

from budgetnet.kernels.build import description, library, missing
from budgetnet.kernels.links import (
    MOST_CHANNELS,
    Convolution,
    DepthwiseConvolution,
    Link,
    MaxPooling,
    Rectification,
    Shift,
    Stage,
    shapes_along,
)
from budgetnet.kernels.operations import chain
from budgetnet.kernels.optimization import AdamStep, Moment

__all__ = [
    "MOST_CHANNELS",
    "AdamStep",
    "Convolution",
    "DepthwiseConvolution",
    "Link",
    "MaxPooling",
    "Moment",
    "Rectification",
    "Shift",
    "Stage",
    "chain",
    "description",
    "library",
    "missing",
    "shapes_along",
]
