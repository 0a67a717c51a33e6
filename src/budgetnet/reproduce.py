"""A record made again: its recipe trained with its seeds, and the outcome held against it.

Each seed is a run directory below one folder: finished ones are kept, an interrupted one goes on, so the same command may be given
again and again. Where a seed's fingerprint is the record's, its weights must be the same bits; elsewhere the mean must lie where the
record says that the mean of so many further runs lies. Costs the trainings; nothing is chosen by what comes out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from pydantic import ValidationError

from budgetnet import training, zoo
from budgetnet.errors import InputError, did_you_mean
from budgetnet.fingerprint import differences
from budgetnet.progress import Progress
from budgetnet.recipe import Recipe, explain
from budgetnet.record import FOLDER, RECORD, newest, read_record, read_records, write_record
from budgetnet.rundir import RECIPE, open_run
from budgetnet.stats.predicted import predicted_interval

Outcome = Literal["same bits", "inside the interval", "outside the interval", "other bits", "nothing to compare with"]
EXIT_CODES: dict[Outcome, int] = {
    "same bits": 0,
    "inside the interval": 0,
    "outside the interval": 1,
    "other bits": 1,
    "nothing to compare with": 3,
}
FIRST_SEEDS = 5
"""Of a recipe of the zoo that has no record yet."""


@dataclass(frozen=True)
class Comparison:
    """What came out, held against a record."""

    outcome: Outcome
    why: str
    """One sentence."""


def reproduce(
    name: str,
    *,
    seeds: int | None = None,
    out: Path | None = None,
    records: Path = FOLDER,
    contract: str | None = None,
    threads: int | None = None,
    data_dir: Path | None = None,
    progress: Progress,
    say: Callable[[str], None],
) -> tuple[Path, dict[str, Any], Comparison]:
    """Train the first `seeds` seeds of the record `name` again (all of them by default); return path, content and comparison.

    `name` is a record's folder, its name below `records`, or a recipe's name: then its newest record is taken. A recipe of the zoo
    without a record is trained with seeds from 0, and there is nothing to compare with. `threads` and `contract` default to the
    record's. Raises `InputError` for an unknown name or a folder that holds other runs, `Interrupted` with all finished seeds kept.
    """
    if seeds is not None and seeds < 1:
        raise InputError(f"--seeds takes 1 or more, not {seeds}.")
    record = find_record(name, records)
    recipe = _recipe(record) if record else zoo.find(name).recipe
    numbers = _seeds(record, seeds)
    folder = out or Path("runs") / f"reproduce-{recipe.name}"
    if threads is None and record is not None:
        threads = record["fingerprint"].get("threads")
    paths = []
    for position, seed in enumerate(numbers, start=1):
        path = folder / f"seed{seed}"
        finished = _is_finished(path, recipe, seed)
        say(f"{recipe.name}, seed {seed} ({position} of {len(numbers)}): {'finished already' if finished else path}")
        if not finished:
            shared: dict[str, Any] = {"threads": threads, "data_dir": data_dir, "progress": progress}
            if (path / RECIPE).is_file():
                training.resume(path, **shared)
            else:
                training.train(recipe, seed=seed, out=path, **shared)
        paths.append(path)
    rules = contract or (record["contract"] if record else "code9")
    written, document = write_record(paths, folder, contract=rules)
    return written, document, compare(record, document)


def compare(record: dict[str, Any] | None, again: dict[str, Any]) -> Comparison:
    """Return how the record `again` stands to `record`. Pure."""
    if record is None:
        return Comparison("nothing to compare with", f"There is no record of {again['name']!r} yet; this is the first.")
    old = {row["seed"]: row for row in record["seeds"]}
    pairs = [(old[row["seed"]], row) for row in again["seeds"] if row["seed"] in old]
    equal = [pair for pair in pairs if not differences(_fingerprint(record, pair[0]), _fingerprint(again, pair[1]))]
    other = [row["seed"] for recorded, row in equal if recorded["weights_sha256"] != row["weights_sha256"]]
    if other:
        listed = ", ".join(map(str, other))
        return Comparison("other bits", f"Under an equal fingerprint, other weights came out for seed {listed}.")
    if len(equal) == len(again["seeds"]):
        return Comparison("same bits", f"Every seed ({len(equal)}) ended in the very weights that the record names.")
    finals = [row["final"] for row in again["seeds"]]
    bounds = predicted_interval([row["final"] for row in record["seeds"]], len(finals))
    changed = differences(record["fingerprint"], again["fingerprint"])
    under = f" (another fingerprint: {'; '.join(changed)})" if changed else ""
    if bounds is None:
        return Comparison(
            "nothing to compare with",
            f"The mean is {fmean(finals):.3%}{under}; the record has one seed ({record['mean']:.3%}), which says nothing of the spread.",
        )
    inside = bounds[0] <= fmean(finals) <= bounds[1]
    where = "inside" if inside else "outside"
    return Comparison(
        "inside the interval" if inside else "outside the interval",
        f"The mean of {len(finals)} is {fmean(finals):.3%}{under}: {where} {bounds[0]:.3%} to {bounds[1]:.3%}, where the record's "
        f"{len(record['seeds'])} seeds put it with 95 % confidence.",
    )


def find_record(name: str, records: Path) -> dict[str, Any] | None:
    """Return the record called `name`; None for a recipe of the zoo that has none. Raises `InputError` for any other name."""
    for folder in (Path(name), records / name):
        if (folder / RECORD).is_file():
            return read_record(folder / RECORD)
    known = read_records(records) if records.is_dir() else []
    found = newest(known, name)
    if found is None and name not in zoo.MODULES:
        options = {*zoo.MODULES, *(str(record["name"]) for record in known)}
        raise InputError(f"There is no record {name!r} in {records}, nor a recipe of that name.{did_you_mean(name, options)}")
    return found


def _recipe(record: dict[str, Any]) -> Recipe:
    try:
        return Recipe(**record["recipe"])
    except ValidationError as error:
        raise InputError(f"The record of {record['name']!r} holds a recipe of another version: {explain(error)}") from None


def _seeds(record: dict[str, Any] | None, wanted: int | None) -> list[int]:
    own = [int(row["seed"]) for row in record["seeds"]] if record else []
    if wanted is None:
        wanted = len(own) or FIRST_SEEDS
    further = (seed for seed in range(len(own) + wanted) if seed not in own)
    return sorted([*own[:wanted], *(next(further) for _ in range(wanted - len(own)))])


def _is_finished(path: Path, recipe: Recipe, seed: int) -> bool:
    if not (path / RECIPE).is_file():
        return False
    run = open_run(path)
    if run.recipe() != recipe or run.identity()["seed"] != seed:
        raise InputError(f"{path}: holds a run of another recipe or seed; choose another --out.")
    return run.finished


def _fingerprint(record: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    own: dict[str, Any] = row.get("fingerprint", record["fingerprint"])
    return own
