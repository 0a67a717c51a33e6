"""Layers taken apart, put into spectra or logarithms, or hidden behind a decision: what they compute is what counts."""

# mypy: disable-error-code="no-any-return"
# Calling a torch module gives Any; the networks below only pass it on.
from collections.abc import Callable, Iterator

import pytest
import torch
from probe_networks import Base, Headed, conv, facts_of, parameter, states
from torch import Tensor, nn
from torch.nn import functional as F

Networks = Callable[[], nn.Module]


class Vector(Headed):
    """Eight pooled features against a table of weights."""

    def prepare(self) -> None:
        self.w = parameter(8, 10)

    def answer(self, f: Tensor) -> Tensor:
        return self.joined(f.mean((2, 3)))

    def joined(self, v: Tensor) -> Tensor:
        raise NotImplementedError


class ByLogarithms(Vector):
    def joined(self, v: Tensor) -> Tensor:
        return ((v + 1e-3).log()[:, :, None] + self.w.abs().log()).exp().sum(1)


class ByLogSumExp(Vector):
    def joined(self, v: Tensor) -> Tensor:
        return torch.logsumexp(v[:, :, None] + self.w, 1)


class MaximumOfSums(Vector):
    def joined(self, v: Tensor) -> Tensor:
        return (v[:, :, None] + self.w).amax(1)


class SquaredDifferences(Vector):
    def joined(self, v: Tensor) -> Tensor:
        return -(v[:, :, None] - self.w).square().mean(1)


class AbsoluteDifferences(Vector):
    def joined(self, v: Tensor) -> Tensor:
        return -(v.unsqueeze(-1).expand(-1, -1, 10) - self.w).abs().sum(1)


class SquaresOfSums(Vector):
    """(a + b)² - (a - b)² is four times a product."""

    def joined(self, v: Tensor) -> Tensor:
        v = v[:, :, None]
        return ((v + self.w).square() - (v - self.w).square()).sum(1) / 4


class Cosines(Vector):
    def joined(self, v: Tensor) -> Tensor:
        return F.cosine_similarity(v[:, :, None], self.w[None], dim=1)


class Cdist(Vector):
    def joined(self, v: Tensor) -> Tensor:
        return -torch.cdist(v, self.w.T)


class Tokens(Base):
    """A matrix over the places, as in an MLP-Mixer."""

    def prepare(self) -> None:
        self.w = parameter(169, 169)

    def middle(self, f: Tensor) -> Tensor:
        return (f.flatten(2) @ self.w).view_as(f)


class RowsOfTheMap(Base):
    def prepare(self) -> None:
        self.rows = nn.Linear(13, 13, bias=False)

    def middle(self, f: Tensor) -> Tensor:
        return self.rows(f)


class WholePatch(Headed):
    def prepare(self) -> None:
        self.w = parameter(10, 8 * 13 * 13)

    def answer(self, f: Tensor) -> Tensor:
        return (self.w @ F.unfold(f, 13)).flatten(1)


class BehindADecision(Headed):
    def prepare(self) -> None:
        self.w = parameter(8, 10)

    def answer(self, f: Tensor) -> Tensor:
        if bool(f.max() > 1e6):
            return f.mean((2, 3)) @ self.w
        return self.head(f).mean((2, 3))


class AtTheSecondCall(Headed):
    def prepare(self) -> None:
        self.w, self.calls = parameter(8, 10), 0

    def answer(self, f: Tensor) -> Tensor:
        self.calls += 1
        return f.mean((2, 3)) @ self.w if self.calls > 1 else self.head(f).mean((2, 3))


