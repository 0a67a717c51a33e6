"""A comparison in the one sentence that a person needs. Accuracies are fractions; the sentence speaks of points, hundredths of them."""

from __future__ import annotations

from budgetnet.stats.differences import Difference
from budgetnet.stats.means import CONFIDENCE
from budgetnet.stats.sizes import MOST_SEEDS, seeds_needed

SMALLEST_ASKED = 0.0001
"""0.01 points: one image in ten thousand. Nobody needs to know what a smaller difference would take."""


def difference_in_words(first: str, second: str, result: Difference, p: float | None) -> str:
    """Return who is better and by how much, or that nothing can be seen and what it would take.

    `p` is the p-value that is believed: corrected, where there were many comparisons.
    """
    if p is None or result.interval is None:
        return (
            f"{first} and {second} cannot be compared yet: {_runs(result.n)} of each say nothing of the spread; "
            "two seeds are the least, five a beginning."
        )
    if p < 1 - CONFIDENCE:
        better, worse = (first, second) if result.difference > 0 else (second, first)
        half = (result.interval[1] - result.interval[0]) / 2
        digits = 2 if min(abs(result.difference), half or 1) >= 0.00005 else 3
        amount = f"{abs(result.difference) * 100:.{digits}f} ± {half * 100:.{digits}f} points"
        return f"{better} is better than {worse} by {amount} (n = {result.n}, {p_in_words(p)})"
    said = f"no difference between {first} and {second} can be seen with {result.n} seeds"
    return f"{said}; {_needed(abs(result.difference), result.spread or 0.0)}"


def p_in_words(p: float) -> str:
    """Return `p = 0.02`, `p = 0.004` or `p < 0.001`."""
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.01 else f"p = {p:.2f}"


def _needed(difference: float, spread: float) -> str:
    asked = max(SMALLEST_ASKED, round(difference, 4))
    seeds = seeds_needed(asked, spread)
    number = f"more than {MOST_SEEDS:,}" if seeds is None else f"about {_round(max(seeds, 2)):,}"
    return f"{asked * 100:.2f} points would need {number}"


def _round(seeds: int) -> int:
    """Two leading digits: nothing in an estimate from a few runs is more exact."""
    step: int = 10 ** max(0, len(str(seeds)) - 2)
    return -(-seeds // step) * step


def _runs(n: int) -> str:
    return "1 run" if n == 1 else f"{n} runs"
