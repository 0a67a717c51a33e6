"""Compiled training kernels: convolution, and ReLU + BatchNormalization + ReLU + dropout, max-pooling; see kernels.c.

`library()` gives them, or None where no C compiler with OpenMP is found: everything then runs on plain torch, slower, with the same
meaning. They are compiled once (about three seconds) into the user's cache, for this processor. BUDGETNET_KERNELS=plain switches them off.
"""

from budgetnet.kernels.build import description, library, missing
from budgetnet.kernels.operations import convolution, depthwise_convolution, max_pooling, stage

__all__ = ["convolution", "depthwise_convolution", "description", "library", "max_pooling", "missing", "stage"]
