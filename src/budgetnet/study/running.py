"""A study from the words of a command line to its document: read, plan or train, judge, compare, report.

What `budgetnet study` and `budgetnet.study` callers use. The folder may hold many studies: they share its ledger, and with it every run that
they have in common.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from budgetnet.errors import InputError
from budgetnet.journal import read_journal
from budgetnet.study.arms import Study, make_study, plain_name
from budgetnet.study.conducting import Conducted, conduct
from budgetnet.study.definition import Definition, changed, define, parse_grid, parse_seeds, parse_settings, read_definition
from budgetnet.study.executors import Executor, Limits
from budgetnet.study.executors.local import NICE, LocalExecutor, default_jobs
from budgetnet.study.ledger import LEDGER, RUNS, Histories, open_ledger
from budgetnet.study.planning import plan_document
from budgetnet.study.report import refuse_place, write_study_report
from budgetnet.study.results import study_document
from budgetnet.study.showing import Showing, Silent

FOLDER = Path("runs") / "studies"
LONGEST_NAME = 60


@dataclass(frozen=True)
class Asked:
    """The words of a command line; None stands for what the study file or the default says."""

    targets: tuple[str, ...]
    """A study file, or recipes: names of the zoo, or `path/to/file.py:Class`."""
    name: str | None = None
    seeds: str | None = None
    epochs: int | None = None
    data: str | None = None
    contract: str | None = None
    threads: int | None = None
    settings: tuple[str, ...] = ()
    vary: tuple[str, ...] = ()
    data_dir: Path | None = None
    out: Path = FOLDER


@dataclass(frozen=True)
class Means:
    """How a study's runs are trained."""

    jobs: int | None = None
    limits: Limits = field(default_factory=Limits)
    cluster: str | None = None
    """`auto` or an address of a Ray cluster; None for this machine."""
    gpus: float = 0.0
    """Of each run, on a cluster."""
    nice: int = NICE
    """How far the runs on this machine stand back behind other programs, 0–19."""
    again: bool = False
    """Try also the runs that failed twice."""
    checkpoint_seconds: float | None = None


def read_study(asked: Asked) -> Study:
    """Return the study that a command line asks for. Raises `InputError`."""
    definition, name, folder = _definition(asked)
    return make_study(definition, name=asked.name or name, folder=folder, data_dir=asked.data_dir)


def plan(asked: Asked, means: Means | None = None) -> dict[str, Any]:
    """Return what the study would train, how long it would take here, and how many seeds a difference needs. Trains nothing."""
    study, means = read_study(asked), means or Means()
    histories = Histories(read_journal(asked.out / LEDGER))
    return plan_document(study, histories, slots=means.jobs or default_jobs(study.threads), data_dir=asked.data_dir)


def run(asked: Asked, means: Means | None = None, showing: Showing | None = None) -> tuple[dict[str, Any], Conducted]:
    """Train what is missing, compare, and write the report; return the document, with `report`, and how the training ended."""
    study, means = read_study(asked), means or Means()
    refuse_place(asked.out / study.name)
    with open_ledger(asked.out) as ledger:
        if means.again:
            for spec in study.specs():
                ledger.forgive(spec)
        conducted = conduct(study.specs(), ledger, _executor(study, asked, means), showing or Silent())
        document = {**study_document(study, ledger), "command": command_of(asked)}
        readme = write_study_report(study, document, ledger, asked.out / study.name)
    return {**document, "out": str(asked.out), "report": str(readme)}, conducted


def command_of(asked: Asked) -> str:
    """Return the command line that makes the study again."""
    words = ["budgetnet", "study", *asked.targets]
    named = {
        "--seeds": asked.seeds,
        "--epochs": asked.epochs,
        "--data": asked.data,
        "--contract": asked.contract,
        "--threads": asked.threads,
    }
    words += [word for name, value in {**named, "--name": asked.name}.items() if value is not None for word in (name, str(value))]
    words += [word for setting in asked.settings for word in ("--set", setting)]
    words += [word for grid in asked.vary for word in ("--vary", grid)]
    return shlex.join(words if asked.out == FOLDER else [*words, "--out", str(asked.out)])


def _definition(asked: Asked) -> tuple[Definition, str, Path | None]:
    files = [target for target in asked.targets if target.endswith(".toml")]
    if files and len(asked.targets) > 1:
        raise InputError("Name one study file, or recipes; not both.")
    given: dict[str, Any] = {
        "seeds": None if asked.seeds is None else parse_seeds(asked.seeds),
        "epochs": asked.epochs,
        "data": asked.data,
        "contract": asked.contract,
        "threads": asked.threads,
    }
    if not files:
        vary = parse_grid(asked.vary) or None
        definition = define(list(asked.targets), **given, set=parse_settings(asked.settings) or None, grid=vary)
        names = "-or-".join(re.sub(r"[^\w.+-]+", "-", plain_name(target)) for target in asked.targets)
        return definition, names[:LONGEST_NAME].strip("-.") or "study", None
    if asked.vary:
        raise InputError("--vary goes with recipes; a study file has its own [grid].")
    path = Path(files[0])
    definition = read_definition(path)
    settings = {**definition.set, **parse_settings(asked.settings)}
    return changed(definition, **given, set=settings), path.stem, path.resolve().parent


def _executor(study: Study, asked: Asked, means: Means) -> Executor:
    if means.cluster is not None:
        from budgetnet.study.executors.cluster import RayExecutor

        return RayExecutor(
            asked.out / RUNS,
            address=means.cluster,
            threads=study.threads,
            gpus=means.gpus,
            limits=means.limits,
            data_dir=asked.data_dir,
        )
    return LocalExecutor(
        asked.out / RUNS,
        jobs=means.jobs,
        threads=study.threads,
        limits=means.limits,
        data_dir=asked.data_dir,
        checkpoint_seconds=means.checkpoint_seconds,
        nice=means.nice,
    )
