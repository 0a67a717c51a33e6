"""What is exported: a trained network, what it was trained on, and what torch answers for every test image.

Loading a run and sending MNIST's test split through a network of the zoo costs some seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from budgetnet import datasets
from budgetnet.datasets import Dataset
from budgetnet.evaluate import evaluate
from budgetnet.graph import Graph, trace
from budgetnet.loss import log_probability_function
from budgetnet.rundir import RunDirectory
from budgetnet.trained import load_trained

Pixels = NDArray[numpy.uint8]
"""Images (N, C, H, W), 0–255."""
Probabilities = NDArray[numpy.float32]
"""(N, classes)."""


class Deployed(nn.Module):
    """A network as it is used outside: uint8 pixels (N, C, H, W) in, probabilities (N, classes) out."""

    def __init__(self, network: nn.Module, *, gives_probabilities: bool) -> None:
        super().__init__()
        self.network = network
        self.gives_probabilities = gives_probabilities

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalise, ask, and soften what is not softened yet."""
        answer: Tensor = self.network(pixels.to(torch.float32) / 255)
        return answer if self.gives_probabilities else torch.softmax(answer, 1)


@dataclass(frozen=True, eq=False)
class Subject:
    """A trained network with its data."""

    name: str
    """The recipe's name."""
    network: nn.Module
    dataset: Dataset
    probabilities: Probabilities
    """Torch's answers on the test split, (N, classes)."""

    @property
    def stem(self) -> str:
        """The name as a file may have it, and as a C identifier after `-` became `_`."""
        plain = re.sub(r"[^a-z0-9_-]+", "-", self.name.lower()).strip("-_") or "network"
        return plain if plain[0].isalpha() else f"network-{plain}"

    @cached_property
    def graph(self) -> Graph:
        """The network's operations. Raises `InputError` where it cannot be traced, or holds an operation that is not known."""
        return trace(self.network, self.dataset.shape)

    @property
    def deployed(self) -> Deployed:
        """The network with its normalisation inside."""
        with torch.no_grad():
            answer = self.network(torch.rand((2, *self.dataset.shape), generator=torch.Generator().manual_seed(0)))
        soft = bool((answer >= 0).all()) and bool(torch.allclose(answer.sum(1), torch.ones(2), atol=1e-4))
        return Deployed(self.network, gives_probabilities=soft).eval()

    @property
    def test_images(self) -> Pixels:
        """The test split's images."""
        return self.dataset.test.images.numpy()

    @property
    def test_labels(self) -> NDArray[numpy.int64]:
        """The test split's labels."""
        return self.dataset.test.labels.numpy()

    def calibration(self, count: int) -> Pixels:
        """Return `count` training images, taken evenly over the whole training split."""
        images = self.dataset.training.images
        places = torch.linspace(0, len(images) - 1, min(count, len(images))).long()
        return images[places].numpy()


def load_subject(run: RunDirectory, data_dir: Path | None = None) -> Subject:
    """Return the subject of a finished run. Raises `InputError` where the run is unfinished or damaged."""
    run.verify()
    recipe = run.recipe()
    dataset = datasets.load(recipe.data, data_dir=data_dir)
    network = load_trained(run, dataset)
    evaluation = evaluate(network, log_probability_function(network, dataset.shape, len(dataset.class_names)), dataset.test)
    return Subject(recipe.name, network, dataset, evaluation.log_probabilities.exp().numpy())
