"""The facts of a network that was named, not trained: a zoo name, or `path/to/file.py:Class` (which is run to build it)."""

from __future__ import annotations

from budgetnet.check import measure
from budgetnet.facts import NetworkFacts
from budgetnet.image_shape import parse_shape
from budgetnet.networks import build_network, default_recipe


def network_facts(target: str, input_shape: str = "1x28x28") -> NetworkFacts:
    """Build the target with fresh weights and measure it on an image of `input_shape` (channels × height × width)."""
    shape = parse_shape(input_shape)
    recipe = default_recipe(target)
    network = build_network(recipe, seed=0, input_shape=shape, classes=10)
    return measure(network, name=recipe.name, input_shape=shape)
