"""Images of 3 x 32 x 32."""

import torch.nn.functional as F
from torch import nn


class Small(nn.Module):
    """All convolutions, three strides."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential()
        for inputs, outputs in ((3, 16), (16, 24), (24, 32)):
            self.net.append(nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False))
            self.net.append(nn.BatchNorm2d(outputs))
            self.net.append(nn.SiLU())
        self.last = nn.Conv2d(32, 10, 1, bias=False)

    def forward(self, x):
        return self.last(self.net(x)).mean((2, 3))


class Classic(nn.Module):
    """The tutorial's network in small: three dense layers, biases everywhere."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = x.view(-1, 16 * 5 * 5)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class GreyFirst(nn.Module):
    """Makes the image grey with the usual three weights, then convolves."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, bias=False)
        self.norm1 = nn.BatchNorm2d(12)
        self.conv2 = nn.Conv2d(12, 10, 3, bias=False)

    def forward(self, x):
        grey = 0.299 * x[:, :1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:]
        return self.conv2(F.max_pool2d(F.relu(self.norm1(self.conv1(grey))), 2)).mean((2, 3))
