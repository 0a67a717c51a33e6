"""A few values -> their mean, spread, and the interval of the mean by Student's t (Student, 1908). Microseconds, after scipy is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

CONFIDENCE = 0.95

Interval = tuple[float, float]


@dataclass(frozen=True)
class Summary:
    """What n values say together, in their own unit."""

    n: int
    mean: float | None
    """None without values."""
    std: float | None
    """Of the sample, with n − 1; None for fewer than two values."""
    interval: Interval | None
    """95 %, of the mean; None for fewer than two values."""


def summarise(values: Sequence[float], confidence: float = CONFIDENCE) -> Summary:
    """Return number, mean, standard deviation and the interval of the mean."""
    return Summary(
        n=len(values),
        mean=fmean(values) if values else None,
        std=stdev(values) if len(values) > 1 else None,
        interval=mean_interval(values, confidence),
    )


def mean_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval | None:
    """Return the interval of the mean by Student's t; None for fewer than two values, which say nothing of their spread."""
    if len(values) < 2:
        return None
    half = t_quantile(confidence, len(values) - 1) * stdev(values) / len(values) ** 0.5
    middle = fmean(values)
    return middle - half, middle + half


def t_quantile(confidence: float, degrees: float) -> float:
    """Return the t that a share `confidence` of values stays within, on both sides together, with so many degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + confidence) / 2))
