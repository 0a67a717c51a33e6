"""What the tests of `check` build their networks from: a small honest one with places to put a trick, and its facts."""

# mypy: disable-error-code="no-any-return"
# Calling a torch module gives Any; the networks below only pass it on.

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from budgetnet.check import measure
from budgetnet.contract import Contract, judge, load_contract
from budgetnet.facts import Facts, NetworkFacts

IMAGE = (1, 28, 28)


def conv(inputs: int, outputs: int, size: int, **options: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, bias=False, **options)  # type: ignore[arg-type]


class Base(nn.Module):
    """A convolution, a pooling, `middle`, a 1×1 convolution and global average pooling: 152 honest parameters."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = conv(1, 8, 3)
        self.head = conv(8, 10, 1)
        self.prepare()

    def prepare(self) -> None:
        pass

    def features(self, x: Tensor) -> Tensor:
        return F.max_pool2d(F.relu(self.stem(x)), 2)

    def middle(self, f: Tensor) -> Tensor:
        return f

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.middle(self.features(x))).mean((2, 3))


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape))


class Headed(Base):
    """Its answer comes from `answer`, given the features (N, 8, 13, 13)."""

    def answer(self, f: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return self.answer(self.features(x))


def facts_of(network: nn.Module) -> NetworkFacts:
    facts = measure(network, name="probe", input_shape=IMAGE)
    counts = facts.parameters
    assert sum(row.parameters for row in facts.layers) == counts.total == counts.trainable + counts.non_trainable
    assert sum(row.trainable for row in facts.layers) == counts.trainable
    assert sum(row.multiply_accumulates for row in facts.layers) == facts.multiply_accumulates
    return facts


def states(network: nn.Module, contract: Contract | None = None) -> dict[str, str]:
    verdict = judge(Facts(network=facts_of(network)), contract or load_contract("code9"))
    return {result.name: result.state for result in verdict.clauses}


class LinearHead(Headed):
    def prepare(self) -> None:
        self.dense = nn.Linear(8, 10, bias=False)

    def answer(self, f: Tensor) -> Tensor:
        return self.dense(f.mean((2, 3)))


class TransformerLayer(Base):
    def prepare(self) -> None:
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def middle(self, f: Tensor) -> Tensor:
        return self.layer(f.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(f.shape)


class Recurrent(Headed):
    def prepare(self) -> None:
        self.layer = nn.LSTM(13, 10, batch_first=True)

    def answer(self, f: Tensor) -> Tensor:
        return self.layer(f.mean(1))[0][:, -1]


class SharedTwice(Base):
    def prepare(self) -> None:
        self.layer = conv(8, 8, 3, padding=1)

    def middle(self, f: Tensor) -> Tensor:
        return self.layer(F.relu(self.layer(f)))


class Normalized(Base):
    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def middle(self, f: Tensor) -> Tensor:
        return self.norm(f)
