"""What torch does not see, or sees in another form: NumPy, scripted layers, sparse tensors, kernels by formula, numbers of the code."""

# mypy: disable-error-code="no-any-return"
# Calling a torch module gives Any; the networks below only pass it on.
import numpy as np
import pytest
import torch
from probe_networks import Base, Headed, conv, facts_of, states
from torch import Tensor, nn
from torch.nn import functional as F


class ByNumpy(Headed):
    """A wide layer in NumPy: 136,200 numbers that no count sees."""

    def prepare(self) -> None:
        self.w = np.random.default_rng(0).standard_normal((8 * 169, 100)).astype("float32")
        self.v = np.random.default_rng(1).standard_normal((100, 10)).astype("float32")

    def answer(self, f: Tensor) -> Tensor:
        return torch.from_numpy(np.maximum(f.flatten(1).numpy() @ self.w, 0) @ self.v)


class ByNumpyBeside(ByNumpy):
    """The same, added to an honest answer."""

    def answer(self, f: Tensor) -> Tensor:
        return self.head(f).mean((2, 3)) + super().answer(f)


class ThroughSharedMemory(ByNumpy):
    """The same, written by NumPy into a tensor that torch made."""

    def answer(self, f: Tensor) -> Tensor:
        answer = self.head(f).mean((2, 3))
        answer.numpy()[...] += super().answer(f).numpy()
        return answer


class RearrangedByNumpy(Headed):
    """NumPy mirrors the features in place: the same numbers in another order."""

    def answer(self, f: Tensor) -> Tensor:
        f.numpy()[...] = f.numpy()[..., ::-1].copy()
        return self.head(f).mean((2, 3))


@pytest.mark.parametrize("network", [ByNumpy, ByNumpyBeside, ThroughSharedMemory, RearrangedByNumpy])
def test_what_numpy_computes_leaves_all_clauses_open_and_the_count_too(network: type[Base]) -> None:
    found = states(network())
    assert {found[name] for name in ("parameters", "fully_connected", "biases", "forward_passes")} == {"unproven"}


def test_a_count_that_is_over_already_stays_broken_beside_numpy() -> None:
    class Wide(ByNumpy):
        def prepare(self) -> None:
            super().prepare()
            self.wide = conv(8, 300, 3)

    assert states(Wide())["parameters"] == "broken"


class WritesInPlace(Headed):
    """Torch's own writing in place, through views, is no writing past torch."""

    def answer(self, f: Tensor) -> Tensor:
        f[:, :4].mul_(0.5)
        f += f.flip(-1)
        f[..., 0] = 0
        return self.head(f).mean((2, 3))


def test_torch_s_own_writing_is_followed() -> None:
    assert states(WritesInPlace())["fully_connected"] == "met"


class ScriptedHead(Headed):
    def prepare(self) -> None:
        self.dense = torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(8 * 169, 10)))

    def answer(self, f: Tensor) -> Tensor:
        return self.dense(f)


