"""Networks on the kernels take torch's steps also where they are written in ways that the zoo's are not."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from budgetnet import kernels
from budgetnet.accelerated import accelerated

pytestmark = pytest.mark.usefixtures("compiled")


class Forward(nn.Module):
    """A network whose forward pass is `compute(parts, images)`."""

    def __init__(self, compute: Callable[..., Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.compute, self.parts = compute, nn.ModuleDict(parts)

    def forward(self, images: Tensor) -> Tensor:
        return self.compute(self.parts, images)


def shared() -> nn.Module:
    activation, pool = nn.ReLU(), nn.MaxPool2d(2)
    return nn.Sequential(nn.Conv2d(1, 8, 3), activation, pool, nn.Conv2d(8, 8, 3, padding=1), activation, pool)


def shared_convolution() -> nn.Module:
    twice, norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
    return nn.Sequential(nn.Conv2d(1, 8, 3), norm, twice, nn.ReLU(), twice, norm)


def changed_in_place() -> nn.Module:
    def compute(parts: nn.ModuleDict, x: Tensor) -> Tensor:
        out = F.relu(parts["norm"](parts["first"](x)), inplace=True)
        again = parts["second"](out)
        again += out
        return F.leaky_relu_(parts["pool"](again), 0.2)

    parts = {
        "first": nn.Conv2d(1, 8, 3),
        "norm": nn.BatchNorm2d(8),
        "second": nn.Conv2d(8, 8, 3, padding=1),
        "pool": nn.MaxPool2d(2),
    }
    return Forward(compute, **parts)


def activation_in_place_first() -> nn.Module:
    body = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, padding=1))

    def compute(parts: nn.ModuleDict, x: Tensor) -> Tensor:
        x = parts["norm"](parts["stem"](x))
        return parts["body"](x) + x  # type: ignore[no-any-return]

    return Forward(compute, stem=nn.Conv2d(1, 8, 3), norm=nn.BatchNorm2d(8), body=body)


def frozen_statistics() -> nn.Module:
    norm = nn.BatchNorm2d(8)
    nn.init.constant_(norm.weight, 0.7)
    body = nn.Sequential(nn.Conv2d(1, 8, 3), norm, nn.ReLU(), nn.Conv2d(8, 4, 3))

    def compute(parts: nn.ModuleDict, x: Tensor) -> Tensor:
        parts["body"][1].eval()  # type: ignore[index]
        return parts["body"](x)  # type: ignore[no-any-return]

    return Forward(compute, body=body)


def checkpointed() -> nn.Module:
    body = nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.MaxPool2d(2))

    def compute(parts: nn.ModuleDict, x: Tensor) -> Tensor:
        return checkpoint(parts["body"], parts["stem"](x), use_reentrant=False)  # type: ignore[no-any-return]

    return Forward(compute, stem=nn.Conv2d(1, 8, 3), body=body)


class Both(nn.Module):
    def forward(self, pair: tuple[Tensor, Tensor]) -> Tensor:
        return pair[0] + pair[1]


def pairs() -> nn.Module:
    def compute(parts: nn.ModuleDict, x: Tensor) -> Tensor:
        x = parts["stem"](input=x)
        return parts["body"]((x, x * 2))  # type: ignore[no-any-return]

    return Forward(compute, stem=nn.Conv2d(1, 8, 3), body=nn.Sequential(Both(), nn.ReLU()))


def shapes_of_many_kinds() -> nn.Module:
    return nn.Sequential(
        nn.MaxPool2d(2), nn.Conv2d(1, 6, 3, stride=2), nn.ReLU(), nn.Conv2d(6, 5, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2)
    )


def one_place() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 6, 12), nn.BatchNorm2d(6), nn.Conv2d(6, 3, 1, bias=False))


NETWORKS = [
    shared,
    shared_convolution,
    changed_in_place,
    activation_in_place_first,
    frozen_statistics,
    checkpointed,
    pairs,
    shapes_of_many_kinds,
    one_place,
]


def step(network: nn.Module, images: Tensor, *, lent: bool) -> list[Tensor]:
    network = copy.deepcopy(network).train()
    with accelerated(network) if lent else nullcontext():
        answer = network(images)
        (answer * torch.linspace(-1, 1, answer.numel(), dtype=answer.dtype).view(answer.shape)).sum().backward()
    found = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return [tensor.detach().double() for tensor in [answer, *found, *network.buffers()]]


@pytest.mark.parametrize("make", NETWORKS, ids=lambda make: make.__name__)
def test_a_lent_network_takes_torchs_step(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(1)
    network = make()
    images = torch.randn(5, 1, 12, 12)
    for measured, exact in zip(step(network, images, lent=True), step(network.double(), images.double(), lent=False), strict=True):
        assert float((measured - exact).abs().max()) <= 1e-4 * float(exact.abs().max()) + 1e-4


def test_a_first_chain_that_needs_no_memory_of_its_own_runs_on_a_new_thread() -> None:
    seen: list[Tensor] = []
    worker = threading.Thread(target=lambda: seen.append(kernels.chain(torch.ones(1, 1, 2, 2), [kernels.MaxPooling(2)])))
    worker.start()
    worker.join()
    assert [float(value) for value in seen] == [1]


@pytest.mark.parametrize("setting", ["OMP_THREAD_LIMIT", "OMP_DYNAMIC"])
def test_every_image_is_computed_where_fewer_threads_are_given_than_asked_for(setting: str) -> None:
    program = """
