"""Commands that take a finished run out of the training room: export, predict, demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from budgetnet.cli.options import DataFolder, Json, RunPath, app, show


@app.command()
def export(
    run: RunPath,
    to: Annotated[list[str], typer.Option("--to", help="onnx, onnx-int8, keras, c or html; may be repeated.")],
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


@app.command()
def predict(
    run: RunPath,
    pictures: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the result as CSV, with a probability for each class.")] = False,
    data_dir: DataFolder = None,
    as_json: Json = False,
) -> None:
    """Ask a finished run about pictures of your own.

    Any size, dark on light or light on dark, colour, transparent, turned. Exit code 2 where one cannot be read.
    """
    from budgetnet import predicting

    predictions, names = predicting.predict(run, pictures, data_dir=data_dir)
    text = predicting.csv_text(predictions, names) if as_csv else predicting.table_text(predictions)
    show(as_json, predicting.document(predictions, names), text)
    if not all(prediction.readable for prediction in predictions):
        raise typer.Exit(2)


@app.command()
def demo(
    run: Annotated[Path | None, typer.Argument(help="A run directory; a small shipped network where it is not given.")] = None,
    port: Annotated[int, typer.Option("--port", help="Port on this machine; a free one where it is not given.")] = 0,
    page: Annotated[Path | None, typer.Option("--page", help="Write the page as one HTML file instead of serving it.")] = None,
    data_dir: DataFolder = None,
) -> None:
    """Draw digits on a page of your own machine.

    The probabilities move while you draw, and each layer shows what it responds with.
    """
    from budgetnet import demo as desk

    shown = desk.shown_of_run(run, data_dir) if run is not None else desk.shipped()
    if page is not None:
        desk.write_page(shown, page)
        typer.echo(f"Written: {page}")
        return
    desk.serve(shown, port=port, say=lambda address: typer.echo(f"Draw at {address} (this machine only; Ctrl-C ends it)."))
