"""The layer table, and the manners of measuring: nothing is changed, wrong input gets a sentence."""

# mypy: disable-error-code="no-any-return"
# Calling a torch module gives Any; the networks below only pass it on.
import warnings

import pytest
import torch
from probe_networks import IMAGE, Base, LinearHead, Normalized, conv, facts_of
from torch import Tensor, nn
from torch.nn import functional as F

from budgetnet.check import measure
from budgetnet.errors import InputError
from budgetnet.zoo.blocks import SeparableConvolution

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


def test_functional_layers_and_blocks_of_the_zoo_get_one_row_each() -> None:
    rows = facts_of(Normalized(SeparableConvolution(8, 8, 3))).layers
    named = [(row.type, row.parameters) for row in rows]
    assert named == [("Conv2D", 72), ("MaxPooling2D", 0), ("SeparableConv2D", 136), ("Conv2D", 80), ("GlobalAveragePooling2D", 0)]
    assert rows[2].multiply_accumulates == 121 * 8 * (9 + 8)


class Conv2DByName(nn.Linear):
    keras_name = "Conv2D"
    __module__ = "budgetnet.zoo.blocks"


class PointwiseByType(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input.flatten(1), self.weight.flatten(1))


@pytest.mark.parametrize("layer", [Conv2DByName(8, 10), PointwiseByType(8, 10, 1)])
def test_what_a_class_says_of_itself_is_not_shown(layer: nn.Module) -> None:
    network = LinearHead()
    network.add_module("dense", layer)
    facts = facts_of(network)
    assert ("Dense" if isinstance(layer, nn.Linear) else "PointwiseByType") in [row.type for row in facts.layers]
    assert facts.fully_connected


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
