"""Networks without a fully connected layer, each of which looks as if it had one."""

import torch
import torch.nn.functional as F
from torch import nn


def block(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class FullExtent(nn.Module):
    """The last convolution is as large as its input."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(block(1, 8), nn.MaxPool2d(2), block(8, 12), nn.MaxPool2d(2))
        self.last = nn.Conv2d(12, 10, 5, bias=False)

    def forward(self, x):
        return self.last(self.features(x)).flatten(1)


class LastConvolutionAfterPooling(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(block(1, 8), nn.MaxPool2d(2), block(8, 12))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        return self.last(self.pool(self.features(x))).view(-1, 10)


class LastConvolutionBeforePooling(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(block(1, 8), nn.MaxPool2d(2), block(8, 12))
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        return F.avg_pool2d(self.last(self.features(x)), 11).view(-1, 10)


class WholeSequence(nn.Module):
    """One dimension instead of two: the kernel is as long as the flattened map."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(block(1, 8), nn.MaxPool2d(2), block(8, 12), nn.MaxPool2d(2))
        self.last = nn.Conv1d(12, 10, 25, bias=False)

    def forward(self, x):
        return self.last(self.features(x).flatten(2)).squeeze(-1)


class WholeVolume(nn.Module):
    """Three dimensions: channels are the depth of one volume, and the kernel fills it."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(block(1, 8), nn.MaxPool2d(2), block(8, 12), nn.MaxPool2d(2))
        self.last = nn.Conv3d(1, 10, (12, 5, 5), bias=False)

    def forward(self, x):
        return self.last(self.features(x).unsqueeze(1)).flatten(1)


class GlobalDepthwise(nn.Module):
    """Each channel is pooled by its own learned kernel of the map's size."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(block(1, 8), nn.MaxPool2d(2), block(8, 12), nn.MaxPool2d(2))
        self.to_classes = nn.Conv2d(12, 10, 1, bias=False)
        self.pool = nn.Conv2d(10, 10, 5, groups=10, bias=False)

    def forward(self, x):
        return self.pool(self.to_classes(self.features(x))).flatten(1)


class FlattenAtTheEnd(nn.Module):
    """nn.Flatten after global pooling: nothing is left to connect."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            block(1, 8), nn.MaxPool2d(2), block(8, 10), block(10, 10), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten()
        )

    def forward(self, x):
        return self.net(x)


class EinsumPointwise(nn.Module):
    """A 1x1 convolution in index notation: the weight knows channels, never places."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(block(1, 8), nn.MaxPool2d(2), block(8, 12))
        self.mix = nn.Parameter(torch.randn(10, 12) * 0.1)

    def forward(self, x):
        return torch.einsum("nchw,kc->nkhw", self.features(x), self.mix).mean((2, 3))


class UnfoldedConvolution(nn.Module):
    """A 3x3 convolution as textbooks explain it: patches as columns, then one matrix for all of them."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(block(1, 8), nn.MaxPool2d(2))
        self.kernel = nn.Parameter(torch.randn(10, 72) * 0.05)

    def forward(self, x):
        x = self.features(x)
        columns = F.unfold(x, 3)
        return (self.kernel @ columns).view(x.shape[0], 10, 11, 11).amax((2, 3))


class LinearOnEachPixel(nn.Module):
    """nn.Linear over the channels, channels last: by what it computes, a 1x1 convolution."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(block(1, 8), nn.MaxPool2d(2), block(8, 12))
        self.mix = nn.Linear(12, 10, bias=False)

    def forward(self, x):
        return self.mix(self.features(x).permute(0, 2, 3, 1)).mean((1, 2))


class DepthwiseSeparable(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = block(1, 16)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False)
        self.pointwise = nn.Conv2d(16, 24, 1, bias=False)
        self.norm = nn.BatchNorm2d(24)
        self.last = nn.Conv2d(24, 10, 1, bias=False)

    def forward(self, x):
        x = F.max_pool2d(self.first(x), 2)
        x = F.relu(self.norm(self.pointwise(self.depthwise(x))))
        return self.last(x).mean((2, 3))


class GroupedAndShuffled(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = block(1, 16)
        self.grouped = nn.Conv2d(16, 32, 3, groups=4, bias=False)
        self.shuffle = nn.ChannelShuffle(4)
        self.mix = nn.Conv2d(32, 10, 1, groups=2, bias=False)

    def forward(self, x):
        x = F.relu(self.shuffle(self.grouped(F.max_pool2d(self.first(x), 2))))
        return self.mix(x).mean((2, 3))


class NonLocalBlock(nn.Module):
    """Places look at each other; queries, keys and values are 1x1 convolutions, and no weight belongs to a place."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(block(1, 8), nn.MaxPool2d(2), block(8, 12), nn.MaxPool2d(2))
        self.q = nn.Conv2d(12, 4, 1, bias=False)
        self.k = nn.Conv2d(12, 4, 1, bias=False)
        self.v = nn.Conv2d(12, 12, 1, bias=False)
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        x = self.features(x)
        q, k, v = (layer(x).flatten(2) for layer in (self.q, self.k, self.v))
        look = torch.softmax(q.transpose(1, 2) @ k, dim=-1)
        return self.last(x + (v @ look.transpose(1, 2)).view_as(x)).mean((2, 3))


class LowRankKernel(nn.Module):
    """A product of two parameters makes a kernel; no activation is multiplied with a matrix."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(block(1, 8), nn.MaxPool2d(2))
        self.left = nn.Parameter(torch.randn(24, 4) * 0.2)
        self.right = nn.Parameter(torch.randn(4, 72) * 0.2)
        self.last = nn.Conv2d(24, 10, 1, bias=False)

    def forward(self, x):
        kernel = (self.left @ self.right).view(24, 8, 3, 3)
        return self.last(F.relu(F.conv2d(self.features(x), kernel))).mean((2, 3))


class GramMatrix(nn.Module):
    """Features times themselves: a product of matrices without a weight in it."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(block(1, 8), nn.MaxPool2d(2), block(8, 10))

    def forward(self, x):
        x = self.features(x).flatten(2)
        gram = torch.bmm(x, x.transpose(1, 2)) / x.shape[-1]
        return gram.sum(-1)


class GreyLevels(nn.Module):
    """An embedding of the grey level, the same for each pixel."""

    def __init__(self):
        super().__init__()
        self.level = nn.Embedding(16, 6)
        self.features = nn.Sequential(block(6, 12), nn.MaxPool2d(2))
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        grey = (x[:, 0].clamp(0, 1) * 15).round().long()
        return self.last(self.features(self.level(grey).permute(0, 3, 1, 2))).mean((2, 3))


class RowsAsSequence(nn.Module):
    """A short one-dimensional kernel that slides down the rows; the 28 columns are its channels."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(1, 8, (3, 3), padding=1, bias=False)
        self.two = nn.Conv1d(8, 16, 3, bias=False)
        self.three = nn.Conv1d(16, 10, 3, bias=False)

    def forward(self, x):
        x = F.relu(self.one(x)).amax(3)
        return self.three(F.relu(self.two(x))).mean(2)


class SpaceToDepth(nn.Module):
    def __init__(self):
        super().__init__()
        self.fold = nn.PixelUnshuffle(2)
        self.mix = nn.Conv2d(4, 16, 1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.conv = nn.Conv2d(16, 10, 3, bias=False)

    def forward(self, x):
        return self.conv(F.relu(self.norm(self.mix(self.fold(x))))).mean((2, 3))


class Patchify(nn.Module):
    """Kernel and stride of 7: large, and still the same weights for all 16 patches."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(1, 24, 7, stride=7, bias=False)
        self.norm = nn.BatchNorm2d(24)
        self.mix = nn.Conv2d(24, 10, 3, bias=False)

    def forward(self, x):
        return self.mix(F.relu(self.norm(self.patches(x)))).mean((2, 3))


class Straightened(nn.Module):
    """Deskews by the image's moments (affine_grid multiplies matrices inside), then convolves."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(block(1, 8), nn.MaxPool2d(2), block(8, 10))

    def forward(self, x):
        places = torch.linspace(-1, 1, 28, device=x.device)
        mass = x.sum((1, 2, 3)).clamp_min(1e-3)
        rows, columns = x.sum((1, 3)), x.sum((1, 2))
        cy, cx = (rows * places).sum(1) / mass, (columns * places).sum(1) / mass
        dy, dx = places[None, :, None] - cy[:, None, None], places[None, None, :] - cx[:, None, None]
        slant = (x[:, 0] * dy * dx).sum((1, 2)) / (x[:, 0] * dy * dy).sum((1, 2)).clamp_min(1e-3)
        one, zero = torch.ones_like(cx), torch.zeros_like(cx)
        theta = torch.stack([torch.stack([one, slant, cx], 1), torch.stack([zero, one, cy], 1)], 1)
        grid = F.affine_grid(theta, list(x.shape), align_corners=True)
        return self.features(F.grid_sample(x, grid, align_corners=True)).mean((2, 3))


class LargePaddedKernel(nn.Module):
    """A 9x9 kernel over a padded 5x5 map: larger than the map, and it slides."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(block(1, 4), nn.MaxPool2d(2), block(4, 6), nn.MaxPool2d(2))
        self.wide = nn.Conv2d(6, 10, 9, padding=4, bias=False)

    def forward(self, x):
        return self.wide(self.features(x)).mean((2, 3))


class SqueezeWithConvolutions(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(block(1, 8), nn.MaxPool2d(2), block(8, 16))
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 4, 1, bias=False), nn.ReLU(), nn.Conv2d(4, 16, 1, bias=False), nn.Sigmoid()
        )
        self.last = nn.Conv2d(16, 10, 1, bias=False)

    def forward(self, x):
        x = self.features(x)
        return self.last(x * self.gate(x)).mean((2, 3))


class CosineTransform(nn.Module):
    """A fixed cosine transform of the image before the first convolution: a matrix, and nobody learned it."""

    def __init__(self):
        super().__init__()
        i = torch.arange(28.0)
        self.register_buffer("basis", torch.cos(torch.pi / 28 * (i[None] + 0.5) * i[:, None]) / 28**0.5)
        self.features = nn.Sequential(block(1, 8), nn.MaxPool2d(2), block(8, 10))

    def forward(self, x):
        return self.features(self.basis @ x @ self.basis.T).mean((2, 3))
