"""The command about what others pasted: audit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from budgetnet.cli.options import Json, app, show

Pasted = Annotated[list[Path], typer.Argument(help="READMEs, notebooks or logs, as their authors pasted them.")]
MaybeContract = Annotated[str | None, typer.Option("--contract", "-c", help="Hold what the logs show against this contract.")]


@app.command()
def audit(files: Pasted, contract: MaybeContract = None, as_json: Json = False) -> None:
    """Hold a hand-in's claims against its logs.

    Exit code 0: no findings, 1: findings or a broken contract, 2: wrong input, 3: the contract is unproven.
    """
    from budgetnet.audit import report

    raise typer.Exit(report(files, contract, lambda document, text: show(as_json, document, text)))
