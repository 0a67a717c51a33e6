"""From what the traces saw to fully connected layers and what computes the same; `shifts` does so for biases.

Each operation on the image is looked at once, by what it does. A product of matrices is judged by what one of its sums reads of the
map: one place of several is a 1×1 convolution in other words, some places a convolution, a whole side of the map or a vector
without places a fully connected layer. What joins image and weights in a way that is not known here leaves the clauses open.
"""

from __future__ import annotations

from collections import defaultdict
from math import prod

from budgetnet.check import operations, trails
from budgetnet.check.evidence import Evidence, Findings
from budgetnet.check.reach import Reach
from budgetnet.check.shifts import Shifts
from budgetnet.check.trace import Event, Operand
from budgetnet.check.words import add, where
from budgetnet.facts import Finding

MANY_PIECES = 5
"""As many products with parts of one weight tensor look like a matrix product in a loop."""
FEW_CONSTANTS = 3
"""As many numbers of the code may be added to parts of a map: a one, a half, an epsilon."""
DISTANCE = frozenset({"_cdist_forward", "cdist", "_euclidean_dist"})


def examine(evidence: Evidence) -> Findings:
    """Return what both traces show, each finding once."""
    examiner = _Examiner(evidence)
    for place, event in enumerate(evidence.first.events):
        examiner.look(event, evidence.weights(place, event))
    found = evidence.findings
    found.biases += examiner.shifts.pairs
    parts = evidence.first.shifted_parts
    if len(parts) > FEW_CONSTANTS:
        file, line = next(iter(parts.values()))
        what = f"{len(parts)} different numbers of the code are added to parts of a map, a bias for each."
        found.biases.append(Finding(what=what, layer="", numbers=len(parts), file=file, line=line))
    for name in ("fully_connected", "equivalent", "biases", "shifts"):
        setattr(found, name, list(dict.fromkeys(getattr(found, name))))  # a layer that is called again says it twice
    return found


