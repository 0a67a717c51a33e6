"""Parameters in their four meanings: hidden, frozen, shared, unused; and how often an image is sent through them."""

# mypy: disable-error-code="no-any-return"
# Calling a torch module gives Any; the networks below only pass it on.
from collections.abc import Callable

import numpy as np
import pytest
import torch
from probe_networks import Base, Headed, Normalized, SharedTwice, conv, facts_of, parameter, states
from torch import Tensor, nn
from torch.nn import functional as F

from budgetnet.contract import Contract

# --- parameters -----------------------------------------------------------------------------------------------------------


def hidden(network: nn.Module) -> int:
    counts = facts_of(network).parameters
    assert counts.total == 152
    return counts.with_hidden - counts.total


class Convolved(Base):
    def kernel(self) -> Tensor:
        raise NotImplementedError

    def middle(self, f: Tensor) -> Tensor:
        return F.conv2d(f, self.kernel(), padding=1)


class WeightsInBuffer(Convolved):
    def prepare(self) -> None:
        self.register_buffer("table", torch.randn(8, 8, 3, 3))

    def kernel(self) -> Tensor:
        return self.get_buffer("table")


class BytesInBuffer(WeightsInBuffer):
    def prepare(self) -> None:
        self.register_buffer("table", torch.arange(576, dtype=torch.uint8).view(8, 8, 3, 3))

    def kernel(self) -> Tensor:
        return (self.get_buffer("table").float() - 128) / 255


class PlainAttribute(Convolved):
    def prepare(self) -> None:
        self.table = torch.randn(8, 8, 3, 3)

    def kernel(self) -> Tensor:
        return self.table


class NumpyInForward(Convolved):
    def kernel(self) -> Tensor:
        return torch.from_numpy(np.linspace(-1, 1, 576, dtype=np.float32).reshape(8, 8, 3, 3))


class ListInForward(Convolved):
    def kernel(self) -> Tensor:
        return torch.tensor([((7 * place) % 31) / 31 for place in range(576)]).view(8, 8, 3, 3)


class SeededInForward(Convolved):
    def kernel(self) -> Tensor:
        return torch.randn(8, 8, 3, 3, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(
    "network", [WeightsInBuffer, BytesInBuffer, PlainAttribute, NumpyInForward, ListInForward, SeededInForward]
)
def test_hidden_weights_are_counted_and_named(network: Callable[[], nn.Module]) -> None:
    assert hidden(network()) == 576
    assert any("576 numbers" in note for note in facts_of(network()).notes)
    tight = Contract.model_validate({"name": "tight", "parameters": {"at_most": 500}})
    assert states(network(), tight)["parameters"] == "broken"
    assert states(Base(), tight)["parameters"] == "met"


class SmallConstants(Base):
    def middle(self, f: Tensor) -> Tensor:
        height, width = f.shape[2:]
        grid = torch.arange(height * width, dtype=torch.float32).view(height, width)
        return f * (1 + 0 * grid) * torch.tensor(0.5) + torch.zeros(8, 1, 1)


class OrderOfChannels(Base):
    def prepare(self) -> None:
        self.register_buffer("order", torch.tensor([7, 6, 5, 4, 3, 2, 1, 0]))

    def middle(self, f: Tensor) -> Tensor:
        return f[:, self.get_buffer("order")]


@pytest.mark.parametrize("network", [SmallConstants, OrderOfChannels])
def test_shapes_places_and_single_constants_are_no_hidden_weights(network: Callable[[], nn.Module]) -> None:
    assert hidden(network()) == 0


def test_frozen_weights_count_in_the_total() -> None:
    network = SharedTwice()
    network.layer.requires_grad_(False)
    counts = facts_of(network).parameters
    assert (counts.total, counts.trainable, counts.non_trainable, counts.frozen) == (728, 152, 576, 576)
    tight = Contract.model_validate({"name": "tight", "parameters": {"at_most": 500, "count": "trainable"}})
    assert states(network, tight)["parameters"] == "broken"


def test_running_statistics_are_not_trainable_and_not_frozen() -> None:
    counts = facts_of(Normalized(nn.BatchNorm2d(8))).parameters
    assert (counts.total, counts.trainable, counts.non_trainable, counts.frozen) == (184, 168, 16, 0)
    assert counts.non_zero == 152 + 16  # scales and variances are one, shifts and means zero


def test_shared_weights_count_once_under_any_name() -> None:
    assert facts_of(SharedTwice()).parameters.total == 152 + 576
    tied = SharedTwice()
    tied.again = nn.Parameter(tied.layer.weight.data.transpose(0, 1))  # another parameter in the same memory
    assert facts_of(tied).parameters.total == 152 + 576


def test_zeros_are_told_apart() -> None:
    network = Base()
    with torch.no_grad():
        network.stem.weight[:4] = 0
    assert facts_of(network).parameters.non_zero == 152 - 36


def test_what_is_declared_and_never_called_counts_and_is_noted() -> None:
    network = Base()
    network.spare = nn.Conv2d(8, 8, 3)
    facts = facts_of(network)
    assert facts.parameters.total == 152 + 584
    assert facts.biases == ()
    assert facts.layers[-1].parameters == 584
    assert facts.layers[-1].output_shape == ()
    assert any("'spare'" in note and "never used" in note for note in facts.notes)


# --- forward passes -------------------------------------------------------------------------------------------------------


class Flipped(Base):
    def forward(self, x: Tensor) -> Tensor:
        return (super().forward(x) + super().forward(x.flip(3))) / 2


class FlippedInOneBatch(Base):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.cat([x, x.flip(3), x.flip(2)])).view(3, -1, 10).mean(0)


