"""How a network behaves when it is called: alone, twice, in company."""

import torch
import torch.nn.functional as F
from torch import nn

CALLS = []


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, bias=False)
        self.n1 = nn.BatchNorm2d(8)
        self.c2 = nn.Conv2d(8, 10, 3, bias=False)

    def features(self, x):
        return F.max_pool2d(F.relu(self.n1(self.c1(x))), 2)

    def forward(self, x):
        return self.c2(self.features(x)).mean((2, 3))


class LooksAtNeighbours(Base):
    """Subtracts the mean of the batch: with sorted test images it knows more than one image tells."""

    def forward(self, x):
        x = self.features(x)
        return self.c2(x - x.mean(0, keepdim=True)).mean((2, 3))


class BalancedAnswers(Base):
    """Makes the answers of a batch use all classes equally often."""

    def forward(self, x):
        probabilities = super().forward(x).softmax(1)
        return probabilities / probabilities.sum(0, keepdim=True)


class StatisticsOfTheBatch(nn.Module):
    """track_running_stats=False: also in evaluation, the batch is the statistic."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, bias=False)
        self.n1 = nn.BatchNorm2d(8, track_running_stats=False)
        self.c2 = nn.Conv2d(8, 10, 3, bias=False)

    def forward(self, x):
        return self.c2(F.max_pool2d(F.relu(self.n1(self.c1(x))), 2)).mean((2, 3))


class AlwaysDropping(Base):
    """F.dropout without training=self.training."""

    def forward(self, x):
        return self.c2(F.dropout(self.features(x), 0.25)).mean((2, 3))


class Noisy(Base):
    def forward(self, x):
        return super().forward(x + 0.1 * torch.randn_like(x))


class ChangesAfterTheFirstCall(nn.Module):
    """The first call is for the inspector."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, bias=False)
        self.c2 = nn.Conv2d(8, 10, 1, bias=False)
        self.dense = nn.Linear(8 * 36, 10, bias=False)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        x = F.max_pool2d(F.relu(self.c1(x)), 4)
        if self.calls <= 1:
            return self.c2(x).mean((2, 3))
        return self.dense(x.flatten(1))


class RemembersInTheFile(Base):
    """A list of the module grows with each call, and the answer with it."""

    def forward(self, x):
        CALLS.append(x.shape[0])
        return super().forward(x) * len(CALLS)


class RunningMean(Base):
    """Keeps a mean of what it has seen, in evaluation as well: the answer depends on the images before."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(8, 1, 1))

    def forward(self, x):
        x = self.features(x)
        self.seen.mul_(0.9).add_(0.1 * x.detach().mean((0, 2, 3)).view(8, 1, 1))
        return self.c2(x - self.seen).mean((2, 3))


class RaisesInEval(Base):
    def forward(self, x):
        if not self.training:
            raise RuntimeError("this network is not for inspection")
        return super().forward(x)


class WantsTheLabel(Base):
    """Needs the right answer to give it."""

    def forward(self, x, label):
        return super().forward(x) + F.one_hot(label, 10)


class SameShapeOnly(Base):
    """Checks its input, as careful people do."""

    def forward(self, x):
        assert x.shape[1:] == (1, 28, 28), f"expected N x 1 x 28 x 28, got {tuple(x.shape)}"
        if not torch.isfinite(x).all():
            raise ValueError("the images hold values that are no numbers")
        return super().forward(x)


class CountsQuietly(Base):
    """Counts its calls and nothing depends on it."""

    def __init__(self):
        super().__init__()
        self.calls = 0
        self.last_shape = None

    def forward(self, x):
        self.calls += 1
        x = super().forward(x)
        self.last_shape = tuple(x.shape)
        return x


class DropsWhileTraining(Base):
    """Three kinds of dropout, all silent in evaluation."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout2d(0.1)

    def forward(self, x):
        x = F.dropout(self.drop(self.features(x)), 0.05, self.training)
        return F.alpha_dropout(self.c2(x).mean((2, 3)), 0.01, training=self.training)
