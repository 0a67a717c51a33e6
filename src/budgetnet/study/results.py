"""A study's runs -> what it says: numbers for each recipe, comparisons between them, and everything a reader must know beside them.

Pure: from the study and the ledger's histories to one document, the same for `--json`, the report and the records. Runs that failed are
left out of every number and named. No torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

from budgetnet.contract import judge
from budgetnet.stats import compare, difference_in_words, holm, images_told_apart, share, summarise
from budgetnet.study.arms import Arm, Study
from budgetnet.study.entries import Result
from budgetnet.study.ledger import TRIES, Histories

RULE = (
    "accuracy on the test split after the last epoch, one forward pass an image; intervals: 95 %, Student's t; comparisons: paired by "
    "seed where two seeds or more are shared, else Welch; p corrected by Holm over the comparisons of the study; probability to meet the "
    "contract: 95 %, Wilson"
)


def study_document(study: Study, histories: Histories) -> dict[str, Any]:
    """Return what the study says so far; accuracies and their differences are fractions."""
    results = [{seed: result for seed in study.seeds if (result := histories.result(arm.spec(seed)))} for arm in study.arms]
    recipes = [_recipe(study, arm, found, histories) for arm, found in zip(study.arms, results, strict=True)]
    return {
        "study": study.name,
        "title": study.title,
        "question": study.question,
        "contract": study.contract.name,
        "seeds": list(study.seeds),
        "recipes": recipes,
        "comparisons": _comparisons(study, results),
        "missing": sum(len(recipe["missing"]) for recipe in recipes),
        "left_out": [{"recipe": recipe["recipe"], **lost} for recipe in recipes for lost in recipe["left_out"]],
        "notes": _notes(study, recipes, [result for found in results for result in found.values()]),
        "rule": RULE,
    }


def _recipe(study: Study, arm: Arm, found: dict[int, Result], histories: Histories) -> dict[str, Any]:
    runs = [_run(study, arm, seed, result) for seed, result in found.items()]
    finals = [run["final"] for run in runs]
    summary, passed = summarise(finals), share(sum(run["verdict"] == "met" for run in runs), len(runs))
    first = next(iter(found.values()), None)
    lost = [(seed, histories.failures(arm.spec(seed))) for seed in study.seeds if seed not in found]
    return {
        "recipe": arm.label,
        "n": summary.n,
        "mean": summary.mean,
        "std": summary.std,
        "interval": summary.interval,
        "pass_probability": passed.share,
        "pass_interval": passed.interval,
        "finals": finals,
        "best": _mean(runs, "best"),
        "last5": _mean(runs, "last5"),
        "seconds": _mean(runs, "seconds"),
        "parameters": first.facts.network.parameters.total if first else None,
        "multiply_accumulates": first.facts.network.multiply_accumulates if first else None,
        "epochs": arm.recipe.epochs_in_all,
        "data": arm.recipe.data,
        "runs": runs,
        "left_out": [
            {"seed": seed, "kind": failures[-1].kind, "words": failures[-1].words, "tries": len(failures)}
            for seed, failures in lost
            if len(failures) >= TRIES
        ],
        "missing": [seed for seed, failures in lost if len(failures) < TRIES],
        "settings": arm.recipe.model_dump(),
    }


def _run(study: Study, arm: Arm, seed: int, result: Result) -> dict[str, Any]:
    verdict = judge(result.facts, study.contract)
    return {
        "seed": seed,
        "run": arm.spec(seed).key,
        "final": result.accuracy,
        "best": result.best,
        "last5": result.last5,
        "seconds": result.seconds,
        "verdict": verdict.verdict,
        "not_met": [clause.name for clause in verdict.clauses if clause.state != "met"],
        "weights_sha256": result.weights_sha256,
    }


def _comparisons(study: Study, results: Sequence[dict[int, Result]]) -> list[dict[str, Any]]:
    compared = []
    for one, other in study.pairs:
        if results[one] and results[other]:
            compared.append((one, other, compare(_by_seed(results[one]), _by_seed(results[other]))))
    believed = holm([difference.p for _, _, difference in compared])
    return [
        {
            "a": study.arms[one].label,
            "b": study.arms[other].label,
            "difference": difference.difference,
            "interval": difference.interval,
            "p": p,
            "p_alone": difference.p,
            "n": difference.n,
            "method": difference.method,
            "spread": difference.spread,
            "sentence": difference_in_words(study.arms[one].label, study.arms[other].label, difference, p),
            "images": _images(results[one], results[other]),
        }
        for (one, other, difference), p in zip(compared, believed, strict=True)
    ]


def _by_seed(results: dict[int, Result]) -> dict[int, float]:
    return {seed: result.accuracy for seed, result in results.items()}


def _images(first: dict[int, Result], second: dict[int, Result]) -> list[dict[str, Any]]:
    """Compare the runs of each seed in common image by image, where they saw the same images."""
    told = []
    for seed in sorted(first.keys() & second.keys()):
        one, other = first[seed], second[seed]
        if one.fingerprint.get("data_sha256") == other.fingerprint.get("data_sha256"):
            told.append({"seed": seed, **asdict(images_told_apart(one.wrong, other.wrong))})
    return told


def _mean(runs: Sequence[dict[str, Any]], key: str) -> float | None:
    values = [run[key] for run in runs]
    return fmean(values) if values and None not in values else None


def _notes(study: Study, recipes: Sequence[dict[str, Any]], results: Sequence[Result]) -> list[str]:
    notes = []
    for recipe in recipes:
        if recipe["left_out"]:
            seeds = ", ".join(f"seed {lost['seed']} ({lost['kind']})" for lost in recipe["left_out"])
            notes.append(
                f"{recipe['recipe']}: {len(recipe['left_out'])} of {len(study.seeds)} runs failed twice and are left out: {seeds}. Its "
                "numbers are those of the runs that ended, which may flatter it."
            )
        if recipe["missing"]:
            notes.append(
                f"{recipe['recipe']}: {len(recipe['missing'])} of {len(study.seeds)} runs are missing; the numbers are not final."
            )
    if any(arm.recipe.watch == "test" for arm in study.arms):
        notes.append(
            "Test accuracy was printed after each epoch, as in the published hand-ins; nothing was chosen by it, and only the last epoch "
            "counts."
        )
    epochs = {arm.recipe.epochs_in_all for arm in study.arms}
    if len(epochs) > 1:
        notes.append(f"The recipes train for different numbers of epochs: {', '.join(map(str, sorted(epochs)))}.")
    if varied := _varied([result.fingerprint for result in results]):
        notes.append(f"The runs were not all computed with the same: {'; '.join(varied)}.")
    return notes


def _varied(fingerprints: Sequence[dict[str, Any]]) -> list[str]:
    """Return what differs between fingerprints, in words; the data set's sum differs where recipes have different data."""
    found = []
    for key in sorted({key for fingerprint in fingerprints for key in fingerprint} - {"data_sha256", "resumed_under"}):
        values = sorted({str(fingerprint.get(key)) for fingerprint in fingerprints})
        if len(values) > 1:
            found.append(f"{key} {', '.join(values[:4])}")
    if any("resumed_under" in fingerprint for fingerprint in fingerprints):
        found.append("a run was resumed under another fingerprint")
    return found
