"""Two networks that could both be meant."""

import torch.nn.functional as F
from torch import nn


class First(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 8, 3, bias=False)
        self.b = nn.Conv2d(8, 10, 3, bias=False)

    def forward(self, x):
        return self.b(F.max_pool2d(F.relu(self.a(x)), 2)).mean((2, 3))


class Second(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 16, 3, bias=False)
        self.b = nn.Conv2d(16, 10, 3, bias=False)

    def forward(self, x):
        return self.b(F.max_pool2d(F.relu(self.a(x)), 2)).mean((2, 3))
