"""Verdicts and runs for people and for machines: the same facts as text and as a JSON document. No torch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

from budgetnet.contract import Contract, State, Verdict, judge, load_contract
from budgetnet.facts import Facts
from budgetnet.progress import KerasLines, Progress
from budgetnet.remarks import remarks
from budgetnet.rundir import RunDirectory
from budgetnet.targets import Checked, check_target

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


def check_and_present(
    target: str, contract: str, *, input_shape: str | None, weights: Path | None, data_dir: Path | None
) -> tuple[dict[str, Any], str, State]:
    """Check any network; return document, text and state of the whole verdict. What is not confined is said on stderr, before."""
    rules = load_contract(contract)
    checked = check_target(
        target,
        input_shape=input_shape,
        weights=weights,
        data=rules.data,
        data_dir=data_dir,
        say=lambda line: typer.echo(line, err=True),
    )
    verdict = judge(checked.facts, rules)
    return check_document(checked, verdict), check_text(checked, verdict), verdict.verdict


def check_document(checked: Checked, verdict: Verdict) -> dict[str, Any]:
    """Return the verdict on any network, with what was found in it and what was guessed on the way."""
    document = verdict_document(checked.target, verdict, checked.facts)
    return {**document, "findings": remarks(checked.facts.network), "notes": list(checked.notes)}


def check_text(checked: Checked, verdict: Verdict) -> str:
    """Return the verdict as `verdict_text` does, then each finding with its place."""
    lines = [verdict_text(checked.target, verdict, checked.facts)]
    for finding in remarks(checked.facts.network):
        place = f" ({finding['file']}, line {finding['line']})" if finding["file"] else ""
        lines.append(f"  finding: {finding['what']}: {finding['evidence']}{place}")
    known = checked.facts.network.notes
    return "\n".join([*lines, *(f"  note: {note}" for note in checked.notes if note not in known)])


def run_document(run: RunDirectory, contract: Contract) -> dict[str, Any]:
    """Return what a finished run reached, and its verdict."""
    facts = run.facts()
    training = facts.training
    seconds = run.seconds()
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