class _Examiner:
    def __init__(self, evidence: Evidence) -> None:
        self.evidence, self.found = evidence, evidence.findings
        self.shifts = Shifts(evidence)
        self.pieces: dict[int, int] = defaultdict(int)

    def look(self, event: Event, weights: list[bool]) -> None:
        """Hand the event to the family that it belongs to."""
        name = event.name
        images = [operand for operand, weight in zip(event.operands, weights, strict=True) if operand.content.image and not weight]
        held = [operand for operand, weight in zip(event.operands, weights, strict=True) if weight]
        if name in operations.CONVOLUTION:
            self._convolution(event, weights)
            self.shifts.convolution(event, weights)
        elif name in operations.MATRIX:
            self._matrix(event, weights, images, held)
        elif name in operations.NORMALIZATION:
            self.shifts.normalization(event)
        elif event.details.get("weighted"):
            self._contraction(event)
        elif name in {"cat", "stack"} and images:
            self.shifts.concatenation(event)
        elif name in trails.LOGARITHM and images:
            self.shifts.logarithm(event, images)
        elif held and images:
            self._joined(event, images, held)

    def _joined(self, event: Event, images: list[Operand], held: list[Operand]) -> None:
        """Look at an operation that joins image and weights and is no convolution, product of matrices or normalization."""
        name = event.name
        if name in operations.ADDITION:
            self.shifts.addition(event, images, held)
        elif name in operations.PRODUCT:
            self._piecewise(event, held)
            self._spectrum(event, images, held)
        elif name in DISTANCE or name.startswith("_embedding_bag"):
            what = (
                "measures distances to stored points"
                if name in DISTANCE
                else "adds up rows of a table, weighted or chosen by the image"
            )
            add(self.found.fully_connected, event, f"{what}: a matrix product", sum(operand.numbers for operand in held))
        elif name in trails.BENDING or name == "where":
            self.shifts.bending(event, held)
        elif name in operations.SELECTION | {"embedding"} and images[0] is not event.operands[0]:
            self._lookup(event, images)
        elif name not in operations.KNOWN and not event.details.get("zeros"):
            self.found.cannot_tell(f"{where(event)} joins image and weights by «{name}», which is no operation known here.")

    def _lookup(self, event: Event, images: list[Operand]) -> None:
        """Numbers that are picked by values of the image: alike for each place, or by an address made of the whole image."""
        many = max(image.geometry.positions if image.geometry else 1.0 for image in images)
        if many > 1:
            self.found.say(f"{where(event)} looks numbers up by the image's values, for each place alike.")
        else:
            why = f"{where(event)} looks numbers up by an address that is made of the whole image: any function can be stored so."
            self.found.cannot_tell(why, "fully_connected")

    def _convolution(self, event: Event, weights: list[bool]) -> None:
        kernel = event.operands[1]
        if weights[0] and kernel.content.image and not weights[1] and prod(kernel.shape[2:]) > 1:
            what = "takes weights for its input and the image for its kernel: a matrix product"
            add(self.found.fully_connected, event, what, event.operands[0].numbers)
        image, shape = event.operands[0].geometry, event.operands[0].shape
        if not weights[1] or image is None:
            return
        channels = event.details["channels"]
        if not event.whole_map and channels is not None and channels.kind == "whole":
            what = (
                f"sees {channels.places} positions as its channels, each with weights of its own: a fully connected layer of them"
            )
            add(self.found.equivalent, event, what, kernel.numbers)
        if not event.whole_map:
            return
        # Places that are not among the spatial dimensions, nor in the batch, were folded into the channels.
        folded = image.positions * self.evidence.batch / max(prod(shape[2:]) * shape[0], 1)
        area = prod(kernel.shape[2:])
        if folded > 1.5:
            what = (
                f"sees {folded:.0f} positions that were folded into its channels: it computes what a fully connected layer computes"
            )
            add(self.found.equivalent, event, what, kernel.numbers)
        elif area > 1 and _map_area(event) > 1:
            sides = "×".join(str(side) for side in shape[2:])
            what = f"sees its whole {sides} input map: it computes what a fully connected layer computes"
            add(self.found.equivalent, event, what, kernel.numbers)
        elif prod(shape[1:]) > 1:
            what = "is a convolution on a single position: it computes what a fully connected layer of that vector computes"
            add(self.found.equivalent, event, what, kernel.numbers)

    def _matrix(self, event: Event, weights: list[bool], images: list[Operand], held: list[Operand]) -> None:
        held = self.shifts.matrix(event, weights, held)
        products = [operand for operand in held if operand.numbers > 1 or len(operand.shape) > 1]
        if images and products:
            self._product(event, weights, products)
        elif event.name in operations.ATTENTION or any(operand.trail.shares for operand in images):
            self._attention(event)
        elif any(operand.geometry is not None and operand.geometry.weighted for operand in images):
            add(self.found.fully_connected, event, "sums products with weights by a matrix of constants", 0)

    def _product(self, event: Event, weights: list[bool], products: list[Operand]) -> None:
        shapes = " and ".join("×".join(str(side) for side in operand.shape) for operand in products[:2])
        numbers = sum(operand.numbers for operand in products)
        reach = _reach(event, weights)
        if reach is not None and reach.kind == "place":
            self.found.say(f"{where(event)} multiplies each place by one matrix ({shapes}), as a 1×1 convolution does.")
        elif reach is not None and reach.kind == "patch":
            self.found.say(f"{where(event)} multiplies patches of {reach.places} places by one matrix ({shapes}): a convolution.")
        else:
            over = " over its whole map" if reach is not None and reach.kind == "whole" and reach.places > 1 else ""
            what = f"multiplies its input by a weight matrix ({shapes}){over}"
            add(self.found.fully_connected, event, what, numbers)

    def _attention(self, event: Event) -> None:
        """Shares that the image itself gives, taken of the values of all places; of channels alone it is a gate."""
        reaches = [reach for reach in event.details.get("reach", {}).values() if reach is not None]
        if event.name not in operations.ATTENTION and reaches and all(reach.kind == "place" for reach in reaches):
            return
        what = "is attention: each output sees every place, by weights that the image gives"
        add(self.found.fully_connected, event, what, 0)

    def _contraction(self, event: Event) -> None:
        """A product with varying weights, summed over where they vary, is a matrix product in two steps."""
        operand, reach = event.operands[0], event.details["reach"]
        self.shifts.pairs.clear()
        weighted, summed = event.details["weighted"], event.details["summed"]
        map_like = len(operand.shape) == 4
        if reach is not None and reach.kind in {"place", "patch"}:
            like = "1×1 convolution" if reach.kind == "place" else "convolution"
            self.found.say(f"{where(event)} multiplies by weights and sums over {reach.places} places at a time, as a {like} does.")
        elif reach is None and map_like and summed == [1] and prod(operand.shape[2:]) > 1:
            self.found.say(f"{where(event)} sums over channels by weights, as a 1×1 convolution does.")
        elif map_like and 1 not in weighted:
            add(self.found.equivalent, event, "weighs and sums all positions of each channel", operand.numbers)
        else:
            what = "joins its input with weights, number by number, and sums up: a matrix product"
            add(self.found.fully_connected, event, what, operand.numbers)

    def _spectrum(self, event: Event, images: list[Operand], held: list[Operand]) -> None:
        """A product of spectra is a convolution; with a weight for each frequency its kernel is as large as the map."""
        image = next((operand for operand in images if operand.trail.spectral), None)
        if image is None:
            return
        for operand in held:
            planes = max(prod(operand.shape[:-2]), 1)
            frequencies = prod(operand.shape[-2:])
            own = sum(self.evidence.source(number).tensor.numel() for number in operand.content.sources) / planes
            if frequencies > 1 and own * 2 >= min(frequencies, prod(image.shape[-2:])):
                what = "weighs the spectrum of its map, a weight for each frequency: a convolution that sees the whole map"
                add(self.found.equivalent, event, what, operand.numbers)

    def _piecewise(self, event: Event, held: list[Operand]) -> None:
        for number, numbers in {(number, operand.numbers) for operand in held for number in operand.content.sources}:
            self.pieces[number] += numbers < self.evidence.source(number).tensor.numel()
            if self.pieces[number] == MANY_PIECES:
                why = f"{where(event)} multiplies by one weight tensor piece by piece; the sum of the pieces is not followed."
                self.found.cannot_tell(why, "fully_connected")


def _reach(event: Event, weights: list[bool]) -> Reach | None:
    """Return what the product reads of the operand that is the image and no weight."""
    found: dict[int, Reach | None] = event.details.get("reach", {})
    reaches = [found.get(number) for number, weight in enumerate(weights) if not weight and event.operands[number].content.image]
    return reaches[0] if len(reaches) == 1 else None


def _map_area(event: Event) -> int:
    """Return the number of positions of a convolution's input map, without the zeros that were put around it."""
    geometry = event.operands[0].geometry
    margins = geometry.margins if geometry else ()
    sides = event.operands[0].shape[2:]
    return prod(side - sum(margins[place]) if place < len(margins) else side for place, side in enumerate(sides))
