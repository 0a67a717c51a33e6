"""The tables of what there is: networks, contracts, data sets. Rows for machines, tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from budgetnet.contract import load_contract, preset_names


def zoo_rows() -> list[dict[str, Any]]:
    """Return a row for each network of the zoo: counts are taken from the built network, claims from its file."""
    from dataclasses import asdict

    from budgetnet import zoo
    from budgetnet.checking import network_facts

    rows = []
    for name in zoo.names():
        entry = zoo.find(name)
        counts = network_facts(name).parameters
        rows.append(
            {
                "name": name,
                "parameters": {"total": counts.total, "trainable": counts.trainable, "non_trainable": counts.non_trainable},
                "claim": asdict(entry.claim) if entry.claim else None,
                "epochs": entry.recipe.epochs_in_all,
                "layers": entry.layers,
                "source": entry.source,
            }
        )
    return rows


def zoo_table(rows: list[dict[str, Any]]) -> str:
    """Return the zoo as text."""
    table = [("name", "total", "trainable", "non-trainable", "claims", "epochs", "layers", "source")]
    for row in rows:
        counts, claim = row["parameters"], row["claim"]
        table.append(
            (
                row["name"],
                *(f"{counts[key]:,}" for key in ("total", "trainable", "non_trainable")),
                f"{claim['accuracy']:.2%} with {claim['parameters']}" if claim else "none: see records",
                str(row["epochs"]),
                row["layers"],
                row["source"],
            )
        )
    return text_table(table)


def contract_rows() -> list[dict[str, Any]]:
    """Return a row for each shipped contract."""
    return [contract_document(name) for name in preset_names()]


def contract_table(rows: list[dict[str, Any]]) -> str:
    """Return the shipped contracts as text."""
    return text_table([("name", "asks"), *((row["name"], row["title"]) for row in rows)])


def contract_document(name: str) -> dict[str, Any]:
    """Return one contract as data, without the clauses that it does not ask."""
    return load_contract(name).model_dump(mode="json", exclude_none=True)


def data_rows() -> list[dict[str, Any]]:
    """Return a row for each data set that has a name."""
    from budgetnet.datasets import describe

    return describe()


def data_table(rows: list[dict[str, Any]]) -> str:
    """Return the data sets as text."""
    table = [("name", "training", "test", "image", "classes", "licence", "what")]
    for row in rows:
        shape = "×".join(str(side) for side in row["shape"])
        counts = (f"{row['training']:,}", f"{row['test']:,}")
        table.append((row["name"], *counts, shape, str(row["classes"]), row["licence"], row["title"]))
    return text_table(table)


def data_document(name: str, data_dir: Path | None) -> dict[str, Any]:
    """Load and verify a data set, and return what it is."""
    from budgetnet.datasets import load

    dataset = load(name, data_dir=data_dir)
    return {
        "name": dataset.name,
        "training": len(dataset.training),
        "test": len(dataset.test),
        "shape": list(dataset.shape),
        "classes": list(dataset.class_names),
        "sha256": dataset.sha256,
        "notes": list(dataset.notes),
    }


def text_table(rows: Sequence[tuple[str, ...]]) -> str:
    """Return rows as aligned columns, the first row underlined."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
