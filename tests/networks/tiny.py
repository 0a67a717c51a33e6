"""Networks of a user's own for tests: seconds on `digits`, with everything that a resumed run must get right."""

import random

import numpy
import torch
from torch import Tensor, nn

from budgetnet.zoo.blocks import BatchNormalization, Convolution, Dropout


class Tiny(nn.Module):
    """1,004 parameters: BatchNormalization, budgetnet's dropout and torch's own, logits at the end."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.first = nn.Sequential(Convolution(1, width, 5), BatchNormalization(width), Dropout(0.2), nn.MaxPool2d(4))
        self.second = nn.Sequential(Convolution(width, width, 3), BatchNormalization(width), nn.Dropout(0.1))
        self.last = Convolution(width, 10, 1, activation=None)

    def forward(self, images: Tensor) -> Tensor:
        answer: Tensor = self.last(self.second(self.first(images))).mean((2, 3))
        return answer


class LogProbabilities(Tiny):
    """Ends in a log-softmax, as course networks do."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.log_softmax(super().forward(images), 1)


class Probabilities(Tiny):
    """Ends in a softmax."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.softmax(super().forward(images), 1)


class WrongAnswer(nn.Module):
    """Answers with two values where ten are needed."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 2, 28)

    def forward(self, images: Tensor) -> Tensor:
        answer: Tensor = self.layer(images)
        return answer.flatten(1)


class RandomElsewhere(Tiny):
    """Draws from Python's and NumPy's generators, and keeps a buffer that no state dictionary holds."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            noise = random.random() + float(numpy.random.rand())  # noqa: S311
            self.get_buffer("scale").mul_(0.9).add_(0.1 * noise)
        return super().forward(images) * self.get_buffer("scale")


class Shared(Tiny):
    """One module under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.again = self.second


class Disguised(nn.Sequential):
    """What is called differs from what a method named `logits` does."""

    def __init__(self) -> None:
        super().__init__(Convolution(1, 10, 5, activation=None), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.hidden = nn.Linear(784, 10)

    def forward(self, images: Tensor) -> Tensor:
        answer: Tensor = self[2](self[1](self[0](images)))
        return answer

    def logits(self, images: Tensor) -> Tensor:
        answer: Tensor = self.hidden(images.flatten(1))
        return answer


class LooksAtTheBatch(Tiny):
    """Answers otherwise where many images come at once."""

    def forward(self, images: Tensor) -> Tensor:
        flipped = super().forward(images.flip(3)) if len(images) > 8 else 0
        return super().forward(images) + flipped
