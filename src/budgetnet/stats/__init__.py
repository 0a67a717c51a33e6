"""Numbers over seeds: intervals, differences, tests, and the sentence that a person needs.

Plain numbers in, frozen values out; nothing here knows runs or files. Every test is scipy's, which is imported when one is asked for
(about a second). No torch.
"""

from budgetnet.stats.differences import Difference, Images, compare, holm, images_told_apart
from budgetnet.stats.means import CONFIDENCE, Summary, mean_interval, summarise
from budgetnet.stats.sentences import difference_in_words
from budgetnet.stats.shares import Share, share
from budgetnet.stats.sizes import detectable_difference, power, seeds_needed

__all__ = [
    "CONFIDENCE",
    "Difference",
    "Images",
    "Share",
    "Summary",
    "compare",
    "detectable_difference",
    "difference_in_words",
    "holm",
    "images_told_apart",
    "mean_interval",
    "power",
    "seeds_needed",
    "share",
    "summarise",
]
