"""More numbers than the count shows."""

import base64

import numpy
import torch
import torch.nn.functional as F
from torch import nn

SHARED_KERNEL = torch.randn(40, 16, 5, 5, generator=torch.Generator().manual_seed(11)) * 0.05


def first():
    return nn.Sequential(nn.Conv2d(1, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2))  # 16 x 13 x 13


class FrozenLayers(nn.Module):
    """requires_grad=False takes them from the trainable count, not from the network."""

    def __init__(self):
        super().__init__()
        self.first = first()
        self.pretrained = nn.Conv2d(16, 40, 5, bias=False)
        self.pretrained.weight.requires_grad = False
        self.last = nn.Conv2d(40, 10, 1, bias=False)

    def forward(self, x):
        return self.last(F.relu(self.pretrained(self.first(x)))).mean((2, 3))


class KernelInABuffer(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = first()
        self.register_buffer("kernel", torch.randn(40, 16, 5, 5) * 0.05)
        self.last = nn.Conv2d(40, 10, 1, bias=False)

    def forward(self, x):
        return self.last(F.relu(F.conv2d(self.first(x), self.kernel))).mean((2, 3))


class BufferNotSaved(nn.Module):
    """persistent=False: not even state_dict shows it."""

    def __init__(self):
        super().__init__()
        self.first = first()
        self.register_buffer("kernel", torch.randn(40, 16, 5, 5) * 0.05, persistent=False)
        self.last = nn.Conv2d(40, 10, 1, bias=False)

    def forward(self, x):
        return self.last(F.relu(F.conv2d(self.first(x), self.kernel))).mean((2, 3))


class PlainAttribute(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = first()
        self.kernel = torch.randn(40, 16, 5, 5) * 0.05
        self.last = nn.Conv2d(40, 10, 1, bias=False)

    def forward(self, x):
        return self.last(F.relu(F.conv2d(self.first(x), self.kernel))).mean((2, 3))


class GlobalTensor(nn.Module):
    """The kernel belongs to the file, not to the network."""

    def __init__(self):
        super().__init__()
        self.first = first()
        self.last = nn.Conv2d(40, 10, 1, bias=False)

    def forward(self, x):
        return self.last(F.relu(F.conv2d(self.first(x), SHARED_KERNEL))).mean((2, 3))


class ArrayOfNumPy(nn.Module):
    """An array becomes a tensor in each call."""

    def __init__(self):
        super().__init__()
        self.first = first()
        self.kernel = numpy.random.default_rng(3).normal(0, 0.05, (40, 16, 5, 5)).astype("float32")
        self.last = nn.Conv2d(40, 10, 1, bias=False)

    def forward(self, x):
        return self.last(F.relu(F.conv2d(self.first(x), torch.from_numpy(self.kernel)))).mean((2, 3))


class ListOfNumbers(nn.Module):
    """A Python list becomes a tensor in each call."""

    def __init__(self):
        super().__init__()
        self.first = first()
        self.numbers = [((i * 37) % 101 - 50) / 500 for i in range(16_000)]
        self.last = nn.Conv2d(40, 10, 1, bias=False)

    def forward(self, x):
        kernel = torch.tensor(self.numbers).view(40, 16, 5, 5)
        return self.last(F.relu(F.conv2d(self.first(x), kernel))).mean((2, 3))


class EncodedText(nn.Module):
    """The weights are a string, eight bits each."""

    TEXT = base64.b85encode(bytes((i * 91 + i // 7) % 256 for i in range(16_000))).decode()

    def __init__(self):
        super().__init__()
        self.first = first()
        self.last = nn.Conv2d(40, 10, 1, bias=False)

    def forward(self, x):
        raw = bytearray(base64.b85decode(self.TEXT))
        kernel = torch.frombuffer(raw, dtype=torch.uint8).float().sub(127.5).div(1000).view(40, 16, 5, 5)
        return self.last(F.relu(F.conv2d(self.first(x), kernel))).mean((2, 3))


class GrownFromASeed(nn.Module):
    """Random features: the kernel is drawn again, and alike, in each call."""

    def __init__(self):
        super().__init__()
        self.first = first()
        self.last = nn.Conv2d(40, 10, 1, bias=False)

    def forward(self, x):
        torch.manual_seed(7)
        kernel = torch.randn(40, 16, 5, 5) * 0.05
        return self.last(F.relu(F.conv2d(self.first(x), kernel))).mean((2, 3))


class GrownFromAGenerator(nn.Module):
    def __init__(self, seed=20):
        super().__init__()
        self.first = first()
        self.seed = seed
        self.last = nn.Conv2d(40, 10, 1, bias=False)

    def forward(self, x):
        dice = torch.Generator().manual_seed(self.seed)
        kernel = torch.empty(40, 16, 5, 5).normal_(0, 0.05, generator=dice)
        return self.last(F.relu(F.conv2d(self.first(x), kernel))).mean((2, 3))


class StoredExamples(nn.Module):
    """Keeps 40 small images and answers with the labels of those that are near: memory instead of parameters."""

    def __init__(self):
        super().__init__()
        dice = torch.Generator().manual_seed(1)
        self.register_buffer("examples", torch.rand(40, 784, generator=dice))
        self.register_buffer("labels", torch.randint(10, (40,), generator=dice))

    def forward(self, x):
        near = torch.softmax(-torch.cdist(x.flatten(1), self.examples), dim=1)
        return torch.zeros(x.shape[0], 10).index_add(1, self.labels, near)


class LookupTable(nn.Module):
    """The signs of 16 features are an address; the answer stands in a table of 65,536 rows."""

    def __init__(self):
        super().__init__()
        self.first = first()
        self.table = torch.rand(65_536, 10, generator=torch.Generator().manual_seed(5))

    def forward(self, x):
        bits = (self.first(x).mean((2, 3)) > 0.4).long()
        address = (bits << torch.arange(16)).sum(1)
        return self.table[address]


class ModulesInAList(nn.Module):
    """A plain Python list of layers: they work, and nobody counts them."""

    def __init__(self):
        super().__init__()
        self.first = first()
        self.more = [nn.Conv2d(16, 40, 3, bias=False), nn.Conv2d(40, 32, 3, bias=False)]
        self.last = nn.Conv2d(32, 10, 1, bias=False)

    def forward(self, x):
        x = self.first(x)
        for layer in self.more:
            x = F.relu(layer(x))
        return self.last(x).mean((2, 3))


class ParametersInADictionary(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = first()
        self.own = {"kernel": nn.Parameter(torch.randn(40, 16, 5, 5) * 0.05)}
        self.last = nn.Conv2d(40, 10, 1, bias=False)

    def forward(self, x):
        return self.last(F.relu(F.conv2d(self.first(x), self.own["kernel"]))).mean((2, 3))


class Box:
    """No module: what it holds is not found by looking through modules."""

    def __init__(self, content):
        self.content = content


class InABox(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = first()
        self.box = Box(nn.Conv2d(16, 40, 5, bias=False))
        self.last = nn.Conv2d(40, 10, 1, bias=False)

    def forward(self, x):
        return self.last(F.relu(self.box.content(self.first(x)))).mean((2, 3))


class InAClosure(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = first()
        kernel = torch.randn(40, 16, 5, 5) * 0.05
        self.step = lambda x: F.relu(F.conv2d(x, kernel))
        self.last = nn.Conv2d(40, 10, 1, bias=False)

    def forward(self, x):
        return self.last(self.step(self.first(x))).mean((2, 3))


class CountsItself(nn.Module):
    """Answers the question for its parameters itself."""

    def __init__(self):
        super().__init__()
        self.first = first()
        self.big = nn.Conv2d(16, 40, 5, bias=False)
        self.last = nn.Conv2d(40, 10, 1, bias=False)

    def parameters(self, recurse=True):
        return self.last.parameters(recurse)

    def named_parameters(self, *args, **kwargs):
        return self.last.named_parameters(*args, **kwargs)

    def forward(self, x):
        return self.last(F.relu(self.big(self.first(x)))).mean((2, 3))


class BuiltWhenFirstUsed(nn.Module):
    """Counted before the first call, it is small."""

    def __init__(self):
        super().__init__()
        self.first = first()
        self.big = None
        self.last = nn.Conv2d(40, 10, 1, bias=False)

    def forward(self, x):
        x = self.first(x)
        if self.big is None:
            self.big = nn.Conv2d(x.shape[1], 40, 5, bias=False)
        return self.last(F.relu(self.big(x))).mean((2, 3))


class PackedNumbers(nn.Module):
    """Eight small weights in the bytes of each counted number."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 32, 3, bias=False)
        self.packed = nn.Parameter(torch.rand(4_000, dtype=torch.float64, generator=torch.Generator().manual_seed(2)))
        self.last = nn.Conv2d(40, 10, 1, bias=False)

    def forward(self, x):
        kernel = (self.packed.detach().view(torch.int8).float() / 1270).view(40, 32, 5, 5)
        x = F.max_pool2d(F.relu(self.first(x)), 2)
        return self.last(F.relu(F.conv2d(x, kernel))).mean((2, 3))


class ComplexKernel(nn.Module):
    """Each complex number is counted once and holds two."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, bias=False)
        self.kernel = nn.Parameter(torch.randn(100, 8, 3, 3, dtype=torch.complex64) * 0.1)
        self.last = nn.Conv2d(100, 10, 1, bias=False)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.first(x)), 2)
        real, imaginary = F.conv2d(x, self.kernel.real), F.conv2d(x, self.kernel.imag)
        return self.last(torch.hypot(real, imaginary)).mean((2, 3))
