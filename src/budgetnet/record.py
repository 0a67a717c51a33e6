"""Records: finished runs of one recipe, gathered into the raw numbers that the project stands behind.

`records/<date>-<recipe>/record.json` holds the recipe, a line for each seed, mean, deviation and interval, the probability that a run
meets the contract, the verdict, the fingerprint, the command that makes it again, the commit it was made with (a seed that was made
with another names its own) and the one that froze the recipe; the log of each seed lies beside it, in the published form. Tables and
pictures in documents are generated from these files alone. Records of before (`records/<recipe>/`, without deviation and curves) are
read as well.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from budgetnet import log_form, rundir
from budgetnet.contract import Contract, Verdict, judge, load_contract
from budgetnet.durable import parse_json, sha256
from budgetnet.errors import InputError
from budgetnet.facts import Facts
from budgetnet.rundir import RunDirectory, open_run
from budgetnet.stats import share, summarise

RECORD = "record.json"
FOLDER = Path("records")
LAST = 5
RULE = (
    "accuracy on the test split after the last epoch, one forward pass an image; interval of the mean: 95 %, Student's t; of the "
    "probability that a run meets the contract: 95 %, Clopper and Pearson's; the verdict holds the mean against the contract"
)


def write_record(
    paths: Sequence[Path], out: Path | None, *, contract: str, commits: Sequence[str] = (), frozen: str | None = None
) -> tuple[Path, dict[str, Any]]:
    """Write the record of the finished runs in `paths` into the folder `out`; return its path and content.

    `out` defaults to `records/<today>-<recipe>`; `commits` are those the runs were made with, one for all or one for each of `paths`
    in turn; `frozen` is the one that froze the recipe before the test split was read. Raises `InputError` where a run is unfinished
    or damaged, where recipes differ, or where a seed comes twice. Commits and fingerprints may differ between seeds; the record says
    which and how.
    """
    runs = sorted((open_run(path) for path in paths), key=_seed)
    made_with = _commit_by_path(paths, commits)
    for run in runs:
        run.verify()
        if run.recipe() != runs[0].recipe():
            raise InputError(f"{run.path}: is a run of another recipe than {runs[0].path}; a record holds one recipe.")
    seeds = [_seed(run) for run in runs]
    if len(set(seeds)) != len(seeds):
        raise InputError(f"Seed {next(seed for seed in seeds if seeds.count(seed) > 1)} comes twice; a seed counts once.")
    name, date = runs[0].recipe().name, datetime.now(UTC).strftime("%Y-%m-%d")
    out = out or FOLDER / f"{date}-{name}"
    existing = out / RECORD
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; a record is a folder.")
    if existing.is_file() and read_record(existing).get("name") != name:
        raise InputError(f"{out}: holds the record of another recipe; choose another --out.")
    document = {"date": date, **record_document(runs, contract=contract, made_with=made_with, frozen=frozen)}
    logs = {f"seed{_seed(run)}-log.txt": _log(run) for run in runs}
    logs |= {f"seed{_seed(run)}-teacher-log.txt": _log(run.teacher()) for run in runs if run.recipe().teacher is not None}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, log in logs.items():
            (out / name).write_text(log + "\n", encoding="utf-8")
        existing.write_text(_as_text(document), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out}: the record cannot be written: {error.strerror}.") from None
    return existing, document


def record_document(
    runs: Sequence[RunDirectory], *, contract: str, made_with: Mapping[Path, str | None], frozen: str | None
) -> dict[str, Any]:
    """Return the record of runs that belong together, in the order of their seeds; `made_with` is the commit of each run's folder."""
    first, rules = runs[0], load_contract(contract)
    recipe, counts = first.recipe(), first.facts().network.parameters
    fingerprint = first.fingerprint()
    commit = made_with[first.path]
    rows = [
        _seed_row(run, rules, fingerprint) | ({} if made_with[run.path] == commit else {"commit": made_with[run.path]})
        for run in runs
    ]
    numbers = summarise([row["final"] for row in rows])
    passing = share(sum(row["verdict"] == "met" for row in rows), len(rows), method="exact")
    verdict = _verdict_of_mean(runs, rules)
    command = shlex.join([*shlex.split(str(first.identity().get("command", ""))), "--threads", str(fingerprint.get("threads"))])
    return {
        "name": recipe.name,
        "recipe": recipe.model_dump(),
        "parameters": {"total": counts.total, "trainable": counts.trainable, "non_trainable": counts.non_trainable},
        "epochs": recipe.epochs_in_all,
        **_teacher(first),
        "data": recipe.data,
        "claim": _claim(recipe.network),
        "seeds": rows,
        "mean": numbers.mean,
        "deviation": numbers.std,
        "interval": numbers.interval,
        "pass_probability": {"met": passing.count, "of": passing.n, "share": passing.share, "interval": passing.interval},
        "verdict": verdict.verdict,
        "not_met": _not_met(verdict),
        "rule": RULE,
        "contract": rules.name,
        "fingerprint": fingerprint,
        "command": command,
        "commit": commit,
        "recipe_frozen_by": frozen,
    }


