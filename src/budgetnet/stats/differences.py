"""Two recipes' results -> their difference with interval and p-value; many p-values -> corrected ones; two runs, image by image.

Where both recipes have two seeds or more in common, those pairs are compared (paired t); else the means of all are, without taking the
spreads for equal (Welch, 1947). Many comparisons are corrected by Holm's steps (1979). Two runs that answered the same images are told
apart by McNemar's test (1947) in its exact form, the binomial over the images that only one of them got wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev, variance
from typing import Literal

from budgetnet.stats.means import CONFIDENCE, Interval, t_quantile

SAME = 1e-12
"""A spread smaller than this is rounding: accuracies are counts of images over their number."""


@dataclass(frozen=True)
class Difference:
    """First minus second, in the unit of the values."""

    difference: float
    interval: Interval | None
    """95 %, of this one comparison; None where there are too few runs for one."""
    p: float | None
    """Two-sided; None where there are too few runs for a test."""
    method: Literal["paired", "welch", "none"]
    n: int
    """Pairs; for `welch` and `none` the runs of the smaller side."""
    spread: float | None
    """Standard deviation of what one more seed would add: of a pair's difference, or of a difference of two independent runs."""


def compare(first: Mapping[int, float], second: Mapping[int, float], confidence: float = CONFIDENCE) -> Difference:
    """Compare results by seed. Each maps a seed to its value, and neither is empty."""
    shared = sorted(first.keys() & second.keys())
    if len(shared) >= 2:
        return _paired([first[seed] - second[seed] for seed in shared], confidence)
    one, other = list(first.values()), list(second.values())
    if min(len(one), len(other)) >= 2:
        return _welch(one, other, confidence)
    return Difference(fmean(one) - fmean(other), None, None, "none", min(len(one), len(other)), None)


def _paired(differences: Sequence[float], confidence: float) -> Difference:
    n, middle, spread = len(differences), fmean(differences), stdev(differences)
    if spread < SAME:
        # No spread was seen, which a t-test takes for certainty; the test of signs knows how little n equal pairs prove.
        p = 1.0 if abs(middle) < SAME else min(1.0, 2.0 ** (1 - n))
        return Difference(middle, (middle, middle), p, "paired", n, 0.0)
    from scipy.stats import ttest_1samp

    half = t_quantile(confidence, n - 1) * spread / n**0.5
    p = float(ttest_1samp(differences, 0.0).pvalue)
    return Difference(middle, (middle - half, middle + half), p, "paired", n, spread)


def _welch(one: Sequence[float], other: Sequence[float], confidence: float) -> Difference:
    middle, smaller = fmean(one) - fmean(other), min(len(one), len(other))
    spread = (variance(one) + variance(other)) ** 0.5
    if spread < SAME:
        p = 1.0 if abs(middle) < SAME else min(1.0, 2.0 ** (1 - smaller))
        return Difference(middle, (middle, middle), p, "welch", smaller, 0.0)
    from scipy.stats import ttest_ind

    result = ttest_ind(one, other, equal_var=False)
    bounds = result.confidence_interval(confidence)
    return Difference(middle, (float(bounds.low), float(bounds.high)), float(result.pvalue), "welch", smaller, spread)


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Return p-values corrected for their number, in the order given; a comparison without a test (None) does not count."""
    places = sorted((place for place, value in enumerate(values) if value is not None), key=lambda place: values[place] or 0.0)
    corrected: list[float | None] = [None] * len(values)
    highest = 0.0
    for rank, place in enumerate(places):
        highest = max(highest, min(1.0, (len(places) - rank) * (values[place] or 0.0)))
        corrected[place] = highest
    return corrected


@dataclass(frozen=True)
class Images:
    """Two runs on the same images: how many only the first got wrong, how many only the second, and how surely they differ."""

    only_first_wrong: int
    only_second_wrong: int
    p: float


def images_told_apart(first_wrong: Collection[int], second_wrong: Collection[int]) -> Images:
    """Compare two runs image by image, from the indices of the images that each got wrong (McNemar, exact, two-sided)."""
    first, second = set(first_wrong), set(second_wrong)
    only_first, only_second = len(first - second), len(second - first)
    if only_first + only_second == 0:
        return Images(0, 0, 1.0)
    from scipy.stats import binomtest

    return Images(only_first, only_second, float(binomtest(only_first, only_first + only_second, 0.5).pvalue))
