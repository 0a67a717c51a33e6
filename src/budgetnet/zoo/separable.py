"""`separable-gmp` and `separable-gap`: one convolution made separable, down to 2×2, then global maximum or average pooling.

Claims: 99.54 % with global max pooling and 99.42 % with global average pooling, 20 epochs each, under 15,000 parameters, the networks
alike but for the last pooling. The layers are a RECONSTRUCTION from the strategy: 16 and 32 filters, a 1×1 convolution and max-pooling
at the transition, a map of 2×2 at the end, a 1×1 convolution to the classes, one convolution replaced by a separable one. With plain
convolutions alone the stack would have 16,400 parameters, which is the author's reason for the separable one; with one it has 14,496.
Which of the 16-to-16 convolutions it was cannot be known. Source: the hand-in on separable convolution and global pooling.
"""

from functools import partial

from torch import nn

from budgetnet.recipe import Recipe
from budgetnet.zoo.blocks import (
    BatchNormalization,
    Convolution,
    Dropout,
    GlobalAveragePooling,
    GlobalMaxPooling,
    MaxPooling,
    Network,
    SeparableConvolution,
    Softmax,
)
from budgetnet.zoo.entry import Claim, Entry
from budgetnet.zoo.stages import stage


def build(*, head: type[nn.Module], dropout: float = 0.1, classes: int = 10, channels: int = 1) -> Network:
    """Return the network for images of 28×28 with the given global pooling."""
    return Network(
        *stage(channels, 16, dropout),
        *stage(16, 32, dropout),
        Convolution(32, 10, 1),
        MaxPooling(),
        *stage(10, 16, dropout),
        *stage(16, 16, dropout),
        *stage(16, 16, dropout),
        *stage(16, 16, dropout),
        SeparableConvolution(16, 16, 3),
        BatchNormalization(16),
        Dropout(dropout),
        Convolution(16, classes, 1, activation=None),
        head(),
        Softmax(),
    )


def _entry(name: str, head: type[nn.Module], words: str, claim: Claim, part: str) -> Entry:
    return Entry(
        build=partial(build, head=head),
        recipe=Recipe(
            name=name,
            network=name,
            watch="test",
            strategy=f"No biases, BatchNormalization and Dropout throughout, one separable convolution to save parameters, and {words} "
            "on a map of 2×2 after a 1×1 convolution to the classes. Adam from 0.003, the rate falling by 1 / (1 + 0.319 × epoch), "
            "batches of 128, 20 epochs.",
        ),
        claim=claim,
        source=f"hand-in «separable, global pooling», {part} part (separable-global-pooling.md)",
        layers="reconstruction",
    )


ENTRIES = {
    "separable-gmp": _entry(
        "separable-gmp",
        GlobalMaxPooling,
        "global max pooling",
        Claim(accuracy=0.9954, best_accuracy=0.9954, best_epoch=20, parameters="under 15,000", loss=0.016306),
        "first",
    ),
    "separable-gap": _entry(
        "separable-gap",
        GlobalAveragePooling,
        "global average pooling",
        Claim(accuracy=0.9942, best_accuracy=0.9942, best_epoch=20, parameters="under 15,000", loss=0.018937),
        "second",
    ),
}
