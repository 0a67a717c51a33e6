"""How a finding names its place: the layer, its kind and its path."""

from __future__ import annotations

from budgetnet.check.trace import Event
from budgetnet.facts import Finding


def where(event: Event) -> str:
    """Return the place of an event in words: the layer's name, its kind, and its path in the network."""
    if event.row is None:
        return "The network's own code"
    path = f", {event.row.path!r}" if event.row.path else ""
    return f"{event.row.name} ({event.row.word}{path})"


def add(found: list[Finding], event: Event, what: str, numbers: int) -> None:
    """Add the finding that the event's layer does `what`, with `numbers` numbers."""
    layer = event.row.name if event.row else event.name
    found.append(Finding(what=f"{where(event)} {what}", layer=layer, numbers=numbers, file=event.file, line=event.line))
