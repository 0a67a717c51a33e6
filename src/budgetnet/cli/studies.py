"""Commands about many runs: study, runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from budgetnet.cli.options import DataFolder, Json, app, show
from budgetnet.errors import InputError

LEFT_OUT = 1
"""Exit code of a study that is complete but for runs that failed twice."""
Folder = Annotated[Path, typer.Option("--out", help="Folder of the ledger and the runs; studies in it share their runs.")]
DEFAULT_FOLDER = Path("runs/studies")


@app.command()
def study(
    targets: Annotated[list[str], typer.Argument(help="A study file (.toml), or recipes: zoo names, path/to/file.py:Class.")],
    seeds: Annotated[str | None, typer.Option("--seeds", help="Their number (5), or themselves (0,3,7 or 5-9).")] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Of every recipe alike.")] = None,
    data: Annotated[str | None, typer.Option("--data", help="Of every recipe alike.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="field=value of every recipe; may be repeated.")] = None,
    vary: Annotated[list[str] | None, typer.Option("--vary", help="field=value,value: each tried; may be repeated.")] = None,
    contract: Annotated[str | None, typer.Option("--contract", "-c", help="A preset or a TOML file; code9 if not given.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Train nothing: say what it takes, and how many seeds are needed.")] = False,
    name: Annotated[str | None, typer.Option("--name", help="Of the report's folder in --out.")] = None,
    out: Folder = DEFAULT_FOLDER,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", min=1, max=1024, help="Runs at a time.")] = None,
    threads: Annotated[int | None, typer.Option("--threads", help="Of each run; one if not given.")] = None,
    memory: Annotated[int | None, typer.Option("--memory", min=64, help="MiB that each run may take.")] = None,
    time_limit: Annotated[float | None, typer.Option("--time-limit", min=1, help="Seconds that each run may take.")] = None,
    quiet_limit: Annotated[
        float, typer.Option("--quiet-limit", min=1, help="Seconds without a step that count as hanging.")
    ] = 900.0,
    nice: Annotated[int, typer.Option("--nice", min=0, max=19, help="How far runs stand back behind other programs.")] = 10,
    again: Annotated[bool, typer.Option("--again", help="Try also the runs that failed twice before.")] = False,
    cluster: Annotated[str | None, typer.Option("--cluster", help="auto, or ray://HOST:PORT: train on a Ray cluster.")] = None,
    gpus: Annotated[float, typer.Option("--gpus", min=0, help="With --cluster: GPUs of each run, fractions too.")] = 0.0,
    data_dir: DataFolder = None,
    as_json: Json = False,
) -> None:
    """Train recipes over seeds, and say what their differences are worth.

    Only what is missing is trained; Ctrl-C and kills lose nothing. Exit code 0: all there, 1: runs failed and are left out.
    """
    from budgetnet.study import running
    from budgetnet.study.executors import Limits
    from budgetnet.study.planning import plan_text
    from budgetnet.study.showing import Lines
    from budgetnet.study.words import study_text

    asked = running.Asked(
        targets=tuple(targets),
        name=name,
        seeds=seeds,
        epochs=epochs,
        data=data,
        contract=contract,
        threads=threads,
        settings=tuple(settings or ()),
        vary=tuple(vary or ()),
        data_dir=data_dir,
        out=out,
    )
    limits = Limits(memory_mib=memory, seconds=time_limit, quiet_seconds=quiet_limit)
    means = running.Means(jobs=jobs, limits=limits, cluster=cluster, gpus=gpus, nice=nice, again=again)
    if plan:
        document = running.plan(asked, means)
        show(as_json, document, plan_text(document))
        return
    document, conducted = running.run(asked, means, Lines())
    show(as_json, document, study_text(document))
    if conducted.signal is not None:
        typer.echo("budgetnet: stopped; the runs under way are saved. The same command goes on there.", err=True)
        raise typer.Exit(128 + conducted.signal)
    raise typer.Exit(LEFT_OUT if document["left_out"] else 0)


@app.command()
def runs(
    folder: Annotated[Path, typer.Argument(help="Folder of a ledger, as --out of study.")] = DEFAULT_FOLDER,
    where: Annotated[str | None, typer.Option("--where", help="A condition: parameters < 5000 and network = 'code9'.")] = None,
    sort: Annotated[str | None, typer.Option("--sort", help="A column; accuracies from the highest.")] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="The other way round.")] = False,
    most: Annotated[int | None, typer.Option("--most", min=1, help="No more than so many.")] = None,
    as_json: Json = False,
) -> None:
    """Find runs of studies.

    Columns: those that --json shows, such as accuracy, best, last5, parameters, recipe, network, data, seed, epochs, batch, rate, state.
    """
    from budgetnet.study.index import find_runs
    from budgetnet.study.words import runs_text

    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name the one that `budgetnet study` wrote, as its --out.")
    rows = find_runs(folder, where=where, sort=sort, reverse=reverse, most=most)
    show(as_json, rows, None if as_json else runs_text(rows))
