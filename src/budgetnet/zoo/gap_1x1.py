"""`gap-1x1`: a 1×1 convolution before the last BatchNormalization, then global average pooling.

Claim: 99.46 % after 20 epochs with 14,840 parameters. The layers are the author's; their sum is 14,840 only with a bias in every
convolution, so this network breaks the contract it was handed in for. Source: the hand-in «EIP-Session-2».
"""

from budgetnet.recipe import Recipe
from budgetnet.zoo.blocks import BatchNormalization, Convolution, Dropout, GlobalAveragePooling, MaxPooling, Network, Softmax
from budgetnet.zoo.entry import Claim, Entry
from budgetnet.zoo.stages import stage


def build(*, dropout: float = 0.1, bias: bool = True, classes: int = 10, channels: int = 1) -> Network:
    """Return the network for images of 28×28; `bias=False` is the variant that the contract would have allowed."""
    return Network(
        *stage(channels, 16, dropout, bias=bias),
        *stage(16, 32, dropout, bias=bias),
        Convolution(32, 10, 1, bias=bias),
        MaxPooling(),
        *stage(10, 16, dropout, bias=bias),
        *stage(16, 16, dropout, bias=bias),
        *stage(16, 16, dropout, bias=bias),
        *stage(16, 20, dropout, bias=bias),
        Convolution(20, classes, 1, bias=bias, activation=None),
        BatchNormalization(classes),
        Dropout(dropout),
        GlobalAveragePooling(),
        Softmax(),
    )


ENTRIES = {
    "gap-1x1": Entry(
        build=build,
        recipe=Recipe(
            name="gap-1x1",
            network="gap-1x1",
            watch="test",
            strategy="A 1×1 convolution stands before the last BatchNormalization and Dropout, and global average pooling takes "
            "the place of flattening. Adam from 0.003, the rate falling by 1 / (1 + 0.319 × epoch), batches of 128, 20 epochs.",
        ),
        claim=Claim(accuracy=0.9946, best_accuracy=0.9947, best_epoch=16, parameters="14,840", loss=0.017245),
        source="hand-in «EIP-Session-2» (eip-session-2.md)",
        layers="author's",
    )
}
