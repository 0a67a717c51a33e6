"""Verdicts and runs for people and for machines: the same facts as text and as a JSON document. No torch."""

from __future__ import annotations

import sys
from typing import Any

import typer

from budgetnet.contract import Contract, Verdict, judge
from budgetnet.facts import Facts
from budgetnet.progress import KerasLines, Progress
from budgetnet.rundir import RunDirectory

COLOURS = {"met": typer.colors.GREEN, "broken": typer.colors.RED, "unproven": typer.colors.YELLOW}
STATE_WIDTH = 10
NAME_WIDTH = 20
LAST = 5


def progress(as_json: bool) -> Progress:
    """Return the log for people: on stdout, or on stderr where stdout belongs to a machine."""
    return KerasLines(sys.stderr if as_json else sys.stdout)


def verdict_document(target: str, verdict: Verdict, facts: Facts) -> dict[str, Any]:
    """Return the verdict with its clauses and the facts it rests on."""
    return {"target": target, **verdict.model_dump(mode="json"), "facts": facts.model_dump(mode="json")}


def verdict_text(target: str, verdict: Verdict, facts: Facts) -> str:
    """Return the whole verdict, then each clause with what was measured, its limit and why, then what else was seen."""
    lines = [f"{target} under {verdict.contract}: {_coloured(verdict.verdict)}", ""]
    for clause in verdict.clauses:
        measured = "not measured" if clause.measured is None else _number(clause.measured)
        limit = "" if clause.limit is None else f" (limit {_number(clause.limit)})"
        state = _coloured(clause.state) + " " * (STATE_WIDTH - len(clause.state))
        lines.append(f"  {state}{clause.name:<{NAME_WIDTH}}{measured}{limit}")
        lines.append(f"  {' ' * STATE_WIDTH}{clause.why}")
    lines += [f"\n  note: {note}" for note in facts.network.notes]
    return "\n".join(lines)


def run_document(run: RunDirectory, contract: Contract) -> dict[str, Any]:
    """Return what a finished run reached, and its verdict."""
    facts = run.facts()
    training = facts.training
    seconds = sum(row["seconds"] for row in run.timing())
    by_epoch = training.accuracy_by_epoch if training else None
    return {
        "run": str(run.path),
        "recipe": run.recipe().model_dump(),
        "seed": training.seed if training else None,
        "loss": training.loss if training else None,
        "accuracy": training.accuracy if training else None,
        "best": max(by_epoch) if by_epoch else None,
        "last5": sum(by_epoch[-LAST:]) / len(by_epoch[-LAST:]) if by_epoch else None,
        "seconds": round(seconds, 3),
        **verdict_document(str(run.path), judge(facts, contract), facts),
    }


def run_text(run: RunDirectory, contract: Contract) -> str:
    """Return the evaluation as Keras prints it, the three accuracies where they were seen, the verdict, and where it lies."""
    facts = run.facts()
    training = facts.training
    lines = ["", str([training.loss, training.accuracy]) if training else ""]
    if training and training.accuracy_by_epoch:
        best = max(training.accuracy_by_epoch)
        last = training.accuracy_by_epoch[-LAST:]
        lines.append(
            f"test accuracy: final {training.accuracy:.4f} (judged), best {best:.4f} in epoch "
            f"{training.accuracy_by_epoch.index(best) + 1}, mean of the last {len(last)} {sum(last) / len(last):.4f}"
        )
    lines += ["", verdict_text(str(run.path), judge(facts, contract), facts), "", f"Hand it in: budgetnet report {run.path}"]
    return "\n".join(lines)


def _coloured(state: str) -> str:
    return typer.style(state, fg=COLOURS[state], bold=True)


def _number(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}".rstrip("0").rstrip(".")
