"""Learning-rate schedules: `step -> rate`, pure, counted from 0.

`inverse-time` is the schedule of all five published hand-ins (0.003, or 0.3, and 0.319); rounding to ten places is theirs, so
that a log matches theirs to the last digit.
"""

from budgetnet.recipe import Recipe


def rate_of_step(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of `step`, counted from 0 through all epochs.

    `one-cycle` rises in a straight line and falls in one, to zero behind the last step: Smith and Topin, arXiv:1708.07120.
    """
    if recipe.schedule != "one-cycle":
        return rate_of_epoch(recipe, step // steps_per_epoch)
    return recipe.rate * share_of_one_cycle(step, recipe.epochs * steps_per_epoch, recipe.warm_up)


def share_of_one_cycle(step: int, steps: int, warm_up: float) -> float:
    """Return the share of the highest rate that `step` of `steps` gets, in (0, 1].

    >>> [round(share_of_one_cycle(step, 10, 0.2), 3) for step in range(10)]
    [0.333, 0.667, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]
    """
    rising = warm_up * steps
    return min((step + 1) / (rising + 1), (steps - step) / (steps - int(rising)))


def rate_of_epoch(recipe: Recipe, epoch: int) -> float:
    """Return the learning rate of `epoch` (from 0); of `one-cycle`, whose rate changes at each step, the highest of all.

    >>> rate_of_epoch(Recipe(name="x", network="x"), 1)
    0.0022744503
    """
    if recipe.schedule in {"constant", "one-cycle"}:
        return recipe.rate
    return round(recipe.rate / (1 + recipe.decay * epoch), 10)
