"""A hand-in that an author pasted (README, notebook, log) -> what its logs show, and whether its claims hold against them.

Text in, facts out: nothing is run and nothing is trained. A finding needs evidence, a line of the hand-in, and says what would
prove the claim; what is merely not shown is *unproven*, and what accuses nobody is a *note*. No torch; a README takes
milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from budgetnet.audit.choosing import choice_findings
from budgetnet.audit.clauses_of_logs import clauses_of_log
from budgetnet.audit.counts import count_findings
from budgetnet.audit.handin import HandIn, read_hand_in, same_at_printed_digits
from budgetnet.audit.judged import facts_of, judged
from budgetnet.audit.logs import MOST_LOGS, MOST_ROWS
from budgetnet.audit.outcomes import accuracy_findings, epoch_findings, result_findings, run_findings
from budgetnet.audit.presenting import audit_text
from budgetnet.audit.rates import schedule_of
from budgetnet.audit.sizes import batch_size, microseconds, samples_of
from budgetnet.audit.starts import gaps, start_findings
from budgetnet.audit.strategies import strategies
from budgetnet.audit.structure import parameter_states, structure_findings, structure_notes, structure_unproven
from budgetnet.audit.traits import trait_notes
from budgetnet.audit.words import Claim, Document, Found, LogSummary
from budgetnet.contract import Contract, load_contract

__all__ = ["Document", "audit", "audit_file", "exit_code", "report"]

LAST = 5
DIGITS = 6
USUAL_CONTRACT = "code9"
MOST_FOUND = 100
"""Of each list: a hostile file is not worth more."""


def audit(paths: Sequence[str | Path], contract: Contract | None = None) -> list[Document]:
    """Return a document for each of `paths`. Raises `InputError` for one that is missing, too large, or no text."""
    return [audit_file(Path(path), contract) for path in paths]


def audit_file(path: Path, contract: Contract | None = None) -> Document:
    """Read one hand-in and hold its claims against its own logs, and its logs against `contract` where one is given."""
    hand_in = read_hand_in(path)
    chosen, unclear = choice_findings(hand_in)
    accuracies, states = accuracy_findings(hand_in)
    epochs, more_states = epoch_findings(hand_in)
    states |= more_states | parameter_states(hand_in)
    findings = [
        *start_findings(hand_in),
        *result_findings(hand_in),
        *run_findings(hand_in),
        *accuracies,
        *epochs,
        *count_findings(hand_in),
        *structure_findings(hand_in),
        *chosen,
    ]
    unproven = [
        *gaps(hand_in),
        *unclear,
        *structure_unproven(hand_in),
        *_without_log(hand_in),
        *strategies(hand_in),
        *_unread(hand_in),
    ]
    logs = tuple(sorted((_summary(hand_in, place, contract) for place in range(len(hand_in.logs))), key=lambda log: log.line))
    verdict, clauses = judged(hand_in, logs, contract) if contract else (None, ())
    return Document(
        file=str(path),
        logs=logs,
        claims=tuple(_with_state(claim, states.get(place, "unproven")) for place, claim in enumerate(hand_in.claims))[
            : 5 * MOST_FOUND
        ],
        findings=_in_order(findings),
        unproven=_in_order(unproven),
        notes=_in_order([*_quotations(hand_in), *structure_notes(hand_in), *trait_notes(hand_in)]),
        facts=facts_of(hand_in, logs),
        contract=contract.name if contract else None,
        verdict=verdict,
        clauses=clauses,
    )


def exit_code(documents: Sequence[Document]) -> int:
    """Return 1 where something was found or a contract is broken, 3 where one is only unproven, else 0."""
    states = {clause.state for document in documents for log in document.logs for clause in log.clauses}
    if "broken" in states or any(document.findings for document in documents):
        return 1
    without_log = any(document.contract and not document.logs for document in documents)
    return 3 if "unproven" in states or without_log else 0


def report(paths: Sequence[str | Path], contract: str | None, show: Callable[[object, str], None]) -> int:
    """Audit, give `show` the JSON (of several files a list) and the text, and return the exit code.

    Without a contract the JSON is judged by the usual one, which it names; text and exit code are then of findings alone.

    Raises `InputError` as `audit` does, and for a contract that cannot be read.
    """
    documents = audit(paths, load_contract(contract or USUAL_CONTRACT))
    dumped = [document.model_dump(mode="json") for document in documents]
    asked = documents if contract else [_unjudged(document) for document in documents]
    show(dumped[0] if len(dumped) == 1 else dumped, audit_text(asked))
    return exit_code(asked)


def _unjudged(document: Document) -> Document:
    logs = tuple(log.model_copy(update={"clauses": ()}) for log in document.logs)
    return document.model_copy(update={"logs": logs, "contract": None, "verdict": None, "clauses": ()})


def _summary(hand_in: HandIn, place: int, contract: Contract | None) -> LogSummary:
    log = hand_in.logs[place]
    rows = log.watched()
    values = [value.value for _, value in rows]
    best = max(values, default=None)
    result = hand_in.belongs.get(place)
    rates = [((row.number or 0) - log.first, row.metrics["lr"]) for row in log.rows if "lr" in row.metrics]
    said = any("reducelronplateau" in hand_in.text(number)[:300].lower() for number in range(log.line, log.end + 1))
    return LogSummary(
        line=log.line,
        epochs=log.epochs,
        first_epoch=log.first,
        last_epoch=log.last,
        planned=log.planned,
        final=_rounded(values[-1] if values else None),
        best=_rounded(best),
        best_epoch=next((row.number for row, value in rows if value.value == best), None),
        last5=_rounded(sum(values[-LAST:]) / len(values[-LAST:]) if values else None),
        last5_min=_rounded(min(values[-LAST:], default=None)),
        schedule=schedule_of(rates, plateau=said),
        rates=tuple(rate.value for _, rate in rates if rate.value < 1e6),
        microseconds_per_sample=microseconds(log),
        samples=samples_of(log),
        batch=batch_size(log, hand_in.said, len(hand_in.logs) == 1),
        watches=hand_in.watched[place],
        evaluated=_rounded(result.accuracy.value if result else None),
        quoted=tuple(sorted(log.quoted))[:MOST_FOUND],
        clauses=clauses_of_log(hand_in, place, contract) if contract else (),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)


def _with_state(claim: Claim, state: str) -> Claim:
    return Claim(**{**claim.model_dump(), "state": state})


def _without_log(hand_in: HandIn) -> list[Found]:
    """Return the accuracies that no log of the hand-in can confirm."""
    claims = [claim for claim in hand_in.claims if claim.kind == "accuracy" and claim.label in {"plain", "final", "best"}]
    results = [result.accuracy for result in hand_in.evaluations]
    claims = [claim for claim in claims if not any(same_at_printed_digits(claim.number, result) for result in results)]
    if any(log.watches for log in hand_in.logs) or not claims:
        return []
    what = f"{100 * claims[0].value:.6g} %: no log shows it."
    return [hand_in.found(what, claims[0].text, claims[0].line, "The log of every epoch, and the result of `evaluate`.")]


def _unread(hand_in: HandIn) -> list[Found]:
    """Return where reading stopped, for a hand-in that holds more than any does."""
    if len(hand_in.logs) < MOST_LOGS and sum(len(log.rows) + len(log.quoted) for log in hand_in.logs) < MOST_ROWS:
        return []
    end = max(log.end for log in hand_in.logs)
    return [
        hand_in.found(
            f"More than {MOST_ROWS:,} epochs or {MOST_LOGS} logs: what comes after them was not read.",
            hand_in.text(end),
            end,
            "A file of its own.",
        )
    ]


def _quotations(hand_in: HandIn) -> list[Found]:
    return [
        hand_in.found(
            f"A line of the log that begins in line {log.line} is quoted again: counted once.", hand_in.text(line), line, ""
        )
        for log in hand_in.logs
        for line in log.quoted[:MOST_FOUND]
    ]


def _in_order(found: list[Found]) -> tuple[Found, ...]:
    """Return them by line, each once."""
    unique = {(item.what, item.line): item for item in found}
    return tuple(sorted(unique.values(), key=lambda item: item.line))[:MOST_FOUND]
