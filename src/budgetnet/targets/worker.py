"""The confined child's task: find the network, build it, measure it, and where weights and images are given, let it answer.

Runs foreign code, in a process that `budgetnet.confine` took everything from. Its own imports come first, so that what measures
was there before what is measured. Everything that goes wrong is an `InputError` of one sentence; the result is plain JSON.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from budgetnet.check import measure
from budgetnet.errors import InputError, did_you_mean
from budgetnet.facts import Finding, NetworkFacts
from budgetnet.targets import absent, guessing, running
from budgetnet.targets.answers import predictions
from budgetnet.targets.definitions import Candidate, builders, candidates, wrapping
from budgetnet.targets.keras_model import is_keras, keras_facts
from budgetnet.targets.reading import Source, read
from budgetnet.targets.searching import the_one_in
from budgetnet.targets.statements import is_work, main_calls, needed, plain_values, statements_of
from budgetnet.targets.tampering import marks, refuse_changes
from budgetnet.targets.weights import load_weights

MOST_NAMES = 12
TRAINS = "trains as soon as it is imported"
TRAINING_CALLS = {"backward", "fit", "fit_generator", "train_on_batch"}


@dataclass
class Work:
    """A task as the parent sends it."""

    kind: str
    path: str
    label: str
    """The target's own words, for sentences."""
    name: str = ""
    arguments: list[Any] = field(default_factory=list)
    keywords: dict[str, Any] = field(default_factory=dict)
    input_shape: list[int] | None = None
    weights: str | None = None
    calls: tuple[ast.Call, ...] = ()
    """Where files beside the network's own make it."""
    images: str | None = None
    """A `.npy` file of uint8 images (N, C, H, W) to be answered."""


def work(task: dict[str, Any]) -> dict[str, Any]:
    """Do the task; return facts, notes, the file that was taken, and predictions where images were given."""
    job = Work(**task)
    torch.set_num_threads(1)
    before, unchanged = marks(), refuse_changes
    try:
        result = _result(job)
    except (SystemExit, KeyboardInterrupt) as error:
        unchanged(before, job.label)
        raise InputError(f"{job.label}: cannot be run: {running.words_of(error)}") from error
    except Exception as error:
        unchanged(before, job.label)
        if isinstance(error, InputError | MemoryError):
            raise
        raise InputError(f"{job.label}: could not be followed to its end: {running.words_of(error)}") from error
    unchanged(before, job.label)
    return {**result, "path": job.path}


def _result(job: Work) -> dict[str, Any]:
    notes: list[str] = []
    absent.USED.clear()
    if job.kind == "folder":
        chosen = the_one_in(Path(job.path), job.label)
        notes.append(chosen.why)
        job.kind, job.path, job.name, job.calls = chosen.kind, str(chosen.path), chosen.name, chosen.calls
    if job.kind == "keras":
        from budgetnet.targets.keras_model import facts_of_file

        result = facts_of_file(job)
    elif job.kind == "onnx":
        from budgetnet.targets.onnx_model import facts_of_file as facts_of_onnx

        result = facts_of_onnx(job)
    else:
        try:
            result = _source(job)
        except InputError as error:
            if said := absent.remark():
                raise InputError(f"{error}{said}") from error
            raise
        if said := absent.remark():
            notes.append(f"{said.strip()} Stand-ins took its place, which compute nothing.")
    return {**result, "notes": [*notes, *result["notes"]]}


def _source(job: Work) -> dict[str, Any]:
    path = Path(job.path)
    source = read(path)
    network, candidate, notes = _network(source, job)
    if is_keras(network):
        return _keras(network, source, candidate, job, notes)
    if not isinstance(network, nn.Module):
        raise InputError(f"{job.label}: {candidate.name} gives {type(network).__name__}, and no torch.nn.Module or Keras model.")
    shape = _shape(network, source, job, notes)
    if job.weights:
        load_weights(network, Path(job.weights), shape, job.label)
        notes.append(f"Weights were taken from {Path(job.weights).name}.")
    facts = _placed(measure(network, name=candidate.name, input_shape=shape), candidate)
    answered = None
    if job.images:
        answered, said = predictions(network, Path(job.images), guessing.normalization(source.text), job.label)
        notes += said
    return {"network": facts.model_dump(mode="json"), "notes": notes, "predictions": answered}


def _keras(network: Any, source: Source, candidate: Candidate, job: Work, notes: list[str]) -> dict[str, Any]:
    facts = _placed(keras_facts(network, name=candidate.name, label=job.label), candidate)
    if job.weights:
        raise InputError(f"{job.label}: weights beside a Keras model are not read; save the model as a .keras file and check that.")
    if source.text.count("tensorflow"):
        notes.append("tensorflow.keras was read as Keras 3 on torch.")
    return {"network": facts.model_dump(mode="json"), "notes": notes, "predictions": None}


