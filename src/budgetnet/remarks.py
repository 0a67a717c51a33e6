"""What a strict reader would ask about a network, as a list: what, evidence, file and line. From facts alone, no contract asked.

A finding is no verdict: a contract may allow it. An honest small network has none.
"""

from __future__ import annotations

from typing import Any

from budgetnet.facts import Finding, NetworkFacts

KINDS = (
    ("fully_connected", "fully connected layer"),
    ("fully_connected_equivalent", "equivalent of a fully connected layer"),
    ("biases", "bias"),
    ("hidden", "hidden numbers"),
    ("unused", "declared and never used"),
)
"""Field of the facts -> what it is."""


def remarks(facts: NetworkFacts) -> list[dict[str, Any]]:
    """Return the findings: `{what, evidence, file, line}` each, file and line None where they are not known."""
    found = [_remark(what, one) for field, what in KINDS for one in getattr(facts, field) or ()]
    for kind, evidence in _behaviour(facts):
        found.append({"what": kind, "evidence": evidence, "file": None, "line": None})
    return found


def _remark(what: str, finding: Finding) -> dict[str, Any]:
    return {"what": what, "evidence": f"{finding.what.rstrip('.')}.", "file": finding.file, "line": finding.line}


def _behaviour(facts: NetworkFacts) -> list[tuple[str, str]]:
    found = []
    if facts.parameters.frozen:
        found.append(
            ("frozen weights", f"{facts.parameters.frozen:,} weights are kept from the optimizer, and count in the total.")
        )
    if facts.forward_passes is not None and facts.forward_passes > 1:
        found.append(
            ("several forward passes", f"One image goes through the same first weights {facts.forward_passes} times in one call.")
        )
    if facts.depends_on_batch:
        found.append(
            ("answer depends on the batch", "The same image got another answer with other images beside it, in evaluation mode.")
        )
    if facts.random_in_evaluation:
        found.append(
            ("random in evaluation mode", "The same images got other answers with other random numbers, in evaluation mode.")
        )
    if facts.depends_on_calls:
        found.append(
            ("answer depends on earlier calls", "The same call, with the same random numbers, gave another answer when made again.")
        )
    return found
