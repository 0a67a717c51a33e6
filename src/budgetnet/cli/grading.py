"""The command about a class: grade."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from budgetnet.cli.options import ContractName, Json, app, show


@app.command()
def grade(
    folder: Annotated[
        Path, typer.Argument(help="The class: each sub-folder, .py, .ipynb, .keras, .onnx and .md in it is a hand-in.")
    ],
    contract: ContractName = "code9",
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", help="Hand-ins at a time; one for each processor where it is not given.")
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds that each hand-in may take.")] = 60.0,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the results; FOLDER-grades beside it where it is not given.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Grade also what is done and unchanged.")] = False,
    network: Annotated[
        str | None,
        typer.Option(
            "--network", help="Of hand-ins with several networks, the one to take: Net, net.py, net.py:Net, with * and ?."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check and audit a class's hand-ins, and rank them.

    Writes grades.csv and grades.html, and skips what was done before. Exit code 0: all graded, whatever the verdicts, 2: wrong input.
    """
    from budgetnet.grade import grade_folder
    from budgetnet.grade.showing import Lines
    from budgetnet.grade.table import grades_document, grades_text

    graded = grade_folder(
        folder, contract=contract, jobs=jobs, timeout=timeout, out=out, again=again, network=network, showing=Lines()
    )
    show(as_json, grades_document(graded.rows), None if as_json else grades_text(graded.rows))
    typer.echo(f"Written: {graded.csv} and {graded.html}", err=as_json)
    if graded.signal is not None:
        typer.echo(f"budgetnet: stopped; {graded.left} not graded. The same command goes on there.", err=True)
        raise typer.Exit(128 + graded.signal)
