"""Networks of a user's own for tests: seconds on `digits`, with everything that a resumed run must get right."""

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
