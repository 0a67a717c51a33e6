"""Fully connected layers are found however they are written, and honest networks get no finding."""

# mypy: disable-error-code="no-any-return"
# Calling a torch module gives Any; the networks below only pass it on.
from collections.abc import Callable

import pytest
import torch
from probe_networks import Base, Headed, LinearHead, Recurrent, SharedTwice, TransformerLayer, conv, facts_of, parameter, states
from torch import Tensor, nn
from torch.nn import functional as F

from budgetnet.contract import Contract

# --- fully connected ------------------------------------------------------------------------------------------------------


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


class HiddenDense(Headed):
    def prepare(self) -> None:
        self.layers = [nn.Linear(8, 10, bias=False)]  # a plain list: not among the parameters

    def answer(self, f: Tensor) -> Tensor:
        return self.layers[0](f.mean((2, 3)))


DENSE = [
    LinearHead,
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
    assert all("on a single position" in one.what for one in facts.fully_connected_equivalent or ())
    assert facts.biases == ()
    assert facts.forward_passes == 1
    assert facts.parameters.with_hidden == facts.parameters.total
    assert facts.classes == 10
    assert set(states(network()).values()) == {"met", "unproven"}


@pytest.mark.parametrize("network", [PooledThenConvolved, PooledAndReshaped, MaximumThenConvolved])
def test_a_convolution_after_global_pooling_is_reported_and_forbidden_only_by_name(network: Callable[[], nn.Module]) -> None:
    (finding,) = facts_of(network()).fully_connected_equivalent or ()
    assert "a convolution on a single position" in finding.what
    strict = Contract.model_validate({"name": "strict", "fully_connected": {"equivalent": "forbidden"}})
    assert states(network())["fully_connected"] == "met"
    assert states(network(), strict)["fully_connected"] == "broken"


def test_one_matrix_for_each_position_is_a_pointwise_convolution() -> None:
    facts = facts_of(LinearByPosition())
    assert facts.fully_connected == ()
    assert any("1×1 convolution" in note for note in facts.notes)
