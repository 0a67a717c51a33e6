"""Biases are found however they are added; the shift of a normalization is none."""

# mypy: disable-error-code="no-any-return"
# Calling a torch module gives Any; the networks below only pass it on.
from collections.abc import Callable

import pytest
import torch
from probe_networks import Base, LinearHead, Normalized, Recurrent, TransformerLayer, conv, facts_of, parameter, states
from torch import Tensor, nn
from torch.nn import functional as F


class ZeroBias(Base):
    def prepare(self) -> None:
        self.layer = nn.Conv2d(8, 8, 3)
        nn.init.zeros_(self.layer.bias)  # type: ignore[arg-type]

    def middle(self, f: Tensor) -> Tensor:
        return self.layer(f)


class BiasOfLinear(LinearHead):
    def prepare(self) -> None:
        self.dense = nn.Linear(8, 10)


class HandAddedBias(Base):
    def prepare(self) -> None:
        self.offset = nn.Parameter(torch.zeros(8, 1, 1))

    def middle(self, f: Tensor) -> Tensor:
        return f + self.offset


class SubtractedBias(HandAddedBias):
    def middle(self, f: Tensor) -> Tensor:
        return f - self.offset


class ExpandedBias(HandAddedBias):
    def middle(self, f: Tensor) -> Tensor:
        return f + self.offset.expand_as(f)


class BiasInPlace(HandAddedBias):
    def middle(self, f: Tensor) -> Tensor:
        f = f.clone()
        f[:] += self.offset
        return f


class BiasInDisguise(HandAddedBias):
    def prepare(self) -> None:
        self.offset = parameter(8, 1, 1)

    def middle(self, f: Tensor) -> Tensor:
        return f + (self.offset + 0 * f.sum())


class BufferBias(Base):
    def prepare(self) -> None:
        self.register_buffer("offset", torch.randn(8, 1, 1))

    def middle(self, f: Tensor) -> Tensor:
        return f + self.get_buffer("offset")


class ConstantChannel(Base):
    def prepare(self) -> None:
        self.layer = conv(9, 8, 1)

    def middle(self, f: Tensor) -> Tensor:
        return self.layer(torch.cat([f, torch.ones_like(f[:, :1])], 1))


class PaddedChannel(ConstantChannel):
    def middle(self, f: Tensor) -> Tensor:
        return self.layer(F.pad(f, (0, 0, 0, 0, 0, 1), value=1.0))


class BatchNormalizationInName(Base):
    def prepare(self) -> None:
        self.gamma, self.beta = nn.Parameter(torch.ones(8)), nn.Parameter(torch.zeros(8))

    def middle(self, f: Tensor) -> Tensor:
        return F.batch_norm(f, torch.zeros(8), torch.ones(8), self.gamma, self.beta)


class StackedAndSummed(HandAddedBias):
    def middle(self, f: Tensor) -> Tensor:
        return torch.stack([f, self.offset.expand_as(f)]).sum(0)


class PlacesBesideTheMap(HandAddedBias):
    def middle(self, f: Tensor) -> Tensor:
        with_one_more = torch.cat([f.flatten(2), self.offset.view(1, 8, 1).expand(len(f), -1, 1)], 2)
        return with_one_more.mean(2)[:, :, None, None]


class RunningSum(HandAddedBias):
    def middle(self, f: Tensor) -> Tensor:
        pooled = f.mean((2, 3))
        both = torch.cat([self.offset.view(1, 1, 8).expand(len(f), -1, -1), pooled[:, None]], 1)
        return both.cumsum(1)[:, 1, :, None, None]


class ProductOfItsOwn(HandAddedBias):
    def middle(self, f: Tensor) -> Tensor:
        return torch.addcmul(f, self.offset, torch.ones(1))


BIASED = [
    StackedAndSummed,
    PlacesBesideTheMap,
    RunningSum,
    ProductOfItsOwn,
    ZeroBias,
    BiasOfLinear,
    HandAddedBias,
    SubtractedBias,
    ExpandedBias,
    BiasInPlace,
    BiasInDisguise,
    BufferBias,
    ConstantChannel,
    PaddedChannel,
    BatchNormalizationInName,
    Recurrent,
    TransformerLayer,
]


@pytest.mark.parametrize("network", BIASED)
def test_a_bias_is_found_however_it_is_added(network: Callable[[], nn.Module]) -> None:
    assert facts_of(network()).biases
    assert states(network())["biases"] == "broken"


