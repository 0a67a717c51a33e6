"""Records as text: the lines that a person sees when one is written, and the tables that documents are generated from. Costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any


def remarks(document: dict[str, Any]) -> list[str]:
    """Return what a reader of a record should know before its numbers, in sentences."""
    said = [
        f"Seed {row['seed']} was computed under another fingerprint than seed {document['seeds'][0]['seed']}: "
        f"{'; '.join(row['fingerprint_differs'])}. Its bits cannot be compared with theirs."
        for row in document["seeds"]
        if row.get("fingerprint_differs")
    ]
    if document.get("claim") is None and document["recipe"].get("watch") == "test":
        said.append(
            "These runs looked at the test split after each epoch, and re-enact nothing that did: train with watch=validation."
        )
    return said


def record_text(path: Path, document: dict[str, Any]) -> str:
    """Return a record in a few lines."""
    rows, passing = document["seeds"], document["pass_probability"]
    interval, bounds = document["interval"], passing["interval"]
    mean = f"mean {document['mean']:.3%}"
    if interval is not None:
        mean += f", 95 % interval {interval[0]:.3%} to {interval[1]:.3%}, deviation {document['deviation'] * 100:.3f} points"
    lines = [
        *(f"seed {row['seed']}: {row['final']:.2%}, {row['seconds']:.1f} s, {row['verdict']}" for row in rows),
        mean,
        f"a run meets {document['contract']} with probability {passing['share']:.2f} ({passing['met']} of {passing['of']}; "
        f"95 % interval {bounds[0]:.2f} to {bounds[1]:.2f}); the mean: {document['verdict']}",
        *remarks(document),
        f"Written: {path}",
    ]
    return "\n".join(lines)


def claims_table(records: Sequence[dict[str, Any]]) -> str:
    """Return the Markdown table of what hand-ins claim against what was measured; a record without a claim is left out."""
    lines = [
        "| network | parameters | claimed | measured: final | 95 % interval | best | mean of last five | final − claimed | seeds "
        "| under `code9` |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for record in records:
        if record.get("claim") is None:
            continue
        rows, claimed = record["seeds"], record["claim"]["accuracy"]
        best, last = (_mean_of(rows, key) for key in ("best", "last5"))
        lines.append(
            f"| `{record['name']}` | {record['parameters']['total']:,} | {claimed:.2%} "
            f"| **{record['mean']:.2%}** | {_interval(record)} | {best} | {last} "
            f"| {(record['mean'] - claimed) * 100:+.2f} | {len(rows)} | {_verdicts(rows)} |"
        )
    return "\n".join(lines)


def own_table(records: Sequence[dict[str, Any]]) -> str:
    """Return the Markdown table of the project's own recipes: those that nobody else claims anything of."""
    lines = [
        "| recipe | parameters | final: mean | 95 % interval | deviation | lowest – highest | seeds | meets its contract | seconds a run |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- | ---: |",
    ]
    own = [record for record in records if record.get("claim") is None]
    for record in sorted(own, key=lambda record: -record["mean"]):
        rows, passing = record["seeds"], record["pass_probability"]
        finals = [row["final"] for row in rows]
        spread = record["deviation"]
        bounds = passing["interval"]
        lines.append(
            f"| `{record['name']}` | {record['parameters']['total']:,} | **{record['mean']:.3%}** "
            f"| {_interval(record, places=3)} "
            f"| {'–' if spread is None else f'{spread:.3%}'} | {min(finals):.2%} – {max(finals):.2%} "
            f"| {len(rows)} | `{record['contract']}`: {passing['met']} of {passing['of']} seeds, {bounds[0]:.0%} – {bounds[1]:.0%} "
            f"| {fmean(row['seconds'] for row in rows):,.0f} |"
        )
    return "\n".join(lines) if len(lines) > 2 else "The records of the project's own recipes are not made yet."


def _verdicts(rows: Sequence[dict[str, Any]]) -> str:
    words = [row["verdict"] + (f": {', '.join(row['not_met'])}" if row["not_met"] else "") for row in rows]
    if len(set(words)) == 1:
        return str(words[0])
    return f"met by {sum(row['verdict'] == 'met' for row in rows)} of {len(rows)} seeds"


def _interval(record: dict[str, Any], places: int = 2) -> str:
    if record["interval"] is None:
        return "one seed"
    low, high = record["interval"]
    return f"{low:.{places}%} – {high:.{places}%}"


def _mean_of(rows: Sequence[dict[str, Any]], key: str) -> str:
    values = [row[key] for row in rows]
    return "not read" if any(value is None for value in values) else f"{fmean(values):.2%}"
