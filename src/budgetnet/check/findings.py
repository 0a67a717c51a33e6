"""From what the traces saw to what the clauses ask: fully connected layers and their equivalents, biases, normalizations' shifts.

Each operation on the image is looked at once, by what it does. What joins image and weights in a way that is not known here leaves
the clauses open rather than met.
"""

from __future__ import annotations

from collections import defaultdict
from math import prod

from budgetnet.check import operations
from budgetnet.check.evidence import Evidence, Findings
from budgetnet.check.trace import Event, Operand
from budgetnet.facts import Finding

MANY_PIECES = 5
"""As many products with parts of one weight tensor look like a matrix product in a loop."""


def examine(evidence: Evidence) -> Findings:
    """Return what both traces show, each finding once."""
    examiner = _Examiner(evidence)
    for place, event in enumerate(evidence.first.events):
        examiner.look(event, evidence.weights(place, event))
    found = evidence.findings
    for name in ("fully_connected", "equivalent", "biases", "shifts"):
        setattr(found, name, list(dict.fromkeys(getattr(found, name))))  # a layer that is called again says it twice
    return found


class _Examiner:
    def __init__(self, evidence: Evidence) -> None:
        self.evidence, self.found = evidence, evidence.findings
        self.pieces: dict[int, int] = defaultdict(int)

    def look(self, event: Event, weights: list[bool]) -> None:
        """Hand the event to the family that it belongs to."""
        name = event.name
        images = [operand for operand, weight in zip(event.operands, weights, strict=True) if operand.content.image and not weight]
        held = [operand for operand, weight in zip(event.operands, weights, strict=True) if weight]
        if name in operations.CONVOLUTION:
            self._convolution(event, weights)
        elif name in operations.MATRIX:
            self._matrix(event, weights, images, held)
        elif name in operations.NORMALIZATION:
            self._normalization(event)
        elif name in {"sum", "mean", "avg_pool2d", "_adaptive_avg_pool2d"}:
            self._contraction(event)
        elif name == "cat" and images:
            self._concatenation(event)
        elif name == "constant_pad_nd" and len(event.details["widths"]) > 4 and event.details["value"] != 0:
            self._add(self.found.biases, event, "appends a constant channel, which the next layer's weights turn into a bias", 1)
        elif held and images:
            self._joined(event, images, held)

    def _joined(self, event: Event, images: list[Operand], held: list[Operand]) -> None:
        """Look at an operation that joins image and weights and is no convolution, product of matrices or normalization."""
        if event.name in operations.ADDITION:
            self._addition(event, images, held)
        elif event.name in operations.PRODUCT:
            self._piecewise(event, held)
        elif event.name in operations.SELECTION | {"embedding"} and images[0] is not event.operands[0]:
            self.found.cannot_tell(f"{where(event)} looks numbers up by values of the image, which no clause knows.")
        elif event.name not in operations.KNOWN:
            self.found.cannot_tell(f"{where(event)} joins image and weights by «{event.name}», which is no operation known here.")

    def _convolution(self, event: Event, weights: list[bool]) -> None:
        kernel = event.operands[1]
        if event.details["bias"] and weights[2] and event.operands[2].numbers:
            numbers = event.operands[2].numbers
            self._add(self.found.biases, event, f"adds a bias of {numbers:,} numbers", numbers)
        if weights[0] and kernel.content.image and not weights[1] and prod(kernel.shape[2:]) > 1:
            what = "takes weights for its input and the image for its kernel: a matrix product"
            self._add(self.found.fully_connected, event, what, event.operands[0].numbers)
        image, shape = event.operands[0].geometry, event.operands[0].shape
        if not weights[1] or image is None or not event.whole_map:
            return
        # Places that are not among the spatial dimensions, nor in the batch, were folded into the channels.
        folded = image.positions * self.evidence.batch / max(prod(shape[2:]) * shape[0], 1)
        area = prod(kernel.shape[2:])
        if folded > 1.5:
            what = (
                f"sees {folded:.0f} positions that were folded into its channels: it computes what a fully connected layer computes"
            )
            self._add(self.found.equivalent, event, what, kernel.numbers)
        elif area > 1 and _map_area(event) > 1:
            sides = "×".join(str(side) for side in shape[2:])
            what = f"sees its whole {sides} input map: it computes what a fully connected layer computes"
            self._add(self.found.equivalent, event, what, kernel.numbers)
        elif area == 1:
            self.found.say(f"{where(event)} is a 1×1 convolution on a single position: no fully connected layer by its operation.")

    def _matrix(self, event: Event, weights: list[bool], images: list[Operand], held: list[Operand]) -> None:
        if event.name in operations.ADDS_FIRST and weights[0] and event.operands[0].numbers:
            numbers = event.operands[0].numbers
            self._add(self.found.biases, event, f"adds a bias of {numbers:,} numbers", numbers)
            held = [operand for operand in held if operand is not event.operands[0]]
        if event.name in operations.RECURRENT:
            vectors = sum(operand.numbers for operand in held if len(operand.shape) == 1)
            if vectors:
                self._add(self.found.biases, event, f"adds biases of {vectors:,} numbers", vectors)
        products = [operand for operand in held if operand.numbers > 1 or len(operand.shape) > 1]
        if images and products:
            shapes = " and ".join("×".join(str(side) for side in operand.shape) for operand in products[:2])
            numbers = sum(operand.numbers for operand in products)
            self._add(self.found.fully_connected, event, f"multiplies its input by a weight matrix ({shapes})", numbers)
        elif any(operand.geometry is not None and operand.geometry.weighted for operand in images):
            self._add(self.found.fully_connected, event, "sums products with weights by a matrix of constants", 0)

    def _normalization(self, event: Event) -> None:
        at = dict(zip(event.roles, event.operands, strict=True))
        shift = at.get(3 if event.name == "native_layer_norm" else 2)
        if shift is None or not shift.content.sources:
            return
        numbers = self._own_numbers(shift)
        mean = at.get(3)  # no tensor where a normalization keeps no statistics
        if event.details.get("statistics") and mean is not None and not mean.content.sources and not mean.content.image:
            self._add(self.found.biases, event, f"adds {numbers:,} numbers behind statistics that are fixed in its code", numbers)
        else:
            self._add(self.found.shifts, event, f"shifts by {numbers:,} learned numbers, as normalizations do", numbers)

    def _addition(self, event: Event, images: list[Operand], held: list[Operand]) -> None:
        raw = not any(operand.content.mixed for operand in images)
        normalized = any(image.geometry is not None and image.geometry.normalized for image in images)
        for operand in held:
            kinds = {self.evidence.source(number).kind for number in operand.content.sources}
            numbers = self._own_numbers(operand)
            if not operand.floating or (event.name in {"addcmul", "addcdiv"} and operand is not event.operands[0]):
                continue  # places, or a scale
            if prod(event.output_shape) <= numbers or kinds == {"statistic"}:
                continue  # a number for each of the whole batch is no bias, and centring by a running mean is none
            if "parameter" not in kinds and (raw or operand.numbers <= 1):
                if operand.numbers > 1:
                    self.found.say(f"{where(event)} shifts the input image by {numbers:,} constants, as preprocessing does.")
                continue
            if normalized:
                self._add(self.found.shifts, event, f"shifts by {numbers:,} learned numbers after a normalization", numbers)
            else:
                what = "learned" if "parameter" in kinds else "constant"
                self._add(self.found.biases, event, f"adds {numbers:,} {what} numbers to its input", numbers)

    def _concatenation(self, event: Event) -> None:
        if len(event.output_shape) != 4 or event.details["dimension"] % 4 != 1:
            return
        for operand in event.operands:
            if operand.content.image or not operand.floating or operand.values is None:
                continue
            smallest, largest = operand.values
            if operand.content.sources - self.evidence.noise or smallest == largest != 0:
                what = "appends channels that do not depend on the image, a bias for the next layer"
                self._add(self.found.biases, event, what, operand.shape[1])
            elif smallest != largest:
                self.found.cannot_tell(f"{where(event)} appends channels that do not depend on the image.", "biases")

    def _contraction(self, event: Event) -> None:
        """A product with varying weights, summed over where they vary, is a matrix product in two steps."""
        operand = event.operands[0]
        weighted = operand.geometry.weighted if operand.geometry else None
        summed = {place % len(operand.shape) for place in event.details["summed"]} or set(range(len(operand.shape)))
        if weighted is None or not any(weighted[place] for place in summed):
            return
        map_like = len(operand.shape) == 4
        if map_like and summed == {1} and prod(operand.shape[2:]) > 1:
            self.found.say(f"{where(event)} sums over channels by weights, as a 1×1 convolution does.")
        elif map_like and 1 not in summed:
            self._add(self.found.equivalent, event, "weighs and sums all positions of each channel", operand.numbers)
        else:
            what = "multiplies its input by weights and sums the products: a matrix product"
            self._add(self.found.fully_connected, event, what, operand.numbers)

    def _piecewise(self, event: Event, held: list[Operand]) -> None:
        for number, numbers in {(number, operand.numbers) for operand in held for number in operand.content.sources}:
            self.pieces[number] += numbers < self.evidence.source(number).tensor.numel()
            if self.pieces[number] == MANY_PIECES:
                why = f"{where(event)} multiplies by one weight tensor piece by piece; the sum of the pieces is not followed."
                self.found.cannot_tell(why, "fully_connected")

    def _own_numbers(self, operand: Operand) -> int:
        """Return how many numbers an operand holds that are not repetitions of its sources."""
        return min(operand.numbers, sum(self.evidence.source(number).tensor.numel() for number in operand.content.sources))

    def _add(self, found: list[Finding], event: Event, what: str, numbers: int) -> None:
        layer = event.row.name if event.row else event.name
        found.append(Finding(what=f"{where(event)} {what}", layer=layer, numbers=numbers, file=event.file, line=event.line))


def where(event: Event) -> str:
    """Return the place of an event in words: the layer's name, its kind, and its path in the network."""
    if event.row is None:
        return "The network's own code"
    path = f", {event.row.path!r}" if event.row.path else ""
    return f"{event.row.name} ({event.row.word}{path})"


def _map_area(event: Event) -> int:
    """Return the number of positions of a convolution's input map, without the zeros that were put around it."""
    geometry = event.operands[0].geometry
    margins = geometry.margins if geometry else ()
    sides = event.operands[0].shape[2:]
    return prod(side - sum(margins[place]) if place < len(margins) else side for place, side in enumerate(sides))
