"""Networks that hold every operation an export target must know, some that it cannot know, and one that looks at its batch."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from budgetnet.zoo.blocks import BatchNormalization, Convolution


class Plain(nn.Module):
    """Residual additions, squeeze and excitation, groups, dilation, padding, stride, both poolings, and most activations."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.normal = nn.BatchNorm2d(width)
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.strided = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, groups=2, bias=False)
        self.second = BatchNormalization(2 * width)
        self.dilated = nn.Conv2d(2 * width, width, 3, dilation=2, padding=2)
        self.squeeze = nn.Conv2d(width, width, 1)
        self.last = nn.Linear(2 * width * 9, 10)

    def forward(self, images: Tensor) -> Tensor:
        value = (images - 0.1307) / 0.3081
        value = F.silu(self.normal(self.first(value)))
        value = value + F.hardswish(self.depthwise(value))
        value = F.avg_pool2d(value, 2)
        value = F.leaky_relu(self.second(F.relu(self.strided(value))), 0.1)
        value = F.gelu(self.dilated(value))
        value = value * torch.sigmoid(self.squeeze(F.adaptive_avg_pool2d(value, 1)))
        value = torch.cat([F.elu(value), 1 - torch.tanh(value)], 1)
        value = F.dropout(F.hardtanh(value, 0, 5), 0.1, self.training)
        return F.log_softmax(self.last(self.ending(value).flatten(1)), 1)

    def ending(self, value: Tensor) -> Tensor:
        return F.max_pool2d(value, 2)


class Sliced(Plain):
    """Takes a part of a map, which a graph does not hold."""

    def ending(self, value: Tensor) -> Tensor:
        return value[:, :, 1:4, 1:4]


class Edged(nn.Module):
    """A maximum over a padded edge, which Keras has no layer for, and a mean that does not count the edge."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = Convolution(1, 10, 5, activation=None)

    def forward(self, images: Tensor) -> Tensor:
        value: Tensor = F.max_pool2d(self.layer(images), 3, 2, 1)
        return F.avg_pool2d(value, 3, 2, 1, count_include_pad=False).amax((2, 3))


class Large(nn.Module):
    """More maps at one time than 32 kB hold."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 3), nn.ReLU(), nn.Conv2d(width, 10, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )

    def forward(self, images: Tensor) -> Tensor:
        answer: Tensor = self.layers(images)
        return answer


class LooksAtItsBatch(Plain):
    """Turns images over where many come at once, as an evaluation sends them and a trace does not."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.flip(3) if len(images) > 8 else images)
