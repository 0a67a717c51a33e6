"""The facts of a network that was named, not trained: a zoo name, or `path/to/file.py:Class` (which is run to build it).

The zoo's are kept with it (milliseconds); all else is traced (2 s of torch's start, then tenths).
"""

from __future__ import annotations

from budgetnet.facts import NetworkFacts
from budgetnet.image_shape import parse_shape
from budgetnet.known_facts import known_facts


def network_facts(target: str, input_shape: str = "1x28x28") -> NetworkFacts:
    """Return what tracing the target on an image of `input_shape` (channels × height × width) gives. Raises `InputError`."""
    return known_facts(target, input_shape) or traced_facts(target, input_shape)


def traced_facts(target: str, input_shape: str = "1x28x28") -> NetworkFacts:
    """Build the target with fresh weights and measure it on an image of `input_shape`. Raises `InputError`."""
    from budgetnet.check import measure
    from budgetnet.networks import build_network, default_recipe

    shape = parse_shape(input_shape)
    recipe = default_recipe(target)
    network = build_network(recipe, seed=0, input_shape=shape, classes=10)
    return measure(network, name=recipe.name, input_shape=shape)
