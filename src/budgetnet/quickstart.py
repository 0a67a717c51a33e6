"""The first three minutes: the quickest shipped recipe on MNIST where MNIST can be had, on the embedded digits otherwise.

It trains `fast` whole: about a minute on two cores for MNIST. The verdict is honest about what that reaches.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

from budgetnet import datasets
from budgetnet.contract import load_contract
from budgetnet.errors import InputError
from budgetnet.presenting import run_document, run_text
from budgetnet.progress import Progress
from budgetnet.report import write_report
from budgetnet.rundir import open_run
from budgetnet.training import train

NETWORK = "fast"
NEXT = "accurate"
DIGITS_SETTINGS = ("batch=16",)
"""So few images give twelve steps an epoch in batches of 128, too few for the running statistics of BatchNormalization to arrive."""
CONTRACT = "code9"


def quickstart(*, data_dir: Path | None, threads: int | None, progress: Progress) -> dict[str, Any]:
    """Train, judge and report; return the run's document with `report`, `data` and, where it is not MNIST, `why_not_mnist`."""
    why_not_mnist: str | None = None
    settings: tuple[str, ...]
    try:
        datasets.load("mnist", data_dir=data_dir)
        data, settings = "mnist", ()
        progress.note(f"Data: mnist. Training the recipe {NETWORK}, about a minute on two cores.")
    except InputError as error:
        data, settings, why_not_mnist = "digits", DIGITS_SETTINGS, str(error)
        progress.note("*" * 100)
        progress.note(
            "MNIST CANNOT BE HAD HERE, so this uses the embedded «digits»: 1,797 small images, another and easier data set."
        )
        progress.note(why_not_mnist)
        progress.note("*" * 100)
    out = _free_directory(Path("runs"), f"quickstart-{data}")
    run = train(NETWORK, data=data, settings=list(settings), threads=threads, out=out, data_dir=data_dir, progress=progress)
    readme = write_report(run.path, contract=CONTRACT)
    return {**run_document(run, load_contract(CONTRACT)), "report": str(readme), "data": data, "why_not_mnist": why_not_mnist}


def closing_words(result: dict[str, Any]) -> str:
    """Return the evaluation, the verdict, the report's place and the line that tells what to try next."""
    text = run_text(open_run(Path(result["run"])), load_contract(CONTRACT))
    data = (
        ""
        if result["data"] == "mnist"
        else "Data: the embedded digits, NOT MNIST; name a folder that holds MNIST with --data-dir.\n"
    )
    words = "" if result["data"] == "mnist" else "".join(f" --set {setting}" for setting in DIGITS_SETTINGS)
    next_line = f"Try next: budgetnet train {NEXT} --data {result['data']}{words}   (20 epochs; `budgetnet list` shows the zoo)"
    return f"{text}\n\n{data}The hand-in is written: {result['report']}\n{next_line}"


def _free_directory(parent: Path, name: str) -> Path:
    # A second quickstart is no mistake: it gets a place of its own beside the first.
    return next(path for number in count(1) if not (path := parent / (name if number == 1 else f"{name}-{number}")).exists())
