"""Records: finished runs of one recipe, gathered into the raw numbers that the project stands behind.

`records/<name>/record.json` holds the recipe, a row for each seed, their mean with its interval, the fingerprint, the command that
makes it again and the commit it was made with; the log of each seed lies beside it, in the published form. Tables in documents are
generated from these files alone. Only the zoo's claims are looked up with torch, when a record is written.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from budgetnet import log_form, rundir
from budgetnet.contract import Contract, judge, load_contract
from budgetnet.durable import sha256
from budgetnet.errors import InputError
from budgetnet.rundir import RunDirectory, open_run
from budgetnet.stats import mean_interval

RECORD = "record.json"
LAST = 5


def write_record(paths: Sequence[Path], out: Path, *, contract: str, commit: str | None = None) -> tuple[Path, dict[str, Any]]:
    """Write the record of the finished runs in `paths` into the folder `out`; return its path and content.

    Raises `InputError` where a run is unfinished or damaged, where recipes differ, or where a seed comes twice.
    """
    runs = sorted((open_run(path) for path in paths), key=_seed)
    for run in runs:
        run.verify()
        if run.recipe() != runs[0].recipe():
            raise InputError(f"{run.path}: is a run of another recipe than {runs[0].path}; a record holds one recipe.")
    seeds = [_seed(run) for run in runs]
    if len(set(seeds)) != len(seeds):
        raise InputError(f"Seed {next(seed for seed in seeds if seeds.count(seed) > 1)} comes twice; a seed counts once.")
    existing = out / RECORD
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; a record is a folder.")
    if existing.is_file() and json.loads(existing.read_text(encoding="utf-8")).get("name") != runs[0].recipe().name:
        raise InputError(f"{out}: holds the record of another recipe; choose another --out.")
    document = record_document(runs, contract=contract, commit=commit, claim=_claim(runs[0].recipe().network))
    try:
        out.mkdir(parents=True, exist_ok=True)
        for run in runs:
            log = log_form.whole_log(run.log(), run.timing(), run.recipe().epochs)
            (out / f"seed{_seed(run)}-log.txt").write_text(log + "\n", encoding="utf-8")
        existing.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out}: the record cannot be written: {error.strerror}.") from None
    return existing, document


def record_document(
    runs: Sequence[RunDirectory], *, contract: str, commit: str | None, claim: dict[str, Any] | None
) -> dict[str, Any]:
    """Return the record of runs that belong together, in the order of their seeds."""
    first, rules = runs[0], load_contract(contract)
    recipe, counts = first.recipe(), first.facts().network.parameters
    rows = [_seed_row(run, rules) for run in runs]
    finals = [row["final"] for row in rows]
    fingerprint = first.fingerprint()
    command = shlex.join([*shlex.split(str(first.identity().get("command", ""))), "--threads", str(fingerprint.get("threads"))])
    return {
        "name": recipe.name,
        "recipe": recipe.model_dump(),
        "parameters": {"total": counts.total, "trainable": counts.trainable, "non_trainable": counts.non_trainable},
        "epochs": recipe.epochs,
        "data": recipe.data,
        "claim": claim,
        "seeds": rows,
        "mean": fmean(finals),
        "interval": mean_interval(finals),
        "rule": "accuracy on the test split after the last epoch, one forward pass an image; interval: 95 %, Student's t",
        "contract": rules.name,
        "fingerprint": fingerprint,
        "command": command,
        "commit": commit,
    }


def read_records(folder: Path) -> list[dict[str, Any]]:
    """Return every record below `folder`, by name of its folder."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(f"*/{RECORD}"))]


def claims_table(records: Sequence[dict[str, Any]]) -> str:
    """Return the Markdown table of what hand-ins claim against what was measured; a record without a claim is left out."""
    lines = [
        "| network | parameters | claimed | measured: final | best | mean of last five | final − claimed | seeds | under `code9` |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for record in records:
        if record.get("claim") is None:
            continue
        rows, claimed = record["seeds"], record["claim"]["accuracy"]
        best, last = (_mean_of(rows, key) for key in ("best", "last5"))
        lines.append(
            f"| `{record['name']}` | {record['parameters']['total']:,} | {claimed:.2%} | **{record['mean']:.2%}** | {best} | {last} "
            f"| {(record['mean'] - claimed) * 100:+.2f} | {len(rows)} | {_verdicts(rows)} |"
        )
    return "\n".join(lines)


def _verdicts(rows: Sequence[dict[str, Any]]) -> str:
    words = [row["verdict"] + (f": {', '.join(row['not_met'])}" if row["not_met"] else "") for row in rows]
    if len(set(words)) == 1:
        return str(words[0])
    return f"met by {sum(row['verdict'] == 'met' for row in rows)} of {len(rows)} seeds"


def _claim(network: str) -> dict[str, Any] | None:
    from dataclasses import asdict

    from budgetnet import zoo

    return asdict(zoo.find(network).claim) if network in zoo.MODULES else None


def _mean_of(rows: Sequence[dict[str, Any]], key: str) -> str:
    values = [row[key] for row in rows]
    return "not read" if any(value is None for value in values) else f"{fmean(values):.2%}"


def _seed(run: RunDirectory) -> int:
    return int(run.identity()["seed"])


def _seed_row(run: RunDirectory, rules: Contract) -> dict[str, Any]:
    facts = run.facts()
    training, verdict = facts.training, judge(facts, rules)
    if training is None or training.accuracy is None:
        raise InputError(f"{run.path}: has no accuracy to record.")
    by_epoch = training.accuracy_by_epoch
    return {
        "seed": training.seed,
        "final": training.accuracy,
        "best": max(by_epoch) if by_epoch else None,
        "last5": fmean(by_epoch[-LAST:]) if by_epoch else None,
        "seconds": round(sum(row["seconds"] for row in run.timing()), 1),
        "loss": training.loss,
        "verdict": verdict.verdict,
        "not_met": [clause.name for clause in verdict.clauses if clause.state != "met"],
        "weights_sha256": sha256(run.read(rundir.WEIGHTS)),
    }
