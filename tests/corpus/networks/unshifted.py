"""Networks without a bias, in which something looks like one."""

import torch
import torch.nn.functional as F
from torch import nn


class PlainNormalization(nn.Module):
    """What the course asks for: every convolution without bias, BatchNormalization after it."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 10, 3, bias=False),
            nn.ReLU(),
            nn.BatchNorm2d(10),
            nn.Dropout(0.1),
            nn.Conv2d(10, 16, 3, bias=False),
            nn.ReLU(),
            nn.BatchNorm2d(16),
            nn.Dropout(0.1),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 16, 3, bias=False),
            nn.ReLU(),
            nn.BatchNorm2d(16),
            nn.Conv2d(16, 10, 1, bias=False),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.LogSoftmax(dim=1),
        )

    def forward(self, x):
        return self.net(x)


class GroupNormalization(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, bias=False)
        self.g1 = nn.GroupNorm(2, 8)
        self.c2 = nn.Conv2d(8, 10, 3, bias=False)
        self.g2 = nn.GroupNorm(5, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.g1(self.c1(x))), 2)
        return F.relu(self.g2(self.c2(x))).mean((2, 3))


class LayerNormalization(nn.Module):
    """The shift of this LayerNorm has a number for each place; it is a normalization's shift all the same."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, stride=2, bias=False)
        self.norm = nn.LayerNorm([8, 13, 13])
        self.c2 = nn.Conv2d(8, 10, 3, bias=False)

    def forward(self, x):
        return self.c2(F.relu(self.norm(self.c1(x)))).mean((2, 3))


class InstanceNormalization(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, bias=False)
        self.norm = nn.InstanceNorm2d(8, affine=True)
        self.c2 = nn.Conv2d(8, 10, 3, bias=False)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm(self.c1(x))), 2)
        return self.c2(x).mean((2, 3))


class FunctionalNormalization(nn.Module):
    """Group and batch normalization as functions, with weights and shifts of its own."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, bias=False)
        self.c2 = nn.Conv2d(8, 10, 3, bias=False)
        self.gamma = nn.Parameter(torch.ones(8))
        self.beta = nn.Parameter(torch.zeros(8))

    def forward(self, x):
        x = F.group_norm(self.c1(x), 4, self.gamma, self.beta)
        return self.c2(F.max_pool2d(F.relu(x), 2)).mean((2, 3))


class HandWrittenNormalization(nn.Module):
    """Batch-free normalization written out: mean and variance of each image, then a learned scale and shift."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, bias=False)
        self.gamma = nn.Parameter(torch.ones(1, 8, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, 8, 1, 1))
        self.c2 = nn.Conv2d(8, 10, 3, bias=False)

    def forward(self, x):
        x = self.c1(x)
        centred = x - x.mean((2, 3), keepdim=True)
        x = centred * torch.rsqrt(centred.square().mean((2, 3), keepdim=True) + 1e-5) * self.gamma + self.beta
        return self.c2(F.max_pool2d(F.relu(x), 2)).mean((2, 3))


class RootMeanSquare(nn.Module):
    """Scale without shift."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, bias=False)
        self.gain = nn.Parameter(torch.ones(8, 1, 1))
        self.c2 = nn.Conv2d(8, 10, 3, bias=False)

    def forward(self, x):
        x = self.c1(x)
        x = x / (x.square().mean(1, keepdim=True) + 1e-6).sqrt() * self.gain
        return self.c2(F.max_pool2d(F.relu(x), 2)).mean((2, 3))


class LearnedSlopes(nn.Module):
    """PReLU's weight is a slope."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, bias=False)
        self.a1 = nn.PReLU(8)
        self.c2 = nn.Conv2d(8, 10, 3, bias=False)
        self.a2 = nn.PReLU()

    def forward(self, x):
        return self.a2(self.c2(F.max_pool2d(self.a1(self.c1(x)), 2))).mean((2, 3))


