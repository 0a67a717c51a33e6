"""One training step of a network on the compiled kernels, held against torch's layers in float64; and networks that are left to these."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from budgetnet.accelerated import accelerated
from budgetnet.loss import smoothed_loss
from budgetnet.zoo.blocks import Network, Towers


def batch(count: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    images = torch.rand((count, 1, 28, 28), generator=generator).contiguous(memory_format=torch.channels_last)
    return images, torch.randint(0, 10, (count,), generator=generator)


def learned(network: nn.Module) -> list[Tensor]:
    """Return gradients and running statistics."""
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return [tensor.detach().double() for tensor in [*gradients, *network.buffers()]]


def assert_whole_step_is_torchs(network: Network | Towers, smoothing: float) -> None:
    """Hold loss, right answers, gradients and statistics of a whole step against those of the sum of the towers' losses."""
    images, labels = batch()
    exact = copy.deepcopy(network).double()
    each = exact.logits_of_each(images.double()) if isinstance(exact, Towers) else [exact.logits(images.double())]
    losses = torch.stack([smoothed_loss(F.log_softmax(logits, 1), labels, smoothing) for logits in each])
    losses.sum().backward()  # type: ignore[no-untyped-call]
    with accelerated(network) as whole:
        found = whole(images, labels, smoothing) if whole else None
    assert found is not None
    assert found[0] == pytest.approx(float(losses.detach().mean()), rel=1e-5)
    assert found[1] == int((torch.stack(each).mean(0).argmax(1) == labels).sum())
    assert len(learned(network)) == len(learned(exact))
    for measured, wanted in zip(learned(network), learned(exact), strict=True):
        assert float((measured - wanted).abs().max()) <= 2e-3 * float(wanted.abs().max()) + 1e-5


def assert_left_to_torchs_way(network: Network | Towers) -> None:
    """Hold that no whole step is taken, and that nothing was changed by asking."""
    images, labels = batch()
    before = [tensor.clone() for tensor in network.state_dict().values()]
    with accelerated(network) as whole:
        assert whole is None or whole(images, labels, 0.0) is None
    assert all(map(torch.equal, before, network.state_dict().values()))
    assert all(parameter.grad is None for parameter in network.parameters())
