"""Audits as text, for people."""

from __future__ import annotations

from collections.abc import Sequence

from budgetnet.audit.words import Document, Found, LogSummary


def audit_text(documents: Sequence[Document]) -> str:
    """Return each document with its logs, its findings, what is unproven and what is noted."""
    return "\n\n".join(_document(document) for document in documents)


def _document(document: Document) -> str:
    count = len(document.findings)
    lines = [f"{document.file}: {count} finding{'' if count == 1 else 's'}" if count else f"{document.file}: no findings"]
    if not document.logs:
        lines.append("  no training log was found")
    for log in document.logs:
        lines += _log(log)
    for title, found in (("finding", document.findings), ("unproven", document.unproven), ("note", document.notes)):
        for item in found:
            lines += _found(title, item)
    return "\n".join(lines)


def _log(log: LogSummary) -> list[str]:
    shown = f"epochs {log.first_epoch} to {log.last_epoch}" if log.first_epoch > 1 else f"{log.epochs} epochs"
    lines = [f"  log in line {log.line}: {shown}, watching {'the test split' if log.watches == 'test' else log.watches}"]
    if log.final is not None and log.best is not None and log.last5 is not None and log.last5_min is not None:
        lines.append(
            f"    accuracy: final {log.final:.4f}, best {log.best:.4f} in epoch {log.best_epoch}, "
            f"mean of the last five {log.last5:.4f}, the lowest of them {log.last5_min:.4f}"
        )
    if log.evaluated is not None:
        lines.append(f"    evaluate: {log.evaluated:.4f}")
    time = f"{log.microseconds_per_sample:g} µs for an image" if log.microseconds_per_sample else "time not shown"
    lines.append(f"    rate: {log.schedule}; {time}; batch {log.batch or 'not shown'}")
    if log.quoted:
        lines.append(f"    quoted again in line {', '.join(str(line) for line in log.quoted)}: counted once")
    lines += [f"    {clause.name}: {clause.state}. {clause.why}" for clause in log.clauses]
    return lines


def _found(title: str, item: Found) -> list[str]:
    lines = [f"  {title}: {item.what}", f"    {item.file}, line {item.line}: «{item.evidence}»"]
    return [*lines, f"    would prove it: {item.proof}"] if item.proof else lines
