"""Learning-rate schedules: `epoch -> rate`, pure, counted from 0.

`inverse-time` is the schedule of all five published hand-ins (0.003, or 0.3, and 0.319); rounding to ten places is theirs, so
that a log matches theirs to the last digit.
"""

from budgetnet.recipe import Recipe


def rate_of_epoch(recipe: Recipe, epoch: int) -> float:
    """Return the learning rate of `epoch` (from 0).

    >>> rate_of_epoch(Recipe(name="x", network="x"), 1)
    0.0022744503
    """
    if recipe.schedule == "constant":
        return recipe.rate
    return round(recipe.rate / (1 + recipe.decay * epoch), 10)
