"""Where the mean of further values will lie, from the values that are there: Student's t with both samples' uncertainty. Microseconds."""

from collections.abc import Sequence
from statistics import fmean, stdev

from budgetnet.stats.means import CONFIDENCE, Interval, t_quantile


def predicted_interval(values: Sequence[float], further: int, confidence: float = CONFIDENCE) -> Interval | None:
    """Return where the mean of `further` new values will lie with that confidence; None for fewer than two values.

    Wider than the interval of the mean: the new values scatter as well. Values and new ones are taken as independent and normal.
    """
    if len(values) < 2 or further < 1:
        return None
    half = t_quantile(confidence, len(values) - 1) * stdev(values) * (1 / len(values) + 1 / further) ** 0.5
    middle = fmean(values)
    return middle - half, middle + half
