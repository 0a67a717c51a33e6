"""What `check` and `audit` answer, read as foreign data: JSON held against the fields that a row needs, anything else refused.

Both are asked through the command line alone, each in a child of its own. No torch here; the children cost what they cost.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from budgetnet.clauses import ClauseResult, State
from budgetnet.grade.children import LARGEST_ANSWER, Answer, run_child
from budgetnet.grade.plain import sentence
from budgetnet.grade.rows import GradedCounts, GradedLog

JUDGED = {0, 1, 3}
"""Exit codes of an answer; 2 is wrong input, and anything else an accident."""
MOST_LISTED = 100
LAST_WORDS = 300
ENOUGH = 1.0
"""Seconds; with less time left a child is not started."""


class _Part(BaseModel):
    # What the commands say besides is theirs to change.
    model_config = ConfigDict(extra="ignore", frozen=True)


class Said(_Part):
    """A finding, as either command gives it."""

    what: str
    evidence: str
    file: str | None = None
    line: int | None = None
    proof: str = ""


class _Counts(_Part):
    total: int
    trainable: int
    with_hidden: int
    non_zero: int


class _Network(_Part):
    parameters: _Counts
    multiply_accumulates: int | None = None


class _Facts(_Part):
    network: _Network


class Checked(_Part):
    """`check --json`."""

    verdict: State
    clauses: tuple[ClauseResult, ...]
    facts: _Facts
    findings: tuple[Said, ...] = ()
    notes: tuple[str, ...] = ()

    def counts(self) -> GradedCounts:
        """Return the network's parameter counts."""
        return GradedCounts(**self.facts.network.parameters.model_dump())


class AuditedLog(_Part):
    """One log of `audit --json`."""

    line: int
    epochs: int
    final: float | None = None
    best: float | None = None
    last5: float | None = None
    last5_min: float | None = None
    schedule: str = ""
    clauses: tuple[ClauseResult, ...] = ()

    def graded(self, file: str) -> GradedLog:
        """Return the log as a row shows it."""
        known = {name: getattr(self, name) for name in ("line", "epochs", "final", "best", "last5", "last5_min")}
        return GradedLog(file=file, schedule=sentence(self.schedule, 120), **known)


class Audited(_Part):
    """`audit --json` of one file."""

    file: str
    logs: tuple[AuditedLog, ...] = ()
    findings: tuple[Said, ...] = ()
    unproven: tuple[Said, ...] = ()


@dataclass(frozen=True)
class Asked:
    """What asking gave: an answer, or the sentence that says why there is none."""

    documents: tuple[Any, ...] = ()
    problem: str | None = None
    late: bool = False
    stopped: bool = False


def ask_check(
    program: Sequence[str], path: Path, target: str, contract: str, *, name: str, seconds: float, stop: threading.Event
) -> Asked:
    """Return what `check` says of `target`, in the hand-in at `path`, as one `Checked`."""
    words = [*program, "check", target, "--contract", contract, "--json"]
    answer = run_child(words, seconds=seconds, stop=stop)
    return _read(answer, Checked, root=path, name=name, command="check", seconds=seconds)


def ask_audit(
    program: Sequence[str], paths: Sequence[Path], contract: str, *, root: Path, name: str, seconds: float, stop: threading.Event
) -> Asked:
    """Return what `audit` says of the texts, an `Audited` each.

    One child reads all of them; where it refuses one of several, each is asked alone, so that one bad file silences no other.
    """

    def ask(some: Sequence[Path], allowed: float) -> Asked:
        words = [*program, "audit", *map(str, some), "--contract", contract, "--json"]
        answer = run_child(words, seconds=allowed, stop=stop)
        return _read(answer, Audited, root=root, name=name, command="audit", seconds=allowed)

    together = ask(paths, seconds)
    if together.problem is None or together.late or together.stopped or len(paths) == 1:
        return together
    share = max(seconds / (len(paths) + 1), ENOUGH)
    alone = [ask([path], share) for path in paths]
    problems = [one.problem for one in alone if one.problem]
    stopped = any(one.stopped for one in alone)
    return Asked(tuple(document for one in alone for document in one.documents), problems[0] if problems else None, stopped=stopped)


def _read(answer: Answer, form: type[Checked] | type[Audited], *, root: Path, name: str, command: str, seconds: float) -> Asked:
    if answer.how == "late":
        return Asked(problem=f"{command} took longer than the {seconds:.3g} s it may have, and was stopped.", late=True)
    if answer.how == "flood":
        return Asked(problem=f"{command} printed more than {LARGEST_ANSWER >> 20} MiB, and was stopped.")
    if answer.how == "stopped":
        return Asked(problem=f"{command} was stopped.", stopped=True)
    if answer.how == "itself" and answer.code in JUDGED:
        try:
            # The name of a file may be no UTF-8, and the command repeats it as it is.
            document = json.loads(answer.output.decode("utf-8", "replace"))
            several = document if isinstance(document, list) else [document]
            return Asked(tuple(form.model_validate(one) for one in several[:MOST_LISTED]))
        except (ValueError, ValidationError, RecursionError):
            pass
    return Asked(problem=_why(answer, root, name, command))


def _why(answer: Answer, root: Path, name: str, command: str) -> str:
    """Return the sentence that the command ended with, or how it ended."""
    said = [line for line in answer.complaint.decode("utf-8", "replace").splitlines() if line.strip()]
    last = relative(said[-1].removeprefix("budgetnet: "), root, name) if said else ""
    if answer.code == 2 and last:
        return last
    ended = "could not be started" if answer.code is None else f"ended with exit code {answer.code} and no answer"
    return f"{command} {ended}{f' (its last words: {sentence(last, LAST_WORDS)})' if last else ''}."


def relative(text: str, root: Path, name: str) -> str:
    """Return foreign text on one line, with paths told from the hand-in and not from this machine's root."""
    for path in (str(root), os.fsencode(root).decode("utf-8", "replace")):
        text = text.replace(f"{path}{os.sep}", "").replace(path, name)
    return sentence(text)
