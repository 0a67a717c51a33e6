"""An export held against torch: every test image through the real runtime, its answers compared one by one.

A float format must give torch's answer for every image; 8 bits may change answers, but the accuracy by no more than 0.05 points, or by
one image where a test split is so small that one image is more than that.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy

from budgetnet.errors import InputError
from budgetnet.export.runtime import Runtime, Seconds, Target
from budgetnet.export.subject import Subject

MOST_LOST = 0.0005
"""Accuracy, as a fraction, that 8 bits may move in either direction."""
FEW = 3
"""Images: what 8 bits may always lose or win, since a split of some hundred images cannot show 0.05 points."""


@dataclass(frozen=True)
class Verification:
    """How an export answered."""

    target: str
    runtime: str
    images: int
    changed: int
    """Answers that are not torch's."""
    accuracy: float
    torch_accuracy: float
    largest_difference: float
    """Of any probability."""
    one_image_ms: float
    """One image alone, in milliseconds, on this machine."""
    one_image_ratio: float
    """The same, divided by torch's: below 1 is faster."""
    batch_ms: float
    """An image of a batch."""
    batch_ratio: float

    def document(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return asdict(self)


def verify(target: Target, runtime: Runtime, subject: Subject, torch_seconds: Seconds) -> Verification:
    """Send the whole test split through `runtime`. Raises `InputError` where its answers are not the network's."""
    images, labels = subject.test_images, subject.test_labels
    probabilities = runtime.answers(images)
    if probabilities.shape != subject.probabilities.shape or not numpy.isfinite(probabilities).all():
        raise InputError(
            f"{target.NAME}: {runtime.name} answers with {probabilities.shape}, or not with numbers. Nothing was written."
        )
    answers, expected = probabilities.argmax(1), subject.probabilities.argmax(1)
    changed = int((answers != expected).sum())
    right, torch_right = int((answers == labels).sum()), int((expected == labels).sum())
    if target.FLOAT and changed:
        place = int((answers != expected).argmax())
        raise InputError(
            f"{target.NAME}: {changed} of {len(labels):,} answers of {runtime.name} are not torch's (the first is test image {place}: "
            f"{answers[place]} instead of {expected[place]}). Nothing was written."
        )
    if abs(right - torch_right) > max(FEW, MOST_LOST * len(labels)):
        raise InputError(
            f"{target.NAME}: {runtime.name} has {right:,} of {len(labels):,} right and torch {torch_right:,}; in 8 bits at most "
            f"{MOST_LOST * 100:g} points (of few images, {FEW}) may be lost or won. Nothing was written."
        )
    seconds = runtime.seconds(images)
    return Verification(
        target=target.NAME,
        runtime=runtime.name,
        images=len(labels),
        changed=changed,
        accuracy=right / len(labels),
        torch_accuracy=torch_right / len(labels),
        largest_difference=float(numpy.abs(probabilities - subject.probabilities).max()),
        one_image_ms=round(seconds.one_image * 1000, 4),
        one_image_ratio=round(seconds.one_image / torch_seconds.one_image, 3),
        batch_ms=round(seconds.each_of_batch * 1000, 4),
        batch_ratio=round(seconds.each_of_batch / torch_seconds.each_of_batch, 3),
    )