class PixelsByAddress(nn.Module):
    """A row of the table for each place and grey level."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(4 * 784, 10)

    def forward(self, x: Tensor) -> Tensor:
        levels = (x.flatten(1) * 3).round().long()
        return self.table(levels * 784 + torch.arange(784)).mean(1)


DENSE: list[Networks] = [
    ByLogarithms,
    ByLogSumExp,
    MaximumOfSums,
    SquaredDifferences,
    AbsoluteDifferences,
    SquaresOfSums,
    Cosines,
    Cdist,
    Tokens,
    RowsOfTheMap,
    WholePatch,
    BehindADecision,
    AtTheSecondCall,
    PixelsByAddress,
]


@pytest.mark.parametrize("network", DENSE)
def test_a_layer_in_disguise_is_fully_connected(network: Networks) -> None:
    assert states(network())["fully_connected"] == "broken"


class Spectrum(Base):
    def prepare(self) -> None:
        self.w = nn.Parameter(torch.randn(8, 13, 7, dtype=torch.complex64))

    def middle(self, f: Tensor) -> Tensor:
        return torch.fft.irfft2(torch.fft.rfft2(f) * self.w, s=(13, 13))


class SpectrumInParts(Base):
    def prepare(self) -> None:
        self.w = parameter(8, 13, 7, 2)

    def middle(self, f: Tensor) -> Tensor:
        return torch.fft.irfft2(torch.fft.rfft2(f) * torch.view_as_complex(self.w), s=(13, 13))


class WeighedPlaces(Base):
    def prepare(self) -> None:
        self.w = parameter(1, 1, 13, 13)

    def forward(self, x: Tensor) -> Tensor:
        return (self.head(self.features(x)) * self.w).sum((2, 3))


@pytest.mark.parametrize("network", [Spectrum, SpectrumInParts, WeighedPlaces])
def test_what_sees_the_whole_map_is_an_equivalent(network: Networks) -> None:
    assert facts_of(network()).fully_connected_equivalent
    assert states(network())["fully_connected"] == "met"


# --- biases ---------------------------------------------------------------------------------------------------------------


class Shifted(Base):
    def prepare(self) -> None:
        self.b = nn.Parameter(torch.zeros(8, 1, 1))


class FactorOfAnExponential(Shifted):
    def middle(self, f: Tensor) -> Tensor:
        return (f.exp() * (self.b + 1)).log()


class SoftMaximum(Shifted):
    def middle(self, f: Tensor) -> Tensor:
        return torch.logaddexp(f, self.b)


class LearnedFloor(Shifted):
    def middle(self, f: Tensor) -> Tensor:
        return torch.maximum(f, self.b)


class LessItsMinimum(Shifted):
    def middle(self, f: Tensor) -> Tensor:
        return f - torch.minimum(f, self.b)


class TimesAlmostNothing(Shifted):
    def middle(self, f: Tensor) -> Tensor:
        return f + self.b * (f * 0 + 1)


class OnesFromTheImage(Base):
    def prepare(self) -> None:
        self.head = conv(9, 10, 1)

    def middle(self, f: Tensor) -> Tensor:
        return torch.cat([f, f[:, :1] ** 0], 1)


class PaddedChannel(OnesFromTheImage):
    def middle(self, f: Tensor) -> Tensor:
        return F.pad(f, (0, 0, 0, 0, 0, 1), value=1.0)


class WrittenChannel(OnesFromTheImage):
    def middle(self, f: Tensor) -> Tensor:
        wide = torch.ones(len(f), 9, 13, 13)
        wide[:, :8] = f
        return wide


class PaddingEverywhere(Headed):
    """Every window of the last convolution holds padding."""

    def prepare(self) -> None:
        self.last = conv(8, 10, 3)

    def answer(self, f: Tensor) -> Tensor:
        pooled = F.pad(F.adaptive_avg_pool2d(f, 1), (1, 1, 1, 1), value=1.0)
        return self.last(pooled).flatten(1)


SHIFTED: list[Networks] = [
    FactorOfAnExponential,
    SoftMaximum,
    LearnedFloor,
    LessItsMinimum,
    TimesAlmostNothing,
    OnesFromTheImage,
    PaddedChannel,
    WrittenChannel,
    PaddingEverywhere,
]


@pytest.mark.parametrize("network", SHIFTED)
def test_a_bias_in_disguise_is_a_bias(network: Networks) -> None:
    assert states(network())["biases"] == "broken"


# --- honest ones that look like these -------------------------------------------------------------------------------------


class SpectrumOfASmallKernel(Base):
    """A 3×3 kernel, convolved by Fourier transforms."""

    def prepare(self) -> None:
        self.w = parameter(8, 3, 3)

    def middle(self, f: Tensor) -> Tensor:
        return torch.fft.irfft2(torch.fft.rfft2(f) * torch.fft.rfft2(self.w, s=(13, 13)), s=(13, 13))


class PooledByLogSumExp(Base):
    def forward(self, x: Tensor) -> Tensor:
        return torch.logsumexp(self.head(self.features(x)), (2, 3))


class OwnSoftmax(Base):
    def prepare(self) -> None:
        self.sharpness = nn.Parameter(torch.ones(10))

    def forward(self, x: Tensor) -> Tensor:
        shares = (super().forward(x) * self.sharpness).exp()
        return shares / shares.sum(1, keepdim=True)


class PatchesByMatrix(Base):
    def prepare(self) -> None:
        self.w = parameter(8, 72)

    def middle(self, f: Tensor) -> Tensor:
        return (self.w @ F.unfold(f, 3, padding=1)).view_as(f)


class NonOverlappingPatches(Headed):
    """As a vision transformer begins: patches of 2×2, one matrix for each."""

    def prepare(self) -> None:
        self.w = nn.Linear(32, 10, bias=False)

    def answer(self, f: Tensor) -> Tensor:
        f = f[:, :, :12, :12]
        patches = f.unfold(2, 2, 2).unfold(3, 2, 2).permute(0, 2, 3, 1, 4, 5).flatten(3)
        return self.w(patches).mean((1, 2))


class Codebook(Base):
    """Distances of each pixel's channels to eight learned codes."""

    def prepare(self) -> None:
        self.codes = parameter(8, 8)

    def middle(self, f: Tensor) -> Tensor:
        return (-(f[:, :, None] - self.codes[None, :, :, None, None]).square().sum(1)).softmax(1)


class Guarded(Base):
    def middle(self, f: Tensor) -> Tensor:
        if f.isnan().any():
            raise ValueError("not a number")
        assert (f >= 0).all()
        return f


