"""One hand-in -> one row: looked at, audited, checked, and both answers held against each other.

Whatever a hand-in does, the result is a row: it can cost its own time limit and its own verdict, and nothing else. No torch here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from budgetnet.clauses import CLAUSES, ClauseResult, Contract, State
from budgetnet.grade.answers import MOST_LISTED, Asked, Audited, AuditedLog, Checked, Said, ask_audit, ask_check, relative
from budgetnet.grade.choosing import Choice, network_of
from budgetnet.grade.contents import Contents
from budgetnet.grade.handins import HandIn
from budgetnet.grade.plain import sentence
from budgetnet.grade.rows import GradedClause, GradedCounts, GradedFinding, Row, RowVerdict

AUDIT_SHARE = 0.5
"""Of the time limit; the check has what the audit leaves."""
LEAST_SECONDS = 1.0
NO_NETWORK = "There is no network among its files, so nothing was measured."
NOTHING = "It holds no network and no text: nothing can be graded."
OF_A_RUN = (
    "The facts are those of the hand-in's own run directory, which its author could have written by hand: "
    "`budgetnet judge DIR --again` measures them anew."
)
MOST_LOGS = 20


@dataclass(frozen=True)
class Rules:
    """What all hand-ins of a class are graded by."""

    contract: Contract
    contract_name: str
    """As a child process is told it: a preset, or an absolute path."""
    timeout: float
    program: tuple[str, ...]
    network: str | None = None
    """The name, or pattern of names, of the network to take where a hand-in holds several."""


class Stopped(Exception):
    """Someone asked for an end before this hand-in was done."""


def grade_hand_in(hand_in: HandIn, contents: Contents, rules: Rules, stop: threading.Event) -> Row:
    """Return the row of a hand-in that may be opened. Raises `Stopped` where `stop` was set before it was done."""
    begun = time.monotonic()
    audit = Asked()
    if contents.texts:
        audit = ask_audit(
            rules.program,
            contents.texts,
            rules.contract_name,
            root=_root(hand_in),
            name=hand_in.name,
            seconds=rules.timeout * AUDIT_SHARE,
            stop=stop,
        )
    check, choice = Asked(), Choice("")
    if contents.has_network and not stop.is_set():
        choice = network_of(hand_in, contents, rules.network, rules.timeout)
        check = Asked(problem=choice.problem)
    if contents.has_network and not choice.problem:
        left = max(rules.timeout - (time.monotonic() - begun), LEAST_SECONDS)
        check = ask_check(
            rules.program, hand_in.path, choice.target, rules.contract_name, name=hand_in.name, seconds=left, stop=stop
        )
    if audit.stopped or check.stopped or stop.is_set():
        raise Stopped
    seconds = round(time.monotonic() - begun, 2)
    row = _row(hand_in, contents, rules, audit, check)
    told = {"network": choice.network, "network_why": choice.why}
    return row.model_copy(update={"seconds": seconds, "timeout": rules.timeout, "digest": contents.digest, **told})


def refused(hand_in: HandIn, problem: str) -> Row:
    """Return the row of a hand-in that is not opened."""
    return Row(hand_in=hand_in.name, kind="refused", verdict="failed", problem=problem)


def _root(hand_in: HandIn) -> Path:
    return hand_in.path if hand_in.path.is_dir() else hand_in.path.parent


def _row(hand_in: HandIn, contents: Contents, rules: Rules, audit: Asked, check: Asked) -> Row:
    root = _root(hand_in)
    checked: Checked | None = check.documents[0] if check.documents else None
    texts: tuple[Audited, ...] = audit.documents
    counts = checked.counts() if checked else None
    logs = [(relative(text.file, root, hand_in.name), log) for text in texts for log in text.logs]
    best = min(logs, key=_shows_least, default=None)
    mismatch = [*_mismatch(counts, logs)]
    # A log of another network says nothing of this one.
    told = None if mismatch else best
    without = check.problem or (NO_NETWORK if not contents.has_network else "")
    clauses = tuple(_clause(base, told) for base in _bases(rules.contract, checked, without))
    problem = check.problem or (NOTHING if not contents.has_network and not contents.texts else None)
    states = {clause.state for clause in clauses}
    verdict: RowVerdict = "broken" if "broken" in states else "unproven" if "unproven" in states else "met"
    findings = [*_graded(checked.findings if checked else (), "check", hand_in)]
    findings += mismatch
    findings += [finding for text in texts for finding in _graded(text.findings, "audit", hand_in)]
    notes = [*(sentence(relative(note, root, hand_in.name)) for note in (checked.notes if checked else ())), *contents.notes]
    notes += [OF_A_RUN] if hand_in.kind == "run" and checked else []
    notes += [f"The texts could not all be audited: {audit.problem}"] if audit.problem else []
    return Row(
        hand_in=hand_in.name,
        kind="text" if not contents.has_network else hand_in.kind,
        verdict="failed" if problem else verdict,
        problem=problem,
        clauses=clauses,
        parameters=counts,
        multiply_accumulates=checked.facts.network.multiply_accumulates if checked else None,
        logs=tuple(log.graded(file) for file, log in logs[:MOST_LOGS]),
        log=best[1].graded(best[0]) if best else None,
        findings=tuple(findings[:MOST_LISTED]),
        open=tuple(_graded((said for text in texts for said in text.unproven), "audit", hand_in))[:MOST_LISTED],
        notes=tuple(notes[:MOST_LISTED]),
        timed_out=check.late or audit.late,
    )


def _bases(contract: Contract, checked: Checked | None, without: str) -> Iterator[ClauseResult]:
    """Yield the check's clauses; where there was no check, each clause of the contract, unproven."""
    if checked is not None:
        yield from checked.clauses
        return
    for name in CLAUSES:
        rule = getattr(contract, name)
        if rule is not None:
            limit = getattr(rule, "at_most", getattr(rule, "at_least", None))
            yield ClauseResult(name=name, state="unproven", measured=None, limit=limit, why=without)