def test_a_bias_counts_its_numbers_and_names_its_layer() -> None:
    (finding,) = facts_of(ZeroBias()).biases or ()
    assert (finding.layer, finding.numbers) == ("conv2d_2", 8)
    assert "'layer'" in finding.what
    (by_hand,) = facts_of(HandAddedBias()).biases or ()
    assert by_hand.numbers == 8
    assert by_hand.file == __file__
    assert by_hand.line


class NormalizedByHand(Base):
    def prepare(self) -> None:
        self.gamma, self.beta = parameter(8, 1, 1), parameter(8, 1, 1)

    def middle(self, f: Tensor) -> Tensor:
        centred = f - f.mean(1, keepdim=True)
        return self.gamma * centred / torch.sqrt(centred.pow(2).mean(1, keepdim=True) + 1e-6) + self.beta


class BatchNormalizedByHand(Base):
    def prepare(self) -> None:
        self.gamma, self.beta = parameter(8, 1, 1), parameter(8, 1, 1)
        self.register_buffer("center", torch.zeros(8, 1, 1))
        self.register_buffer("spread", torch.ones(8, 1, 1))

    def middle(self, f: Tensor) -> Tensor:
        center, spread = self.get_buffer("center"), self.get_buffer("spread")
        if self.training:
            center.lerp_(f.mean((0, 2, 3)).view(8, 1, 1), 0.1)
            spread.lerp_(f.var((0, 2, 3)).view(8, 1, 1), 0.1)
        return (f - center) / torch.sqrt(spread + 1e-5) * self.gamma + self.beta


class FunctionalBatchNorm(Base):
    def prepare(self) -> None:
        self.gamma, self.beta = parameter(8), parameter(8)
        self.register_buffer("center", torch.zeros(8))
        self.register_buffer("spread", torch.ones(8))

    def middle(self, f: Tensor) -> Tensor:
        buffers = self.get_buffer("center"), self.get_buffer("spread")
        return F.batch_norm(f, *buffers, self.gamma, self.beta, self.training)


@pytest.mark.parametrize(
    ("network", "numbers", "total"),
    [
        (lambda: Normalized(nn.BatchNorm2d(8)), 8, 152 + 32),
        (lambda: Normalized(nn.GroupNorm(2, 8)), 8, 152 + 16),
        (lambda: Normalized(nn.InstanceNorm2d(8, affine=True, track_running_stats=True)), 8, 152 + 32),
        (lambda: Normalized(nn.LayerNorm([8, 13, 13])), 1352, 152 + 2704),
        (NormalizedByHand, 8, 152 + 16),
        (BatchNormalizedByHand, 8, 152 + 32),
        (FunctionalBatchNorm, 8, 152 + 32),
    ],
)
def test_a_normalization_shift_is_no_bias(network: Callable[[], nn.Module], numbers: int, total: int) -> None:
    facts = facts_of(network())
    assert facts.biases == ()
    assert [shift.numbers for shift in facts.normalization_shifts] == [numbers]
    assert facts.parameters.total == total
    assert states(network())["biases"] == "met"


def test_a_normalization_without_statistics_has_a_shift_and_no_bias() -> None:
    class OfEachImage(Base):
        def prepare(self) -> None:
            self.normalization = nn.InstanceNorm2d(8, affine=True)

        def middle(self, f: Tensor) -> Tensor:
            return self.normalization(f)

    facts = facts_of(OfEachImage())
    assert facts.biases == ()
    assert sum(finding.numbers for finding in facts.normalization_shifts) == 8


class SharesAddedUp(Base):
    """Two members whose shares of the classes always sum to one, and hardly differ between images before training."""

    def prepare(self) -> None:
        self.members = nn.ModuleList([conv(8, 10, 1), conv(8, 10, 1)])
        for member in self.members.parameters():
            member.data.mul_(0.01)

    def forward(self, x: Tensor) -> Tensor:
        features = self.features(x)
        shares = [member(features).mean((2, 3)).softmax(1) for member in self.members]
        return (shares[0] + shares[1]) / 2


def test_answers_that_are_added_up_are_no_biases() -> None:
    assert facts_of(SharesAddedUp()).biases == ()


class ScaledByItsOwn(HandAddedBias):
    def middle(self, f: Tensor) -> Tensor:
        return torch.addcmul(f, f, self.offset)


class BothBranchesStacked(Base):
    def middle(self, f: Tensor) -> Tensor:
        return torch.stack([f, f.relu()]).sum(0)


@pytest.mark.parametrize("network", [ScaledByItsOwn, BothBranchesStacked])
def test_what_only_scales_or_joins_the_image_with_itself_is_no_bias(network: Callable[[], nn.Module]) -> None:
    assert states(network())["biases"] == "met"
