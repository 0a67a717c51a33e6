"""Clean networks of many kinds, as courses and papers make them: nothing in here is a trick."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn


def unit(inputs, outputs, size=3, **more):
    return nn.Sequential(nn.Conv2d(inputs, outputs, size, bias=False, **more), nn.BatchNorm2d(outputs), nn.ReLU())


class InvertedResidual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = unit(1, 8, stride=2, padding=1)
        self.expand = unit(8, 32, 1)
        self.depthwise = unit(32, 32, padding=1, groups=32)
        self.project = nn.Conv2d(32, 8, 1, bias=False)
        self.last = nn.Conv2d(8, 10, 1, bias=False)

    def forward(self, x):
        x = self.first(x)
        x = x + self.project(self.depthwise(self.expand(x)))
        return self.last(x).mean((2, 3))


class DenselyConnected(nn.Module):
    """DenseNet's idea: maps are concatenated. Its name says dense."""

    def __init__(self):
        super().__init__()
        self.dense_layers = nn.ModuleList(unit(1 + 6 * i, 6, padding=1) for i in range(4))
        self.transition = nn.Conv2d(25, 10, 1, bias=False)

    def forward(self, x):
        x = F.avg_pool2d(x, 2)
        for layer in self.dense_layers:
            x = torch.cat([x, layer(x)], dim=1)
        return F.adaptive_avg_pool2d(self.transition(x), 1).flatten(1)