class ScriptedConvolution(Base):
    def prepare(self) -> None:
        self.block = torch.jit.script(nn.Sequential(conv(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU()))

    def middle(self, f: Tensor) -> Tensor:
        return self.block(f)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_scripted_layers_are_seen_counted_and_left_as_they_were() -> None:
    network = ScriptedHead()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    facts = facts_of(network)
    assert facts.parameters.total == 152 + 13_530
    assert [finding.numbers for finding in facts.biases or ()] == [10]
    assert facts.fully_connected
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    honest = ScriptedConvolution()
    assert facts_of(honest).parameters.total == 152 + 8 * 8 * 9 + 4 * 8
    assert states(honest)["biases"] == "met"


class SparseHead(Headed):
    """A sparse matrix in a plain attribute."""

    def prepare(self) -> None:
        self.m = torch.randn(10, 8 * 169).to_sparse()

    def answer(self, f: Tensor) -> Tensor:
        return torch.sparse.mm(self.m, f.flatten(1).t()).t()


class QuantizedKernel(Base):
    """A kernel in 8 bits, made numbers again in forward."""

    def prepare(self) -> None:
        self.q = torch.quantize_per_tensor(torch.randn(8, 8, 3, 3), 0.05, 0, torch.qint8)

    def middle(self, f: Tensor) -> Tensor:
        return F.conv2d(f, self.q.dequantize())


def test_the_numbers_of_a_sparse_matrix_are_hidden_and_its_product_is_a_product() -> None:
    facts = facts_of(SparseHead())
    assert facts.fully_connected
    assert sum(finding.numbers for finding in facts.hidden) == 13_520


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor", "ignore:TypedStorage")
def test_the_numbers_of_a_quantized_kernel_are_hidden() -> None:
    assert sum(finding.numbers for finding in facts_of(QuantizedKernel()).hidden) == 576


class SineKernels(Base):
    """Kernels that a hash of the index makes in forward: 18,432 numbers that nobody declares."""

    def prepare(self) -> None:
        self.back = conv(256, 8, 1)

    def middle(self, f: Tensor) -> Tensor:
        i = torch.arange(256 * 8 * 9, dtype=torch.float32)
        w = (torch.sin(i * 12.9898) * 43758.5453) % 1.0 - 0.5
        return self.back(F.relu(F.conv2d(f, w.view(256, 8, 3, 3))))


class Cosines(Base):
    """A cosine transform of the rows: 28 cosines again and again."""

    def features(self, x: Tensor) -> Tensor:
        n = torch.arange(28.0)
        return super().features(x @ torch.cos(torch.pi * (n[:, None] + 0.5) * n / 28))


def test_kernels_that_a_formula_makes_are_numbers_and_a_few_values_are_structure() -> None:
    assert sum(finding.numbers for finding in facts_of(SineKernels()).hidden) == 256 * 8 * 9
    assert states(SineKernels())["parameters"] == "broken"
    assert not facts_of(Cosines()).hidden


class PlacesAsChannels(Headed):
    """MLP-Mixer's mixing of places: Conv1d with a kernel of 1 whose channels are the places."""

    def prepare(self) -> None:
        self.mix = nn.Conv1d(169, 169, 1, bias=False)

    def answer(self, f: Tensor) -> Tensor:
        t = f.flatten(2).transpose(1, 2)
        return self.head(F.relu(self.mix(t)).transpose(1, 2).reshape(len(f), 8, 13, 13)).mean((2, 3))


class SpaceToDepth(Base):
    """Four neighbours become channels: a convolution with a stride, in other words."""

    def prepare(self) -> None:
        self.mix = conv(32, 8, 1)

    def middle(self, f: Tensor) -> Tensor:
        n = len(f)
        f = f[..., :12, :12].reshape(n, 8, 6, 2, 6, 2).permute(0, 1, 3, 5, 2, 4).reshape(n, 32, 6, 6)
        return self.mix(f)


def test_a_convolution_whose_channels_are_the_places_is_reported_as_what_it_is() -> None:
    assert facts_of(PlacesAsChannels()).fully_connected_equivalent
    assert not facts_of(SpaceToDepth()).fully_connected_equivalent


class ShiftsByHand(Headed):
    """A number of the code for each class."""

    def answer(self, f: Tensor) -> Tensor:
        y = self.head(f).mean((2, 3))
        for place in range(10):
            y[:, place] += 0.25 * place
        return y


class OnePlus(Base):
    """(1 + scale) of one half for the other, and a hard swish on each."""

    def middle(self, f: Tensor) -> Tensor:
        a, b = f.chunk(2, 1)
        return torch.cat([(a + 1) * b, b * F.relu6(b + 3) / 6], 1)


def test_numbers_of_the_code_for_each_channel_are_a_bias_and_a_one_is_none() -> None:
    assert states(ShiftsByHand())["biases"] == "broken"
    assert states(OnePlus())["biases"] == "met"
