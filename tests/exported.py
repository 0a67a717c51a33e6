"""Runs on the embedded digits for tests of what follows from a run: seconds each, kept for the whole session."""

import atexit
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import torch
from torch import nn

import budgetnet
from budgetnet import datasets
from budgetnet.evaluate import evaluate
from budgetnet.export.subject import Subject
from budgetnet.loss import log_probability_function

VARIED = Path(__file__).parent / "varied_networks.py"


@cache
def digits_run(target: str, epochs: int = 15) -> Path:
    """Return the directory of a finished run of a zoo name, or of a class of `varied_networks.py`."""
    network = f"{VARIED}:{target}" if target[0].isupper() else target
    folder = Path(mkdtemp(prefix="budgetnet-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return budgetnet.train(network, data="digits", epochs=epochs, seed=0, threads=1, out=folder / target).path


def subject_of(network: nn.Module, name: str = "own") -> Subject:
    """Return an untrained network with the digits, as an export sees it."""
    data = datasets.load("digits")
    network.eval()
    evaluation = evaluate(network, log_probability_function(network, data.shape, 10), data.test)
    return Subject(name, network, data, evaluation.log_probabilities.exp().numpy())


def shaken(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give every BatchNormalization statistics, gains and shifts of its own, some gains negative, so that none is idle."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for name, low, high in (("weight", -0.5, 1.5), ("bias", -1, 1), ("running_mean", -0.3, 0.3), ("running_var", 0.2, 2)):
                tensor = getattr(module, name)
                tensor.data.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)
    return network.eval()
