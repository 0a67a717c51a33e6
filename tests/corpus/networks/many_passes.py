"""One answer from more than one look."""

import torch
import torch.nn.functional as F
from torch import nn


class Body(nn.Module):
    def __init__(self, drop=0.0):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, bias=False)
        self.n1 = nn.BatchNorm2d(8)
        self.c2 = nn.Conv2d(8, 12, 3, bias=False)
        self.n2 = nn.BatchNorm2d(12)
        self.c3 = nn.Conv2d(12, 10, 1, bias=False)
        self.drop = drop

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.n1(self.c1(x))), 2)
        x = F.relu(self.n2(self.c2(x)))
        if self.drop:
            x = F.dropout(x, self.drop, training=True)
        return self.c3(x).mean((2, 3))


class FlipAndAverage(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = Body()

    def forward(self, x):
        return (self.body(x) + self.body(x.flip(3))) / 2


class OneLargeBatch(nn.Module):
    """Called once, with five shifted copies of each image in one batch."""

    def __init__(self):
        super().__init__()
        self.body = Body()

    def forward(self, x):
        copies = [x, x.roll(1, 2), x.roll(-1, 2), x.roll(1, 3), x.roll(-1, 3)]
        return self.body(torch.cat(copies)).view(5, x.shape[0], 10).mean(0)


class LoopOverShifts(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = Body()

    def forward(self, x):
        padded = F.pad(x, (1, 1, 1, 1))
        total = 0
        for row in range(3):
            for column in range(3):
                total = total + self.body(padded[:, :, row : row + 28, column : column + 28]).softmax(1)
        return total / 9


class DropoutThatStays(nn.Module):
    """Eight answers with different dropout, averaged."""

    def __init__(self):
        super().__init__()
        self.body = Body(drop=0.2)

    def forward(self, x):
        return torch.stack([self.body(x) for _ in range(8)]).mean(0)


class FiveCrops(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = Body()

    def forward(self, x):
        places = [(0, 0), (0, 4), (4, 0), (4, 4), (2, 2)]
        crops = torch.stack([x[..., row : row + 24, column : column + 24] for row, column in places], dim=1)
        answers = self.body(crops.flatten(0, 1))
        return answers.view(-1, 5, 10).amax(1)


class MappedOverViews(nn.Module):
    """The loop is torch.vmap's."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, bias=False)
        self.c2 = nn.Conv2d(8, 10, 3, bias=False)

    def look(self, x):
        return self.c2(F.avg_pool2d(F.relu(self.c1(x)), 2)).mean((2, 3))

    def forward(self, x):
        views = torch.stack([x, x.flip(3), x.flip(2)])
        return torch.vmap(self.look)(views).mean(0)


class OnlyWhenItCounts(nn.Module):
    """One pass in training; in evaluation, rotations."""

    def __init__(self):
        super().__init__()
        self.body = Body()

    def forward(self, x):
        if self.training:
            return self.body(x)
        return sum(self.body(torch.rot90(x, turn, (2, 3))) for turn in (0, 1, 3))


class SideBySide(nn.Module):
    """Image and mirror image as two channels, and the same kernels for both by repeating them over groups."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(8, 1, 3, 3) * 0.2)
        self.c2 = nn.Conv2d(8, 10, 3, bias=False)

    def forward(self, x):
        pair = torch.cat([x, x.flip(3)], dim=1)
        y = F.relu(F.conv2d(pair, self.kernel.repeat(2, 1, 1, 1), groups=2))
        y = F.max_pool2d(y, 2).unflatten(1, (2, 8))
        return (self.c2(y[:, 0]).mean((2, 3)) + self.c2(y[:, 1]).mean((2, 3))) / 2


class Scales(nn.Module):
    """The same network looks at the image at two sizes."""

    def __init__(self):
        super().__init__()
        self.body = Body()

    def forward(self, x):
        return self.body(x) + self.body(F.interpolate(x, scale_factor=0.75, mode="bilinear"))


class SeveralTries(nn.Module):
    """Adds noise, answers ten times, and takes the answer of which it is most sure."""

    def __init__(self):
        super().__init__()
        self.body = Body()

    def forward(self, x):
        noisy = x.repeat(10, 1, 1, 1) + 0.05 * torch.randn(10 * x.shape[0], 1, 28, 28)
        answers = self.body(noisy).softmax(1).view(10, -1, 10)
        surest = answers.amax(2).argmax(0)
        return answers[surest, torch.arange(x.shape[0])]