def _commit_by_path(paths: Sequence[Path], commits: Sequence[str]) -> dict[Path, str | None]:
    if len(commits) not in (0, 1, len(paths)):
        raise InputError(f"{len(commits)} commits for {len(paths)} runs; give one for all of them, or one for each in their order.")
    each: Sequence[str | None] = commits if len(commits) == len(paths) else [*commits, None][:1] * len(paths)
    return dict(zip(paths, each, strict=True))


def read_record(path: Path) -> dict[str, Any]:
    """Return the record in a `record.json`. Raises `InputError` where it is none."""
    try:
        document = parse_json(path.read_bytes(), path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from None
    if not isinstance(document, dict) or not {"name", "recipe", "seeds", "fingerprint"} <= document.keys():
        raise InputError(f"{path}: is no record.")
    return document


def read_records(folder: Path) -> list[dict[str, Any]]:
    """Return every record below `folder`, by name of its folder."""
    return [read_record(path) for path in sorted(folder.glob(f"*/{RECORD}"))]


def newest(records: Sequence[dict[str, Any]], name: str) -> dict[str, Any] | None:
    """Return the newest record of the recipe `name`, None where there is none; records of before have no date and are oldest."""
    own = [record for record in records if record["name"] == name]
    return max(own, key=lambda record: str(record.get("date", ""))) if own else None


def _as_text(document: dict[str, Any]) -> str:
    """Return the record as JSON with one line for each seed, so that a difference between two records is read at once."""
    rows = ",\n".join(f"  {json.dumps(row, ensure_ascii=False, allow_nan=False)}" for row in document["seeds"])
    text = json.dumps({**document, "seeds": []}, indent=1, ensure_ascii=False, allow_nan=False)
    return text.replace('\n "seeds": []', f'\n "seeds": [\n{rows}\n ]', 1) + "\n"


def _log(run: RunDirectory) -> str:
    return log_form.whole_log(run.log(), run.timing(), run.recipe().epochs)


def _teacher(run: RunDirectory) -> dict[str, Any]:
    """Return what is shown of the network that each run trained first, nothing where there is none; its epochs are in the record's."""
    training = run.facts().training
    return {"teacher": training.teacher.model_dump()} if training is not None and training.teacher is not None else {}


def _verdict_of_mean(runs: Sequence[RunDirectory], rules: Contract) -> Verdict:
    """Hold what the runs reach on average against the contract; everything else is the same in all of them."""
    facts = [run.facts() for run in runs]
    trainings = [each.training for each in facts if each.training is not None and each.training.accuracy is not None]
    histories = [training.accuracy_by_epoch for training in trainings if training.accuracy_by_epoch is not None]
    together = len(histories) == len(runs)
    mean = trainings[0].model_copy(
        update={
            "accuracy": fmean(training.accuracy or 0.0 for training in trainings),
            # As one test of all the images that were looked at, so that the mean is exactly the count that it is.
            "test_images": (trainings[0].test_images or 0) * len(trainings) or None,
            "accuracy_by_epoch": tuple(map(fmean, zip(*histories, strict=True))) if together else None,
            "samples_seen": max(training.samples_seen for training in trainings),
        }
    )
    return judge(Facts(network=facts[0].network, training=mean), rules)


def _not_met(verdict: Verdict) -> list[str]:
    return [clause.name for clause in verdict.clauses if clause.state != "met"]


def _claim(network: str) -> dict[str, Any] | None:
    from dataclasses import asdict

    from budgetnet import zoo

    claim = zoo.find(network).claim if network in zoo.MODULES else None
    return asdict(claim) if claim is not None else None


def _seed(run: RunDirectory) -> int:
    return int(run.identity()["seed"])


def _seed_row(run: RunDirectory, rules: Contract, fingerprint: dict[str, Any]) -> dict[str, Any]:
    from budgetnet.fingerprint import differences

    facts = run.facts()
    training, verdict = facts.training, judge(facts, rules)
    if training is None or training.accuracy is None:
        raise InputError(f"{run.path}: has no accuracy to record.")
    by_epoch = training.accuracy_by_epoch
    own = run.fingerprint()
    row = {
        "seed": training.seed,
        "final": training.accuracy,
        "best": max(by_epoch) if by_epoch else None,
        "last5": fmean(by_epoch[-LAST:]) if by_epoch else None,
        "seconds": round(run.seconds(), 1),
        "loss": training.loss,
        "verdict": verdict.verdict,
        "not_met": _not_met(verdict),
        "weights_sha256": sha256(run.read(rundir.WEIGHTS)),
        "curve": _curve(run),
    }
    changed = differences(fingerprint, own)
    return {**row, "fingerprint_differs": changed, "fingerprint": own} if changed else row


def _curve(run: RunDirectory) -> dict[str, Any]:
    """Return the accuracy after each epoch: the validation part's where one was watched, else the training's own; never the test's."""
    validated = run.recipe().watch == "validation"
    key = "val_accuracy" if validated else "accuracy"
    return {"of": "validation" if validated else "training", "accuracy": [round(row[key], 6) for row in run.log()]}
