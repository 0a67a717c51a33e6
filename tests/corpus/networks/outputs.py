"""What comes out: logits, probabilities, several things, or the wrong thing."""

import torch
import torch.nn.functional as F
from torch import nn


class Logits(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, bias=False)
        self.n1 = nn.BatchNorm2d(8)
        self.c2 = nn.Conv2d(8, 10, 3, bias=False)

    def forward(self, x):
        return self.c2(F.max_pool2d(F.relu(self.n1(self.c1(x))), 2)).mean((2, 3))


class Probabilities(Logits):
    def forward(self, x):
        return torch.softmax(super().forward(x), dim=1)


class LogProbabilities(Logits):
    def forward(self, x):
        return F.log_softmax(super().forward(x), dim=-1)


class LogitsAndFeatures(Logits):
    """A tuple: the answer first, the last map beside it."""

    def forward(self, x):
        features = F.max_pool2d(F.relu(self.n1(self.c1(x))), 2)
        return self.c2(features).mean((2, 3)), features


class Dictionary(Logits):
    def forward(self, x):
        logits = super().forward(x)
        return {"logits": logits, "probabilities": logits.softmax(1)}


class FourAxes(Logits):
    """N x 10 x 1 x 1: the axes of length one were left."""

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.n1(self.c1(x))), 2)
        return self.c2(x).mean((2, 3), keepdim=True)


class ElevenClasses(nn.Module):
    """Eleven answers for ten digits."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, bias=False)
        self.c2 = nn.Conv2d(8, 11, 3, bias=False)

    def forward(self, x):
        return self.c2(F.max_pool2d(F.relu(self.c1(x)), 2)).mean((2, 3))


class OnlyTheDigit(Logits):
    """Answers with the number of the class: nothing that could be trained or ranked."""

    def forward(self, x):
        return super().forward(x).argmax(1)
