"""One look at each image, in ways that invite a miscount."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint


class Member(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.c1 = nn.Conv2d(1, width, 3, bias=False)
        self.n1 = nn.BatchNorm2d(width)
        self.c2 = nn.Conv2d(width, 10, 3, bias=False)

    def forward(self, x):
        return self.c2(F.max_pool2d(F.relu(self.n1(self.c1(x))), 2)).mean((2, 3))


class TwoMembers(nn.Module):
    """Two networks, two sets of parameters, one pass through each."""

    def __init__(self):
        super().__init__()
        self.members = nn.ModuleList([Member(8), Member(12)])

    def forward(self, x):
        return torch.stack([member(x) for member in self.members]).mean(0)


class DeepInOneLayer(nn.Module):
    """The same convolution five times, on what came out of it."""

    def __init__(self):
        super().__init__()
        self.enter = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.core = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.last = nn.Conv2d(16, 10, 1, bias=False)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.enter(x)), 2)
        for _ in range(5):
            x = F.relu(self.core(x)) + x
        return self.last(x).mean((2, 3))


class PyramidPooling(nn.Module):
    """Pools one map at three scales."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, bias=False)
        self.c2 = nn.Conv2d(8, 12, 3, bias=False)
        self.last = nn.Conv2d(36, 10, 1, bias=False)

    def forward(self, x):
        x = F.relu(self.c2(F.max_pool2d(F.relu(self.c1(x)), 2)))
        scales = [F.interpolate(F.adaptive_avg_pool2d(x, size), size=(4, 4)) for size in (1, 2, 4)]
        return self.last(torch.cat(scales, 1)).mean((2, 3))


class FlipsWhileTraining(nn.Module):
    """Augmentation inside the network, and only while it trains."""

    def __init__(self):
        super().__init__()
        self.member = Member(12)

    def forward(self, x):
        if self.training:
            x = torch.where(torch.rand(x.shape[0], 1, 1, 1) < 0.5, x, x.roll(1, 3))
        return self.member(x)


class TwoKernelSizes(nn.Module):
    """Two branches look at the image, each with kernels of its own."""

    def __init__(self):
        super().__init__()
        self.small = nn.Conv2d(1, 6, 3, padding=1, bias=False)
        self.large = nn.Conv2d(1, 6, 5, padding=2, bias=False)
        self.last = nn.Conv2d(12, 10, 3, bias=False)

    def forward(self, x):
        x = F.relu(torch.cat([self.small(x), self.large(x)], 1))
        return self.last(F.max_pool2d(x, 2)).mean((2, 3))


class ImageAndNegative(nn.Module):
    """Image and negative as two channels of one convolution."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(2, 8, 3, bias=False)
        self.c2 = nn.Conv2d(8, 10, 3, bias=False)

    def forward(self, x):
        x = torch.cat([x, 1 - x], dim=1)
        return self.c2(F.max_pool2d(F.relu(self.c1(x)), 2)).mean((2, 3))


class OneByOne(nn.Module):
    """A loop over the images of the batch: each goes through once."""

    def __init__(self):
        super().__init__()
        self.member = Member(12)

    def forward(self, x):
        return torch.cat([self.member(image[None]) for image in x])


class SmallPortions(nn.Module):
    """Saves memory: the batch in portions of two."""

    def __init__(self):
        super().__init__()
        self.member = Member(12)

    def forward(self, x):
        return torch.cat([self.member(portion) for portion in x.split(2)])


class Quarters(nn.Module):
    """The image cut into four, the quarters laid into the batch; each pixel is seen once."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, bias=False)
        self.c2 = nn.Conv2d(8, 10, 3, bias=False)

    def forward(self, x):
        quarters = x.view(-1, 1, 2, 14, 2, 14).permute(0, 2, 4, 1, 3, 5).reshape(-1, 1, 14, 14)
        answers = self.c2(F.max_pool2d(F.relu(self.c1(quarters)), 2)).mean((2, 3))
        return answers.view(-1, 4, 10).mean(1)


class Recomputed(nn.Module):
    """Gradient checkpointing: computed again in the backward pass, once in the forward pass."""

    def __init__(self):
        super().__init__()
        self.member = Member(12)

    def forward(self, x):
        return checkpoint(self.member, x, use_reentrant=False)


class MirroredKernels(nn.Module):
    """Each kernel and its mirror image: a layer that mirroring the image does not confuse."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(6, 1, 3, 3) * 0.2)
        self.last = nn.Conv2d(6, 10, 3, bias=False)

    def forward(self, x):
        x = torch.maximum(F.conv2d(x, self.kernel), F.conv2d(x, self.kernel.flip(3)))
        return self.last(F.max_pool2d(F.relu(x), 2)).mean((2, 3))


class ImageAtEachStep(nn.Module):
    """A recurrent step that is shown the image again each time, beside its own state."""

    def __init__(self):
        super().__init__()
        self.step = nn.Conv2d(13, 12, 3, padding=1, bias=False)
        self.last = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        x = F.avg_pool2d(x, 2)
        state = torch.zeros(x.shape[0], 12, 14, 14)
        for _ in range(3):
            state = torch.tanh(self.step(torch.cat([x, state], 1)))
        return self.last(state).mean((2, 3))
