"""From what the traces saw to biases: numbers of the network's own that shift activations, whatever operation brings them in.

An addition; a channel that never changes, for the next weights to weigh; constants around a map that every window sees; a factor
between exponential and logarithm; a maximum with a learned number. A normalization's own shift is kept apart.
"""

from __future__ import annotations

from typing import Literal

from budgetnet.check import operations
from budgetnet.check.evidence import Evidence
from budgetnet.check.trace import Event, Operand
from budgetnet.check.words import add, where
from budgetnet.facts import Finding

UPPER = frozenset({"minimum", "fmin", "clamp_max"})
Kind = Literal["parameter", "statistic", "buffer", "constant", "random"]


class Shifts:
    """Looks at single events and adds what they show to the findings."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence, self.found = evidence, evidence.findings
        self.pairs: list[Finding] = []
        """Additions of all pairs of two sets of numbers: a distance, once they are summed; else biases."""

    def own_numbers(self, operand: Operand) -> int:
        """Return how many numbers an operand holds that are not repetitions of its sources."""
        return min(operand.numbers, sum(self.evidence.source(number).tensor.numel() for number in operand.content.sources))

    def _kinds(self, operand: Operand) -> set[Kind]:
        return {self.evidence.source(number).kind for number in operand.content.sources}

    def convolution(self, event: Event, weights: list[bool]) -> None:
        """A convolution's bias; constants in its input that its weights turn into one."""
        if event.details["bias"] and weights[2] and event.operands[2].numbers:
            numbers = event.operands[2].numbers
            add(self.found.biases, event, f"adds a bias of {numbers:,} numbers", numbers)
        if not weights[1]:
            return
        constant = event.details["constant"]
        other = self.evidence.partner(event)
        if constant and other is not None and len(other.details.get("constant", ())) == len(constant):
            what = f"reads {len(constant):,} input channel{'s' * (len(constant) > 1)} that never change: its weights for them are a bias"
            add(self.found.biases, event, what, event.operands[1].shape[0] * len(constant))
        if event.details["padded"]:
            what = "reads constants from around its map at every position: its weights for them are a bias"
            add(self.found.biases, event, what, event.operands[1].shape[0])

    def matrix(self, event: Event, weights: list[bool], held: list[Operand]) -> list[Operand]:
        """The operand that a product of matrices adds, and recurrent layers' biases; return the weights that are factors."""
        if event.name in operations.ADDS_FIRST and weights[0] and event.operands[0].numbers:
            numbers = event.operands[0].numbers
            add(self.found.biases, event, f"adds a bias of {numbers:,} numbers", numbers)
            return [operand for operand in held if operand is not event.operands[0]]
        if event.name in operations.RECURRENT:
            vectors = sum(operand.numbers for operand in held if len(operand.shape) == 1)
            if vectors:
                add(self.found.biases, event, f"adds biases of {vectors:,} numbers", vectors)
        return held

    def normalization(self, event: Event) -> None:
        """A normalization's learned shift, unless its statistics are fixed in the code."""
        at = dict(zip(event.roles, event.operands, strict=True))
        shift = at.get(3 if event.name == "native_layer_norm" else 2)
        if shift is None or not shift.content.sources:
            return
        numbers = self.own_numbers(shift)
        mean = at.get(3)  # no tensor where a normalization keeps no statistics
        if event.details.get("statistics") and mean is not None and not mean.content.sources and not mean.content.image:
            add(self.found.biases, event, f"adds {numbers:,} numbers behind statistics that are fixed in its code", numbers)
        else:
            add(self.found.shifts, event, f"shifts by {numbers:,} learned numbers, as normalizations do", numbers)

    def addition(self, event: Event, images: list[Operand], held: list[Operand]) -> None:
        """Numbers of the network added to what depends on the image."""
        raw = not any(operand.content.mixed for operand in images)
        normalized = any(image.geometry is not None and image.geometry.normalized for image in images)
        for operand in held:
            kinds, numbers = self._kinds(operand), self.own_numbers(operand)
            if not operand.floating or (_scales(event) and operand is not event.operands[0]):
                continue  # places, or a scale
            if event.name == "lerp" and len(event.operands) == 3 and operand is event.operands[2]:
                continue  # how much of each
            if kinds == {"statistic"} or len(operand.shape) > max(len(image.shape) for image in images):
                continue  # a number for each of the whole batch is no bias, and centring by a running mean is none
            if "parameter" not in kinds and (raw or operand.numbers <= 1):
                if operand.numbers > 1:
                    self.found.say(f"{where(event)} shifts the input image by {numbers:,} constants, as preprocessing does.")
                continue
            if normalized:
                add(self.found.shifts, event, f"shifts by {numbers:,} learned numbers after a normalization", numbers)
            else:
                what = "learned" if "parameter" in kinds else "constant"
                found = self.pairs if all(_pairs(image.shape, operand.shape) for image in images) else self.found.biases
                add(found, event, f"adds {numbers:,} {what} numbers to its input", numbers)

    def concatenation(self, event: Event) -> None:
        """Channels beside the image's own that are the network's: what the next weights or sums make of them is a bias."""
        if event.name == "stack" or len(event.output_shape) != 4 or event.details["dimension"] % 4 == 0:
            for operand in event.operands:
                if not operand.content.image and operand.floating and "parameter" in self._kinds(operand):
                    what = "puts learned numbers beside the image's, a bias for what joins them"
                    add(self.found.biases, event, what, self.own_numbers(operand))
            return
        for operand in event.operands:
            if operand.content.image or not operand.floating or operand.values is None:
                continue
            sources = operand.content.sources - self.evidence.noise
            if event.details["dimension"] % 4 != 1:
                if "parameter" in self._kinds(operand):
                    add(self.found.biases, event, "appends learned places to its map", operand.numbers)
            elif sources:
                what = "appends channels that do not depend on the image, a bias for the next layer"
                add(self.found.biases, event, what, operand.shape[1])

    def bending(self, event: Event, held: list[Operand]) -> None:
        """A maximum, minimum or soft maximum with numbers of the network's own: it bends where they say, as behind a bias."""
        for operand in held:
            kinds = self._kinds(operand)
            if not operand.floating or kinds <= {"statistic"} or ("parameter" not in kinds and operand.numbers <= 1):
                continue
            if event.name == "where" or (event.name in UPPER and operand.numbers == 1):
                why = f"{where(event)} puts numbers of its own in place of the image's, by «{event.name}»."
                self.found.cannot_tell(why, "biases")
                continue
            numbers = self.own_numbers(operand)
            what = f"compares its input with {numbers:,} numbers of its own ({event.name}), which shift it as a bias does"
            add(self.found.biases, event, what, numbers)

    def logarithm(self, event: Event, images: list[Operand]) -> None:
        """What multiplied an exponential is added to its logarithm."""
        lifted = max(image.trail.lifted for image in images)
        if lifted:
            what = f"takes the logarithm of exponentials that were multiplied by {lifted:,} numbers: they are added to its input"
            add(self.found.biases, event, what, lifted)


def _scales(event: Event) -> bool:
    """Return whether the image is among the factors of a sum with products, so that weights beside it are a scale."""
    factors = [operand for operand, role in zip(event.operands, event.roles, strict=True) if role > 0]
    return event.name in {"addcmul", "addcdiv"} and any(operand.content.image for operand in factors)


def _pairs(image: tuple[int, ...], weights: tuple[int, ...]) -> bool:
    """Return whether joining these shapes makes pairs: both vary along one dimension, and the weights alone along another."""
    ndim = max(len(image), len(weights))
    one, other = ((1,) * (ndim - len(shape)) + shape for shape in (image, weights))
    columns = list(zip(one, other, strict=True))[1:]
    return any(a > 1 and b > 1 for a, b in columns) and any(a == 1 and b > 1 for a, b in columns)
