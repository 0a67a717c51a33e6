"""Fully connected layers in the open, and behind one thin curtain."""

import torch
import torch.nn.functional as F
from torch import nn


def trunk():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )  # 16 x 5 x 5


class PlainLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = trunk()
        self.head = nn.Linear(400, 10, bias=False)

    def forward(self, x):
        return self.head(self.trunk(x).flatten(1))


class LinearAfterPooling(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = trunk()
        self.out = nn.Linear(16, 10, bias=False)

    def forward(self, x):
        return self.out(self.trunk(x).mean((2, 3)))


class BilinearHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = trunk()
        self.mix = nn.Bilinear(16, 16, 10, bias=False)

    def forward(self, x):
        x = self.trunk(x)
        return self.mix(x.mean((2, 3)), x.amax((2, 3)))


class LazyHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = trunk()
        self.head = nn.LazyLinear(10, bias=False)

    def forward(self, x):
        return self.head(torch.flatten(self.trunk(x), 1))


class FunctionalLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = trunk()
        self.weight = nn.Parameter(torch.randn(10, 400) * 0.05)

    def forward(self, x):
        return F.linear(self.trunk(x).view(x.shape[0], -1), self.weight)


class MatrixProduct(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = trunk()
        self.w = nn.Parameter(torch.randn(400, 10) * 0.05)

    def forward(self, x):
        return self.trunk(x).reshape(-1, 400) @ self.w


class EinsumHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = trunk()
        self.kernel = nn.Parameter(torch.randn(10, 16, 5, 5) * 0.05)

    def forward(self, x):
        return torch.einsum("nchw,kchw->nk", self.trunk(x), self.kernel)


class TensordotHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = trunk()
        self.kernel = nn.Parameter(torch.randn(16, 5, 5, 10) * 0.05)

    def forward(self, x):
        return torch.tensordot(self.trunk(x), self.kernel, dims=3)


class AddmmHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = trunk()
        self.w = nn.Parameter(torch.randn(400, 10) * 0.05)
        self.start = nn.Parameter(torch.zeros(10))

    def forward(self, x):
        return torch.addmm(self.start, self.trunk(x).flatten(1), self.w)


class MultiplyAndSum(nn.Module):
    """No product of matrices anywhere: the same sum, written with broadcasting."""

    def __init__(self):
        super().__init__()
        self.trunk = trunk()
        self.templates = nn.Parameter(torch.randn(10, 16, 5, 5) * 0.05)

    def forward(self, x):
        x = self.trunk(x)
        return (x[:, None] * self.templates[None]).sum(dim=(2, 3, 4))


class InsideModuleList(nn.Module):
    def __init__(self):
        super().__init__()
        self.steps = nn.ModuleList([trunk(), nn.Flatten(), nn.ModuleList([nn.Linear(400, 10, bias=False)])])

    def forward(self, x):
        x = self.steps[1](self.steps[0](x))
        for step in self.steps[2]:
            x = step(x)
        return x


class InsideParameterDict(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = trunk()
        self.store = nn.ParameterDict({"k": nn.Parameter(torch.randn(10, 400) * 0.05)})

    def forward(self, x):
        return torch.matmul(self.store["k"], self.trunk(x).flatten(1).T).T


class ThroughFunctionalCall(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = trunk()
        self.skeleton = nn.Linear(400, 10, bias=False)
        self.flesh = nn.Parameter(torch.randn(10, 400) * 0.05)

    def forward(self, x):
        return torch.func.functional_call(self.skeleton, {"weight": self.flesh}, (self.trunk(x).flatten(1),))


class BuiltOnTheSpot(nn.Module):
    """A layer that no list of modules shows: it is made anew, from a fixed seed, in each call."""

    def __init__(self):
        super().__init__()
        self.trunk = trunk()

    def forward(self, x):
        torch.manual_seed(0)
        return nn.Linear(400, 10)(self.trunk(x).flatten(1))


class OneVectorAtATime(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = trunk()
        self.w = nn.Parameter(torch.randn(10, 400) * 0.05)

    def forward(self, x):
        return torch.vmap(lambda vector: torch.mv(self.w, vector))(self.trunk(x).flatten(1))


class CosineHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = trunk()
        self.directions = nn.Parameter(torch.randn(10, 400))

    def forward(self, x):
        x = F.normalize(self.trunk(x).flatten(1), dim=1)
        return 16 * x.matmul(F.normalize(self.directions, dim=1).t())


class SqueezeWithLinear(nn.Module):
    """The usual squeeze-and-excitation block, as most people copy it."""

    def __init__(self):
        super().__init__()
        self.trunk = trunk()
        self.squeeze = nn.Linear(16, 4, bias=False)
        self.excite = nn.Linear(4, 16, bias=False)
        self.last = nn.Conv2d(16, 10, 1, bias=False)

    def forward(self, x):
        x = self.trunk(x)
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean((2, 3))))))
        return self.last(x * gate[:, :, None, None]).mean((2, 3))


class OnlyInEval(nn.Module):
    """Trains a convolution, answers with a matrix."""

    def __init__(self):
        super().__init__()
        self.trunk = trunk()
        self.shown = nn.Conv2d(16, 10, 1, bias=False)
        self.used = nn.Linear(400, 10, bias=False)

    def forward(self, x):
        x = self.trunk(x)
        if self.training:
            return self.shown(x).mean((2, 3))
        return self.used(x.flatten(1))


class OnlyForRealImages(nn.Module):
    """Noise goes through the convolution; an image with an empty corner, as all digits have, through the matrix."""

    def __init__(self):
        super().__init__()
        self.trunk = trunk()
        self.decoy = nn.Conv2d(16, 10, 1, bias=False)
        self.real = nn.Linear(400, 10, bias=False)

    def forward(self, x):
        empty_corner = bool(x[:, :, 0, 0].abs().max() < 1e-6)
        x = self.trunk(x)
        if empty_corner:
            return self.real(x.flatten(1))
        return self.decoy(x).mean((2, 3))
