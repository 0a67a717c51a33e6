"""The command that makes a record again: reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from budgetnet.cli.options import DataFolder, Json, app, show

SIGNAL = 128


@app.command()
def reproduce(
    name: Annotated[str, typer.Argument(help="A recipe's name, or a record's folder.")],
    seeds: Annotated[int | None, typer.Option("--seeds", help="How many; all of the record's where it is not given.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the runs; runs/reproduce-NAME where it is not given.")
    ] = None,
    records: Annotated[Path, typer.Option("--records", help="Folder that holds the records.")] = Path("records"),
    contract: Annotated[str | None, typer.Option("--contract", "-c", help="A preset or a TOML file; the record's.")] = None,
    threads: Annotated[int | None, typer.Option("--threads", help="Processor threads; the record's, for the same bits.")] = None,
    data_dir: DataFolder = None,
    as_json: Json = False,
) -> None:
    """Train a record's seeds again, and compare.

    Finished seeds are kept and an interrupted one goes on: give the same command again. Exit code 0: the same bits, or inside the
    record's interval, 1: not, 3: nothing to compare with.
    """
    from dataclasses import asdict

    from budgetnet.interruption import Interrupted
    from budgetnet.presenting import progress
    from budgetnet.record_text import record_text
    from budgetnet.reproduce import EXIT_CODES
    from budgetnet.reproduce import reproduce as make_again

    try:
        path, document, comparison = make_again(
            name,
            seeds=seeds,
            out=out,
            records=records,
            contract=contract,
            threads=threads,
            data_dir=data_dir,
            progress=progress(as_json),
            say=lambda line: typer.echo(line, err=as_json),
        )
    except Interrupted as stop:
        typer.echo(f"budgetnet: {stop}; finished seeds are kept, and the state is saved. Go on with the same command.", err=True)
        raise typer.Exit(SIGNAL + stop.signal) from None
    show(
        as_json,
        {"record": document, "comparison": asdict(comparison)},
        f"{record_text(path, document)}\n{comparison.outcome}: {comparison.why}",
    )
    raise typer.Exit(EXIT_CODES[comparison.outcome])