import torch
from torch.nn import functional as F
from budgetnet import kernels
torch.set_num_threads(2)
images, kernel = torch.randn(5, 3, 9, 9), torch.randn(8, 3, 3, 3, requires_grad=True)
answer = kernels.chain(images, [kernels.Convolution(kernel, 1), kernels.Stage(None, None, 1e-3)])
answer.square().sum().backward()
exact = kernel.detach().double().requires_grad_()
F.batch_norm(F.conv2d(images.double(), exact, padding=1), None, None, training=True, eps=1e-3).square().sum().backward()
print(float((kernel.grad - exact.grad).abs().max()) < 1e-3)
"""
    environment = {**os.environ, setting: "1" if setting == "OMP_THREAD_LIMIT" else "true"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True, timeout=120)
    assert done.stdout.strip() == "True"


def test_one_value_a_channel_is_refused_as_by_torch() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    with accelerated(network), pytest.raises(ValueError, match="more than 1 value per channel"):
        network(torch.randn(1, 1, 3, 3))


def test_a_mean_far_from_zero_costs_no_digits() -> None:
    batch = torch.randn(6, 10, 9, 9) + 1000
    exact = F.batch_norm(batch.double(), None, None, training=True)
    measured = kernels.chain(batch, [kernels.Stage(None, None, 1e-5)])
    # A float32 near 1000 is itself known to 6e-5.
    assert float((measured.double() - exact).abs().max()) < 2e-4
    constant = kernels.chain(torch.full((4, 8, 3, 3), 37.3), [kernels.Stage(None, None, 1e-5)])
    assert float(constant.abs().max()) < 1e-2


def test_nan_goes_through_max_pooling() -> None:
    for channels in (3, 8):
        batch = torch.zeros(1, channels, 4, 4)
        batch[0, :, 1, 1] = float("nan")
        pooled = kernels.chain(batch, [kernels.MaxPooling(2)])
        assert pooled[0, :, 0, 0].isnan().all()
        assert not pooled[0, :, 1, 1].isnan().any()


def test_the_default_dtype_changes_nothing() -> None:
    batch, kernel = torch.randn(2, 3, 5, 5), torch.randn(8, 3, 3, 3, requires_grad=True)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        answer = kernels.chain(batch, [kernels.Convolution(kernel, 1), kernels.Stage(None, None, 1e-3)])
        answer.sum().backward()  # type: ignore[no-untyped-call]
    finally:
        torch.set_default_dtype(before)
    assert answer.dtype == torch.float32
    assert kernel.grad is not None
    assert kernel.grad.dtype == torch.float32


class Turning(nn.Module):
    """Gives what it gets in another dtype from its second call on."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype, self.calls = dtype, 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        return images if self.calls == 1 else images.to(self.dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_images_that_change_their_dtype_between_steps_are_seen(dtype: torch.dtype) -> None:
    network = nn.Sequential(nn.Conv2d(1, 8, 3), Turning(dtype), nn.ReLU(), nn.MaxPool2d(2)).train()
    images = torch.rand(2, 1, 8, 8)
    with accelerated(network):
        first, second = network(images), network(images)
    assert second.dtype == dtype
    assert torch.allclose(first, second.float(), atol=1e-2)


def test_a_weight_that_is_made_anew_in_each_step_is_used() -> None:
    layer = nn.Conv2d(1, 4, 3, bias=False)
    raw = nn.Parameter(layer.weight.detach().clone())
    del layer.weight

    class Made(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.raw, self.layer = raw, layer

        def forward(self, images: Tensor) -> Tensor:
            self.layer.weight = self.raw * 2
            return self.layer(images)  # type: ignore[no-any-return]

    layer.weight = raw * 2
    network, images = Made().train(), torch.rand(2, 1, 8, 8)
    with accelerated(network):
        for _ in range(3):
            network(images).square().sum().backward()
            assert raw.grad is not None
            with torch.no_grad():
                raw.sub_(raw.grad, alpha=0.01)
        assert torch.allclose(network(images), F.conv2d(images, raw * 2), atol=1e-5)


@pytest.mark.parametrize("size", [1, (1, 1), [1, 1], 2, (None, 1)])
def test_averages_over_all_places_are_torchs_whatever_their_size_is_called(size: object) -> None:
    layer = nn.AdaptiveAvgPool2d(size)  # type: ignore[arg-type]
    network, images = nn.Sequential(nn.Conv2d(1, 4, 3), layer).train(), torch.rand(2, 1, 8, 8)
    expected = network(images)
    with accelerated(network):
        assert torch.allclose(network(images), expected, atol=1e-6)
        layer.output_size = (3, 2)
        assert network(images).shape == (2, 4, 3, 2)
