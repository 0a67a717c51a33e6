"""The layers that the published networks are made of, with Keras's meaning where torch's differs.

Differences rebuilt here: Glorot-uniform kernels; ReLU inside the convolution, before BatchNormalization; BatchNormalization
with momentum 0.99 and epsilon 1e-3, its running variance fed with the biased variance of the batch; separable convolution as
one layer with two kernels; no bias unless asked for. Sources: the five hand-ins, and Keras 3's documentation of the layers; a
test holds whole networks against Keras itself.

Every layer works on float32 tensors of shape (N, C, H, W), fastest with channels last in memory. `keras_name` is the word
that a layer table shows; nothing is judged by it.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BYTES = 256


class Network(nn.Sequential):
    """A stack that ends in `Softmax`: called, it gives probabilities (N, classes); `logits` gives what goes into the softmax."""

    def logits(self, images: Tensor) -> Tensor:
        """Return the values before the softmax, shape (N, classes): a stable loss needs them."""
        value = images
        for layer in list(self)[:-1]:
            value = layer(value)
        return value


class Towers(nn.Module):
    """Networks side by side that answer as one: the softmax of the mean of their logits, in one forward pass.

    In training each is held against the labels by itself (`logits_of_each`), so that their mistakes differ and the mean of them has fewer:
    for some sizes several small networks are better than one large one (Kondratyuk et al., arXiv:2005.00570). Called, it gives
    probabilities (N, classes), which are the towers' geometric mean, normalised. Raises `ValueError` without towers, and for towers
    that are not of the class `Network` with `Softmax` at their end. A class made from this one with other methods learns by its
    own answer.
    """

    def __init__(self, *towers: Network) -> None:
        super().__init__()
        if not towers or not all(isinstance(tower, Network) and isinstance(tower[-1], Softmax) for tower in towers):
            raise ValueError("towers are one or more networks of the class Network, each with Softmax at its end")
        self.towers = nn.ModuleList(towers)
        self.average, self.softmax = Average(), Softmax()

    def logits_of_each(self, images: Tensor) -> list[Tensor]:
        """Return each tower's values before its softmax, shape (N, classes)."""
        return [cast(Network, tower).logits(images) for tower in self.towers]

    def logits(self, images: Tensor) -> Tensor:
        """Return the mean of the towers' values before the softmax, shape (N, classes)."""
        return cast(Tensor, self.average(*self.logits_of_each(images)))

    def forward(self, images: Tensor) -> Tensor:
        """Answer with probabilities."""
        return cast(Tensor, self.softmax(self.logits(images)))


class Convolution(nn.Conv2d):
    """Keras's `Conv2D`: valid padding, Glorot-uniform kernel, no bias, and ReLU inside unless `activation` is None."""

    keras_name = "Conv2D"

    def __init__(
        self, inputs: int, outputs: int, size: int, *, activation: str | None = "relu", bias: bool = False, padding: int = 0
    ) -> None:
        if activation not in {"relu", None}:
            raise ValueError(f"activation is 'relu' or None, not {activation!r}")
        super().__init__(inputs, outputs, size, bias=bias, padding=padding)
        self.activation = activation

    def reset_parameters(self) -> None:
        """Draw the kernel as Keras does: Glorot uniform, over fan-in and fan-out that include the kernel's area; bias zero."""
        nn.init.xavier_uniform_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve, then ReLU where `activation` says so."""
        output = super().forward(input)
        return F.relu(output, inplace=True) if self.activation == "relu" else output


class SeparableConvolution(nn.Module):
    """Keras's `SeparableConv2D`: a depthwise and a 1×1 kernel with nothing between them, one layer, no bias, ReLU inside."""

    keras_name = "SeparableConv2D"

    def __init__(self, inputs: int, outputs: int, size: int, *, activation: str | None = "relu") -> None:
        super().__init__()
        if activation not in {"relu", None}:
            raise ValueError(f"activation is 'relu' or None, not {activation!r}")
        self.depthwise = nn.Parameter(torch.empty(inputs, 1, size, size))
        self.pointwise = nn.Parameter(torch.empty(outputs, inputs, 1, 1))
        self.activation = activation
        # Keras computes the depthwise fans from its shape (height, width, inputs, 1): fan-in inputs × area, fan-out 1 × area.
        area = size * size
        bound = (6 / (inputs * area + area)) ** 0.5
        nn.init.uniform_(self.depthwise, -bound, bound)
        nn.init.xavier_uniform_(self.pointwise)

    def forward(self, images: Tensor) -> Tensor:
        """Convolve each channel by itself, then mix the channels."""
        depthwise = F.conv2d(images, self.depthwise, groups=images.shape[1])
        output = F.conv2d(depthwise, self.pointwise)
        return F.relu(output, inplace=True) if self.activation == "relu" else output


