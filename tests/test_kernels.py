"""The compiled kernels against the plain torch composition, values and gradients, over odd sizes too."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from budgetnet import kernels, zoo
from budgetnet.accelerated import accelerated
from budgetnet.optimizer import DecoupledAdam
from budgetnet.zoo.blocks import BatchNormalization, Dropout, Network

needs_compiler = pytest.mark.usefixtures("compiled")
CONVOLUTIONS = [
    # count, channels, outputs, side, kernel, padding
    (5, 1, 16, 28, 3, 1),
    (3, 1, 32, 28, 3, 0),
    (4, 16, 24, 14, 3, 1),
    (4, 24, 24, 7, 3, 1),
    (2, 10, 32, 12, 3, 0),
    (2, 32, 10, 13, 1, 0),
    (3, 4, 4, 9, 3, 1),
    (3, 3, 7, 11, 5, 2),
    (2, 8, 40, 6, 3, 2),
    (2, 16, 10, 4, 4, 0),
    (1, 5, 1, 3, 3, 0),
    (2, 12, 17, 23, 2, 1),
    (2, 5, 52, 9, 1, 0),
    (2, 20, 9, 9, 1, 0),
]
"""Channels below, at and above a vector, kernels of one to five, with and without padding, an output of one pixel; long rows."""


def images(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).contiguous(memory_format=torch.channels_last)


@contextmanager
def on_threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def gradients(compute: Callable[..., Tensor], *inputs: Tensor) -> list[Tensor]:
    leaves = [value.detach().clone().requires_grad_() for value in inputs]
    output = compute(*leaves)
    output.backward(torch.randn(output.shape, generator=torch.Generator().manual_seed(9)).to(output.dtype))  # type: ignore[no-untyped-call]
    return [output.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


def close(measured: list[Tensor], expected: list[Tensor]) -> None:
    assert len(measured) == len(expected)
    for one, other in zip(measured, expected, strict=True):
        scale = float(other.abs().max()) or 1.0
        assert float((one.double() - other.double()).abs().max()) <= 3e-6 * scale


@needs_compiler
@pytest.mark.parametrize(("count", "channels", "outputs", "side", "size", "padding"), CONVOLUTIONS)
@pytest.mark.parametrize("threads", [1, 2])
def test_convolution_is_torchs(count: int, channels: int, outputs: int, side: int, size: int, padding: int, threads: int) -> None:
    batch, kernel = images(count, channels, side, side + 1), images(outputs, channels, size, size, seed=1)
    with on_threads(threads):
        measured = gradients(lambda x, w: kernels.chain(x, [kernels.Convolution(w, padding)]), batch, kernel)
    close(measured, gradients(lambda x, w: F.conv2d(x, w, padding=padding), batch.double(), kernel.double()))


@needs_compiler
@pytest.mark.parametrize("channels", [1, 4, 8, 12, 20, 32, 39])
@pytest.mark.parametrize(("side", "size", "padding"), [(9, 3, 1), (8, 3, 0), (7, 5, 2), (4, 4, 0)])
def test_depthwise_convolution_is_torchs(channels: int, side: int, size: int, padding: int) -> None:
    batch, kernel = images(3, channels, side, side + 1), images(channels, 1, size, size, seed=1)
    measured = gradients(lambda x, w: kernels.chain(x, [kernels.DepthwiseConvolution(w, padding)]), batch, kernel)
    close(measured, gradients(lambda x, w: F.conv2d(x, w, padding=padding, groups=channels), batch.double(), kernel.double()))


@needs_compiler
@pytest.mark.parametrize("channels", [1, 4, 10, 12, 16, 20, 33])
@pytest.mark.parametrize("relu_first", [False, True])
@pytest.mark.parametrize("activation", ["none", "relu", "silu"])
@pytest.mark.parametrize("threshold", [0, 51])
def test_stage_is_torchs_composition(
    channels: int, relu_first: bool, activation: Literal["none", "relu", "silu"], threshold: int
) -> None:
    batch, weight, bias = images(3, channels, 5, 7) + 0.3, torch.linspace(-1, 2, channels), torch.linspace(-0.5, 0.5, channels)
    key = 0x123456789ABCDEF
    factors = mask(batch.shape, threshold, key).double()

    def composed(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        x = F.relu(x) if relu_first else x
        x = F.batch_norm(x, None, None, w, b, training=True, eps=1e-3)
        return {"none": x, "relu": F.relu(x), "silu": F.silu(x)}[activation] * factors

    def fused(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        stage = kernels.Stage(w, b, 1e-3, relu_first=relu_first, activation=activation, threshold=threshold, key=key)
        return kernels.chain(x, [stage])

    close(gradients(fused, batch, weight, bias), gradients(composed, batch.double(), weight.double(), bias.double()))


def mask(shape: torch.Size, threshold: int, key: int) -> Tensor:
    """What the kernel multiplies by, seen through a stage whose normalisation gives ones."""
    ones, zeros = torch.ones(shape[1]), torch.zeros(shape[1])
    return kernels.chain(images(*shape), [kernels.Stage(zeros, ones, 1e-3, threshold=threshold, key=key)])


@needs_compiler
def test_dropout_keeps_its_share_and_differs_by_key() -> None:
    shape = torch.Size([1, 1, 1, 2**20])
    first, second = mask(shape, 51, 1), mask(shape, 51, 2)
    for drawn in (first, second):
        assert torch.allclose(torch.unique(drawn), torch.tensor([0.0, 256 / 205]))
        # Five standard deviations of a share of 51/256 in 2²⁰ draws.
        assert abs(float((drawn == 0).double().mean()) - 51 / 256) < 5 * (0.2 * 0.8 / 2**20) ** 0.5
    both = float(((first == 0) & (second == 0)).double().mean())
    assert abs(both - (51 / 256) ** 2) < 0.002
    neighbours = float(((first[..., 1:] == 0) & (first[..., :-1] == 0)).double().mean())
    assert abs(neighbours - (51 / 256) ** 2) < 0.002


@needs_compiler
@pytest.mark.parametrize("channels", [1, 4, 8, 10, 16, 21, 24])
@pytest.mark.parametrize(("side", "size"), [(8, 2), (9, 2), (9, 3)])
def test_max_pooling_is_torchs_with_ties(channels: int, side: int, size: int) -> None:
    batch = F.relu(images(3, channels, side, side))
    measured = gradients(lambda x: kernels.chain(x, [kernels.MaxPooling(size)]), batch)
    close(measured, gradients(lambda x: F.max_pool2d(x, size), batch.double()))


def followers(w: Tensor) -> dict[str, tuple[kernels.Link, Callable[[Tensor], Tensor]]]:
    """What may stand behind a stage, whose output is not kept for some of them: as a link and as torch has it; `w` is (C, C, 3, 3)."""
    bias, depthwise = w[:, 0, 0, 0].contiguous(), w[:, :1].contiguous()
    return {
        "pooling": (kernels.MaxPooling(2), lambda x: F.max_pool2d(x, 2)),
        "averaging": (kernels.Averaging(), lambda x: x.mean((2, 3))),
        "rectification": (kernels.Rectification(), F.relu),
        "shift": (kernels.Shift(bias), lambda x: x + bias[:, None, None]),
        "stage": (kernels.Stage(None, None, 1e-3), lambda x: F.batch_norm(x, None, None, training=True, eps=1e-3)),
        "depthwise": (kernels.DepthwiseConvolution(depthwise, 1), lambda x: F.conv2d(x, depthwise, padding=1, groups=len(w))),
        "framed": (kernels.Convolution(w, 1), lambda x: F.conv2d(x, w, padding=1)),
        "unframed": (kernels.Convolution(w, 0), lambda x: F.conv2d(x, w)),
    }


@needs_compiler
@pytest.mark.parametrize("follower", followers(torch.ones(1, 1, 3, 3)))
@pytest.mark.parametrize("threads", [1, 7])
@pytest.mark.parametrize("threshold", [0, 51])
@pytest.mark.parametrize("before", [False, True], ids=["first", "behind a convolution"])
def test_a_stage_is_torchs_whatever_follows(follower: str, threads: int, threshold: int, before: bool) -> None:
    batch, kernel, key = images(5, 10, 6, 9), images(10, 10, 3, 3, seed=1), 77
    factors = mask(batch.shape, threshold, key).double()

    def chained(x: Tensor, w: Tensor) -> Tensor:
        stage = kernels.Stage(None, None, 1e-3, activation="silu", threshold=threshold, key=key)
        return kernels.chain(x, [*([kernels.Convolution(w, 1)] if before else []), stage, followers(w)[follower][0]])

    def exact(x: Tensor, w: Tensor) -> Tensor:
        x = F.conv2d(x, w, padding=1) if before else x
        return followers(w)[follower][1](F.silu(F.batch_norm(x, None, None, training=True, eps=1e-3)) * factors)

    with on_threads(threads):
        measured = gradients(chained, batch, kernel)
    close(measured, gradients(exact, batch.double(), kernel.double()))


@needs_compiler
@pytest.mark.parametrize("channels", [1, 8, 10])
@pytest.mark.parametrize("keeps_places", [False, True])
def test_averaging_is_torchs_mean(channels: int, keeps_places: bool) -> None:
    batch, kernel = images(3, 2, 5, 7) + 1, images(channels, 2, 3, 3, seed=1)
    averaging = kernels.Averaging(keeps_places)
    measured = gradients(lambda x, w: kernels.chain(x, [kernels.Convolution(w, 1), averaging]), batch, kernel)
    exact = batch.double(), kernel.double()
    close(measured, gradients(lambda x, w: F.conv2d(x, w, padding=1).mean((2, 3), keepdim=keeps_places), *exact))
    assert measured[0].shape == ((3, channels, 1, 1) if keeps_places else (3, channels))


@needs_compiler
@pytest.mark.parametrize("unbiased", [False, True])
def test_running_statistics_are_batch_norms(unbiased: bool) -> None:
    batch, mean, variance, tracked = images(3, 10, 5, 7) + 0.3, torch.zeros(10), torch.ones(10), torch.tensor(4)
    expected_mean, expected_variance = mean.double(), variance.double()
    F.batch_norm(batch.double(), expected_mean, expected_variance, training=True, momentum=0.1)
    if not unbiased:
        count = 3 * 5 * 7
        expected_variance = 0.9 + (expected_variance - 0.9) * (count - 1) / count
    stage = kernels.Stage(None, None, 1e-3, False, "none", 0, 0, mean, variance, tracked, momentum=0.1, unbiased=unbiased)
    kernels.chain(batch, [stage])
    close([mean, variance], [expected_mean, expected_variance])
    assert tracked == 5


@needs_compiler
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("first_is_leaf", [True, False])
def test_a_chain_is_its_links_one_after_another(threads: int, first_is_leaf: bool) -> None:
    batch, kernel, bias = images(5, 3, 9, 9), images(10, 3, 3, 3, seed=1), torch.linspace(-1, 1, 10)
    depthwise, pointwise, weight = images(10, 1, 3, 3, seed=2), images(6, 10, 1, 1, seed=3), torch.linspace(0.5, 2, 6)

    def chained(*given: Tensor) -> Tensor:
        x, k, b, d, p, w = [batch, *given] if first_is_leaf else given
        links: list[kernels.Link] = [kernels.Convolution(k, 1), kernels.Shift(b), kernels.Rectification(), kernels.MaxPooling(2)]
        return kernels.chain(
            x,
            [
                *links,
                kernels.DepthwiseConvolution(d, 1),
                kernels.Convolution(p, 0),
                kernels.Stage(w, None, 1e-3, activation="relu"),
            ],
        )

    def composed(*given: Tensor) -> Tensor:
        x, k, b, d, p, w = [batch.double(), *given] if first_is_leaf else given
        x = F.max_pool2d(F.relu(F.conv2d(x, k, b, padding=1)), 2)
        x = F.conv2d(F.conv2d(x, d, padding=1, groups=10), p)
        return F.relu(F.batch_norm(x, None, None, w, None, training=True, eps=1e-3))

    given = [*([] if first_is_leaf else [batch]), kernel, bias, depthwise, pointwise, weight]
    with on_threads(threads):
        measured = gradients(chained, *given)
    close(measured, gradients(composed, *(tensor.double() for tensor in given)))


@needs_compiler
@pytest.mark.parametrize("activation", ["relu", "silu"])
@pytest.mark.parametrize("threads", [1, 2])
def test_stages_inside_a_chain_are_torchs(activation: Literal["relu", "silu"], threads: int) -> None:
    batch, first, second = images(5, 3, 9, 9), images(12, 3, 3, 3, seed=1), images(10, 12, 3, 3, seed=2)
    weight, bias = torch.linspace(0.5, 2, 12), torch.linspace(-1, 1, 12)
    factors = mask(torch.Size([5, 12, 9, 9]), 51, 77).double()

    def chained(x: Tensor, k: Tensor, w: Tensor, b: Tensor, n: Tensor) -> Tensor:
        stage = kernels.Stage(w, b, 1e-3, activation=activation, threshold=51, key=77)
        return kernels.chain(x, [kernels.Convolution(k, 1), stage, kernels.Convolution(n, 1), kernels.Stage(None, None, 1e-3)])

    def composed(x: Tensor, k: Tensor, w: Tensor, b: Tensor, n: Tensor) -> Tensor:
        x = F.batch_norm(F.conv2d(x, k, padding=1), None, None, w, b, training=True, eps=1e-3)
        x = (F.relu(x) if activation == "relu" else F.silu(x)) * factors
        return F.batch_norm(F.conv2d(x, n, padding=1), None, None, training=True, eps=1e-3)

    given = [batch, first, weight, bias, second]
    with on_threads(threads):
        measured = gradients(chained, *given)
    close(measured, gradients(composed, *(tensor.double() for tensor in given)))


@needs_compiler
def test_two_passes_may_be_under_way_before_the_way_back() -> None:
    kernel = images(8, 1, 3, 3, seed=1).requires_grad_()
    one, two = images(2, 1, 6, 6), images(2, 1, 6, 6, seed=5)
    links: list[kernels.Link] = [kernels.Convolution(kernel, 1), kernels.Rectification()]
    (kernels.chain(one, links).sum() + kernels.chain(two, links).square().sum()).backward()  # type: ignore[no-untyped-call]
    assert kernel.grad is not None
    exact = kernel.detach().double().requires_grad_()
    total = F.relu(F.conv2d(one.double(), exact, padding=1)).sum() + F.relu(F.conv2d(two.double(), exact, padding=1)).square().sum()
    total.backward()  # type: ignore[no-untyped-call]
    close([kernel.grad], [exact.grad] if exact.grad is not None else [])


@needs_compiler
def test_silu_far_from_zero_is_torchs() -> None:
    values = torch.tensor([-200.0, -88.0, -87.0, -20.0, -1e-6, 0.0, 1e-6, 20.0, 87.0, 89.0, 200.0, 3e4]).view(1, 1, 3, 4)
    ones = torch.ones(1)
    batch = torch.cat([values, -values])  # mean 0
    scale = float(batch.var(correction=0)) ** 0.5
    seen = kernels.chain(batch, [kernels.Stage(ones * scale, ones * 0, 0.0, activation="silu")])
    close([seen], [F.silu(batch.double())])


@needs_compiler
def test_nan_is_not_hidden_by_a_rectification() -> None:
    batch = images(2, 8, 4, 4)
    batch[0, 0, 0, 0] = float("nan")
    assert kernels.chain(batch, [kernels.Rectification()]).isnan().any()
    assert kernels.chain(batch, [kernels.Stage(None, None, 1e-3, activation="relu")]).isnan().any()


@needs_compiler
def test_what_no_kernel_takes_is_refused_not_read_past_its_end() -> None:
    refused: list[tuple[Tensor, kernels.Link]] = [
        (images(2, 3, 4, 4), kernels.Convolution(images(8, 4, 3, 3), 1)),
        (images(2, 3, 2, 2), kernels.Convolution(images(8, 3, 3, 3), 0)),
        (images(2, 3, 4, 4), kernels.Convolution(images(8, 3, 3, 3).double(), 1)),
        (images(2, 3, 4, 4).double(), kernels.Rectification()),
        (images(2, 3, 1, 4), kernels.MaxPooling(2)),
        (images(2, 3, 4, 4), kernels.Stage(torch.ones(4), None, 1e-3)),
        (images(2, kernels.MOST_CHANNELS + 1, 2, 2), kernels.Rectification()),
        (images(2, 3, 4, 4), kernels.Convolution(images(8, 3, 1, 1), 2)),
        (images(2, 3, 7, 7), kernels.Convolution(images(8, 3, 5, 3), 0)),
        (images(2, 3, 4, 4), kernels.DepthwiseConvolution(images(3, 2, 3, 3), 0)),
        (images(2, 3, 4, 4), kernels.Shift(torch.ones(3))),
        (images(2, 3, 4, 4), kernels.MaxPooling(0)),
        (images(2, 3, 4, 4), kernels.Stage(None, None, 1e-3, threshold=256)),
        (images(2, 3, 4, 4), kernels.Stage(None, None, 1e-3, running_mean=torch.zeros(3))),
    ]
    for batch, link in refused:
        with pytest.raises(ValueError, match="no chain of kernels"):
            kernels.chain(batch, [link])
    with pytest.raises(ValueError, match="no chain of kernels"):
        kernels.chain(images(2, 3, 4, 4), [kernels.Averaging(), kernels.Rectification()])


def one_step(network: nn.Module, *, fast: bool) -> list[Tensor]:
    network = copy.deepcopy(network).train()
    batch = images(6, 1, 28, 28).to(next(network.parameters()).dtype)
    with accelerated(network) if fast else nullcontext():
        answer = network.logits(batch) if isinstance(network, Network) else network(batch)
        answer.backward(torch.randn(answer.shape, generator=torch.Generator().manual_seed(2)).to(answer))
    found = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return [tensor.detach().double() for tensor in [answer, *found, *network.buffers()]]


def course_network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 12, 3, stride=2),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(12, 12, 3, groups=12, bias=False),
        nn.Tanh(),
        nn.Conv2d(12, 10, 1, bias=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


@needs_compiler
@pytest.mark.parametrize("name", ["course", *zoo.names()])
def test_accelerated_network_takes_the_same_step(name: str) -> None:
    network = course_network() if name == "course" else zoo.find(name).build()
    for module in network.modules():
        if isinstance(module, Dropout):
            module.threshold = 0
    torch.manual_seed(3)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    expected = one_step(copy.deepcopy(network).double(), fast=False)
    for measured, exact in zip(one_step(network, fast=True), expected, strict=True):
        assert float((measured - exact).abs().max()) <= 2e-3 * float(exact.abs().max()) + 1e-5


@needs_compiler
def test_images_too_small_for_the_kernels_get_torchs_words() -> None:
    network = nn.Sequential(nn.Conv2d(1, 8, 5), nn.ReLU(), nn.MaxPool2d(2))
    with accelerated(network), pytest.raises(RuntimeError, match="Kernel size can't be greater"):
        network(images(2, 1, 3, 3))


@needs_compiler
def test_network_is_given_back_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(1, 8, 3), BatchNormalization(8), nn.ReLU())
    with accelerated(network):
        assert "forward" in vars(network)
    assert not any("forward" in vars(module) for module in network.modules())


@needs_compiler
def test_hooks_of_the_user_are_called() -> None:
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    seen: list[int] = []
    network[1].register_forward_hook(lambda *_: seen.append(1))
    with accelerated(network):
        network(images(2, 1, 8, 8))
    assert seen == [1]


@needs_compiler
@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_adam_s_step_is_torch_s(decay: float) -> None:
    shapes = [(12, 3, 3, 3), (20, 12, 1, 1), (7,)]
    ours = [images(*shape) if len(shape) == 4 else images(1, 1, 1, *shape).flatten() for shape in shapes]
    theirs = [nn.Parameter(tensor.clone().double()) for tensor in ours]
    states = [(torch.zeros_like(tensor), torch.zeros_like(tensor), torch.tensor(0.0)) for tensor in ours]
    reference = torch.optim.AdamW(theirs, lr=0.03, betas=(0.9, 0.99), eps=1e-3, weight_decay=decay)
    moments = [kernels.Moment(tensor, *state, decay) for tensor, state in zip(ours, states, strict=True)]
    assert all(moment.fits() for moment in moments)
    adam = kernels.AdamStep(moments)
    for step in range(5):
        for tensor, exact in zip(ours, theirs, strict=True):
            gradient = images(1, 1, 1, tensor.numel(), seed=step).view(tensor.shape)
            tensor.grad = torch.empty_like(tensor).copy_(gradient)
            exact.grad = tensor.grad.double()
        assert adam(rate=0.03, beta_1=0.9, beta_2=0.99, epsilon=1e-3)
        reference.step()
    close(ours, [tensor.detach() for tensor in theirs])
    assert [state[2] for state in states] == [5, 5, 5]


@needs_compiler
def test_adam_finds_a_parameter_that_was_given_new_memory() -> None:
    weight, copied = nn.Parameter(images(8, 6, 1, 1)), nn.Parameter(images(8, 6, 1, 1).double())
    adam = DecoupledAdam([weight], rate=0.01, beta_1=0.9, beta_2=0.99, epsilon=1e-8, weight_decay=0.0)
    exact = torch.optim.AdamW([copied], lr=0.01, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.0)
    for seed in range(5):
        gradient = images(8, 6, 1, 1, seed=seed)
        weight.grad, copied.grad = gradient, gradient.double()
        weight.data = weight.data.renorm(2, 0, 1.0).contiguous()
        copied.data = copied.data.renorm(2, 0, 1.0)
        adam.step()
        exact.step()
    close([weight.detach()], [copied.detach()])


@needs_compiler
def test_adam_on_the_kernel_goes_on_from_torchs_state_and_skips_what_has_no_gradient() -> None:
    weights = [nn.Parameter(images(4, 3, 3, 3)), nn.Parameter(torch.ones(5))]
    copies = [nn.Parameter(weight.detach().clone().double()) for weight in weights]
    settings = {"rate": 0.02, "beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-8, "weight_decay": 0.1}
    ours = DecoupledAdam(weights, **settings)
    groups = [{"params": copies[:1], "weight_decay": 0.1}, {"params": copies[1:], "weight_decay": 0.0}]
    reference = torch.optim.AdamW(groups, lr=0.02, betas=(0.9, 0.99), eps=1e-8)
    for step in range(6):
        for index, (weight, copied) in enumerate(zip(weights, copies, strict=True)):
            absent = index == 1 and step == 3
            gradient = images(4, 3, 3, 3, seed=step) if index == 0 else torch.linspace(-1, step, 5)
            weight.grad, copied.grad = (None, None) if absent else (gradient, gradient.double())
        ours.step()
        reference.step()
    close([weight.detach() for weight in weights], [weight.detach() for weight in copies])
