"""The facts of a network that was named, not trained: a zoo name, or `path/to/file.py:Class` (which is run to build it)."""

from __future__ import annotations

import re

from budgetnet.check import measure
from budgetnet.errors import InputError
from budgetnet.facts import NetworkFacts
from budgetnet.networks import build_network, default_recipe

LARGEST_SIDE = 512


def network_facts(target: str, input_shape: str = "1x28x28") -> NetworkFacts:
    """Build the target with fresh weights and measure it on an image of `input_shape` (channels × height × width)."""
    shape = parse_shape(input_shape)
    recipe = default_recipe(target)
    network = build_network(recipe, seed=0, input_shape=shape, classes=10)
    return measure(network, name=recipe.name, input_shape=shape)


def parse_shape(text: str) -> tuple[int, int, int]:
    """Return (channels, height, width) of `1x28x28`. Raises `InputError` for anything else."""
    match = re.fullmatch(r"(\d{1,4})[x×,](\d{1,4})[x×,](\d{1,4})", text.strip())
    if match is None:
        raise InputError(f"--input takes channels, height and width as 1x28x28, not {text!r}.")
    channels, height, width = (int(group) for group in match.groups())
    if not (1 <= channels <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE and 1 <= width <= LARGEST_SIDE):
        raise InputError(f"--input {text}: each side lies between 1 and {LARGEST_SIDE}.")
    return channels, height, width
