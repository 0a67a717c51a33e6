"""Biases: forgotten, hidden, and called something else."""

import torch
import torch.nn.functional as F
from torch import nn


class ForgottenDefault(nn.Module):
    """nn.Conv2d has a bias unless told otherwise."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3)
        self.c2 = nn.Conv2d(8, 12, 3)
        self.c3 = nn.Conv2d(12, 10, 1)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        return self.c3(F.relu(self.c2(x))).mean((2, 3))


class OnlyInTheLastLayer(nn.Module):
    """All but one are told; the last one's bias starts at zero, so that an untrained network does not show it."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, bias=False)
        self.c2 = nn.Conv2d(8, 12, 3, bias=False)
        self.c3 = nn.Conv2d(12, 10, 1)
        nn.init.zeros_(self.c3.bias)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        return self.c3(F.relu(self.c2(x))).mean((2, 3))


class BiasBeforeNormalization(nn.Module):
    """BatchNormalization takes the bias away again; it is there, and counted, all the same."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 12, 3),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.Conv2d(12, 10, 1, bias=False),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )

    def forward(self, x):
        return self.net(x)


class Features(nn.Module):
    """1 x 28 x 28 to 12 x 11 x 11, clean."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, bias=False)
        self.n1 = nn.BatchNorm2d(8)
        self.c2 = nn.Conv2d(8, 12, 3, bias=False)

    def forward(self, x):
        return self.c2(F.max_pool2d(F.relu(self.n1(self.c1(x))), 2))


class AddedParameter(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = Features()
        self.offset = nn.Parameter(torch.zeros(1, 12, 1, 1))
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        return self.last(F.relu(self.features(x) + self.offset)).mean((2, 3))


class FunctionalBias(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = Features()
        self.kernel = nn.Parameter(torch.randn(10, 12, 1, 1) * 0.1)
        self.b = nn.Parameter(torch.zeros(10))

    def forward(self, x):
        return F.conv2d(F.relu(self.features(x)), self.kernel, self.b).mean((2, 3))


class ChannelOfOnes(nn.Module):
    """bias=False everywhere, and a channel of ones for the 1x1 convolution to weigh."""

    def __init__(self):
        super().__init__()
        self.features = Features()
        self.last = nn.Conv2d(13, 10, 1, bias=False)

    def forward(self, x):
        x = F.relu(self.features(x))
        return self.last(torch.cat([x, torch.ones_like(x[:, :1])], dim=1)).mean((2, 3))


class LearnedThreshold(nn.Module):
    """ReLU with a learned threshold for each channel."""

    def __init__(self):
        super().__init__()
        self.features = Features()
        self.threshold = nn.Parameter(torch.full((12, 1, 1), 0.01))
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        return self.last(F.relu(self.features(x) - self.threshold)).mean((2, 3))


class BatchNorm2d(nn.Module):
    """Called BatchNorm2d, and normalizes nothing."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class NamedNormalization(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = Features()
        self.norm = BatchNorm2d(12)
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        return self.last(F.relu(self.norm(self.features(x)))).mean((2, 3))


class LookedUpShift(nn.Module):
    """One row of an embedding, always the same, added to each place."""

    def __init__(self):
        super().__init__()
        self.features = Features()
        self.row = nn.Embedding(1, 12)
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        shift = self.row(torch.zeros(1, dtype=torch.long, device=x.device))
        return self.last(F.relu(self.features(x) + shift.view(1, 12, 1, 1))).mean((2, 3))


class ShiftOfEachPlace(nn.Module):
    """A learned map is added, one number for each channel and place (an untied bias, or a positional embedding)."""

    def __init__(self):
        super().__init__()
        self.features = Features()
        self.map = nn.Parameter(torch.zeros(1, 12, 11, 11))
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        return self.last(F.relu(self.features(x) + self.map)).mean((2, 3))


class FrozenZeroBias(nn.Module):
    """A bias that starts at zero and may not learn: without effect, and still in the network."""

    def __init__(self):
        super().__init__()
        self.features = Features()
        self.last = nn.Conv2d(12, 10, 1)
        nn.init.zeros_(self.last.bias)
        self.last.bias.requires_grad_(False)

    def forward(self, x):
        return self.last(F.relu(self.features(x))).mean((2, 3))


class ShiftsInAList(nn.Module):
    """Parameters in a plain list: no count and no state_dict knows them, autograd does."""

    def __init__(self):
        super().__init__()
        self.features = Features()
        self.shifts = [nn.Parameter(torch.zeros(12, 1, 1)), nn.Parameter(torch.zeros(10, 1, 1))]
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        x = F.relu(self.features(x) + self.shifts[0])
        return (self.last(x) + self.shifts[1]).mean((2, 3))


class OneNumber(nn.Module):
    """A single learned number is added to the whole map."""

    def __init__(self):
        super().__init__()
        self.features = Features()
        self.level = nn.Parameter(torch.tensor(0.0))
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        return self.last(F.relu(self.features(x) + self.level)).mean((2, 3))


class ClassPrior(nn.Module):
    """Ten learned numbers are added to the answers."""

    def __init__(self):
        super().__init__()
        self.features = Features()
        self.last = nn.Conv2d(12, 10, 1, bias=False)
        self.prior = nn.Parameter(torch.zeros(10))

    def forward(self, x):
        return self.last(F.relu(self.features(x))).mean((2, 3)).add(self.prior)


class ScaleAndShift(nn.Module):
    """torch.addcmul: the shift is its first argument."""

    def __init__(self):
        super().__init__()
        self.features = Features()
        self.gain = nn.Parameter(torch.ones(1, 12, 1, 1))
        self.lift = nn.Parameter(torch.zeros(1, 12, 1, 1))
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        return self.last(F.relu(torch.addcmul(self.lift, self.features(x), self.gain))).mean((2, 3))


class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = Features()
        self.offsets = nn.Parameter(torch.zeros(24))
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        x = self.features(x)
        x += self.offsets.view(2, 12)[1].view(12, 1, 1)
        return self.last(F.relu(x)).mean((2, 3))


class ShiftInABuffer(nn.Module):
    """The learned numbers of an earlier training, kept where no count looks."""

    def __init__(self):
        super().__init__()
        self.features = Features()
        self.register_buffer("baseline", torch.linspace(-0.3, 0.3, 12).view(1, 12, 1, 1))
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        return self.last(F.relu(self.features(x) + self.baseline)).mean((2, 3))


class TransposedDefault(nn.Module):
    """ConvTranspose2d has a bias by default too."""

    def __init__(self):
        super().__init__()
        self.features = Features()
        self.up = nn.ConvTranspose2d(12, 10, 2, stride=2)

    def forward(self, x):
        return self.up(F.relu(self.features(x))).amax((2, 3))


class DeclaredNeverCalled(nn.Module):
    """The layer with the bias is never called; its numbers are still part of the network."""

    def __init__(self):
        super().__init__()
        self.features = Features()
        self.leftover = nn.Conv2d(12, 24, 3)
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        return self.last(F.relu(self.features(x))).mean((2, 3))


class RecurrentBiases(nn.Module):
    """A GRU brings two biases for each gate."""

    def __init__(self):
        super().__init__()
        self.features = Features()
        self.read = nn.GRU(12, 10, batch_first=True)

    def forward(self, x):
        columns = F.relu(self.features(x)).mean(2).transpose(1, 2)
        return self.read(columns)[1][0]
