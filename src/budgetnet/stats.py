"""Numbers over seeds. No torch; scipy is imported when an interval is asked for."""

from collections.abc import Sequence
from statistics import fmean, stdev

CONFIDENCE = 0.95


def mean_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """Return the interval of the mean by Student's t; None for fewer than two values, which say nothing of their spread."""
    if len(values) < 2:
        return None
    from scipy.stats import t

    half = float(t.ppf((1 + confidence) / 2, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    middle = fmean(values)
    return middle - half, middle + half
