"""So many of n runs met the contract -> the probability that a run does, with its interval.

Wilson's score interval (1927) is the default: for the few runs of a study it covers close to 95 %, where the textbook's normal
interval gives «100 % ± 0» after five of five. Clopper and Pearson's (1934) never covers less than it says, and is wider.
"""

from dataclasses import dataclass
from typing import Literal

from budgetnet.stats.means import CONFIDENCE


@dataclass(frozen=True)
class Share:
    """A share of n runs, as a fraction, and its 95 % interval; None where there were no runs."""

    count: int
    n: int
    share: float | None
    interval: tuple[float, float] | None


def share(count: int, n: int, *, method: Literal["wilson", "exact"] = "wilson", confidence: float = CONFIDENCE) -> Share:
    """Return the share `count` / `n` with its interval: by Wilson's score, or the exact one of Clopper and Pearson."""
    if n == 0:
        return Share(0, 0, None, None)
    from scipy.stats import binomtest

    bounds = binomtest(count, n).proportion_ci(confidence, method)
    return Share(count, n, count / n, (float(bounds.low), float(bounds.high)))