class LearnedScale(nn.Module):
    """A learned factor for each channel, and one for the answer."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, bias=False)
        self.scale = nn.Parameter(torch.ones(1, 8, 1, 1))
        self.c2 = nn.Conv2d(8, 10, 3, bias=False)
        self.temperature = nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x) * self.scale), 2)
        return self.c2(x).mean((2, 3)) * self.temperature


class BiasIsABranch(nn.Module):
    """An attribute called bias that is a 1x1 convolution beside the main path."""

    def __init__(self):
        super().__init__()
        self.main = nn.Conv2d(1, 8, 3, padding=1, bias=False)
        self.bias = nn.Conv2d(1, 8, 1, bias=False)
        self.last = nn.Conv2d(8, 10, 3, bias=False)
        self.use_bias = False

    def forward(self, x):
        x = F.relu(self.main(x) + self.bias(x))
        return self.last(F.max_pool2d(x, 2)).mean((2, 3))


class Residual(nn.Module):
    """Adds maps to maps."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 12, 3, padding=1, bias=False)
        self.steps = nn.ModuleList(nn.Conv2d(12, 12, 3, padding=1, bias=False) for _ in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm2d(12) for _ in range(3))
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        x = F.max_pool2d(self.first(x), 2)
        for step, norm in zip(self.steps, self.norms, strict=True):
            x = x + F.relu(norm(step(x)))
        return self.last(x).mean((2, 3))


class ConstantsOfThePaper(nn.Module):
    """Adds constants that nobody learned: MNIST's mean, hard-swish's three, an epsilon."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, bias=False)
        self.c2 = nn.Conv2d(8, 10, 3, bias=False)

    def forward(self, x):
        x = self.c1((x - 0.1307) / 0.3081)
        x = x * F.relu6(x + 3) / 6
        x = self.c2(F.max_pool2d(x, 2)).mean((2, 3))
        return x / (x.norm(dim=1, keepdim=True) + 1e-6)


class BlackBorder(nn.Module):
    """Pads with the value that black has after normalization."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, bias=False)
        self.c2 = nn.Conv2d(8, 10, 3, bias=False)

    def forward(self, x):
        x = F.pad((x - 0.1307) / 0.3081, (1, 1, 1, 1), value=-0.4242)
        return self.c2(F.max_pool2d(F.relu(self.c1(x)), 2)).mean((2, 3))


class Blend(nn.Module):
    """A learned blend of two maps: a learned number, an addition, and no shift."""

    def __init__(self):
        super().__init__()
        self.fine = nn.Conv2d(1, 8, 3, padding=1, bias=False)
        self.coarse = nn.Conv2d(1, 8, 7, padding=3, bias=False)
        self.share = nn.Parameter(torch.tensor(0.0))
        self.last = nn.Conv2d(8, 10, 3, bias=False)

    def forward(self, x):
        share = torch.sigmoid(self.share)
        x = share * self.fine(x) + (1 - share) * self.coarse(x)
        return self.last(F.max_pool2d(F.relu(x), 2)).mean((2, 3))


class NoBiasRegistered(nn.Module):
    """register_parameter('bias', None), as nn.Conv2d itself does without one."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 1, 3, 3) * 0.2)
        self.register_parameter("bias", None)
        self.last = nn.Conv2d(8, 10, 3, bias=False)

    def forward(self, x):
        x = F.conv2d(x, self.weight, self.bias)
        return self.last(F.max_pool2d(F.relu(x), 2)).mean((2, 3))


class StandardizedWeights(nn.Module):
    """Takes the mean from its kernels before it convolves: a subtraction among weights."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(8, 1, 3, 3) * 0.2)
        self.last = nn.Conv2d(8, 10, 3, bias=False)

    def forward(self, x):
        kernel = self.kernel - self.kernel.mean((1, 2, 3), keepdim=True)
        return self.last(F.max_pool2d(F.relu(F.conv2d(x, kernel)), 2)).mean((2, 3))