class BatchNormalization(nn.BatchNorm2d):
    """Keras's: momentum 0.99 (torch's 0.01), epsilon 1e-3, and the *biased* batch variance in the running one."""

    keras_name = "BatchNormalization"

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-3, momentum=0.01)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise by the batch (training) or by the running statistics."""
        if not self.training:
            return super().forward(input)
        output, mean, inverse_deviation = torch.native_batch_norm(input, self.weight, self.bias, None, None, True, 0.0, self.eps)
        self._update(mean.detach(), inverse_deviation.detach())
        return output

    @torch.no_grad()
    def _update(self, mean: Tensor, inverse_deviation: Tensor) -> None:
        running_mean, running_var = cast(Tensor, self.running_mean), cast(Tensor, self.running_var)
        share = cast(float, self.momentum)
        running_mean.lerp_(mean, share)
        running_var.lerp_(inverse_deviation.pow(-2).sub_(self.eps), share)


class Dropout(nn.Dropout):
    """Dropout by thresholded random bytes from a generator of its own, so that a run can be repeated and resumed bit for bit.

    The rate is rounded to 1/256 (0.1 becomes 26/256 = 0.1016, 0.2 becomes 51/256 = 0.1992) and the scale is exact for the
    rounded one. On CPUs where torch draws its masks one by one this is about ten times as fast. `generator` None uses torch's global one.
    """

    keras_name = "Dropout"

    def __init__(self, rate: float) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"a dropout rate lies in [0, 1), not {rate}")
        super().__init__(rate)
        self.threshold = round(rate * BYTES)
        if self.threshold == BYTES:
            raise ValueError(f"a dropout rate of {rate} would leave nothing: rates are rounded to 1/{BYTES}")
        self.generator: torch.Generator | None = None

    def forward(self, input: Tensor) -> Tensor:
        """Zero a share of the elements and scale the others up, in training only."""
        if not self.training or self.threshold == 0:
            return input
        words = -(-input.numel() // 8)
        draws = torch.empty(words, dtype=torch.int64).random_(-(2**63), None, generator=self.generator)
        kept = draws.view(torch.uint8)[: input.numel()] >= self.threshold
        # A float mask takes more room than a byte mask but is read three times as fast, forward and backward.
        mask = kept.to(torch.float32).mul_(BYTES / (BYTES - self.threshold))
        # The bytes are independent, so any order of them is as good: take the memory order of the input.
        return input * mask.as_strided(input.shape, input.stride())


class MaxPooling(nn.MaxPool2d):
    """Keras's `MaxPooling2D`: windows that do not overlap, rest dropped."""

    keras_name = "MaxPooling2D"

    def __init__(self, size: int = 2) -> None:
        super().__init__(size)


class GlobalAveragePooling(nn.Module):
    """The mean over all positions: (N, C, H, W) -> (N, C)."""

    keras_name = "GlobalAveragePooling2D"

    def forward(self, images: Tensor) -> Tensor:
        """Average over positions."""
        return images.mean((2, 3))


class GlobalMaxPooling(nn.Module):
    """The maximum over all positions: (N, C, H, W) -> (N, C)."""

    keras_name = "GlobalMaxPooling2D"

    def forward(self, images: Tensor) -> Tensor:
        """Take the maximum over positions."""
        return images.amax((2, 3))


class Flatten(nn.Flatten):
    """(N, C, H, W) -> (N, C·H·W)."""

    keras_name = "Flatten"


class Average(nn.Module):
    """The mean of several tensors of one shape."""

    keras_name = "Average"

    def forward(self, *values: Tensor) -> Tensor:
        """Average number by number."""
        first, *others = values
        return sum(others, first) / len(values)


class Softmax(nn.Softmax):
    """Logits to probabilities over the last dimension; the last layer of a `Network`."""

    keras_name = "Activation"

    def __init__(self) -> None:
        super().__init__(dim=-1)
