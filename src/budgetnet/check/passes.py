"""How often one image goes through the same first weights in one call of the network.

Test-time augmentation inside a network shows as several applications of its first weights to the image, or as one application to a
batch that holds several views of it. Views are counted by pixels, so that an image cut into pieces stays one image.
"""

from __future__ import annotations

from collections import defaultdict
from math import prod

from budgetnet.check import operations
from budgetnet.check.evidence import Evidence
from budgetnet.check.trace import Event, Operand


def count_passes(evidence: Evidence) -> int | None:
    """Return the number of passes; None, with the reason said, where it cannot be told."""
    found, trace = evidence.findings, evidence.first
    direct: dict[int, float] = defaultdict(float)
    parallel: dict[int, float] = defaultdict(float)
    products: dict[int, int] = defaultdict(int)
    for place, event in enumerate(trace.events):
        if event.name not in operations.CONVOLUTION | operations.MATRIX:
            continue
        flags = evidence.weights(place, event)
        image = next((o for o, weight in zip(event.operands, flags, strict=True) if o.content.image and not weight), None)
        held = [operand for operand, weight in zip(event.operands, flags, strict=True) if weight]
        if image is None:
            continue
        for number in {number for operand in held for number in operand.content.sources} - image.content.mixed:
            if not image.content.mixed:
                repeats = max(operand.numbers for operand in held) > evidence.source(number).tensor.numel()
                direct[number] += _copies(event, image, tuple(trace.images.shape), repeats)
            parallel[number] += max(image.shape[0] / evidence.batch, 1.0) if event.name in operations.CONVOLUTION else 1.0
            products[number] += event.multiply_accumulates
    if not direct:
        found.cannot_tell("No weight meets the image by a convolution or matrix product.", "forward_passes")
    passes = max(1, round(max(direct.values(), default=0.0)))
    whole = sum(event.multiply_accumulates for event in trace.events)
    repeated = sum(count for number, count in products.items() if parallel[number] >= 1.5)
    if passes == 1 and direct and 2 * repeated > whole:
        # A dummy first layer would hide the passes behind it; shared branches look the same from here.
        why = (
            "Most of the work is done side by side with the same weights: shared branches, or several passes behind a first layer."
        )
        found.cannot_tell(why, "forward_passes")
    return None if passes == 1 and "forward_passes" in found.blind else passes


def _copies(event: Event, image: Operand, image_shape: tuple[int, ...], repeats: bool) -> float:
    """Return how many images' worth this operand holds, but copies that one kernel reads together as channels count as one."""
    copies = image.geometry.copies if image.geometry else 1.0
    if len(image.shape) < 2 or (repeats and int(event.details.get("groups", 1)) > 1):
        return copies
    pixels = prod(image_shape[1:])
    inside = prod(image.shape[1:]) if event.name in operations.CONVOLUTION else image.shape[-1]
    channels = image.shape[1] / image_shape[1] if event.name in operations.CONVOLUTION else inside / pixels
    return copies / max(1.0, min(channels, inside / pixels))
