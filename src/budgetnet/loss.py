"""The way from a network's answer to a loss, whatever form the answer has.

Published networks end in a softmax; course networks in PyTorch often in a log-softmax; others give plain values. One cross-entropy
serves all three once it is known which: a `Network` of the zoo tells by its type, any other is asked once with random images.
"""

from collections.abc import Callable
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from budgetnet.errors import InputError
from budgetnet.recipe import Teacher
from budgetnet.zoo.blocks import Network, Softmax, Towers

METHODS = ("logits", "logits_of_each", "forward", "__call__")
"""By which a network of the zoo answers."""
TINY = 1e-7
"""Keras clips probabilities here before the logarithm."""


def log_probability_function(network: nn.Module, input_shape: tuple[int, int, int], classes: int) -> Callable[[Tensor], Tensor]:
    """Return images (N, C, H, W) float -> log-probabilities (N, classes), differentiable.

    Raises `InputError` where the network cannot take such images or does not answer with one value for each class.
    """
    answer = _probe(network, input_shape, classes)
    if _is_zoo_network(network):
        return lambda images: F.log_softmax(network.logits(images), dim=1)
    if _is_probability(answer):
        return lambda images: torch.log(network(images).clamp(TINY, 1 - TINY))
    return lambda images: F.log_softmax(network(images), dim=1)


def training_answer_function(network: nn.Module, log_probabilities: Callable[[Tensor], Tensor]) -> Callable[[Tensor], list[Tensor]]:
    """Return images -> the log-probabilities (N, classes) that training holds against their labels: each tower's, or the network's alone.

    Their sum is largest where the network's own answer is. Towers whose class or instance has other methods than `Towers` learn by their
    own answer. To be asked for before the kernels are lent, which put something over methods themselves.
    """
    if isinstance(network, Towers) and _is_as_written(network):
        return lambda images: [F.log_softmax(logits, dim=1) for logits in network.logits_of_each(images)]
    return lambda images: [log_probabilities(images)]


def smoothed_loss(log_probabilities: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Return the mean cross-entropy (a scalar) against labels of which a share is spread over all classes.

    Source: Szegedy et al., arXiv:1512.00567, section 7.
    """
    loss = F.nll_loss(log_probabilities, labels)
    return loss if smoothing == 0 else (1 - smoothing) * loss - smoothing * log_probabilities.mean()


def taught_loss(log_probabilities: Tensor, labels: Tensor, smoothing: float, answers: Tensor, teacher: Teacher) -> Tensor:
    """Return the mean loss (a scalar) of a network that learns from a teacher's `answers`, log-probabilities (N, classes), and from labels.

    The first part is the Kullback-Leibler divergence from the teacher at its temperature, times the temperature's square, so that its
    gradients keep their size. Source: Hinton, Vinyals and Dean, arXiv:1503.02531, section 2.
    """
    heat = teacher.temperature
    # A softmax of log-probabilities is one of logits: they differ by a constant for each image.
    wanted, given = F.log_softmax(answers / heat, dim=1), F.log_softmax(log_probabilities / heat, dim=1)
    followed = F.kl_div(given, wanted, reduction="batchmean", log_target=True) * heat**2
    return teacher.share * followed + (1 - teacher.share) * smoothed_loss(log_probabilities, labels, smoothing)


def _is_zoo_network(network: nn.Module) -> TypeGuard[Network | Towers]:
    return isinstance(network, Network | Towers) and _is_as_written(network)


def _is_as_written(network: Network | Towers) -> bool:
    """Return whether a network, of a class of the zoo's or of one made from it, answers by the zoo's own methods."""
    # Nothing put over its methods: what is trained must be what was checked.
    written = Towers if isinstance(network, Towers) else Network
    alike = all(getattr(type(network), name, None) is getattr(written, name, None) for name in METHODS)
    if not alike or set(METHODS) & vars(network).keys():
        return False
    return _all_as_written(network) if isinstance(network, Towers) else isinstance(network[-1], Softmax)


def _all_as_written(network: Towers) -> bool:
    return all(isinstance(tower, Network) and _is_as_written(tower) for tower in network.towers)


def _probe(network: nn.Module, input_shape: tuple[int, int, int], classes: int) -> Tensor:
    images = torch.rand((4, *input_shape), generator=torch.Generator().manual_seed(0))
    training = network.training
    network.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            answer = network(images)
    except (Exception, SystemExit) as error:
        words = str(error).strip().splitlines()
        raise InputError(
            f"The network {type(network).__name__} cannot take images of shape {tuple(images.shape)}: "
            f"{words[0] if words else type(error).__name__}"
        ) from error
    finally:
        network.train(training)
    if not isinstance(answer, Tensor) or answer.shape != (4, classes):
        shape = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
        raise InputError(f"The network {type(network).__name__} answers 4 images with {shape}; {(4, classes)} is needed.")
    return answer


def _is_probability(answer: Tensor) -> bool:
    return bool((answer >= 0).all()) and bool(torch.allclose(answer.sum(1), torch.ones(len(answer)), atol=1e-4))
