"""A torch network as plain operations: the same answers, folded or not, and a refusal by name for what cannot be told."""

from collections.abc import Callable

import pytest
import torch
import varied_networks as varied
from exported import shaken
from torch import Tensor, nn

from budgetnet import zoo
from budgetnet.errors import InputError
from budgetnet.graph import Activation, Convolution, Normalization, Scaling, execute, folded, trace

SHAPE = (1, 28, 28)
IMAGES = torch.rand((6, *SHAPE), generator=torch.Generator().manual_seed(1))


def probabilities(network: nn.Module) -> Tensor:
    with torch.no_grad():
        answer: Tensor = network(IMAGES)
    soft = bool((answer >= 0).all()) and torch.allclose(answer.sum(1), torch.ones(len(IMAGES)), atol=1e-4)
    return answer if soft else answer.softmax(1)


@pytest.mark.parametrize("name", ["one-pool", "separable-gmp"])
def test_zoo_networks_answer_alike_as_a_graph_and_folded(name: str) -> None:
    network = shaken(zoo.find(name).build())
    graph = trace(network, SHAPE)
    expected = probabilities(network)
    for form in (graph, folded(graph), folded(graph, forward=False)):
        torch.testing.assert_close(execute(form, IMAGES).softmax(1), expected, atol=2e-5, rtol=1e-3)
    assert any(isinstance(operation, Normalization) for operation in graph.operations)
    assert not any(isinstance(operation, Normalization | Scaling) for operation in folded(graph).operations)


@pytest.mark.parametrize("build", [varied.Plain, varied.Edged], ids=["plain", "edged"])
def test_every_operation_has_its_meaning(build: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    network = shaken(build())
    graph = trace(network, SHAPE)
    for form in (graph, folded(graph)):
        torch.testing.assert_close(execute(form, IMAGES).softmax(1), probabilities(network), atol=2e-5, rtol=1e-3)


def test_a_scaling_before_a_padded_convolution_stays() -> None:
    torch.manual_seed(0)
    network = shaken(nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 10, 3, padding=1), nn.AdaptiveMaxPool2d(1), nn.Flatten()))
    graph = folded(trace(network, SHAPE))
    assert [type(operation) for operation in graph.operations][:2] == [Scaling, Convolution]
    torch.testing.assert_close(execute(graph, IMAGES).softmax(1), probabilities(network), atol=1e-5, rtol=1e-3)


def test_a_handwritten_silu_is_one_function() -> None:
    class Handwritten(nn.Sequential):
        def forward(self, images: Tensor) -> Tensor:
            value = self[0](images)
            answer: Tensor = (value * torch.sigmoid(value)).mean((2, 3))
            return answer

    graph = trace(Handwritten(nn.Conv2d(1, 10, 3)), SHAPE)
    assert [operation.function for operation in graph.operations if isinstance(operation, Activation)] == ["silu"]


class Sorted(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).flatten(2).sort(2).values[:, :, 0]


class Branching(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        answer = super().forward(input).amax((2, 3))
        return answer if bool(answer.sum() > 0) else -answer


class Ceiling(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        return nn.functional.max_pool2d(super().forward(input), 3, 2, ceil_mode=True).amax((2, 3))


class NoSoftmax(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        answer = super().forward(input).amax((2, 3)).exp()
        return answer / answer.square().sum(1, keepdim=True)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (varied.Sliced(), "slice"),
        (Sorted(1, 10, 3), "sort"),
        (Branching(1, 10, 3), "cannot be traced"),
        (Ceiling(1, 10, 3), "maximum pooling in a form"),
        (NoSoftmax(1, 10, 3), "the operation exp"),
        (nn.Conv2d(1, 10, 3), "as one number for each class"),
    ],
    ids=["slice", "sort", "branch", "ceiling", "exp", "map"],
)
def test_what_a_graph_cannot_hold_is_refused_by_name(network: nn.Module, words: str) -> None:
    with pytest.raises(InputError, match=words):
        trace(network, SHAPE)
