"""The one stage that the whole family of hand-ins repeats: 3×3 convolution with ReLU inside, BatchNormalization, Dropout."""

from torch import nn

from budgetnet.zoo.blocks import BatchNormalization, Convolution, Dropout


def stage(inputs: int, outputs: int, dropout: float, *, size: int = 3, bias: bool = False) -> list[nn.Module]:
    """Return the three layers, `inputs` to `outputs` channels; `size` is the kernel's side."""
    return [Convolution(inputs, outputs, size, bias=bias), BatchNormalization(outputs), Dropout(dropout)]
