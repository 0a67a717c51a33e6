"""Towers: networks side by side that answer as one and learn each by itself, on compiled kernels and on torch's layers alike."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from steps import assert_left_to_torchs_way, assert_whole_step_is_torchs, batch, learned
from torch import Tensor, nn
from torch.nn import functional as F

from budgetnet import kernels, train
from budgetnet.accelerated import accelerated
from budgetnet.loss import log_probability_function, training_answer_function
from budgetnet.zoo.blocks import Network, Towers
from budgetnet.zoo.own import stages

WIDTHS = [[[4, 6, 6], [8], [10, 8]], [[5], [8, 9], [12, 7]], [[6, 6], [7], [9]]]


def tower(place: int) -> Network:
    torch.manual_seed(place)
    return stages(WIDTHS[place], classes=10, channels=1)


def towers(count: int = 2) -> Towers:
    return Towers(*map(tower, range(count))).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload, no-any-return]


def test_the_answer_is_the_normalised_geometric_mean() -> None:
    network, (images, _) = towers(3).eval(), batch()
    with torch.no_grad():
        alone = [tower(place).eval()(images) for place in range(3)]
        product = torch.stack(alone).log().mean(0).exp()
        answer = network(images)
        assert torch.allclose(answer, product / product.sum(1, keepdim=True), atol=1e-6)
        assert torch.allclose(F.softmax(network.logits(images), 1), answer)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_whole_step_is_torchs(count: int, smoothing: float) -> None:
    assert_whole_step_is_torchs(towers(count), smoothing)


@pytest.mark.usefixtures("compiled")
def test_each_tower_learns_as_if_it_were_alone() -> None:
    network, (images, labels) = towers(), batch()
    with accelerated(network) as whole:
        assert whole is not None
        assert whole(images, labels, 0.0) is not None
    for place in range(2):
        alone = tower(place).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        with accelerated(alone) as whole:
            assert whole is not None
            assert whole(images, labels, 0.0) is not None
        given, wanted = learned(network.towers[place]), learned(alone)
        assert len(given) == len(wanted) == len(list(alone.parameters())) + len(list(alone.buffers()))
        assert all(map(torch.equal, given, wanted))


@pytest.mark.usefixtures("compiled")
def test_a_label_of_no_class_is_an_error() -> None:
    network, (images, labels) = towers(), batch()
    labels[2] = 10
    with accelerated(network) as whole:
        assert whole is not None
        with pytest.raises(IndexError, match="not among the classes"):
            whole(images, labels, 0.0)


class Mine(Towers):
    def __init__(self) -> None:
        super().__init__(tower(0), tower(1))


class Changed(Towers):
    def logits(self, images: Tensor) -> Tensor:
        return self.logits_of_each(images)[0]


@pytest.mark.parametrize("lent", [False, True])
@pytest.mark.parametrize("make", [towers, Mine])
def test_what_is_held_against_labels_is_each_towers_answer(make: Callable[[], Towers], lent: bool) -> None:
    network, (images, _) = make(), batch()
    ask = log_probability_function(network, (1, 28, 28), 10)
    training = training_answer_function(network, ask)
    with accelerated(network) if lent else nullcontext():
        given = training(images)
        joint = ask(images)
    assert [answer.shape for answer in given] == [(7, 10), (7, 10)]
    assert torch.equal(torch.stack(given).sum(0).argmax(1), joint.argmax(1))


@pytest.mark.parametrize("make", [lambda: tower(0), lambda: Changed(tower(0), tower(1))])
def test_other_networks_learn_by_their_own_answer(make: Callable[[], nn.Module]) -> None:
    network, (images, _) = make(), batch()
    ask = log_probability_function(network, (1, 28, 28), 10)
    (alone,) = training_answer_function(network, ask)(images)
    assert torch.allclose(alone, ask(images), atol=1e-5)


def with_one_tower_twice() -> Towers:
    twice = tower(0)
    return Towers(twice, twice)


def with_a_shared_layer() -> Towers:
    first, second = tower(0), tower(0)
    second[0].weight = first[0].weight
    return Towers(first, second)


def with_a_hook() -> Towers:
    network = towers()
    network.average.register_forward_hook(lambda *_: None)
    return network


def with_a_tower_that_evaluates() -> Towers:
    network = towers()
    network.towers[1].eval()
    return network


@pytest.mark.parametrize("make", [with_one_tower_twice, with_a_shared_layer, with_a_hook, with_a_tower_that_evaluates])
def test_towers_that_need_torchs_way_are_left_to_it(make: Callable[[], Towers]) -> None:
    assert_left_to_torchs_way(make())


@pytest.mark.parametrize("given", [(), (nn.Sequential(nn.Conv2d(1, 10, 28)),), (Network(nn.Conv2d(1, 10, 28)),)])
def test_towers_that_cannot_answer_are_an_error(given: tuple[Network, ...]) -> None:
    with pytest.raises(ValueError, match="one or more networks of the class Network, each with Softmax"):
        Towers(*given)


OWN = """
from torch import nn
from budgetnet.zoo.blocks import Flatten, Network, Softmax, Towers

def whole():
    return Towers(*[Network(nn.Conv2d(1, 10, 28, bias=False), Flatten(), Softmax()) for _ in range(2)])

def by_chains():
    layers = lambda: [nn.Conv2d(1, 4, 28, bias=False), nn.Tanh(), nn.Conv2d(4, 10, 1, bias=False), Flatten(), Softmax()]
    return Towers(*[Network(*layers()) for _ in range(2)])

def half_frozen():
    network = whole()
    network.towers[0].requires_grad_(False)
    return network
"""


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", ["whole", "by_chains", "half_frozen"])
@pytest.mark.parametrize("settings", [[], ["teacher=fast", "teacher.epochs=1"]])
def test_towers_of_ones_own_learn_alike_with_and_without_kernels(
    name: str, settings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(OWN, encoding="utf-8")
    target = f"{tmp_path}/mine.py:{name}"
    compiled = train(target, data="digits", epochs=2, settings=settings, out=tmp_path / "compiled")
    monkeypatch.setattr(kernels, "library", lambda: None)
    plain = train(target, data="digits", epochs=2, settings=settings, out=tmp_path / "plain")
    for one, other in zip(compiled.log(), plain.log(), strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=0.02)