def _network(source: Source, job: Work) -> tuple[Any, Candidate, list[str]]:
    """Return the network, what it was built by, and what a reader should know."""
    candidate = choose(source, job.name, job.label)
    candidate.elsewhere = [*job.calls]
    statements = statements_of(source.trees)
    wider = [] if job.name or candidate.kind != "class" else wrapping(statements, candidate.name)
    said = []
    if len(wider) == 1:
        # What is used is more than the class: a part was added, or the object changed.
        try:
            network, notes = _built(source, wider[0], job)
            return network, wider[0], notes
        except InputError as error:
            said = [
                f"Line {wider[0].line} changes or wraps {candidate.name}, which could not be followed ({str(error).rstrip('.')})."
            ]
    try:
        network, notes = _built(source, candidate, job)
    except running.NeedsValueError:
        # The hand-in may say itself how: in a function that wants nothing, or in a variable.
        ways = builders(statements, candidate.name)
        if len(ways) != 1:
            raise
        candidate = ways[0]
        network, notes = _built(source, candidate, job)
    return network, candidate, [*notes, *said]


def _built(source: Source, candidate: Candidate, job: Work) -> tuple[Any, list[str]]:
    names, notes = _run(source, candidate, job)
    channels = job.input_shape[0] if job.input_shape else guessing.hinted_channels(source.text)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network, guessed = running.build(names, candidate, job.arguments, job.keywords, channels=channels, label=job.label)
    return network, [*notes, *guessed]


def _run(source: Source, candidate: Candidate, job: Work) -> tuple[dict[str, Any], list[str]]:
    statements = statements_of(source.trees)
    taken = needed(statements, [candidate.name, *plain_values(statements, candidate.calls)])
    left = [statement for statement in statements if statement not in taken and is_work(statement)]
    notes = list(source.notes)
    count = len(left) + source.left_out
    try:
        names = running.run_statements(taken, source.path)
    except InputError as error:
        # Names that are looked up as text are not seen by reading; the whole file is Python's own meaning of it.
        if source.path.suffix.lower() == ".py" and isinstance(error.__cause__, NameError | KeyError | AttributeError):
            return running.run_statements(statements, source.path), notes
        raise
    if candidate.name != job.name:
        notes.append(f"The network that was taken: {candidate.name}, line {candidate.line}{_in_cell(candidate, source)}.")
    lines = [statement.node.lineno for statement in left if _trains(statement.node)]
    if lines:
        notes.append(f"The file {TRAINS}, line {lines[0]}; that was left out.")
    if count:
        notes.append(
            f"{count:,} statement{'s' * (count > 1)} that the network does not need {'were' if count > 1 else 'was'} left out."
        )
    return names, notes


def _trains(node: ast.stmt) -> bool:
    calls = (item.func for item in ast.walk(node) if isinstance(item, ast.Call))
    return any(isinstance(func, ast.Attribute) and func.attr in TRAINING_CALLS for func in calls)


def _in_cell(candidate: Candidate, source: Source) -> str:
    return candidate.statement.file.removeprefix(str(source.path)).replace(", ", " of ")


def choose(source: Source, name: str, label: str) -> Candidate:
    """Return the network of that name, or the one that there is. Raises `InputError`: none, or a question that names several."""
    statements = statements_of(source.trees)
    calls = main_calls(source.trees)
    if name:
        by_name = [statement for statement in statements if name in statement.defines]
        if not by_name:
            roots = [candidate.name for candidate in candidates(statements, calls)]
            classes = [name for one in statements if isinstance(one.node, ast.ClassDef) for name in one.defines]
            known = list(dict.fromkeys([*roots, *classes])) if roots else []
            listed = did_you_mean(name, known) if known else " It defines no network."
            raise InputError(f"{label}: {source.path.name} has no class {name!r}.{listed}")
        matching = [call for call in calls if getattr(call.func, "id", None) == name]
        kind = {"ClassDef": "class", "FunctionDef": "function"}.get(type(by_name[-1].node).__name__, "variable")
        return Candidate(name, kind, by_name[-1], by_name[-1].node.lineno, matching)  # type: ignore[arg-type]
    found = candidates(statements, calls)
    if not found:
        raise InputError(f"{label}: holds no network (no class with a forward, no function that returns one).")
    if len(found) > 1:
        listed = ", ".join(candidate.name for candidate in found[:MOST_NAMES])
        raise InputError(f"{label}: which network is meant? Name one, as {source.path.name}:{found[0].name} (there are {listed}).")
    return found[0]


def _shape(network: nn.Module, source: Source, job: Work, notes: list[str]) -> tuple[int, int, int]:
    if job.input_shape:
        channels, height, width = job.input_shape
        return channels, height, width
    guessed = guessing.guess_shape(network, source.text)
    if guessed is None:
        return 1, 28, 28  # measuring says what is wrong with it
    shape, why = guessed
    notes.append(f"Input guessed as {'x'.join(str(side) for side in shape)}: {why}; --input says otherwise.")
    return shape


def _placed(facts: NetworkFacts, candidate: Candidate) -> NetworkFacts:
    """Give findings without a line the line of the network's definition."""

    def placed(findings: tuple[Finding, ...] | None) -> tuple[Finding, ...] | None:
        where = {"file": candidate.statement.file, "line": candidate.line}
        return findings and tuple(one if one.line else one.model_copy(update=where) for one in findings)

    lists = ("fully_connected", "fully_connected_equivalent", "biases", "normalization_shifts", "hidden", "unused")
    return facts.model_copy(update={name: placed(getattr(facts, name)) for name in lists})
