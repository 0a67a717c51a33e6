"""How often one image goes through the same first weights in one call of the network.

Test-time augmentation inside a network shows as several applications of its first weights to the image, or as one application to a
batch that holds several views of it. Views are counted by pixels, so that an image cut into pieces stays one image; a view that
shows more than half of it is one. Weights are told apart by their place in memory: two halves of one tensor are two weights.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import prod

from budgetnet.check import operations
from budgetnet.check.evidence import Evidence, Findings
from budgetnet.check.sources import memory
from budgetnet.check.trace import Event, Operand

Weights = tuple[int, tuple[int, ...]]
"""A source, and which part of it; the empty part where it was computed from it."""


def count_passes(evidences: Sequence[Evidence], found: Findings) -> int | None:
    """Return the number of passes, the most of all ways; None, with the reason said in `found`, where it cannot be told."""
    counts = [_of_way(evidence, found) for evidence in evidences]
    most = max((count for count in counts if count is not None), default=1)
    return None if most == 1 and (None in counts or "forward_passes" in found.blind) else most


def _of_way(evidence: Evidence, found: Findings) -> int | None:
    trace = evidence.first
    direct: dict[Weights, float] = defaultdict(float)
    parallel: dict[Weights, float] = defaultdict(float)
    products: dict[int, int] = defaultdict(int)
    everything = {source.number for source in trace.sources.all}
    learned = {source.number for source in trace.sources.all if source.kind == "parameter"}
    every = [(event, *_parts(evidence, place, event)) for place, event in enumerate(trace.events)]
    applied = [one for one in every if one[0].name in APPLYING]
    if not _holds(applied, learned):
        # No convolution or product of matrices: whatever joins image and weights, and if need be constants, does the work.
        applied = every if _holds(every, learned) or not _holds(applied, everything) else applied
        learned = learned if _holds(applied, learned) else everything
    for event, image, held in applied:
        if image is None:
            continue
        mixed = image.content.mixed & learned
        for operand in held:
            for number in (operand.content.sources & learned) - mixed:
                if not mixed:
                    repeats = max(operand.numbers for operand in held) > evidence.source(number).tensor.numel()
                    direct[_weights(evidence, number, operand)] += _views(event, image, tuple(trace.images.shape), repeats)
                parallel[_weights(evidence, number, operand)] += _portion(event, image, evidence.batch)
                products[number] += event.multiply_accumulates
    if not direct:
        found.cannot_tell("No weight meets the image by a convolution or matrix product.", "forward_passes")
        return None
    passes = max(1, round(max(_by_source(direct).values())))
    whole = sum(event.multiply_accumulates for event in trace.events)
    beside = _by_source(parallel)
    repeated = sum(count for number, count in products.items() if beside[number] >= 1.5)
    if passes == 1 and 2 * repeated > whole:
        # A dummy first layer would hide the passes behind it; shared branches look the same from here.
        why = (
            "Most of the work is done side by side with the same weights: shared branches, or several passes behind a first layer."
        )
        found.cannot_tell(why, "forward_passes")
        return None
    return passes


APPLYING = operations.CONVOLUTION | operations.MATRIX


def _holds(applied: Sequence[tuple[Event, Operand | None, list[Operand]]], numbers: set[int]) -> bool:
    return any(numbers & operand.content.sources for _, image, held in applied if image for operand in held)


def _parts(evidence: Evidence, place: int, event: Event) -> tuple[Operand | None, list[Operand]]:
    """Return the operand that is the image, and those that are weights."""
    flags = evidence.weights(place, event)
    image = next((o for o, weight in zip(event.operands, flags, strict=True) if o.content.image and not weight), None)
    return image, [operand for operand, weight in zip(event.operands, flags, strict=True) if weight]


def _weights(evidence: Evidence, number: int, operand: Operand) -> Weights:
    start, size = memory(evidence.source(number).tensor)
    inside = bool(operand.view) and start <= operand.view[0] < start + size
    return number, operand.view if inside else ()


def _by_source(direct: dict[Weights, float]) -> dict[int, float]:
    """Return for each source how often its most used part is applied; what was computed from it counts for every part."""
    found: dict[int, float] = {}
    for number in {number for number, _ in direct}:
        parts = [count for (source, part), count in direct.items() if source == number and part]
        found[number] = max(parts, default=0.0) + direct.get((number, ()), 0.0)
    return found


def _portion(event: Event, image: Operand, batch: int) -> float:
    """Return how many passes' worth of images this operand holds: a part of the batch is less than one, views of it are more."""
    copies = image.geometry.copies if image.geometry else 1.0
    entries = image.shape[0] / batch if event.name in operations.CONVOLUTION else 1.0
    if entries > 1:
        return min(entries, max(copies, 1.0))
    return min(entries, copies) if event.name in operations.MATRIX else entries


def _views(event: Event, image: Operand, image_shape: tuple[int, ...], repeats: bool) -> float:
    """Return how many views of each image this operand holds; copies that one kernel reads together as channels count as one."""
    copies = image.geometry.copies if image.geometry else 1.0
    entries = image.shape[0] / image_shape[0] if event.name in operations.CONVOLUTION else 1.0
    if len(image.shape) < 2 or (repeats and int(event.details.get("groups", 1)) > 1):
        return copies
    pixels = prod(image_shape[1:])
    inside = prod(image.shape[1:]) if event.name in operations.CONVOLUTION else image.shape[-1]
    channels = image.shape[1] / image_shape[1] if event.name in operations.CONVOLUTION else inside / pixels
    shown = copies / max(1.0, min(channels, inside / pixels))
    if entries >= 1 and shown < entries and shown / entries > 0.5:
        return entries  # crops
    return shown
