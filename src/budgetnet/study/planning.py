"""Before a study starts: what it would train, how long that takes here, and how many seeds a difference needs.

The time of an epoch is that of runs which the ledger has, else it is measured: some steps of each recipe on its data, with the threads
that a run will have. The spread between seeds is the ledger's too, where it has one; else the figure below is assumed, and said so.
Measuring costs about three seconds a recipe.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from budgetnet.recipe import Recipe
from budgetnet.stats import detectable_difference, seeds_needed
from budgetnet.study.arms import Arm, Study
from budgetnet.study.ledger import Histories
from budgetnet.study.showing import duration

ASSUMED_SPREAD = 0.0007
"""Standard deviation of a final accuracy over seeds, where nothing is known: 0.07 points, as networks of this size have on MNIST near
99.4 % (the standard error of 10,000 images alone is 0.077)."""
ASKED = (0.0003, 0.0005, 0.001)
"""Differences that the advice is given for, as fractions."""
WARM_STEPS, TIMED_STEPS = 3, 12
EVALUATED_IMAGES = 500
START_SECONDS = 4.0
"""Of a process: Python, torch, data, and the final measuring."""


def plan_document(study: Study, histories: Histories, *, slots: int, data_dir: Path | None) -> dict[str, Any]:
    """Return the plan: runs that are there and missing, seconds of each and of all, and what so many seeds can show."""
    recipes = [_arm_plan(study, arm, histories, data_dir) for arm in study.arms]
    seconds = sum(recipe["missing"] * recipe["seconds_each"] for recipe in recipes)
    spreads = [recipe["std"] for recipe in recipes if recipe["std"]]
    spread = fmean(spreads) if spreads else ASSUMED_SPREAD
    paired = spread * 2**0.5
    longest = max((recipe["seconds_each"] for recipe in recipes if recipe["missing"]), default=0.0)
    return {
        "study": study.name,
        "title": study.title,
        "seeds": list(study.seeds),
        "recipes": recipes,
        "runs": len(study.arms) * len(study.seeds),
        "missing": sum(recipe["missing"] for recipe in recipes),
        "seconds": round(max(seconds / slots, longest), 1),
        "slots": slots,
        "spread": spread,
        "spread_is": "of the runs in the ledger" if spreads else "assumed",
        "detectable": detectable_difference(len(study.seeds), paired),
        "needed": [{"difference": asked, "seeds": seeds_needed(asked, paired)} for asked in ASKED],
    }


def plan_text(plan: dict[str, Any]) -> str:
    """Return the plan for people."""
    width = max(len(recipe["recipe"]) for recipe in plan["recipes"])
    lines = [f"{plan['title']}: {plan['runs']} runs, {plan['missing']} to train.", ""]
    lines += [
        f"  {recipe['recipe']:<{width}}  {recipe['parameters']:>7,} parameters  {recipe['epochs']} epochs of {recipe['data']}  "
        f"{recipe['there']} there, {recipe['missing']} to train, {duration(recipe['seconds_each'])} each ({recipe['measured']})"
        for recipe in plan["recipes"]
    ]
    lines += ["", f"Here, with {plan['slots']} at a time, that takes about {duration(plan['seconds'])}.", "", *_advice(plan)]
    return "\n".join(lines)


def _advice(plan: dict[str, Any]) -> list[str]:
    number = len(plan["seeds"])
    said = f"Sample size, for a spread of {plan['spread'] * 100:.2f} points between seeds ({plan['spread_is']}):"
    lines = [said]
    if plan["detectable"] is None:
        lines.append("  one seed shows no difference at all: its spread cannot be seen.")
    else:
        lines.append(f"  {number} seeds find a difference of {plan['detectable'] * 100:.2f} points in 80 of 100 studies;")
    for needed in plan["needed"]:
        seeds = "more than 10,000" if needed["seeds"] is None else f"{needed['seeds']:,}"
        lines.append(f"  a difference of {needed['difference'] * 100:.2f} points needs {seeds} seeds.")
    return lines


def _arm_plan(study: Study, arm: Arm, histories: Histories, data_dir: Path | None) -> dict[str, Any]:
    results = [result for seed in study.seeds if (result := histories.result(arm.spec(seed)))]
    parameters, measured = _look(arm.recipe, data_dir, study.threads, time_it=not results)
    each = fmean(result.seconds for result in results) + START_SECONDS if results else measured
    finals = [result.accuracy for result in results]
    lost = sum(histories.state(arm.spec(seed)) == "left out" for seed in study.seeds)
    return {
        "recipe": arm.label,
        "parameters": parameters,
        "epochs": arm.recipe.epochs_in_all,
        "data": arm.recipe.data,
        "there": len(results),
        "left_out": lost,
        "missing": len(study.seeds) - len(results) - lost,
        "seconds_each": round(each, 1),
        "measured": "as its runs took" if results else "measured now",
        "std": stdev(finals) if len(finals) > 1 else None,
    }


def _look(recipe: Recipe, data_dir: Path | None, threads: int, *, time_it: bool) -> tuple[int, float]:
    """Return the recipe's parameters and, where asked, about how many seconds a run of it takes with so many threads."""
    import torch

    from budgetnet import datasets
    from budgetnet.check import measure
    from budgetnet.networks import build_network

    dataset = datasets.load(recipe.data, data_dir=data_dir)
    network = build_network(recipe, seed=0, input_shape=dataset.shape, classes=len(dataset.class_names))
    parameters = measure(network, name=recipe.name, input_shape=dataset.shape).parameters.total
    if not time_it:
        return parameters, 0.0
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return parameters, _timed(recipe, dataset, network)
    finally:
        torch.set_num_threads(before)