class EarlyWay(Base):
    """Two ways, both without a matrix."""

    def middle(self, f: Tensor) -> Tensor:
        return f if f.sum() > 1e9 else 2 * f


class DeadAndNormalized(Base):
    """Channels that are dead at first, behind a normalization."""

    def prepare(self) -> None:
        self.norm, self.next = nn.BatchNorm2d(8), conv(8, 8, 3)
        with torch.no_grad():
            self.stem.weight[:4] = -1.0

    def middle(self, f: Tensor) -> Tensor:
        return self.next(self.norm(f))


class ZeroPaddedPooling(Base):
    def middle(self, f: Tensor) -> Tensor:
        return F.max_pool2d(F.pad(f, (1, 1, 1, 1), value=float("-inf")), 3, 1)


class ClippedAtSix(Base):
    def middle(self, f: Tensor) -> Tensor:
        return f.clamp(0, 6) * (f + 3).clamp(0, 6) / 6


class HalvesOfOneTensor(Base):
    """Two kernels in one parameter, each used once on the image."""

    def prepare(self) -> None:
        self.both = parameter(8, 1, 3, 3)

    def features(self, x: Tensor) -> Tensor:
        maps = [F.conv2d(x, self.both[:4]), F.conv2d(x, self.both[4:])]
        return F.max_pool2d(F.relu(torch.cat(maps, 1)), 2)


class OneImageAtATime(Base):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([super(OneImageAtATime, self).forward(image[None]) for image in x])


HONEST: list[Networks] = [
    SpectrumOfASmallKernel,
    PooledByLogSumExp,
    OwnSoftmax,
    PatchesByMatrix,
    NonOverlappingPatches,
    Codebook,
    Guarded,
    EarlyWay,
    DeadAndNormalized,
    ZeroPaddedPooling,
    ClippedAtSix,
    HalvesOfOneTensor,
    OneImageAtATime,
]


@pytest.mark.parametrize("network", HONEST)
def test_what_only_looks_like_a_disguise_gets_no_finding(network: Networks) -> None:
    facts = facts_of(network())
    assert facts.fully_connected == ()
    assert facts.fully_connected_equivalent == ()
    assert facts.biases == ()
    assert facts.forward_passes == 1


# --- what is counted ------------------------------------------------------------------------------------------------------


class CountsItself(Base):
    def prepare(self) -> None:
        self.layer = conv(8, 8, 3)

    def middle(self, f: Tensor) -> Tensor:
        return self.layer(f)

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        return self.head.parameters(recurse)

    def named_parameters(self, *_: object, **__: object) -> Iterator[tuple[str, nn.Parameter]]:
        return self.head.named_parameters()

    def children(self) -> Iterator[nn.Module]:
        return iter([self.head])


def test_a_network_is_not_asked_for_its_parameters() -> None:
    assert facts_of(CountsItself()).parameters.total == 152 + 576


class ZerosInAList(Base):
    def prepare(self) -> None:
        self.scales = [nn.Parameter(torch.zeros(8, 1, 1))]

    def middle(self, f: Tensor) -> Tensor:
        return f * (1 + self.scales[0])


def test_learned_zeros_in_a_list_are_counted() -> None:
    assert facts_of(ZerosInAList()).parameters.with_hidden == 152 + 8


class OnlyInTraining(Base):
    def prepare(self) -> None:
        self.other, self.never = conv(8, 8, 1), conv(8, 8, 1)

    def middle(self, f: Tensor) -> Tensor:
        return self.other(f) if self.training else f


def test_what_only_training_uses_is_not_called_unused() -> None:
    (unused,) = facts_of(OnlyInTraining()).unused
    assert (unused.layer, unused.numbers) == ("never", 64)


class Binary(Base):
    def prepare(self) -> None:
        self.register_buffer("kernel", (torch.rand(8, 8, 3, 3) > 0.5).float())

    def middle(self, f: Tensor) -> Tensor:
        return F.conv2d(f, self.get_buffer("kernel"))


class Blur(Base):
    def prepare(self) -> None:
        line = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("kernel", (line[:, None] * line).expand(8, 1, 3, 3).clone())

    def middle(self, f: Tensor) -> Tensor:
        return F.conv2d(f, self.get_buffer("kernel"), groups=8)


def test_a_hidden_kernel_is_reported_and_a_blur_only_counted() -> None:
    binary, blur = facts_of(Binary()), facts_of(Blur())
    assert [one.numbers for one in binary.hidden] == [576]
    assert blur.hidden == ()
    assert blur.parameters.with_hidden == 152 + 72


class Solved(Vector):
    def prepare(self) -> None:
        self.w = parameter(8, 8)

    def joined(self, v: Tensor) -> Tensor:
        return torch.linalg.solve(self.w + torch.eye(8), v.unsqueeze(-1)).squeeze(-1)


def test_an_operation_that_is_not_known_leaves_the_question_open() -> None:
    assert states(Solved())["fully_connected"] == "unproven"