class FireModule(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = unit(1, 16, stride=2)
        self.squeeze = unit(16, 4, 1)
        self.left, self.right = unit(4, 8, 1), unit(4, 8, 3, padding=1)
        self.last = nn.Conv2d(16, 10, 1, bias=False)

    def forward(self, x):
        x = self.squeeze(self.first(x))
        return self.last(torch.cat([self.left(x), self.right(x)], 1)).mean((2, 3))


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = unit(1, 8)
        self.branches = nn.ModuleDict({"one": unit(8, 6, 1), "three": unit(8, 6, 3, padding=1), "five": unit(8, 4, 5, padding=2)})
        self.last = nn.Conv2d(24, 10, 1, bias=False)

    def forward(self, x):
        x = F.max_pool2d(self.first(x), 2)
        pooled = F.max_pool2d(x, 3, stride=1, padding=1)
        x = torch.cat([*(branch(x) for branch in self.branches.values()), pooled], 1)
        return self.last(x).mean((2, 3))


class Dilated(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(unit(1, 8), unit(8, 8, dilation=2), unit(8, 8, dilation=4), nn.Conv2d(8, 10, 3, bias=False))

    def forward(self, x):
        return torch.logsumexp(self.net(x), dim=(2, 3))


class NamedInOrder(nn.Module):
    def __init__(self):
        super().__init__()
        layers = OrderedDict(conv1=nn.Conv2d(1, 10, 5, bias=False), act1=nn.GELU(), pool1=nn.AvgPool2d(2))
        layers.update(conv2=nn.Conv2d(10, 16, 3, bias=False), act2=nn.SiLU(), conv3=nn.Conv2d(16, 10, 1, bias=False))
        self.body = nn.Sequential(layers)

    def forward(self, x):
        return self.body(x).flatten(2).mean(-1)


class OnlyFunctions(nn.Module):
    """Parameters in a ParameterList, and functions of torch.nn.functional: no layer at all."""

    def __init__(self):
        super().__init__()
        shapes = [(8, 1, 3, 3), (12, 8, 3, 3), (10, 12, 1, 1)]
        self.kernels = nn.ParameterList(nn.Parameter(torch.randn(shape) * 0.1) for shape in shapes)

    def forward(self, x):
        first, second, third = self.kernels
        x = F.max_pool2d(torch.conv2d(x, first).relu(), 2)
        return F.conv2d(torch.conv2d(x, second).relu(), third).mean((2, 3))


class DownAndUp(nn.Module):
    """A small U: down, up, and a bridge across."""

    def __init__(self):
        super().__init__()
        self.down1, self.down2 = unit(1, 6, padding=1), unit(6, 12, padding=1)
        self.up = nn.Sequential(nn.Upsample(scale_factor=2), unit(12, 6, padding=1))
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        wide = self.down1(x)
        return self.last(torch.cat([wide, self.up(self.down2(F.max_pool2d(wide, 2)))], 1)).mean((2, 3))


class Maxout(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 16, 3, bias=False)
        self.last = nn.Conv2d(8, 20, 3, bias=False)

    def forward(self, x):
        x = F.max_pool2d(self.first(x).unflatten(1, (8, 2)).amax(2), 2)
        return self.last(x).unflatten(1, (10, 2)).amax(2).mean((2, 3))


class ThinKernels(nn.Module):
    """1x3 and 3x1 kernels in turn."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            unit(1, 8, (1, 3)), unit(8, 8, (3, 1)), nn.MaxPool2d(2), unit(8, 12, (1, 3)), unit(12, 12, (3, 1)),
            nn.Conv2d(12, 10, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip

    def forward(self, x):
        return self.net(x)


class GeneralizedMean(nn.Module):
    """Pools with a learned exponent."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(unit(1, 8), nn.MaxPool2d(2), unit(8, 10))
        self.exponent = nn.Parameter(torch.tensor(3.0))

    def forward(self, x):
        x = self.features(x).clamp(min=1e-6).pow(self.exponent)
        return x.mean((2, 3)).pow(1 / self.exponent)


class WeightedByItself(nn.Module):
    """Attention pooling: a 1x1 convolution says how much each place counts, and a softmax over places shares it out."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(unit(1, 8), nn.MaxPool2d(2), unit(8, 12))
        self.look = nn.Conv2d(12, 1, 1, bias=False)
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        x = self.features(x)
        share = self.look(x).flatten(2).softmax(-1)
        return (self.last(x).flatten(2) * share).sum(-1)


class SpatialGate(nn.Module):
    """A map of one channel, made from mean and maximum over channels, is a factor for all of them."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(unit(1, 8), nn.MaxPool2d(2), unit(8, 12))
        self.gate = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        x = self.features(x)
        gate = torch.sigmoid(self.gate(torch.stack([x.mean(1), x.amax(1)], 1)))
        return self.last(x * gate).mean((2, 3))


class LocalResponse(nn.Module):
    """AlexNet's normalization, with constants 2, 1e-4 and 0.75."""

    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 12, 5, bias=False), nn.Conv2d(12, 10, 5, bias=False)
        self.norm = nn.LocalResponseNorm(5, k=2.0)

    def forward(self, x):
        x = F.max_pool2d(self.norm(F.relu(self.c1(x))), 3, 2)
        return self.c2(x).mean((2, 3))


class GatedConvolution(nn.Module):
    """Half of the channels decide how much of the other half passes."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, bias=False)
        self.c2 = nn.Conv2d(8, 20, 3, bias=False)

    def forward(self, x):
        x = F.max_pool2d(F.glu(self.c1(x), dim=1), 2)
        return F.glu(self.c2(x), dim=1).mean((2, 3))


class PatchMerging(nn.Module):
    """Four neighbours become channels, twice, with a 1x1 convolution after each."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(4, 12, 1, bias=False)
        self.two = nn.Conv2d(48, 16, 1, bias=False)
        self.last = nn.Conv2d(16, 10, 3, bias=False)

    def merge(self, x):
        parts = [x[:, :, row::2, column::2] for row in (0, 1) for column in (0, 1)]
        return torch.cat(parts, dim=1)

    def forward(self, x):
        x = F.relu(self.one(self.merge(x)))
        return self.last(F.relu(self.two(self.merge(x)))).mean((2, 3))


class StochasticDepth(nn.Module):
    """Leaves steps out while it trains, none in evaluation."""

    def __init__(self):
        super().__init__()
        self.first = unit(1, 12, stride=2)
        self.steps = nn.ModuleList(unit(12, 12, padding=1) for _ in range(3))
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        x = self.first(x)
        for step in self.steps:
            if not self.training or torch.rand(()) > 0.2:
                x = x + step(x)
        return self.last(x).mean((2, 3))


class MaximumMinusMean(nn.Module):
    """Two poolings of the same map, subtracted."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(unit(1, 8), nn.MaxPool2d(2), unit(8, 12), nn.Conv2d(12, 10, 3, padding="same", bias=False))

    def forward(self, x):
        x = self.net(x)
        return x.amax((2, 3)) - x.mean((2, 3))


class CheapMaps(nn.Module):
    """Half of the maps are made by convolution, the other half from those, depthwise."""

    def __init__(self):
        super().__init__()
        self.real = unit(1, 8)
        self.cheap = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
        self.last = nn.Conv2d(16, 10, 3, bias=False)

    def forward(self, x):
        x = F.max_pool2d(self.real(x), 2)
        return self.last(torch.cat((x, self.cheap(x)), 1)).mean((2, 3))
