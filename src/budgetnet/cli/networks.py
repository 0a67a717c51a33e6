"""Commands about networks that were not trained: list, summary, check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from budgetnet.cli.options import EXIT_CODES, ContractName, DataFolder, Input, Json, Target, app, show

AnyTarget = Annotated[
    str, typer.Argument(help="A zoo name, file.py[:Class], a notebook, a .keras or .onnx file, a run directory, or a folder.")
]


@app.command("list")
def list_networks(as_json: Json = False) -> None:
    """Show the zoo with counts and claims."""
    from budgetnet import listing

    rows = listing.zoo_rows()
    show(as_json, rows, None if as_json else listing.zoo_table(rows))


@app.command()
def summary(target: Target, input_shape: Input = "1x28x28", as_json: Json = False) -> None:
    """Print a network's layer table.

    First as Keras prints it, then with what each layer sees and costs, and the four parameter counts.
    """
    from budgetnet.checking import network_facts
    from budgetnet.summary import layer_table, wide_table

    facts = network_facts(target, input_shape)
    show(as_json, facts.model_dump(mode="json"), f"{layer_table(facts)}\n\n{wide_table(facts)}")


@app.command()
def check(
    target: AnyTarget,
    contract: ContractName = "code9",
    input_shape: Annotated[str | None, typer.Option("--input", help="Channels, height and width; guessed where not given.")] = None,
    weights: Annotated[Path | None, typer.Option("--weights", help="Weights to measure the accuracy with.")] = None,
    data_dir: DataFolder = None,
    as_json: Json = False,
) -> None:
    """Judge any network; foreign code runs confined.

    Its static clauses, and with --weights its accuracy. Exit code 0: met, 1: broken, 3: unproven, 2: wrong input.
    """
    from budgetnet.presenting import check_and_present

    document, text, state = check_and_present(target, contract, input_shape=input_shape, weights=weights, data_dir=data_dir)
    show(as_json, document, text)
    raise typer.Exit(EXIT_CODES[state])
