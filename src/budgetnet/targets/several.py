"""Every network that a file or a folder holds, with what its code does with it: found by reading, nothing is run.

For those who must choose one of several without a person to ask. Reading happens in a confined child, because a parser is no place for
trust, and costs half a second; no torch.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from budgetnet.confine import Limits, run_confined
from budgetnet.errors import InputError
from budgetnet.targets.definitions import Candidate, candidates, parents_of
from budgetnet.targets.reading import read
from budgetnet.targets.searching import networks_of_folder
from budgetnet.targets.statements import main_calls, statements_of

WORKER = "budgetnet.targets.several:work"
TRAINS = ("train", "fit", "learn", "run_epoch", "optimi")
MEMORY = 2 * 2**30
MOST_NETWORKS = 200
MOST_ENTRIES = 2_000


class Named(BaseModel):
    """A network that code defines."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    file: str = Field(max_length=1_000)
    """Relative to the folder, with slashes; the file's own name where it was asked alone."""
    name: str = Field(max_length=400)
    """Of the class, function or variable; empty for a saved model."""
    made: bool = False
    """It is made outside of all definitions of classes."""
    trained: bool = False
    """What is made of it is given to something that trains."""

    parent: bool = False
    """Another network of the list derives from it; it is meant only where something says so."""

    @property
    def place(self) -> str:
        """`net.py:Net`, as a target is named."""
        return f"{self.file}:{self.name}" if self.name else self.file


def networks_in(path: Path, name: str, *, seconds: float) -> tuple[Named, ...]:
    """Return the networks of a file or folder that are no parts of others. Raises `InputError`, which begins with `name`."""
    readable, listed = [path], [path.parent]
    if path.is_dir():
        entries = [entry for entry in sorted(path.iterdir()) if not entry.name.startswith(".")][:MOST_ENTRIES]
        readable, listed = [path, *(entry for entry in entries if entry.resolve().is_relative_to(path))], [path]
    task = {"path": str(path), "label": name}
    answer = run_confined(WORKER, task, name=name, readable=readable, listed=listed, limits=Limits(seconds, MEMORY)).answer
    try:
        return tuple(Named.model_validate(one) for one in answer["networks"][:MOST_NETWORKS])
    except (ValidationError, TypeError, KeyError):
        raise InputError(f"{name}: its networks could not be listed.") from None


def work(task: dict[str, Any]) -> dict[str, Any]:
    """Do the child's part: read, and answer with plain data."""
    path = Path(task["path"])
    found: list[tuple[Path, Candidate | None]]
    if path.is_dir():
        _, found, _ = networks_of_folder(path, task["label"])
    elif path.suffix.lower() in {".py", ".ipynb"}:
        source = read(path)
        found = [(path, one) for one in candidates(statements_of(source.trees), main_calls(source.trees))]
    else:
        found = [(path, None)]
    folder = path if path.is_dir() else path.parent
    networks = [
        named
        for file in dict.fromkeys(file for file, _ in found[:MOST_NETWORKS])
        for named in _of_file(file, file.relative_to(folder).as_posix(), [one for other, one in found if other == file and one])
    ]
    return {"networks": [named.model_dump() for named in networks[:MOST_NETWORKS]]}


def _of_file(path: Path, shown: str, found: Sequence[Candidate]) -> list[Named]:
    if not found:
        return [Named(file=shown, name="")]
    trees = read(path).trees
    trained = trained_names([tree for _, tree in trees])
    calls = main_calls(trees)
    parents = parents_of(statements_of(trees), calls, found)
    return [
        Named(
            file=shown,
            name=one.name,
            made=bool(one.calls) or one.kind == "variable",
            trained=one.name in trained,
            parent=one in parents,
        )
        for one in [*found, *parents]
    ]


def trained_names(trees: Sequence[ast.Module]) -> set[str]:
    """Return the names of classes, functions and variables whose network the code trains, outside of definitions of classes.

    `net = Net().to(device)`, then `optimizer = SGD(net.parameters())`, `net.fit(…)`, `train(net, …)`: `net` and `Net`. A variable that
    was bound to several networks speaks for all of them.
    """
    nodes = list(_outside_classes(trees))
    made: dict[str, set[str]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign):
            called = {
                item.func.id for item in ast.walk(node.value) if isinstance(item, ast.Call) and isinstance(item.func, ast.Name)
            }
            for target in node.targets:
                if isinstance(target, ast.Name):
                    made.setdefault(target.id, {target.id}).update(called)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Call):
            for name in _given_to_training(node):
                found |= made.get(name, {name})
    return found


def _outside_classes(trees: Iterable[ast.Module]) -> Iterable[ast.AST]:
    todo: list[ast.AST] = list(trees)
    while todo:
        node = todo.pop()
        yield node
        todo += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.ClassDef)]


def _given_to_training(call: ast.Call) -> Iterable[str]:
    """Yield the names that this call trains: `net.fit(…)`, `net.parameters()`, `train(net)`, `Trainer().fit(net)`, `train(Net())`."""
    if isinstance(call.func, ast.Attribute) and call.func.attr in {"fit", "fit_generator", "parameters", "train_on_batch"}:
        yield from _names([call.func.value])
    word = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""
    if any(part in word.lower() for part in TRAINS):
        yield from _names([*call.args, *(keyword.value for keyword in call.keywords)])


def _names(nodes: Iterable[ast.AST]) -> Iterable[str]:
    for node in nodes:
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id
