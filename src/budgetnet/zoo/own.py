"""The project's own designs under `code9`'s rules; what they reach stands in the records, as means over seeds.

All are stacks of separable convolutions (a 3×3 kernel for each channel, then 1×1 across channels: Howard et al., arXiv:1704.04861) with one
BatchNormalization and ReLU behind each pair: for a given number of parameters they can be deeper and wider than full 3×3 kernels, and a
validation part of the training split says that they are better for it (docs/LOG.md). Most layers work on 14×14 or fewer, where they are cheap.
"""

from collections.abc import Callable

from torch import nn

from budgetnet.recipe import Augmentation, Recipe
from budgetnet.zoo.blocks import GlobalAveragePooling, Network, Softmax
from budgetnet.zoo.entry import Entry


def full(inputs: int, outputs: int) -> list[nn.Module]:
    """Return a 3×3 convolution that keeps the size, BatchNormalization and ReLU."""
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


def separable(inputs: int, outputs: int) -> list[nn.Module]:
    """Return a separable 3×3 convolution that keeps the size, BatchNormalization and ReLU."""
    return [
        nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]


def head(inputs: int, classes: int) -> list[nn.Module]:
    """Return a 1×1 convolution to a map for each class, and the mean of each map."""
    return [nn.Conv2d(inputs, classes, 1, bias=False), GlobalAveragePooling(), Softmax()]


def chain(inputs: int, widths: list[int]) -> list[nn.Module]:
    """Return separable convolutions of these output channels, one after another."""
    return [layer for before, after in zip([inputs, *widths], widths, strict=False) for layer in separable(before, after)]


def small(*, classes: int = 10, channels: int = 1) -> Network:
    """Return the network for images of 28×28: 2,848 parameters for MNIST."""
    first, second = chain(8, [16] * 4), chain(16, [16] * 2)
    return Network(*full(channels, 8), nn.MaxPool2d(2), *first, nn.MaxPool2d(2), *second, *head(16, classes))


def fast(*, classes: int = 10, channels: int = 1) -> Network:
    """Return the network for images of 28×28: the small one, wider where it is cheap."""
    first, second = chain(8, [24] * 3), chain(24, [32] * 2)
    return Network(*full(channels, 8), nn.MaxPool2d(2), *first, nn.MaxPool2d(2), *second, *head(32, classes))


def accurate(*, classes: int = 10, channels: int = 1) -> Network:
    """Return the network for images of 28×28: 14,944 parameters for MNIST."""
    first, second = chain(16, [36] * 4), chain(36, [48] * 3)
    return Network(*full(channels, 16), nn.MaxPool2d(2), *first, nn.MaxPool2d(2), *second, *head(48, classes))


CYCLE = Recipe(
    name="cycle",
    network="own",
    optimizer="adamw",
    schedule="one-cycle",
    warm_up=0.2,
    beta_2=0.99,
    epsilon=1e-8,
    averaging=0.998,
)
"""What the three recipes share."""


def own(build: Callable[..., Network], recipe: Recipe) -> Entry:
    """Return the entry of a design of the project's own."""
    return Entry(build=build, recipe=recipe, claim=None, source="this project", layers="own")


ENTRIES = {
    "accurate": own(
        accurate,
        CYCLE.varied(
            name="accurate",
            network="accurate",
            batch=64,
            rate=0.02,
            weight_decay=0.01,
            augmentation=Augmentation(rotation=9, scale=0.1, shear=0.08, shift=1.8, elastic=0.8),
            strategy="Seven separable convolutions of 36 and 48 channels behind one full 3×3 convolution, on maps of 14×14 and 7×7. "
            "Images are rotated, scaled, sheared, shifted and bent a little. AdamW, one cycle up to 0.02 and down to zero, batches of 64, "
            "20 epochs; a running average of the weights is what is handed in.",
        ),
    ),
    "small": own(
        small,
        CYCLE.varied(
            name="small",
            network="small",
            batch=64,
            rate=0.03,
            weight_decay=0.005,
            augmentation=Augmentation(rotation=5, scale=0.06, shear=0.05, shift=0.7, elastic=0.3),
            strategy="Six separable convolutions of 16 channels behind a full 3×3 convolution of 8, which alone works on 28×28. AdamW, "
            "one cycle up to 0.03 and down to zero, batches of 64, 20 epochs, images moved and bent a very little; a running average of the "
            "weights is what is handed in.",
        ),
    ),
    "fast": own(
        fast,
        CYCLE.varied(
            name="fast",
            network="fast",
            epochs=4,
            batch=128,
            rate=0.03,
            weight_decay=0.005,
            strategy="Few layers on large maps, few epochs, one cycle of a high rate. AdamW up to 0.03 and down to zero, batches of 128; "
            "a running average of the weights is what is handed in.",
        ),
    ),
}
