"""How many seeds a difference needs, and how small a difference so many seeds can show.

By the power of the t-test (Cohen, 1988, chapter 2): 80 % is the share of studies that would find a
difference that is really there, at a two-sided level of 5 %. `spread` is the standard deviation of one pair's difference; of two
independent recipes it is the root of the sum of their variances. Milliseconds.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from budgetnet.stats.means import CONFIDENCE, t_quantile

POWER = 0.8
MOST_SEEDS = 10_000
"""Beyond this the answer is «more than»."""
LARGEST = 100.0
"""Two seeds find a difference of 12 spreads; no answer lies beyond this."""
NODES = 400
"""Of the quadrature below; its error is under 1e-6 for two seeds, and far under it for more."""


def power(seeds: int, difference: float, spread: float, *, confidence: float = CONFIDENCE) -> float:
    """Return the probability that a paired study with so many seeds finds `difference`; both are in the unit of the values."""
    if seeds < 2:
        return 0.0
    if spread == 0:
        return float(difference != 0)
    from scipy.special import ndtr

    # scipy 1.17's own noncentral t (nctdtr) is NaN for some shifts, so it is averaged here over the spreads that seeds may show.
    shift, edge, (weights, seen) = abs(difference) * seeds**0.5 / spread, t_quantile(confidence, seeds - 1), _spreads_seen(seeds)
    return float(weights @ (ndtr(shift - edge * seen) + ndtr(-shift - edge * seen)))


@lru_cache(maxsize=64)
def _spreads_seen(seeds: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights and values of the spread that so many seeds show, as a multiple of the true one."""
    from scipy.special import chdtri, roots_legendre

    nodes, weights = roots_legendre(NODES)
    return weights / 2, np.sqrt(chdtri(seeds - 1, (1 + nodes) / 2) / (seeds - 1))


def seeds_needed(difference: float, spread: float, *, wanted: float = POWER) -> int | None:
    """Return the seeds that a paired study needs to find `difference`; None for more than `MOST_SEEDS` or a difference of zero."""
    if difference == 0 or power(MOST_SEEDS, difference, spread) < wanted:
        return None
    low, high = 1, 2
    while power(high, difference, spread) < wanted:
        low, high = high, min(2 * high, MOST_SEEDS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, difference, spread) >= wanted else (middle, high)
    return high


def detectable_difference(seeds: int, spread: float, *, wanted: float = POWER) -> float | None:
    """Return the smallest difference that so many seeds would find; None for fewer than two."""
    if seeds < 2:
        return None
    low, high = 0.0, LARGEST * spread
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if power(seeds, middle, spread) >= wanted else (middle, high)
    return high
