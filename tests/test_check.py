"""Facts come from what a network does: honest networks and dishonest ones, each with its right answer."""

# mypy: disable-error-code="no-any-return"
# Calling a torch module gives Any; the networks below only pass it on.
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from budgetnet.check import measure
from budgetnet.contract import Contract, judge, load_contract
from budgetnet.errors import InputError
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


# --- fully connected ------------------------------------------------------------------------------------------------------


class LinearHead(Headed):
    def prepare(self) -> None:
        self.dense = nn.Linear(8, 10, bias=False)

    def answer(self, f: Tensor) -> Tensor:
        return self.dense(f.mean((2, 3)))


class LinearByPosition(Base):
    def prepare(self) -> None:
        self.dense = nn.Linear(8, 8, bias=False)

    def middle(self, f: Tensor) -> Tensor:
        return self.dense(f.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class WeightHead(Headed):
    def prepare(self) -> None:
        self.w = parameter(10, 8 * 169)


class FunctionalLinear(WeightHead):
    def answer(self, f: Tensor) -> Tensor:
        return F.linear(f.flatten(1), self.w)


class MatrixProduct(WeightHead):
    def answer(self, f: Tensor) -> Tensor:
        return f.flatten(1) @ self.w.t()


class TransposedProduct(WeightHead):
    def answer(self, f: Tensor) -> Tensor:
        return (self.w @ f.flatten(1).t()).t()


class Einsum(WeightHead):
    def answer(self, f: Tensor) -> Tensor:
        return torch.einsum("nchw,ochw->no", f, self.w.view(10, 8, 13, 13))


class Tensordot(WeightHead):
    def answer(self, f: Tensor) -> Tensor:
        return torch.tensordot(f, self.w.view(10, 8, 13, 13).permute(1, 2, 3, 0), dims=3)


class ProductAndSum(WeightHead):
    def answer(self, f: Tensor) -> Tensor:
        return (f.flatten(1).unsqueeze(1) * self.w).sum(-1)


class ProductAndSumInLoop(WeightHead):
    def answer(self, f: Tensor) -> Tensor:
        return torch.stack([(f.flatten(1) * row).sum(1) for row in self.w], 1)


class ProductAndMatrixOfOnes(WeightHead):
    def answer(self, f: Tensor) -> Tensor:
        return (f.flatten(1).unsqueeze(1) * self.w) @ torch.ones(8 * 169)


class Vmapped(WeightHead):
    def answer(self, f: Tensor) -> Tensor:
        return torch.vmap(lambda one: self.w @ one)(f.flatten(1))


class InferenceMode(WeightHead):
    def answer(self, f: Tensor) -> Tensor:
        with torch.inference_mode():
            return F.linear(f.flatten(1), self.w)


class WeightMadeToLookLikeAnActivation(WeightHead):
    def answer(self, f: Tensor) -> Tensor:
        return f.flatten(1) @ (self.w + 0 * f.sum()).t()


class ImageAsKernel(WeightHead):
    def answer(self, f: Tensor) -> Tensor:
        return F.conv2d(self.w.view(10, 8, 13, 13), f).flatten(1).t()


class BilinearHead(Headed):
    def prepare(self) -> None:
        self.layer = nn.Bilinear(8, 8, 10, bias=False)

    def answer(self, f: Tensor) -> Tensor:
        return self.layer(f.mean((2, 3)), f.mean((2, 3)))


class Attention(Base):
    def prepare(self) -> None:
        self.layer = nn.MultiheadAttention(8, 2, bias=False, batch_first=True)

    def middle(self, f: Tensor) -> Tensor:
        tokens = f.flatten(2).transpose(1, 2)
        return self.layer(tokens, tokens, tokens)[0].transpose(1, 2).reshape(f.shape)


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


class HiddenDense(Headed):
    def prepare(self) -> None:
        self.layers = [nn.Linear(8, 10, bias=False)]  # a plain list: not among the parameters

    def answer(self, f: Tensor) -> Tensor:
        return self.layers[0](f.mean((2, 3)))


DENSE = [
    LinearHead,
    LinearByPosition,
    FunctionalLinear,
    MatrixProduct,
    TransposedProduct,
    Einsum,
    Tensordot,
    ProductAndSum,
    ProductAndSumInLoop,
    ProductAndMatrixOfOnes,
    Vmapped,
    InferenceMode,
    WeightMadeToLookLikeAnActivation,
    ImageAsKernel,
    BilinearHead,
    Attention,
    TransformerLayer,
    Recurrent,
    HiddenDense,
]


@pytest.mark.parametrize("network", DENSE)
def test_a_matrix_product_with_weights_is_fully_connected(network: Callable[[], nn.Module]) -> None:
    assert facts_of(network()).fully_connected
    assert states(network())["fully_connected"] == "broken"


class FullExtent(Headed):
    def prepare(self) -> None:
        self.last = conv(8, 10, 13)

    def answer(self, f: Tensor) -> Tensor:
        return self.last(f).flatten(1)


class FullExtentBehindPadding(Headed):
    def prepare(self) -> None:
        self.last = conv(8, 10, 14)

    def answer(self, f: Tensor) -> Tensor:
        return self.last(F.pad(f, (1, 1, 1, 1)))[:, :, 0, 0]


class OneDimensionalFullExtent(Headed):
    def prepare(self) -> None:
        self.last = nn.Conv1d(8, 10, 169, bias=False)

    def answer(self, f: Tensor) -> Tensor:
        return self.last(f.flatten(2)).flatten(1)


class FoldedIntoChannels(Headed):
    def prepare(self) -> None:
        self.last = conv(8 * 169, 10, 1)

    def answer(self, f: Tensor) -> Tensor:
        return self.last(f.flatten(1)[:, :, None, None]).flatten(1)


class UnshuffledIntoChannels(FoldedIntoChannels):
    def answer(self, f: Tensor) -> Tensor:
        return self.last(F.pixel_unshuffle(f, 13)).flatten(1)


class Unfolded(Headed):
    def prepare(self) -> None:
        self.last = nn.Conv1d(8 * 169, 10, 1, bias=False)

    def answer(self, f: Tensor) -> Tensor:
        return self.last(F.unfold(f, 13)).flatten(1)


class LearnedPooling(Headed):
    def prepare(self) -> None:
        self.weights = parameter(13, 13)

    def answer(self, f: Tensor) -> Tensor:
        return (self.head(f) * self.weights).sum((2, 3))


EQUIVALENT = [
    FullExtent,
    FullExtentBehindPadding,
    OneDimensionalFullExtent,
    FoldedIntoChannels,
    UnshuffledIntoChannels,
    Unfolded,
    LearnedPooling,
]


@pytest.mark.parametrize("network", EQUIVALENT)
def test_what_sees_its_whole_map_is_reported_and_forbidden_only_on_demand(network: Callable[[], nn.Module]) -> None:
    facts = facts_of(network())
    assert facts.fully_connected == ()
    assert facts.fully_connected_equivalent
    assert states(network())["fully_connected"] == "met"
    strict = Contract.model_validate({"name": "strict", "fully_connected": {"equivalent": "forbidden"}})
    assert states(network(), strict)["fully_connected"] == "broken"


# --- honest networks ------------------------------------------------------------------------------------------------------


class PooledThenConvolved(Headed):
    def answer(self, f: Tensor) -> Tensor:
        return self.head(F.adaptive_avg_pool2d(f, 1)).flatten(1)


class PooledAndReshaped(Headed):
    def answer(self, f: Tensor) -> Tensor:
        return self.head(f.mean((2, 3))[:, :, None, None]).flatten(1)


class MaximumThenConvolved(Headed):
    def answer(self, f: Tensor) -> Tensor:
        return self.head(f.amax((2, 3), keepdim=True)).flatten(1)


class Linear2d(nn.Conv2d):
    """Innocent but for its name."""


class InnocentName(Base):
    def prepare(self) -> None:
        self.dense_layer = Linear2d(8, 8, 1, bias=False)

    def middle(self, f: Tensor) -> Tensor:
        return self.dense_layer(f)


class Liar(nn.Module):
    """Its attribute `bias` is no bias, and its `in_features` are none."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = parameter(8, 8, 1, 1)
        self.bias = nn.Identity()
        self.in_features = 8

    def forward(self, x: Tensor) -> Tensor:
        return self.bias(F.conv2d(x, self.weight))


class LyingAttribute(Base):
    def prepare(self) -> None:
        self.layer = Liar()

    def middle(self, f: Tensor) -> Tensor:
        return self.layer(f)


class Residual(Base):
    def prepare(self) -> None:
        self.layer = conv(8, 8, 3, padding=1)

    def middle(self, f: Tensor) -> Tensor:
        return f + F.relu(self.layer(f))


class ZeroInitialisedResidual(Residual):
    def prepare(self) -> None:
        super().prepare()
        self.norm = nn.BatchNorm2d(8)
        nn.init.zeros_(self.norm.weight)

    def middle(self, f: Tensor) -> Tensor:
        return f + self.norm(self.layer(f))


class ChannelScale(Base):
    def prepare(self) -> None:
        self.scale = parameter(8, 1, 1)

    def middle(self, f: Tensor) -> Tensor:
        return f * self.scale


class ScaleBeforePooling(Headed):
    def prepare(self) -> None:
        self.scale = parameter(10, 1, 1)

    def answer(self, f: Tensor) -> Tensor:
        return (self.head(f) * self.scale).mean((2, 3))


class SqueezeAndExcite(Base):
    def prepare(self) -> None:
        self.down, self.up = conv(8, 4, 1), conv(4, 8, 1)

    def middle(self, f: Tensor) -> Tensor:
        return f * torch.sigmoid(self.up(F.relu(self.down(f.mean((2, 3), keepdim=True)))))


class Branches(Base):
    def prepare(self) -> None:
        self.one, self.three = conv(8, 4, 1), conv(8, 4, 3, padding=1)

    def middle(self, f: Tensor) -> Tensor:
        return torch.cat([self.one(f), self.three(f)], 1)


class ZeroChannels(Base):
    def prepare(self) -> None:
        self.head = conv(16, 10, 1)

    def middle(self, f: Tensor) -> Tensor:
        return torch.cat([f, torch.zeros_like(f)], 1)


class GrayToColour(Base):
    def prepare(self) -> None:
        self.stem = conv(3, 8, 3)

    def features(self, x: Tensor) -> Tensor:
        return F.max_pool2d(F.relu(self.stem(x.expand(-1, 3, -1, -1))), 2)


class SpaceToDepth(Base):
    def prepare(self) -> None:
        self.stem = conv(4, 8, 3)

    def features(self, x: Tensor) -> Tensor:
        return F.relu(self.stem(F.pixel_unshuffle(x, 2)))


class Enlarged(Base):
    def features(self, x: Tensor) -> Tensor:
        return super().features(F.interpolate(x, scale_factor=2))


class Cropped(Base):
    def features(self, x: Tensor) -> Tensor:
        return super().features(x[:, :, 2:26, 2:26])


class InputNormalized(Base):
    def prepare(self) -> None:
        self.register_buffer("mean", torch.full((1, 1, 1), 0.1307))

    def features(self, x: Tensor) -> Tensor:
        return super().features((x - self.get_buffer("mean")) / 0.3081)


class SharedTwice(Base):
    def prepare(self) -> None:
        self.layer = conv(8, 8, 3, padding=1)

    def middle(self, f: Tensor) -> Tensor:
        return self.layer(F.relu(self.layer(f)))


class WeightNormalized(Base):
    def prepare(self) -> None:
        self.layer = nn.utils.parametrizations.weight_norm(conv(8, 8, 3))

    def middle(self, f: Tensor) -> Tensor:
        return self.layer(f)


class NoisyInEvaluation(Base):
    def middle(self, f: Tensor) -> Tensor:
        return f + torch.randn_like(f)


class AlwaysDropping(Base):
    def middle(self, f: Tensor) -> Tensor:
        return F.dropout(f, 0.5, training=True)


class AnswersInDictionary(Base):
    def forward(self, x: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        return {"logits": super().forward(x)}


HONEST = [
    Base,
    PooledThenConvolved,
    PooledAndReshaped,
    MaximumThenConvolved,
    InnocentName,
    LyingAttribute,
    Residual,
    ZeroInitialisedResidual,
    ChannelScale,
    ScaleBeforePooling,
    SqueezeAndExcite,
    Branches,
    ZeroChannels,
    GrayToColour,
    SpaceToDepth,
    Enlarged,
    Cropped,
    InputNormalized,
    SharedTwice,
    WeightNormalized,
    NoisyInEvaluation,
    AlwaysDropping,
    AnswersInDictionary,
]


@pytest.mark.parametrize("network", HONEST)
def test_an_honest_network_gets_no_finding(network: Callable[[], nn.Module]) -> None:
    facts = facts_of(network())
    assert facts.fully_connected == ()
    assert facts.fully_connected_equivalent == ()
    assert facts.biases == ()
    assert facts.forward_passes == 1
    assert facts.parameters.with_hidden == facts.parameters.total
    assert facts.classes == 10
    assert set(states(network()).values()) == {"met", "unproven"}


def test_a_convolution_after_global_pooling_is_reported_as_what_it_is() -> None:
    assert any("1×1 convolution on a single position" in note for note in facts_of(PooledThenConvolved()).notes)


# --- biases ---------------------------------------------------------------------------------------------------------------


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


BIASED = [
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


class Normalized(Base):
    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def middle(self, f: Tensor) -> Tensor:
        return self.norm(f)


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


class ByValue(Base):
    def middle(self, f: Tensor) -> Tensor:
        return f if f.sum() > 1e9 else 2 * f


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


class Distances(Headed):
    def prepare(self) -> None:
        self.w = parameter(10, 8)

    def answer(self, f: Tensor) -> Tensor:
        return torch.cdist(f.mean((2, 3)), self.w)


class IgnoresTheImage(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = parameter(10)

    def forward(self, x: Tensor) -> Tensor:
        return self.w.expand(len(x), 10)


@pytest.mark.parametrize("network", [ThroughNumpy, ByValue, ReadAsNumbers, InPieces, Distances, IgnoresTheImage])
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


# --- the table ------------------------------------------------------------------------------------------------------------


class Grouped(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            conv(1, 4, 5, stride=2),
            conv(4, 4, 3, groups=4, dilation=2),
            nn.AvgPool2d(2),
            conv(4, 10, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Softmax(1),
        )


def test_rows_have_kerass_words_shapes_fields_and_products() -> None:
    rows = [
        (row.name, row.type, row.output_shape, row.parameters, row.multiply_accumulates, row.receptive_field, row.jump)
        for row in facts_of(Grouped()).layers
    ]
    assert rows == [
        ("conv2d_1", "Conv2D", (None, 12, 12, 4), 100, 144 * 4 * 25, 5, 2),
        ("conv2d_2", "Conv2D", (None, 8, 8, 4), 36, 64 * 4 * 9, 13, 2),
        ("average_pooling2d_1", "AveragePooling2D", (None, 4, 4, 4), 0, 0, 15, 4),
        ("conv2d_3", "Conv2D", (None, 4, 4, 10), 40, 16 * 10 * 4, 15, 4),
        ("global_average_pooling2d_1", "GlobalAveragePooling2D", (None, 1, 1, 10), 0, 0, None, None),
        ("flatten_1", "Flatten", (None, 10), 0, 0, None, None),
        ("activation_1", "Activation", (None, 10), 0, 0, None, None),
    ]


def test_the_receptive_field_is_what_a_position_depends_on() -> None:
    network = nn.Sequential(*list(Grouped())[:3]).double()
    image = torch.rand(1, 1, 28, 28, dtype=torch.float64, requires_grad=True)
    network(image)[0, :, 1, 1].sum().backward()
    assert image.grad is not None
    reached = image.grad[0, 0].abs().sum(0).nonzero()
    assert int(reached.max() - reached.min()) + 1 == facts_of(Grouped()).layers[2].receptive_field


def test_functional_layers_get_rows_and_a_module_may_name_itself() -> None:
    class Separable(nn.Module):
        keras_name = "SeparableConv2D"

        def __init__(self) -> None:
            super().__init__()
            self.depthwise, self.pointwise = conv(8, 8, 3, groups=8), conv(8, 8, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.pointwise(self.depthwise(x))

    rows = facts_of(Normalized(Separable())).layers
    named = [(row.type, row.parameters) for row in rows]
    assert named == [("Conv2D", 72), ("MaxPooling2D", 0), ("SeparableConv2D", 136), ("Conv2D", 80), ("GlobalAveragePooling2D", 0)]
    assert rows[2].multiply_accumulates == 121 * 8 * (9 + 8)


def test_a_name_for_the_table_changes_no_fact() -> None:
    class Disguised(nn.Linear):
        keras_name = "Conv2D"

    network = LinearHead()
    network.dense = Disguised(8, 10)
    facts = facts_of(network)
    assert facts.fully_connected
    assert facts.biases


# --- manners --------------------------------------------------------------------------------------------------------------


class Changing(Normalized):
    def __init__(self) -> None:
        super().__init__(nn.BatchNorm2d(8))
        self.calls = 0
        self.register_buffer("seen", torch.zeros(1))

    def middle(self, f: Tensor) -> Tensor:
        self.calls += 1
        self.get_buffer("seen").add_(1)
        self.last = f
        return super().middle(f)


@pytest.mark.parametrize("training", [True, False])
def test_measuring_leaves_the_network_and_the_random_numbers_alone(training: bool) -> None:
    network = Changing().train(training)
    network.norm.eval()  # a mode of its own stays its own
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    facts_of(network)
    assert torch.equal(torch.rand(3), expected)
    assert network.training is training
    assert network.norm.training is False
    assert network.calls == 0
    assert not hasattr(network, "last")
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_the_same_network_gives_the_same_facts() -> None:
    assert facts_of(Changing()) == facts_of(Changing())


def test_lazy_layers_are_measured_and_stay_lazy() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = nn.Sequential(nn.LazyConv2d(8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(10))
    assert facts_of(network).parameters.total == 80 + 90
    assert any(nn.parameter.is_lazy(tensor) for tensor in network.parameters())


def test_half_precision_networks_are_measured_in_their_own() -> None:
    assert facts_of(Base().double()).parameters.total == 152


def test_a_wrong_input_shape_is_one_clear_sentence() -> None:
    with pytest.raises(InputError) as error:
        measure(Base(), name="probe", input_shape=(3, 28, 28))
    message = str(error.value)
    assert "\n" not in message
    assert "probe" in message
    assert "3×28×28" in message


def test_a_network_that_raises_is_left_in_its_mode() -> None:
    network = Base().train()
    with pytest.raises(InputError):
        measure(network, name="probe", input_shape=(1, 2, 2))
    assert network.training


@pytest.mark.parametrize("shape", [(0, 28, 28), (1, 28), (1, 28, 10**9)])
def test_an_impossible_input_shape_is_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match="channels, height and width"):
        measure(Base(), name="probe", input_shape=shape)


def test_sparse_parameters_are_refused_in_words() -> None:
    network = Base()
    network.extra = nn.Parameter(torch.eye(3).to_sparse())
    with pytest.raises(InputError, match="'extra'"):
        facts_of(network)


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(InputError, match="is no torch"):
        measure(3, name="probe", input_shape=IMAGE)  # type: ignore[arg-type]
