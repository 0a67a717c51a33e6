"""Commands about networks that were not trained: list, summary, check."""

from __future__ import annotations

import typer

from budgetnet.cli.options import EXIT_CODES, ContractName, Input, Json, Target, app, show


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
def check(target: Target, contract: ContractName = "code9", input_shape: Input = "1x28x28", as_json: Json = False) -> None:
    """Judge an untrained network.

    Its static clauses, with epochs and accuracy unproven. Exit code 0: met, 1: broken, 3: unproven, 2: wrong input.
    """
    from budgetnet.checking import network_facts
    from budgetnet.contract import judge as hold_against
    from budgetnet.contract import load_contract
    from budgetnet.facts import Facts
    from budgetnet.presenting import verdict_document, verdict_text

    rules = load_contract(contract)
    facts = Facts(network=network_facts(target, input_shape))
    verdict = hold_against(facts, rules)
    show(as_json, verdict_document(target, verdict, facts), verdict_text(target, verdict, facts))
    raise typer.Exit(EXIT_CODES[verdict.verdict])
