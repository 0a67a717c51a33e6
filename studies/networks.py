"""The published networks with one strategy changed, for the studies beside this file; every layer is the zoo's."""

from torch import nn

from budgetnet.zoo.blocks import (
    BatchNormalization,
    Convolution,
    Dropout,
    Flatten,
    GlobalAveragePooling,
    GlobalMaxPooling,
    MaxPooling,
    Network,
    Softmax,
)
from budgetnet.zoo.stages import stage


def padded_stage(inputs: int, outputs: int, dropout: float) -> list[nn.Module]:
    """A stage that keeps the map's size."""
    return [Convolution(inputs, outputs, 3, padding=1), BatchNormalization(outputs), Dropout(dropout)]


def one_pool(*, pools: int = 1, dropout: float = 0.2, last_dropout: float = 0.0, last_normalization: bool = True) -> Network:
    """`one-pool` with: one or two poolings, dropout after the last layer too, no BatchNormalization before the flatten.

    With two poolings the last two 3×3 convolutions are padded, so that layers, parameters and the last 4×4 map stay what they are.
    """
    if pools not in {1, 2}:
        raise ValueError(f"pools is 1 or 2, not {pools}")
    last = [*padded_stage(16, 16, dropout), *padded_stage(16, 16, dropout)]
    if pools == 1:
        last = [*stage(16, 16, dropout), *stage(16, 16, dropout)]
    return Network(
        *stage(1, 32, dropout),
        Convolution(32, 10, 1),
        *stage(10, 32, dropout),
        Convolution(32, 10, 1),
        MaxPooling(),
        *stage(10, 16, dropout),
        Convolution(16, 10, 1),
        *stage(10, 16, dropout),
        *([MaxPooling()] if pools == 2 else []),
        *last,
        Convolution(16, 10, 4, activation=None),
        *([BatchNormalization(10)] if last_normalization else []),
        *([Dropout(last_dropout)] if last_dropout else []),
        Flatten(),
        Softmax(),
    )


def gap_1x1(*, end: str, dropout: float = 0.1) -> Network:
    """`gap-1x1` without biases, with another end: its 1×1 convolution not normalised, or a 3×3 convolution in its place."""
    ends: dict[str, list[nn.Module]] = {
        "1x1": [*stage(16, 20, dropout), Convolution(20, 10, 1, activation=None)],
        "3x3": [Convolution(16, 10, 3, activation=None), BatchNormalization(10), Dropout(dropout)],
    }
    return Network(
        *stage(1, 16, dropout),
        *stage(16, 32, dropout),
        Convolution(32, 10, 1),
        MaxPooling(),
        *stage(10, 16, dropout),
        *stage(16, 16, dropout),
        *stage(16, 16, dropout),
        *ends[end],
        GlobalAveragePooling(),
        Softmax(),
    )


def code9_averaged(*, last: int = 16, dropout: float = 0.1) -> Network:
    """`code9` with a 1×1 convolution and global average pooling in place of the 4×4 one; `last` is the width before them."""
    return Network(
        *stage(1, 16, dropout),
        Convolution(16, 10, 1),
        *stage(10, 32, dropout),
        Convolution(32, 10, 1),
        MaxPooling(),
        *stage(10, 16, dropout),
        *stage(16, 16, dropout),
        *stage(16, 16, dropout),
        *stage(16, last, dropout),
        Convolution(last, 10, 1, activation=None),
        GlobalAveragePooling(),
        Softmax(),
    )


def plain(*, width: int = 16, dropout: float = 0.1) -> Network:
    """`separable-gmp` with a plain convolution of `width` channels in place of its separable one."""
    return Network(
        *stage(1, 16, dropout),
        *stage(16, 32, dropout),
        Convolution(32, 10, 1),
        MaxPooling(),
        *stage(10, 16, dropout),
        *stage(16, 16, dropout),
        *stage(16, 16, dropout),
        *stage(16, 16, dropout),
        Convolution(16, width, 3),
        BatchNormalization(width),
        Dropout(dropout),
        Convolution(width, 10, 1, activation=None),
        GlobalMaxPooling(),
        Softmax(),
    )


def high_lr(*, dropout: float = 0.1, logit_dropout: float = 0.1) -> Network:
    """`high-lr` with a BatchNormalization before the flatten, which its author left out."""
    return Network(
        *stage(1, 16, dropout),
        *stage(16, 16, dropout),
        Convolution(16, 10, 1),
        MaxPooling(),
        *stage(10, 16, dropout),
        *stage(16, 16, dropout),
        *stage(16, 16, dropout),
        *stage(16, 16, dropout),
        Convolution(16, 10, 4, activation=None),
        BatchNormalization(10),
        Dropout(logit_dropout),
        Flatten(),
        Softmax(),
    )
