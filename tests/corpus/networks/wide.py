"""A constructor with arguments: the same class fits or not."""

import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self, width=16, *, bias=False, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, bias=bias)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, bias=bias)
        self.norm2 = nn.BatchNorm2d(2 * width)
        self.last = nn.Conv2d(2 * width, classes, 1, bias=bias)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2)
        return self.last(F.relu(self.norm2(self.conv2(x)))).mean((2, 3))


class NeedsAWidth(Net):
    def __init__(self, width):
        super().__init__(width)
