"""Evaluation: network, images, labels -> counts. One forward pass an image, nothing averaged twice.

The loss is the mean over images of the cross-entropy, as Keras's `evaluate` gives it; the accuracy is correct / images. Costs about
0.1 ms an image and thread for the zoo's networks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from budgetnet.datasets import Split

FEW = 3
BATCH = 500
"""Fixed, because the last bits of a result may depend on it."""


@dataclass(frozen=True)
class Evaluation:
    """What a network said of a split: log-probabilities (N, classes) float32, beside the true labels (N,) int64."""

    log_probabilities: Tensor
    labels: Tensor

    @property
    def images(self) -> int:
        """How many images."""
        return len(self.labels)

    @property
    def predicted(self) -> Tensor:
        """The answers, shape (N,)."""
        return self.log_probabilities.argmax(1)

    @property
    def correct(self) -> int:
        """How many answers are right."""
        return int((self.predicted == self.labels).sum())

    @property
    def accuracy(self) -> float:
        """Fraction of right answers."""
        return self.correct / self.images

    @property
    def loss(self) -> float:
        """Mean cross-entropy."""
        return float(-self.log_probabilities.gather(1, self.labels[:, None]).double().mean())

    def confusion(self) -> list[list[int]]:
        """Return counts, rows by true class, columns by answer."""
        classes = self.log_probabilities.shape[1]
        flat = torch.bincount(self.labels * classes + self.predicted, minlength=classes * classes)
        return [[int(count) for count in row] for row in flat.view(classes, classes)]

    def misclassified(self) -> Tensor:
        """Return the indices of wrong answers, the surest first."""
        wrong = (self.predicted != self.labels).nonzero().flatten()
        sureness = self.log_probabilities[wrong].amax(1)
        return wrong[sureness.argsort(descending=True, stable=True)]


def answers_alike(network: nn.Module, split: Split, evaluation: Evaluation) -> bool:
    """Return whether a few images, sent as the check sends them (a small batch, another mode), get the evaluation's answers.

    A network that looks at its batch or at torch's modes could be checked as one network and evaluated as another.
    """
    count = min(FEW, len(split))
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            answers = network(as_input(split.images[:count]))
    finally:
        network.train(training)
    if not isinstance(answers, Tensor) or answers.shape != evaluation.log_probabilities[:count].shape:
        return False
    are_probabilities = bool((answers >= 0).all()) and bool(torch.allclose(answers.sum(1), torch.ones(count), atol=1e-4))
    probabilities = answers if are_probabilities else torch.softmax(answers, 1)
    return bool(torch.allclose(probabilities, evaluation.log_probabilities[:count].exp(), atol=1e-3))


def as_input(images: Tensor) -> Tensor:
    """Return uint8 images (N, C, H, W) as the networks take them: float32 in [0, 1], channels last in memory."""
    return images.to(torch.float32).div_(255).contiguous(memory_format=torch.channels_last)


def evaluate(network: nn.Module, log_probabilities: Callable[[Tensor], Tensor], split: Split) -> Evaluation:
    """Send every image of `split` once through `network` in evaluation mode; the network's mode is restored."""
    training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            parts = [log_probabilities(as_input(images)) for images in torch.split(split.images, BATCH)]
    finally:
        network.train(training)
    return Evaluation(torch.cat(parts), split.labels)