def _timed(recipe: Recipe, dataset: Any, network: Any) -> float:
    """Return the seconds of a run, those of its teacher's training and answers with them."""
    own, an_answer = _timed_alone(recipe, dataset, network)
    if recipe.teacher is None:
        return own + an_answer * len(dataset.test) + START_SECONDS
    from budgetnet.networks import build_network
    from budgetnet.preparing import splits

    taught_by = recipe.of_teacher()
    teacher = build_network(taught_by, seed=0, input_shape=dataset.shape, classes=len(dataset.class_names))
    before, an_answer_of_teacher = _timed_alone(taught_by, dataset, teacher)
    answers = an_answer_of_teacher * len(splits(recipe, dataset)[0]) * recipe.epochs
    return before + answers + own + an_answer * len(dataset.test) + START_SECONDS


def _timed_alone(recipe: Recipe, dataset: Any, network: Any) -> tuple[float, float]:
    """Return the seconds that the network's own epochs take, and those of an image in evaluation mode."""
    import torch
    from torch.nn import functional as F

    from budgetnet.accelerated import accelerated
    from budgetnet.allocator import keep_freed_memory
    from budgetnet.datasets import Split
    from budgetnet.evaluate import as_input, evaluate
    from budgetnet.loss import log_probability_function
    from budgetnet.optimizer import make_optimizer
    from budgetnet.preparing import splits

    keep_freed_memory()
    training, watched = splits(recipe, dataset)
    log_probabilities = log_probability_function(network, dataset.shape, len(dataset.class_names))
    optimizer = make_optimizer(recipe, network.parameters())
    images, labels = training.images[: recipe.batch], training.labels[: recipe.batch]
    network.train()
    steps = []
    with accelerated(network) as whole_step:
        for _ in range(WARM_STEPS + TIMED_STEPS):
            started = time.monotonic()
            batch = as_input(images)
            # Who learns from a teacher takes its steps one by one, too.
            if whole_step is None or recipe.teacher is not None or whole_step(batch, labels, 0.0) is None:
                optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(F.nll_loss(log_probabilities(batch), labels))
            optimizer.step()
            steps.append(time.monotonic() - started)
    few = Split(dataset.test.images[:EVALUATED_IMAGES], dataset.test.labels[:EVALUATED_IMAGES])
    started = time.monotonic()
    evaluate(network, log_probabilities, few)
    an_image = (time.monotonic() - started) / len(few)
    steps_each = -(-len(training) // recipe.batch)
    looked_at = len(watched) * recipe.epochs if watched is not None else 0
    return _middle(steps[WARM_STEPS:]) * steps_each * recipe.epochs + an_image * looked_at, an_image


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
