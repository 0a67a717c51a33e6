"""Ranked rows -> one page of HTML that needs nothing else: no request leaves it, and nothing that a hand-in says can act in it.

Everything inserted is escaped by the template's autoescape; a policy in the page's head refuses whatever would be loaded, and any
script but its own. Sorting needs that script, reading does not. No torch; some milliseconds.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2

from budgetnet.clauses import Contract
from budgetnet.grade.plain import counted, sentence, visible
from budgetnet.grade.rows import VERDICTS, GradedClause, GradedFinding, Ranked, Row
from budgetnet.grade.table import log_words, percent
from budgetnet.version import __version__

SIGNS = {"met": "✓", "unproven": "?", "broken": "✗", "failed": "!"}
LAST = 1_000_000_000
"""Where a row without that number is sorted to."""
MOST_NAMED = 50


@dataclass(frozen=True)
class Told:
    """What the page says beside the rows."""

    folder: str
    contract: Contract
    left: int
    """Hand-ins that were not reached."""
    passed_over: tuple[str, ...]


def page(rows: Sequence[Ranked], told: Told) -> str:
    """Return the page."""
    template = _environment().get_template("grades.html.jinja")
    script = _environment().get_template("grades.js.jinja").render()
    return template.render(
        folder=visible(told.folder),
        contract=told.contract.name,
        title=told.contract.title,
        version=__version__,
        script=script,
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src '{_sum(script)}'; base-uri 'none'; form-action 'none'",
        number=counted(len(rows), "hand-in"),
        sums=[(verdict, SIGNS[verdict], sum(row.verdict == verdict for _, row in rows)) for verdict in VERDICTS],
        left=told.left,
        passed_over=list(told.passed_over[:MOST_NAMED]),
        rows=[_row(rank, row) for rank, row in rows],
    )


def _sum(script: str) -> str:
    # A browser replaces every line ending by a newline before it takes the sum; the template has no others.
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _row(rank: int | None, row: Row) -> dict[str, Any]:
    failed = row.verdict == "failed"
    final = row.log.final if row.log and row.log.final is not None else None
    return {
        "rank": rank or "–",
        "name": row.hand_in,
        "kind": {"git": "git repository", "run": "run directory", "text": "text alone"}.get(row.kind, row.kind),
        "verdict": row.verdict,
        "sign": SIGNS[row.verdict],
        "broken": "–" if failed else row.broken,
        "unproven": "–" if failed else row.unproven,
        "parameters": f"{row.parameters.total:,}" if row.parameters else "–",
        "log": log_words(row),
        "doubts": row.doubts,
        "reason": row.reason,
        "problem": row.problem,
        "network": row.network,
        "network_why": row.network_why,
        "clauses": [_clause(clause) for clause in row.clauses],
        "counts": _counts(row),
        "logs": [
            {
                "place": f"{log.file}, line {log.line}",
                "epochs": log.epochs,
                "figures": [percent(value) for value in (log.final, log.best, log.last5, log.last5_min)],
                "schedule": log.schedule,
            }
            for log in row.logs
        ],
        "findings": [_finding(finding) for finding in row.findings],
        "open": [_finding(finding) for finding in row.open],
        "notes": row.notes,
        "seconds": f"{row.seconds:.1f}",
        "order": {
            "rank": rank or LAST,
            "verdict": VERDICTS.index(row.verdict),
            "broken": LAST if failed else row.broken,
            "unproven": LAST if failed else row.unproven,
            "parameters": row.parameters.total if row.parameters else LAST,
            # The highest comes first.
            "log": LAST if final is None else round(-final * 1e6),
            "findings": row.doubts,
        },
    }


def _clause(clause: GradedClause) -> dict[str, Any]:
    return {
        "name": clause.name.replace("_", " "),
        "state": clause.state,
        "sign": SIGNS[clause.state],
        "shown": clause.shown,
        "measured": _measure(clause.name, clause.measured),
        "limit": _measure(clause.name, clause.limit),
        "why": clause.why,
    }


def _measure(name: str, value: float | str | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return sentence(value, 80)
    if name.endswith("accuracy"):
        return percent(value)
    return f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{value:,}"


def _counts(row: Row) -> str:
    if row.parameters is None:
        return ""
    counts = row.parameters
    said = (
        f"Parameters: {counts.total:,} in total, {counts.trainable:,} trainable, {counts.with_hidden:,} with hidden ones, "
        f"{counts.non_zero:,} not zero."
    )
    return said if row.multiply_accumulates is None else f"{said} {row.multiply_accumulates:,} multiply-accumulates for one image."


def _finding(finding: GradedFinding) -> dict[str, Any]:
    line = f", line {finding.line}" if finding.line else ""
    place = f"{finding.file}{line}" if finding.file else ""
    said = {"check": "network", "audit": "text", "both": "network and text"}[finding.source]
    return {"said": said, "what": finding.what, "evidence": finding.evidence, "place": place, "proof": finding.proof}


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("budgetnet"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
