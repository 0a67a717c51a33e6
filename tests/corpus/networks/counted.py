"""The count itself: at the edge, over it, and where sums go wrong."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, prune


class AtTheLimit(nn.Module):
    """15,000 to the last one."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(16)
        self.steps = nn.ModuleList(nn.Conv2d(16, 16, 3, padding=1, bias=False) for _ in range(6))
        self.norms = nn.ModuleList(nn.BatchNorm2d(16) for _ in range(6))
        self.mix = nn.Conv2d(16, 16, 1, bias=False)
        self.mix_norm = nn.BatchNorm2d(16)
        self.input_norm = nn.BatchNorm2d(16)
        self.last = nn.Conv2d(16, 10, 1, bias=False)
        self.last_norm = nn.BatchNorm2d(10)

    def forward(self, x):
        x = F.relu(self.first_norm(self.first(x)))
        for index, (step, norm) in enumerate(zip(self.steps, self.norms, strict=True)):
            if index in (2, 4):
                x = F.max_pool2d(x, 2)
            x = F.relu(norm(step(x)))
        x = F.relu(self.mix_norm(self.mix(self.input_norm(x))))
        return self.last_norm(self.last(x)).mean((2, 3))


class OneTooMany(AtTheLimit):
    """A single learned factor more."""

    def __init__(self):
        super().__init__()
        self.temperature = nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        return super().forward(x) * self.temperature


class OnlyTheTrainableFit(nn.Module):
    """Under the limit as an optimizer counts, over it as the assignment does."""

    def __init__(self):
        super().__init__()
        widths = [1, 16, 16, 16, 16, 16, 16, 16]
        layers = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.ReLU(), nn.BatchNorm2d(outputs)]
        layers.insert(9, nn.MaxPool2d(2))
        layers += [nn.Conv2d(16, 26, 1, bias=False), nn.BatchNorm2d(26), nn.Conv2d(26, 10, 1, bias=False)]
        self.net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x):
        return self.net(x)


class UnusedLayers(nn.Module):
    """Fits by what it uses; what it declares is more."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, bias=False)
        self.conv2 = nn.Conv2d(16, 32, 3, bias=False)
        self.conv3 = nn.Conv2d(32, 40, 3, bias=False)  # from an earlier attempt
        self.last = nn.Conv2d(32, 10, 1, bias=False)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        return self.last(F.relu(self.conv2(x))).mean((2, 3))


class UnusedButSmall(nn.Module):
    """Declares a layer too much and is far from the limit."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, bias=False)
        self.conv2 = nn.Conv2d(8, 16, 3, bias=False)
        self.old = nn.Conv2d(16, 16, 3, bias=False)
        self.last = nn.Conv2d(16, 10, 1, bias=False)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        return self.last(F.relu(self.conv2(x))).mean((2, 3))


class MostlyPruned(nn.Module):
    """«5,208 parameters»: those that are not zero. The others are still there, and so is the mask."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, bias=False)
        self.conv2 = nn.Conv2d(32, 60, 3, bias=False)
        self.last = nn.Conv2d(60, 10, 1, bias=False)
        prune.l1_unstructured(self.conv2, "weight", amount=0.75)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        return self.last(F.relu(self.conv2(x))).mean((2, 3))


class GainsOfWeightNorm(nn.Module):
    """14,976 with plain convolutions; weight normalization adds a gain for each filter."""

    def __init__(self):
        super().__init__()
        self.conv1 = parametrizations.weight_norm(nn.Conv2d(1, 32, 3, bias=False))
        self.conv2 = parametrizations.weight_norm(nn.Conv2d(32, 48, 3, bias=False))
        self.last = parametrizations.weight_norm(nn.Conv2d(48, 18, 1, bias=False))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        return self.last(F.relu(self.conv2(x))).mean((2, 3))[:, :10]


class UsedThreeTimes(nn.Module):
    """One layer, three uses: counted once."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 28, 3, bias=False)
        self.again = nn.Conv2d(28, 28, 3, padding=1, bias=False)
        self.last = nn.Conv2d(28, 10, 1, bias=False)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.first(x)), 2)
        for _ in range(3):
            x = x + F.relu(self.again(x))
        return self.last(x).mean((2, 3))


class TwoNames(nn.Module):
    """One layer under two names, and once more inside a list."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 30, 3, bias=False)
        self.encoder = nn.Conv2d(30, 30, 3, padding=1, bias=False)
        self.decoder = self.encoder
        self.both = nn.ModuleList([self.encoder, self.decoder])
        self.last = nn.Conv2d(30, 10, 1, bias=False)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.first(x)), 2)
        return self.last(self.decoder(F.relu(self.encoder(x)))).mean((2, 3))


class TiedWeights(nn.Module):
    """Two layers, one weight: down with it, and up again."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 32, 3, bias=False)
        self.down = nn.Conv2d(32, 32, 3, stride=2, bias=False)
        self.up = nn.ConvTranspose2d(32, 32, 3, stride=2, bias=False)
        self.up.weight = self.down.weight
        self.last = nn.Conv2d(32, 10, 1, bias=False)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.first(x)), 2)
        return self.last(x + self.up(F.relu(self.down(x)))).mean((2, 3))


class ModestWeightNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = parametrizations.weight_norm(nn.Conv2d(1, 12, 3, bias=False))
        self.conv2 = parametrizations.weight_norm(nn.Conv2d(12, 24, 3, bias=False))
        self.last = nn.Conv2d(24, 10, 1, bias=False)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        return self.last(F.relu(self.conv2(x))).mean((2, 3))


class ModestSpectralNorm(nn.Module):
    """Spectral normalization keeps two vectors of its power iteration."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, bias=False)
        self.conv2 = parametrizations.spectral_norm(nn.Conv2d(12, 24, 3, bias=False))
        self.last = nn.Conv2d(24, 10, 1, bias=False)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        return self.last(F.relu(self.conv2(x))).mean((2, 3))


class ModestlyPruned(nn.Module):
    """Fits with everything it has, mask included."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, bias=False)
        self.conv2 = nn.Conv2d(12, 24, 3, bias=False)
        self.last = nn.Conv2d(24, 10, 1, bias=False)
        prune.random_unstructured(self.conv2, "weight", amount=0.5)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        return self.last(F.relu(self.conv2(x))).mean((2, 3))


class NormalizationWithoutWeights(nn.Module):
    """affine=False: running mean and variance are all there is."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, bias=False)
        self.norm1 = nn.BatchNorm2d(12, affine=False)
        self.conv2 = nn.Conv2d(12, 24, 3, bias=False)
        self.norm2 = nn.BatchNorm2d(24, affine=False)
        self.last = nn.Conv2d(24, 10, 1, bias=False)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2)
        return self.last(F.relu(self.norm2(self.conv2(x)))).mean((2, 3))


class EdgeFilters(nn.Module):
    """Two Sobel kernels, known since 1968: 18 numbers in a buffer."""

    def __init__(self):
        super().__init__()
        edge = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])
        self.register_buffer("sobel", torch.stack([edge, edge.T])[:, None])
        self.conv1 = nn.Conv2d(2, 12, 3, bias=False)
        self.last = nn.Conv2d(12, 10, 3, bias=False)

    def forward(self, x):
        x = F.conv2d(x, self.sobel)
        return self.last(F.max_pool2d(F.relu(self.conv1(x)), 2)).mean((2, 3))


class BlurBeforePooling(nn.Module):
    """The binomial kernel of anti-aliased pooling, once for each channel."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, bias=False)
        line = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("blur", (line[:, None] * line[None]).expand(16, 1, 3, 3).clone())
        self.conv2 = nn.Conv2d(16, 10, 3, bias=False)

    def forward(self, x):
        x = F.conv2d(F.relu(self.conv1(x)), self.blur, stride=2, groups=16)
        return self.conv2(x).mean((2, 3))


class MeanAndDeviation(nn.Module):
    """The data's mean and deviation travel with the network."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor(0.1307))
        self.register_buffer("deviation", torch.tensor(0.3081))
        self.conv1 = nn.Conv2d(1, 12, 3, bias=False)
        self.conv2 = nn.Conv2d(12, 10, 3, bias=False)

    def forward(self, x):
        x = (x - self.mean) / self.deviation
        return self.conv2(F.max_pool2d(F.relu(self.conv1(x)), 2)).mean((2, 3))


class Coordinates(nn.Module):
    """Two channels that say where a pixel is, made in each call."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 12, 3, bias=False)
        self.conv2 = nn.Conv2d(12, 10, 3, bias=False)

    def forward(self, x):
        line = torch.linspace(-1, 1, 28, device=x.device)
        rows = line.view(1, 1, 28, 1).expand(x.shape[0], 1, 28, 28)
        x = torch.cat([x, rows, rows.transpose(2, 3)], dim=1)
        return self.conv2(F.max_pool2d(F.relu(self.conv1(x)), 2)).mean((2, 3))


class ZerosToStartFrom(nn.Module):
    """A recurrent convolution; its first state is a large tensor of zeros."""

    def __init__(self):
        super().__init__()
        self.enter = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.step = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.last = nn.Conv2d(16, 10, 1, bias=False)

    def forward(self, x):
        seen = F.max_pool2d(self.enter(x), 2)
        state = torch.zeros(x.shape[0], 16, 14, 14)
        for _ in range(2):
            state = torch.tanh(seen + self.step(state))
        return self.last(state).mean((2, 3))


class ReducedPrecision(nn.Module):
    """Half the bytes, the same number of numbers."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, bias=False, dtype=torch.bfloat16)
        self.conv2 = nn.Conv2d(12, 24, 3, bias=False, dtype=torch.bfloat16)
        self.last = nn.Conv2d(24, 10, 1, bias=False, dtype=torch.bfloat16)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x.bfloat16())), 2)
        return self.last(F.relu(self.conv2(x))).mean((2, 3)).float()


class MuchToSay(nn.Module):
    """Plain attributes that are no weights: names, widths, a history of losses."""

    def __init__(self):
        super().__init__()
        self.class_names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
        self.widths = [1, 12, 24, 10]
        self.history = [0.3 / (epoch + 1) for epoch in range(20_000)]
        self.conv1 = nn.Conv2d(1, 12, 3, bias=False)
        self.conv2 = nn.Conv2d(12, 24, 3, bias=False)
        self.last = nn.Conv2d(24, 10, 1, bias=False)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        return self.last(F.relu(self.conv2(x))).mean((2, 3))
