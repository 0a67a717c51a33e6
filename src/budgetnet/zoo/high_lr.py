"""`high-lr`: SGD from a rate of 0.3, and dropout on the ten logits themselves.

Claim: 99.43 % after 20 epochs with under 15,000 parameters. The layers and the optimizer are a RECONSTRUCTION. The hand-in speaks of
fewer filters, a 1×1 bottleneck, no BatchNormalization before the flatten, and a changed batch size and rate. Its training accuracy ends
at 0.955 beside a test accuracy of 0.994: dropout of 0.1 on the logits explains that (a zeroed logit of the right class is a wrong
answer; another student's notebook of the same template, NINGTH of Ravitejac6, has it and ends at 0.958), dropout elsewhere does not. A rate of
0.3 speaks of SGD; no momentum and a batch of 128 are guesses. Source: the hand-in «EIP4 assignment».
"""

from budgetnet.recipe import Recipe
from budgetnet.zoo.blocks import Convolution, Dropout, Flatten, MaxPooling, Network, Softmax
from budgetnet.zoo.entry import Claim, Entry
from budgetnet.zoo.stages import stage


def build(*, dropout: float = 0.1, logit_dropout: float = 0.1, classes: int = 10, channels: int = 1) -> Network:
    """Return the network for images of 28×28."""
    return Network(
        *stage(channels, 16, dropout),
        *stage(16, 16, dropout),
        Convolution(16, 10, 1),
        MaxPooling(),
        *stage(10, 16, dropout),
        *stage(16, 16, dropout),
        *stage(16, 16, dropout),
        *stage(16, 16, dropout),
        Convolution(16, classes, 4, activation=None),
        Dropout(logit_dropout),
        Flatten(),
        Softmax(),
    )


ENTRIES = {
    "high-lr": Entry(
        build=build,
        recipe=Recipe(
            name="high-lr",
            network="high-lr",
            optimizer="sgd",
            rate=0.3,
            watch="test",
            strategy="Fewer filters bring the total under 15,000; a 1×1 convolution is the bottleneck; no BatchNormalization stands "
            "before the flatten. SGD from 0.3, the rate falling by 1 / (1 + 0.319 × epoch), batches of 128, 20 epochs.",
        ),
        claim=Claim(accuracy=0.9943, best_accuracy=0.9944, best_epoch=18, parameters="under 15,000"),
        source="hand-in «EIP4 assignment» (eip4-assignment.md)",
        layers="reconstruction",
    )
}