class FlippedInOneBuffer(Base):
    def forward(self, x: Tensor) -> Tensor:
        both = torch.zeros(2 * len(x), *x.shape[1:])
        both[: len(x)] = x
        both[len(x) :] = x.flip(3)
        return super().forward(both).view(2, -1, 10).mean(0)


class Shifted(Base):
    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([super(Shifted, self).forward(torch.roll(x, step, 3)) for step in range(4)]).mean(0)


class SideBySide(Base):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.cat([x, x.flip(3)], 2))


@pytest.mark.parametrize(
    ("network", "passes"), [(Flipped, 2), (FlippedInOneBatch, 3), (FlippedInOneBuffer, 2), (Shifted, 4), (SideBySide, 2)]
)
def test_augmentation_inside_the_network_is_counted(network: Callable[[], nn.Module], passes: int) -> None:
    assert facts_of(network()).forward_passes == passes
    assert states(network())["forward_passes"] == "broken"


# --- what cannot be seen --------------------------------------------------------------------------------------------------


class ThroughNumpy(Headed):
    def answer(self, f: Tensor) -> Tensor:
        return torch.from_numpy(f.mean((2, 3)).numpy() @ np.ones((8, 10), dtype=np.float32))


class ReadAsNumbers(Headed):
    def prepare(self) -> None:
        self.w = parameter(10, 8)

    def answer(self, f: Tensor) -> Tensor:
        pooled, rows = f.mean((2, 3)), self.w.tolist()
        return torch.stack([sum(pooled[:, i] * row[i] for i in range(8)) for row in rows], 1)


class InPieces(Headed):
    def prepare(self) -> None:
        self.w = parameter(8, 10)

    def answer(self, f: Tensor) -> Tensor:
        pooled = f.mean((2, 3))
        return torch.stack([pooled[:, i : i + 1] * self.w[i] for i in range(8)]).sum(0)


class IgnoresTheImage(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = parameter(10)

    def forward(self, x: Tensor) -> Tensor:
        return self.w.expand(len(x), 10)


@pytest.mark.parametrize("network", [ThroughNumpy, ReadAsNumbers, InPieces, IgnoresTheImage])
def test_what_cannot_be_seen_is_unproven_with_a_reason(network: Callable[[], nn.Module]) -> None:
    facts = facts_of(network())
    assert facts.fully_connected is None
    assert facts.notes
    assert states(network())["fully_connected"] == "unproven"


class FirstLayerForShow(Base):
    def prepare(self) -> None:
        self.show = conv(1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.show(x)
        return super().forward(x) + super().forward(x.flip(3))


def test_passes_behind_a_first_layer_are_unproven() -> None:
    assert states(FirstLayerForShow())["forward_passes"] == "unproven"


@pytest.mark.filterwarnings("ignore:.*spectral_norm.*is deprecated")
@pytest.mark.parametrize("norm", [nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm])
def test_the_helpers_of_spectral_normalization_count_once_and_are_no_finding(norm: Callable[[nn.Module], nn.Module]) -> None:
    facts = facts_of(nn.Sequential(norm(conv(1, 10, 3)), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    assert (facts.parameters.total, facts.parameters.frozen, facts.parameters.with_hidden) == (90, 0, 90 + 10 + 9)
    assert facts.hidden == ()
    assert sum("as spectral normalization does" in note for note in facts.notes) == 2
