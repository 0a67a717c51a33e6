"""Commands that take a finished run out of the training room: export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from budgetnet.cli.options import DataFolder, Json, RunPath, app, show


@app.command()
def export(
    run: RunPath,
    to: Annotated[list[str], typer.Option("--to", help="onnx, onnx-int8, keras or c; may be repeated.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder; export/ in the run where it is not given.")] = None,
    data_dir: DataFolder = None,
    as_json: Json = False,
) -> None:
    """Write a finished run as files for another runtime.

    Each is run on every test image and held against torch before it is moved into place.
    """
    from budgetnet.export import export as write
    from budgetnet.export import table_text

    rows = write(run, to, out=out, data_dir=data_dir)
    show(as_json, {"exports": rows}, table_text(rows))
