"""What was graded, as data: a row for each hand-in, and the order of rows. JSON both ways, no torch.

A row's verdict is the check's, with one addition: where the network alone proves nothing (epochs, accuracy) and the hand-in's own
log denies the clause, it is broken. A log that shows a clause proves nothing, so the clause stays unproven, and is marked `shown`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from budgetnet.clauses import State
from budgetnet.facts import Frozen

RowVerdict = Literal["met", "broken", "unproven", "failed"]
VERDICTS: tuple[RowVerdict, ...] = ("met", "unproven", "broken", "failed")


class GradedClause(Frozen):
    """One clause of the contract."""

    name: str
    state: State
    measured: int | float | str | None
    limit: int | float | str | None
    why: str
    by: Literal["network", "log", "nothing"] = "network"
    """What decided it: the checked network (or its run directory), the hand-in's own log, or nothing."""
    shown: bool = False
    """Unproven, and the hand-in's own log shows it."""


class GradedFinding(Frozen):
    """Something said of the hand-in, with its evidence."""

    source: Literal["check", "audit", "both"]
    """`both`: what the text shows was held against the network."""
    what: str
    evidence: str
    file: str | None = None
    """Relative to the hand-in."""
    line: int | None = None
    proof: str = ""
    """What would prove the claim."""


class GradedLog(Frozen):
    """One pasted training log. Accuracies are fractions of 1."""

    file: str
    line: int
    epochs: int
    final: float | None = None
    best: float | None = None
    last5: float | None = None
    last5_min: float | None = None
    schedule: str = ""


class GradedCounts(Frozen):
    """The four meanings of «parameters», as `facts.ParameterCounts` has them."""

    total: int
    trainable: int
    with_hidden: int
    non_zero: int


class Row(Frozen):
    """One hand-in, graded."""

    hand_in: str
    """Its name in the folder, made printable."""
    kind: Literal["folder", "git", "run", "file", "text", "refused"]
    """`text`: there is no network in it; `refused`: it is nothing that may be opened."""
    verdict: RowVerdict
    """`failed`: its network could not be checked; `problem` says why."""
    problem: str | None = None
    network: str | None = None
    """The network that was checked, as `net.py:Net`; None where there is none, or it was not chosen among several."""
    network_why: str = ""
    clauses: tuple[GradedClause, ...] = ()
    parameters: GradedCounts | None = None
    multiply_accumulates: int | None = None
    logs: tuple[GradedLog, ...] = ()
    log: GradedLog | None = None
    """The log that shows most of the contract; the clauses were held against this one."""
    findings: tuple[GradedFinding, ...] = ()
    open: tuple[GradedFinding, ...] = ()
    """What the text claims and nothing in it shows."""
    notes: tuple[str, ...] = ()
    seconds: float = Field(default=0.0, ge=0)
    timeout: float = Field(default=0.0, ge=0)
    timed_out: bool = False
    digest: str = ""
    """SHA-256 over its content, the contract and the versions of the program and its libraries."""

    @property
    def broken(self) -> int:
        """How many clauses are broken."""
        return sum(clause.state == "broken" for clause in self.clauses)

    @property
    def unproven(self) -> int:
        """How many clauses are unproven."""
        return sum(clause.state == "unproven" for clause in self.clauses)

    @property
    def doubts(self) -> int:
        """How many findings the text of the hand-in gave. The network's own ones are in the clauses, or allowed."""
        return sum(finding.source != "check" for finding in self.findings)

    @property
    def reason(self) -> str:
        """The sentence that says most: why it failed, the first broken clause, else the first that nothing shows."""
        if self.problem:
            return self.problem
        for wanted in (
            [clause for clause in self.clauses if clause.state == "broken"],
            [clause for clause in self.clauses if clause.state == "unproven" and not clause.shown],
            [clause for clause in self.clauses if clause.state == "unproven"],
        ):
            if wanted:
                return f"{wanted[0].name.replace('_', ' ')}: {wanted[0].why}"
        return "All clauses are met."


Ranked = tuple[int | None, Row]


def ranked(rows: Iterable[Row]) -> list[Ranked]:
    """Return the rows in order, each with its rank; equal rows share one, and a failed row has none.

    Met comes first, and what holds no network last of those with a rank; then fewer broken clauses, fewer that nothing shows,
    fewer unproven ones, fewer doubts about its text, and last fewer parameters. Names decide only which of two equal rows stands
    above the other.
    """
    ordered = sorted(rows, key=lambda row: (_merit(row), row.hand_in))
    result: list[Ranked] = []
    for place, row in enumerate(ordered, start=1):
        if row.verdict == "failed":
            result.append((None, row))
        elif result and _merit(result[-1][1]) == _merit(row):
            result.append((result[-1][0], row))
        else:
            result.append((place, row))
    return result


def _merit(row: Row) -> tuple[float, ...]:
    nothing = sum(clause.state == "unproven" and not clause.shown for clause in row.clauses)
    size = row.parameters.total if row.parameters else float("inf")
    return (row.verdict == "failed", row.verdict != "met", row.kind == "text", row.broken, nothing, row.unproven, row.doubts, size)