def _clause(base: ClauseResult, best: tuple[str, AuditedLog] | None) -> GradedClause:
    """Return a clause as graded: the log is asked only where the network proves nothing."""
    said = next((clause for clause in best[1].clauses if clause.name == base.name), None) if best else None
    if base.state != "unproven" or said is None or best is None:
        return _graded_clause(base, base.state, base.measured, base.why, by="nothing" if base.state == "unproven" else "network")
    place = f"{best[0]}, line {best[1].line}"
    if said.state == "broken":
        return _graded_clause(base, "broken", said.measured, f"By its own log ({place}): {said.why}", by="log")
    if said.state == "met":
        why = f"Its log shows it, and a log is no proof ({place}): {said.why}"
        return _graded_clause(base, "unproven", said.measured, why, by="nothing", shown=True)
    why = f"{base.why} Its log leaves it open too ({place}): {said.why}"
    return _graded_clause(base, "unproven", said.measured, why, by="nothing")


def _graded_clause(
    base: ClauseResult,
    state: State,
    measured: float | str | None,
    why: str,
    *,
    by: Literal["network", "log", "nothing"],
    shown: bool = False,
) -> GradedClause:
    return GradedClause(name=base.name, limit=base.limit, state=state, measured=measured, why=sentence(why), by=by, shown=shown)


def _shows_least(log: tuple[str, AuditedLog]) -> tuple[float, ...]:
    """Return the order of logs: the smallest is the one that shows most of the contract."""
    states = [clause.state for clause in log[1].clauses]
    final = log[1].final
    return (states.count("broken"), states.count("unproven"), -(final if final is not None else -1.0))


def _mismatch(counts: GradedCounts | None, logs: Sequence[tuple[str, AuditedLog]]) -> Iterator[GradedFinding]:
    """Yield a finding where the text shows parameters that the checked network has in no way of counting."""
    shown = [(file, log.line, clause) for file, log in logs for clause in log.clauses if clause.name == "parameters"]
    numbers = [(file, line, clause) for file, line, clause in shown if isinstance(clause.measured, int)]
    if counts is None or not numbers:
        return
    known = set(counts.model_dump().values())
    if any(clause.measured in known for _, _, clause in numbers):
        return
    file, line, clause = numbers[0]
    yield GradedFinding(
        source="both",
        what=f"The text shows {clause.measured:,} parameters, the network beside it has {counts.total:,}: it is another one.",
        evidence=sentence(clause.why),
        file=file,
        line=line,
        proof="The network that the log was made with.",
    )


def _graded(said: Sequence[Said] | Iterator[Said], source: str, hand_in: HandIn) -> Iterator[GradedFinding]:
    root = _root(hand_in)
    for one in said:
        yield GradedFinding(
            source="check" if source == "check" else "audit",
            what=relative(one.what, root, hand_in.name),
            evidence=relative(one.evidence, root, hand_in.name),
            file=relative(one.file, root, hand_in.name) if one.file else None,
            line=one.line,
            proof=relative(one.proof, root, hand_in.name),
        )
