"""`one-pool`: a single max-pooling, pairs of 3×3 and 1×1 convolutions, more dropout, and none after the last layer.

Claim: 99.40 % after 18 epochs with 14,568 parameters. The layers are the author's, from the table in the hand-in «mlble session 2».
The table does not say where ReLU stands; here it follows every convolution but the last. The hand-in's log opens at a training
accuracy of 0.9820, so its weights had been trained before; this recipe starts from fresh ones.
"""

from budgetnet.recipe import Recipe
from budgetnet.zoo.blocks import BatchNormalization, Convolution, Flatten, MaxPooling, Network, Softmax
from budgetnet.zoo.entry import Claim, Entry
from budgetnet.zoo.stages import stage


def build(*, dropout: float = 0.2, classes: int = 10, channels: int = 1) -> Network:
    """Return the network for images of 28×28."""
    return Network(
        *stage(channels, 32, dropout),
        Convolution(32, 10, 1),
        *stage(10, 32, dropout),
        Convolution(32, 10, 1),
        MaxPooling(),
        *stage(10, 16, dropout),
        Convolution(16, 10, 1),
        *stage(10, 16, dropout),
        *stage(16, 16, dropout),
        *stage(16, 16, dropout),
        Convolution(16, classes, 4, activation=None),
        BatchNormalization(classes),
        Flatten(),
        Softmax(),
    )


ENTRIES = {
    "one-pool": Entry(
        build=build,
        recipe=Recipe(
            name="one-pool",
            network="one-pool",
            epochs=18,
            watch="test",
            strategy="Dropout of 0.2 follows every 3×3 convolution but not the last layer. 3×3 convolutions are followed by 1×1 "
            "ones that reduce the channels. Max-pooling is used once. Adam from 0.003, the rate falling by 1 / (1 + 0.319 × epoch), "
            "batches of 128, 18 epochs.",
        ),
        claim=Claim(accuracy=0.9940, best_accuracy=0.9946, best_epoch=8, parameters="14,568", loss=0.019243),
        source="hand-in «mlble session 2» (mlble-session2.md)",
        layers="author's",
    )
}
