"""Commands about what there is: contracts and data sets."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from budgetnet.cli.options import DataFolder, Json, app, show


@app.command()
def contracts(
    name: Annotated[str | None, typer.Argument(help="A preset or a TOML file, to see its clauses.")] = None, as_json: Json = False
) -> None:
    """Show the contracts, or one of them."""
    from budgetnet import listing

    if name is None:
        rows = listing.contract_rows()
        show(as_json, rows, None if as_json else listing.contract_table(rows))
    else:
        document = listing.contract_document(name)
        show(as_json, document, json.dumps(document, indent=2, ensure_ascii=False))


@app.command()
def data(
    name: Annotated[str | None, typer.Argument(help="A data set to load and verify.")] = None,
    data_dir: DataFolder = None,
    as_json: Json = False,
) -> None:
    """Show the data sets, or verify one.

    Naming one loads it, from a folder, the cache or a mirror.
    """
    from budgetnet import listing

    if name is None:
        rows = listing.data_rows()
        show(as_json, rows, None if as_json else listing.data_table(rows))
    else:
        document = listing.data_document(name, data_dir)
        show(as_json, document, "\n".join(f"{key}: {value}" for key, value in document.items()))
