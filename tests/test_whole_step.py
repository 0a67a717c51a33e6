"""A training step in one call: the loss, the right answers and the gradients are those of torch's layers, and so is where it steps aside."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from steps import assert_left_to_torchs_way, assert_whole_step_is_torchs, batch, learned
from torch import Tensor, nn

from budgetnet import zoo
from budgetnet.accelerated import WholeStep, accelerated
from budgetnet.zoo.blocks import Dropout, Flatten, GlobalAveragePooling, Network, Softmax, Towers
from budgetnet.zoo.own import separable

pytestmark = pytest.mark.usefixtures("compiled")
WHOLE = ["accurate", "fast", "one-pool", "small", "tiny"]


def of_zoo(name: str) -> Network | Towers:
    torch.manual_seed(3)
    network = zoo.find(name).build()
    for module in network.modules():
        if isinstance(module, Dropout):
            module.threshold = 0
    return network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload, no-any-return]


def built(name: str) -> Network:
    network = of_zoo(name)
    assert isinstance(network, Network)
    return network


def taken(whole: WholeStep | None, images: Tensor, labels: Tensor, smoothing: float = 0.0) -> tuple[float, int]:
    found = whole(images, labels, smoothing) if whole else None
    assert found is not None
    return found


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_whole_step_is_torchs(name: str, smoothing: float) -> None:
    assert_whole_step_is_torchs(of_zoo(name), smoothing)


def test_a_second_step_does_not_remember_the_first() -> None:
    network, (images, labels) = built("fast"), batch()
    with accelerated(network) as whole:
        first = taken(whole, images, labels), learned(network)[: len(list(network.parameters()))]
        few, some = batch(3)
        taken(whole, few.flip(3), some)
        again = taken(whole, images, labels), learned(network)[: len(list(network.parameters()))]
    assert first[0] == again[0]
    assert all(map(torch.equal, first[1], again[1]))


def test_parameters_that_moved_in_memory_are_found() -> None:
    network, (images, labels) = built("fast"), batch()
    with accelerated(network) as whole:
        before = taken(whole, images, labels)
        for parameter in network.parameters():
            parameter.data = (parameter.data * 0).clone()
        after = taken(whole, images, labels)
        stem = network[0]
        assert isinstance(stem, nn.Conv2d)
        stem.weight = nn.Parameter(stem.weight.detach() + 1)
        taken(whole, images, labels)
        assert stem.weight.grad is not None
    assert before[0] != after[0] == pytest.approx(2.302585, abs=1e-6)


def test_dropout_is_drawn_anew_in_each_step_and_again_from_its_seed() -> None:
    network, (images, labels) = zoo.find("one-pool").build(), batch()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    losses = []
    with accelerated(network) as whole:
        for seed in (1, 1, 2):
            generator = torch.Generator().manual_seed(seed)
            for module in network.modules():
                if isinstance(module, Dropout):
                    module.generator = generator
            losses.append([taken(whole, images, labels)[0] for _ in range(2)])
    assert losses[0] == losses[1] != losses[2]
    assert losses[0][0] != losses[0][1]


def test_a_label_of_no_class_is_an_error() -> None:
    network, (images, labels) = built("fast"), batch()
    with accelerated(network) as whole:
        for wrong in (10, -1):
            labels[2] = wrong
            with pytest.raises(IndexError, match="not among the classes"):
                taken(whole, images, labels)


def test_a_loss_that_is_lost_is_told() -> None:
    network, (images, labels) = built("fast"), batch()
    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))
    with accelerated(network) as whole:
        assert taken(whole, images, labels)[0] != taken(whole, images, labels)[0]


def with_hook() -> Network:
    network = built("fast")
    network.register_forward_hook(lambda *_: None)
    return network


def with_a_layers_hook() -> Network:
    network = built("fast")
    list(network)[3].register_forward_hook(lambda *_: None)
    return network


def with_a_parameters_hook() -> Network:
    network = built("fast")
    next(network.parameters()).register_hook(lambda gradient: gradient * 2)  # type: ignore[no-untyped-call]
    return network


def with_a_frozen_layer() -> Network:
    network = built("fast")
    next(network.parameters()).requires_grad_(False)
    return network


def with_a_shared_layer() -> Network:
    twice = nn.Conv2d(8, 8, 1, bias=False)
    return Network(nn.Conv2d(1, 8, 3), twice, nn.ReLU(), twice, nn.Conv2d(8, 10, 1), GlobalAveragePooling(), Softmax())


def with_many_places_flattened() -> Network:
    return Network(nn.Conv2d(1, 2, 27), Flatten(), Softmax())


def with_a_layer_of_another_kind() -> Network:
    return Network(*separable(1, 10), nn.Tanh(), GlobalAveragePooling(), Softmax())


def in_evaluation() -> Network:
    return built("fast").eval()


ASIDE: list[Callable[[], Network]] = [
    with_hook,
    with_a_layers_hook,
    with_a_parameters_hook,
    with_a_frozen_layer,
    with_a_shared_layer,
    with_many_places_flattened,
    with_a_layer_of_another_kind,
    in_evaluation,
]


@pytest.mark.parametrize("make", ASIDE, ids=lambda make: make.__name__)
def test_networks_that_need_torchs_way_are_left_to_it(make: Callable[[], Network]) -> None:
    assert_left_to_torchs_way(make())


def test_what_becomes_of_parameters_between_steps_is_seen() -> None:
    network, (images, labels) = built("fast"), batch()
    first, second = list(network.parameters())[:2]
    with accelerated(network) as whole:
        assert whole is not None
        taken(whole, images, labels)
        first.requires_grad_(False)
        assert whole(images, labels, 0.0) is None
        first.requires_grad_(True)
        taken(whole, images, labels)
        handle = second.register_hook(lambda gradient: gradient)  # type: ignore[no-untyped-call]
        assert whole(images, labels, 0.0) is None
        handle.remove()
        taken(whole, images, labels)


def test_kernels_in_another_memory_order_are_left_to_torchs_way() -> None:
    network, (images, labels) = built("one-pool"), batch()
    with accelerated(network) as whole:
        taken(whole, images, labels)
        for parameter in network.parameters():
            parameter.data = parameter.data.contiguous()
        assert whole is not None
        assert whole(images, labels, 0.0) is None


def test_a_logit_without_a_bottom_is_no_lost_loss() -> None:
    network, (images, labels) = Network(nn.Conv2d(1, 10, 28, bias=False), Flatten(), Softmax()), batch()
    labels.zero_()
    with torch.no_grad():
        next(network.parameters())[7].fill_(float("-inf"))
    network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    with accelerated(network) as whole:
        assert taken(whole, images, labels)[0] < 10


def test_images_that_need_torchs_way_are_left_to_it() -> None:
    network, (images, labels) = built("fast"), batch()
    with accelerated(network) as whole:
        assert whole is not None
        assert whole(images.double(), labels, 0.0) is None
        assert whole(torch.rand(4, 3, 28, 28), labels[:4], 0.0) is None
        assert whole(images, labels[:2], 0.0) is None
        assert whole(images, labels[:, None], 0.0) is None
        assert whole(images, labels.int(), 0.0) is None
        assert whole(images.clone().requires_grad_(), labels, 0.0) is None
        with torch.no_grad():
            assert whole(images, labels, 0.0) is None
