"""The same computation with another name on the door."""

import torch
import torch.nn.functional as F
from torch import nn


class Stem(nn.Module):
    """1 x 28 x 28 to 12 x 6 x 6."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 6, 5, bias=False)
        self.na = nn.BatchNorm2d(6)
        self.b = nn.Conv2d(6, 12, 3, padding=1, bias=False)
        self.nb = nn.BatchNorm2d(12)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.na(self.a(x))), 2)
        return F.max_pool2d(F.relu(self.nb(self.b(x))), 2)


class FlattenedPointwise(nn.Module):
    """Pixels become channels, then a 1x1 convolution: nn.Linear with two extra axes of length one."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(784, 10, 1, bias=False)

    def forward(self, x):
        return self.mix(x.reshape(x.shape[0], 784, 1, 1)).flatten(1)


class PointwiseOverPositions(nn.Module):
    """Positions take the place of channels, so a 1x1 convolution mixes the whole map (the token mixing of an MLP-Mixer)."""

    def __init__(self):
        super().__init__()
        self.stem = Stem()
        self.mix = nn.Conv1d(36, 36, 1, bias=False)
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        x = self.stem(x)
        mixed = self.mix(x.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(x.shape)
        return self.last(F.relu(mixed)).mean((2, 3))


class LocallyConnected(nn.Module):
    """Each place of the map has a filter of its own."""

    def __init__(self):
        super().__init__()
        self.stem = Stem()
        self.kernels = nn.Parameter(torch.randn(16, 4, 108) * 0.05)  # places, filters, 3*3*12
        self.last = nn.Conv2d(4, 10, 1, bias=False)

    def forward(self, x):
        patches = F.unfold(self.stem(x), 3)  # N, 108, 16
        y = torch.einsum("npl,lkp->nkl", patches, self.kernels).reshape(-1, 4, 4, 4)
        return self.last(F.relu(y)).mean((2, 3))


class GroupsOfPlaces(nn.Module):
    """Places as groups of a grouped 1x1 convolution: a locally connected layer that looks like a convolution."""

    def __init__(self):
        super().__init__()
        self.stem = Stem()
        self.local = nn.Conv2d(36 * 12, 36 * 4, 1, groups=36, bias=False)
        self.last = nn.Conv2d(4, 10, 1, bias=False)

    def forward(self, x):
        x = self.stem(x).permute(0, 2, 3, 1).reshape(-1, 432, 1, 1)
        y = self.local(x).reshape(-1, 6, 6, 4).permute(0, 3, 1, 2)
        return self.last(F.relu(y)).mean((2, 3))


class AttentionOverPlaces(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = Stem()
        self.attention = nn.MultiheadAttention(12, 2, bias=False, batch_first=True)
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        x = self.stem(x)
        rows = x.flatten(2).transpose(1, 2)
        rows = rows + self.attention(rows, rows, rows, need_weights=False)[0]
        return self.last(rows.transpose(1, 2).reshape(x.shape)).mean((2, 3))


class RowsThroughLSTM(nn.Module):
    """Reads the image row by row; the last state is the answer."""

    def __init__(self):
        super().__init__()
        self.read = nn.LSTM(28, 10, bias=False, batch_first=True)

    def forward(self, x):
        return self.read(x[:, 0])[0][:, -1]


class LitPixels(nn.Module):
    """Sums a vector for each lit pixel: a matrix times the binary image, without a product."""

    def __init__(self):
        super().__init__()
        self.vectors = nn.Embedding(785, 10, padding_idx=784)
        self.register_buffer("places", torch.arange(784), persistent=False)

    def forward(self, x):
        lit = x.flatten(1) > 0.5
        return self.vectors(torch.where(lit, self.places, 784)).sum(1)


class WeightedBag(nn.Module):
    """EmbeddingBag with the pixels as weights of the sum."""

    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(784, 10, mode="sum")

    def forward(self, x):
        flat = x.flatten(1)
        places = torch.arange(784, device=x.device).expand(flat.shape[0], 784)
        return self.bag(places, per_sample_weights=flat)


class LearnedPrototypes(nn.Module):
    """Distance to ten learned points of the flattened map."""

    def __init__(self):
        super().__init__()
        self.stem = Stem()
        self.points = nn.Parameter(torch.randn(10, 432) * 0.1)

    def forward(self, x):
        return -torch.cdist(self.stem(x).flatten(1), self.points)


class UnfoldedWhole(nn.Module):
    """The whole map as one patch, then a matrix."""

    def __init__(self):
        super().__init__()
        self.stem = Stem()
        self.w = nn.Parameter(torch.randn(10, 432) * 0.05)

    def forward(self, x):
        patches = F.unfold(self.stem(x), kernel_size=6)  # N, 432, 1
        return (self.w @ patches).squeeze(-1)


class LearnedPooling(nn.Module):
    """Global pooling with a learned weight for each place, one set for all channels."""

    def __init__(self):
        super().__init__()
        self.stem = Stem()
        self.last = nn.Conv2d(12, 10, 1, bias=False)
        self.importance = nn.Parameter(torch.full((1, 1, 6, 6), 1 / 36))

    def forward(self, x):
        return (self.last(self.stem(x)) * self.importance).sum((2, 3))


class Conv2d(nn.Module):
    """Called Conv2d, and multiplies the flattened map with a matrix."""

    def __init__(self, features, filters):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features, filters) * 0.05)

    def forward(self, x):
        return x.flatten(1).mm(self.weight)[:, :, None, None]


class NamedConvolution(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = Stem()
        self.conv3 = Conv2d(432, 10)

    def forward(self, x):
        return self.conv3(self.stem(x)).flatten(1)


class Pointwise(nn.Conv2d):
    """By its type a 1x1 convolution; its forward is another thing."""

    def forward(self, x):
        return F.linear(x.flatten(1), self.weight.flatten(1))[:, :, None, None]


class SubclassedConvolution(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = Stem()
        self.classify = Pointwise(432, 10, 1, bias=False)

    def forward(self, x):
        return self.classify(self.stem(x)).flatten(1)


class PatchedForward(nn.Module):
    """The forward of one convolution is replaced by hand after it was made."""

    def __init__(self):
        super().__init__()
        self.stem = Stem()
        self.classify = nn.Conv2d(12, 10, 6, bias=False)
        self.classify.forward = lambda x: torch.inner(x.flatten(1), self.classify.weight.flatten(1))

    def forward(self, x):
        return self.classify(self.stem(x))
