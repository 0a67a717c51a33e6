"""`code9`: the assignment's own template with one more 1×1 bottleneck, ending in a 4×4 convolution on a 4×4 map.

Claim: 99.47 % after 20 epochs with 14,864 parameters. The layers are a RECONSTRUCTION: the hand-in gives the total and the log
alone. The course's template, as other students' notebooks show it (3×3 convolutions of 16 and 32, 1×1 to 10, max-pooling,
four 3×3 of 16, 4×4 to 10; EIP4-Assignment2 of Ravitejac6, CODE9 of bhargav23), has 16,432 parameters without biases; a 1×1 convolution
to 10 channels after the first layer is the only single such insertion that gives 14,864. Many other stacks have that total, so the sum
alone proves little. Source: the hand-in «Assignment 2», first part.
"""

from budgetnet.recipe import Recipe
from budgetnet.zoo.blocks import Convolution, Flatten, MaxPooling, Network, Softmax
from budgetnet.zoo.entry import Claim, Entry
from budgetnet.zoo.stages import stage


def build(*, dropout: float = 0.1, classes: int = 10, channels: int = 1) -> Network:
    """Return the network for images of 28×28."""
    return Network(
        *stage(channels, 16, dropout),
        Convolution(16, 10, 1),
        *stage(10, 32, dropout),
        Convolution(32, 10, 1),
        MaxPooling(),
        *stage(10, 16, dropout),
        *stage(16, 16, dropout),
        *stage(16, 16, dropout),
        *stage(16, 16, dropout),
        Convolution(16, classes, 4, activation=None),
        Flatten(),
        Softmax(),
    )


ENTRIES = {
    "code9": Entry(
        build=build,
        recipe=Recipe(
            name="code9",
            network="code9",
            watch="test",
            strategy="The assignment's template, without biases, made to fit by a second 1×1 bottleneck. Adam from 0.003, the rate "
            "falling by 1 / (1 + 0.319 × epoch), batches of 128, 20 epochs.",
        ),
        claim=Claim(accuracy=0.9947, best_accuracy=0.9953, best_epoch=18, parameters="14,864", loss=0.016544),
        source="hand-in «Assignment 2», first part (assignment-2-code9.md)",
        layers="reconstruction",
    )
}
