"""Names that promise one thing, over code that does another (and is within the rules)."""

import torch.nn.functional as F
from torch import nn


class Linear2d(nn.Module):
    """A 1x1 convolution."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x):
        return self.conv(x)


class Dense(nn.Conv2d):
    """Still a convolution, whatever it is called."""


class UsesLinear2d(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 12, 3, bias=False)
        self.classifier = Linear2d(12, 10)

    def forward(self, x):
        return self.classifier(F.max_pool2d(F.relu(self.first(x)), 2)).mean((2, 3))


class CalledFc(nn.Module):
    """fc is a convolution, dense is one too, and linear is an identity."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 12, 3, bias=False)
        self.dense = Dense(12, 16, 3, bias=False)
        self.linear = nn.Identity()
        self.fc = nn.Conv2d(16, 10, 1, bias=False)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.first(x)), 2)
        return self.fc(self.linear(F.relu(self.dense(x)))).mean((2, 3))


class FullyConnectedNet(nn.Module):
    """«Fully connected», «Bias» and «TTA» in the names, and nothing of it in the graph."""

    def __init__(self, tta=False, use_bias=False):
        super().__init__()
        self.tta_conv = nn.Conv2d(1, 8, 3, bias=use_bias)
        self.bias_norm = nn.BatchNorm2d(8)
        self.fully_connected = nn.Conv2d(8, 10, 3, bias=use_bias)
        self.tta = tta

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bias_norm(self.tta_conv(x))), 2)
        return self.fully_connected(x).mean((2, 3))
