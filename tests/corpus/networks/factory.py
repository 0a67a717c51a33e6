"""Functions that return a network."""

from torch import nn


def net():
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, bias=False),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(12, 10, 3, bias=False),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
    )


def net_with_dense(hidden=16):
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, bias=False),
        nn.ReLU(),
        nn.MaxPool2d(4),
        nn.Flatten(),
        nn.Linear(288, hidden, bias=False),
        nn.ReLU(),
        nn.Linear(hidden, 10, bias=False),
    )
