"""The project's own designs under `code9`'s rules; what they reach stands in the records, as means over seeds.

All are stacks of separable convolutions (a 3×3 kernel for each channel, then 1×1 across channels: Howard et al., arXiv:1704.04861) with one
BatchNormalization and activation behind each pair: for a given number of parameters they can be deeper and wider than full 3×3 kernels, and a
validation part of the training split says that they are better for it (docs/LOG.md). Most layers work on 14×14 or fewer, where they are cheap.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from budgetnet.recipe import Augmentation, Recipe
from budgetnet.zoo.blocks import GlobalAveragePooling, Network, Softmax, Towers
from budgetnet.zoo.entry import Entry


def separable(inputs: int, outputs: int, activation: type[nn.Module] = nn.ReLU) -> list[nn.Module]:
    """Return a separable 3×3 convolution that keeps the size, BatchNormalization and an activation."""
    return [
        nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        activation(),
    ]


def head(inputs: int, classes: int) -> list[nn.Module]:
    """Return a 1×1 convolution to a map for each class, and the mean of each map."""
    return [nn.Conv2d(inputs, classes, 1, bias=False), GlobalAveragePooling(), Softmax()]


def chain(inputs: int, widths: list[int], activation: type[nn.Module] = nn.ReLU) -> list[nn.Module]:
    """Return separable convolutions of these output channels, one after another."""
    pairs = zip([inputs, *widths], widths, strict=False)
    return [layer for before, after in pairs for layer in separable(before, after, activation)]


def stages(widths: list[list[int]], *, classes: int, channels: int, activation: type[nn.Module] = nn.ReLU) -> Network:
    """Return a network whose first convolution is a full one and whose other ones are separable, 2×2 max-pooling between the stages.

    `widths` are the output channels of the convolutions on maps of 28×28, 14×14 and 7×7.
    """
    first, *rest = widths
    # Before the first convolution: the records' weights were drawn in this order.
    behind = [[nn.MaxPool2d(2), *chain(before[-1], after, activation)] for before, after in zip(widths, rest, strict=False)]
    layers = [nn.Conv2d(channels, first[0], 3, padding=1, bias=False), nn.BatchNorm2d(first[0]), activation()]
    layers += chain(first[0], first[1:], activation)
    for stage in behind:
        layers += stage
    return Network(*layers, *head(widths[-1][-1], classes))


def full_stages(widths: list[list[int]], *, classes: int, channels: int) -> Network:
    """Return a network of full 3×3 convolutions that keep the size, 2×2 max-pooling between the stages; `widths` as in `stages`."""
    layers: list[nn.Module] = []
    inputs = channels
    for stage, outputs_of_stage in enumerate(widths):
        layers += [nn.MaxPool2d(2)] if stage else []
        for outputs in outputs_of_stage:
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
            inputs = outputs
    return Network(*layers, *head(inputs, classes))


def tiny(*, classes: int = 10, channels: int = 1) -> Network:
    """Return the network for images of 28×28: 1,966 parameters for MNIST."""
    return stages([[6, 8, 8], [12, 14], [16, 16]], classes=classes, channels=channels, activation=nn.SiLU)


def small(*, classes: int = 10, channels: int = 1) -> Network:
    """Return the network for images of 28×28: 2,932 parameters for MNIST."""
    return stages([[8, 10, 10], [14, 16], [16, 18, 18]], classes=classes, channels=channels, activation=nn.SiLU)


def fast(*, classes: int = 10, channels: int = 1) -> Network:
    """Return the network for images of 28×28: 9,640 parameters for MNIST, most of them where maps are small."""
    return stages([[8], [24] * 3, [48, 48, 40]], classes=classes, channels=channels)


WIDTHS_OF_TOWERS = {1: [[12, 24, 24], [40, 44], [52, 52, 44]], 2: [[8, 16, 16], [26, 28], [36, 36, 28]]}
"""By how many towers there are: of each, the output channels for maps of 28×28, 14×14 and 7×7."""
ACTIVATIONS = {"relu": nn.ReLU, "silu": nn.SiLU}


def accurate(*, towers: int = 2, activation: str = "silu", classes: int = 10, channels: int = 1) -> Network | Towers:
    """Return two towers for images of 28×28, alike but for their first weights: 14,924 parameters for MNIST.

    With `towers` 1 one network of 14,812. Raises `ValueError` for other numbers, and for an activation that is not "relu" or "silu".
    """
    if towers not in WIDTHS_OF_TOWERS or activation not in ACTIVATIONS:
        raise ValueError(f"towers are 1 or 2 and the activation is 'relu' or 'silu', not {towers!r} and {activation!r}")
    widths, function = WIDTHS_OF_TOWERS[towers], ACTIVATIONS[activation]
    built = [stages(widths, classes=classes, channels=channels, activation=function) for _ in range(towers)]
    return Towers(*built) if towers > 1 else built[0]


def wide(*, classes: int = 10, channels: int = 1) -> Network:
    """Return a network for images of 28×28 that is made for no contract, 285,368 parameters for MNIST: others learn from it."""
    return full_stages([[24] * 3, [64] * 2, [96] * 3], classes=classes, channels=channels)


CYCLE = Recipe(
    name="cycle",
    network="own",
    optimizer="adamw",
    schedule="one-cycle",
    warm_up=0.2,
    beta_2=0.99,
    epsilon=1e-8,
    averaging=0.998,
    batch=64,
)
"""What these recipes share."""


def own(name: str, build: Callable[..., Network | Towers], **settings: Any) -> Entry:
    """Return the entry of a design of the project's own; `settings` are what its recipe has beside the shared ones."""
    recipe = CYCLE.varied(name=name, network=name, **settings)
    return Entry(build=build, recipe=recipe, claim=None, source="this project", layers="own")


