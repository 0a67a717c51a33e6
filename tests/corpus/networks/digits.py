"""Images of 1 x 8 x 8."""

import torch
import torch.nn.functional as F
from torch import nn


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, bias=False)
        self.norm1 = nn.BatchNorm2d(12)
        self.conv2 = nn.Conv2d(12, 16, 3, bias=False)
        self.last = nn.Conv2d(16, 10, 1, bias=False)

    def forward(self, x):
        x = F.relu(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return self.last(x).amax((2, 3))


class OneKernel(nn.Module):
    """One convolution as large as the image: allowed by the wording, and all it is is a matrix."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 8, bias=False)

    def forward(self, x):
        return self.conv(x)[:, :, 0, 0]


class OneMatrix(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(64, 10))

    def forward(self, x):
        return torch.einsum("npq,pqk->nk", x[:, 0], self.w.view(8, 8, 10))