VERY_LIGHT = Augmentation(rotation=5, scale=0.06, shear=0.05, shift=0.7, elastic=0.3, last_plain=1)
LIGHT = Augmentation(rotation=9, scale=0.1, shear=0.08, shift=1.8, elastic=0.8, last_plain=3)
FADING = Augmentation(rotation=18, scale=0.2, shear=0.16, shift=3.6, elastic=1.6, last_plain=2, fading=True)

ENTRIES = {
    "accurate": own(
        "accurate",
        accurate,
        rate=0.02,
        weight_decay=0.01,
        augmentation=FADING,
        strategy="Two networks side by side that answer as one: each a full 3×3 convolution of 8 channels and seven separable ones of 16 to "
        "36, with SiLU; three of the eight work on maps of 28×28, where they are dear to compute and cheap in parameters. Each learns by "
        "itself from the same images, so that their mistakes differ; the softmax of the mean of their logits is the answer. Images are "
        "rotated, scaled, sheared, shifted and bent, far at first and less from epoch to epoch; the last two of 20 see them as they are. "
        "AdamW, one cycle up to 0.02 and down to zero, batches of 64; a running average of the weights is what is handed in.",
    ),
    "small": own(
        "small",
        small,
        rate=0.03,
        weight_decay=0.005,
        augmentation=LIGHT,
        strategy="A full 3×3 convolution of 8 channels and seven separable ones of 10 to 18, with SiLU; three of the eight work on maps of "
        "28×28. AdamW, one cycle up to 0.03 and down to zero, batches of 64, 20 epochs, images rotated, scaled, sheared, shifted and bent a "
        "little, but for the last three epochs, which see them as they are; a running average of the weights is what is handed in.",
    ),
    "tiny": own(
        "tiny",
        tiny,
        rate=0.03,
        weight_decay=0.005,
        augmentation=FADING,
        strategy="What fits into 2,000 parameters: a full 3×3 convolution of 6 channels and six separable ones of 8 to 16, with SiLU; three "
        "of the seven work on maps of 28×28. AdamW, one cycle up to 0.03 and down to zero, batches of 64, 20 epochs, images rotated, scaled, "
        "sheared, shifted and bent, far at first and less from epoch to epoch; the last two epochs see them as they are. A running average of "
        "the weights is what is handed in.",
    ),
    "wide": own(
        "wide",
        wide,
        epochs=8,
        rate=0.01,
        weight_decay=0.01,
        augmentation=FADING,
        strategy="A teacher, too large for the contracts here: eight full 3×3 convolutions of 24 to 96 channels. AdamW, one cycle up to 0.01 "
        "and down to zero, batches of 64, 8 epochs, images rotated, scaled, sheared, shifted and bent, far at first and less from epoch to "
        "epoch; the last two see them as they are.",
    ),
    "fast": own(
        "fast",
        fast,
        epochs=6,
        rate=0.03,
        weight_decay=0.005,
        augmentation=VERY_LIGHT,
        strategy="Few layers on large maps and wide ones on small maps, few epochs, one cycle of a high rate. AdamW up to 0.03 and down to "
        "zero, batches of 64, images moved and bent a very little, but for the last epoch; a running average of the weights is what is "
        "handed in.",
    ),
}
