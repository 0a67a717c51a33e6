"""The networks that a piece of Python defines, and which of them is meant: found by reading, not by running.

A class with a forward, a function that returns a network, a variable that holds one; what is a part of another one is not meant.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from budgetnet.targets.names import free_names
from budgetnet.targets.statements import Statement

NETWORK_BASES = ("Module", "Sequential", "Model", "LightningModule")
BUILDERS = ("Sequential", "Model", "Functional", "ModuleList")
TRAINING = ("backward", "fit", "zero_grad", "compile", "evaluate", "DataLoader", "load_data", "fit_generator", "train_on_batch")
MOST_ARGUMENTS = 1


@dataclass
class Candidate:
    """Something that may be the network."""

    name: str
    kind: Literal["class", "function", "variable"]
    statement: Statement
    line: int
    calls: list[ast.Call] = field(default_factory=list)
    """The places outside of definitions where it is called."""
    elsewhere: list[ast.Call] = field(default_factory=list)
    """The same in other files of its folder."""


def candidates(statements: Sequence[Statement], calls: Sequence[ast.Call]) -> list[Candidate]:
    """Return the networks that are no parts of others: classes, else functions, else variables; several where that is open."""
    classes = _classes(statements)
    functions = _functions(statements, classes)
    variables = _variables(statements, classes, functions)
    for group in (classes, functions, variables):
        for candidate in group.values():
            candidate.calls = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == candidate.name]
    if classes:
        roots = _roots(classes, [*classes.values()])
        called = [candidate for candidate in roots if candidate.calls]
        return called if len(called) == 1 else _whole(variables, roots) if len(roots) > 1 else roots
    if functions:
        return _whole(variables, _roots(functions, [*functions.values()]))
    return list(variables.values())


def _whole(variables: dict[str, Candidate], roots: list[Candidate]) -> list[Candidate]:
    """Return the one variable that all of `roots` are only parts of (`nn.Sequential(block(1, 8), head())`), else `roots`."""
    names = {root.name for root in roots}
    found = []
    for one in variables.values():
        called = {_last(item.func) for item in ast.walk(one.statement.node) if isinstance(item, ast.Call)}
        if called & {*BUILDERS} and names <= {*one.statement.needs}:
            found.append(one)
    return found if len(found) == 1 else roots


def parents_of(statements: Sequence[Statement], calls: Sequence[ast.Call], found: Sequence[Candidate]) -> list[Candidate]:
    """Return the network classes that those in `found` derive from and that are not among them."""
    classes = _classes(statements)
    nodes = [one.statement.node for one in found]
    bases = {_last(base) for node in nodes if isinstance(node, ast.ClassDef) for base in node.bases}
    parents = [one for name, one in classes.items() if name in bases - {other.name for other in found}]
    for one in parents:
        one.calls = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == one.name]
    return parents


def builders(statements: Sequence[Statement], name: str) -> list[Candidate]:
    """Return the functions that want nothing and the variables that are made with the class `name`."""
    classes = _classes(statements)
    functions = _functions(statements, classes)
    variables = _variables(statements, classes, functions)
    found = [one for one in functions.values() if name in one.statement.needs and _wants_nothing(one.statement.node)]
    return found + [one for one in variables.values() if name in one.statement.needs]


def wrapping(statements: Sequence[Statement], name: str) -> list[Candidate]:
    """Return the variables in which the class `name` is only a part, or whose object is changed after it was made."""
    classes = _classes(statements)
    variables = _variables(statements, classes, _functions(statements, classes))
    changed = {changed for statement in statements for changed in statement.changes}
    found = []
    for one in variables.values():
        called = {_last(item.func) for item in ast.walk(one.statement.node) if isinstance(item, ast.Call)}
        if name in one.statement.needs and (called & {*BUILDERS} or one.name in changed):
            found.append(one)
    return found


def _wants_nothing(node: ast.stmt) -> bool:
    if not isinstance(node, ast.FunctionDef):
        return False
    arguments = node.args
    given = len(arguments.posonlyargs) + len(arguments.args) == len(arguments.defaults)
    return given and all(default is not None for default in arguments.kw_defaults)


# --- networks -----------------------------------------------------------------------------------------------------------------


def _classes(statements: Sequence[Statement]) -> dict[str, Candidate]:
    found: dict[str, Candidate] = {}
    for statement in statements:
        node = statement.node
        if not isinstance(node, ast.ClassDef):
            continue
        bases = {_last(base) for base in node.bases}
        methods = {item.name: item for item in node.body if isinstance(item, ast.FunctionDef)}
        forward = methods.get("forward") or methods.get("call")
        is_network = bool(bases & {*NETWORK_BASES, *found}) or (bool(bases) and forward is not None)
        if is_network and (forward is None or _takes_one(forward)):
            found[node.name] = Candidate(node.name, "class", statement, node.lineno)
    return found


def _takes_one(forward: ast.FunctionDef) -> bool:
    """Return whether it can be called with an image alone: a loss, which wants labels too, cannot."""
    arguments = forward.args
    required = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults) - 1
    return required <= MOST_ARGUMENTS and not any(default is None for default in arguments.kw_defaults)


def _functions(statements: Sequence[Statement], classes: dict[str, Candidate]) -> dict[str, Candidate]:
    found: dict[str, Candidate] = {}
    for statement in statements:
        node = statement.node
        if not isinstance(node, ast.FunctionDef) or not any(isinstance(i, ast.Return) and i.value for i in ast.walk(node)):
            continue
        called = {_last(item.func) for item in ast.walk(node) if isinstance(item, ast.Call)}
        if called & {*BUILDERS, *classes, *found} and not called & {*TRAINING} - {"compile"}:
            found[node.name] = Candidate(node.name, "function", statement, node.lineno)
    return found


def _variables(
    statements: Sequence[Statement], classes: dict[str, Candidate], functions: dict[str, Candidate]
) -> dict[str, Candidate]:
    found: dict[str, Candidate] = {}
    for statement in statements:
        node = statement.node
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            called = {_last(item.func) for item in ast.walk(node.value) if isinstance(item, ast.Call)}
            name = node.targets[0].id
            if called & {*BUILDERS, *classes, *functions} and not called & {*TRAINING}:
                found[name] = Candidate(name, "variable", statement, node.lineno)
    parts = {name for candidate in found.values() for name in candidate.statement.needs} & found.keys()
    return {name: candidate for name, candidate in found.items() if name not in parts} or found


def _roots(group: dict[str, Candidate], all_of_them: list[Candidate]) -> list[Candidate]:
    """Return those that no other is made with; a class that others only derive from stays where they leave it open."""
    parts: set[str] = set()
    parents: set[str] = set()
    for candidate in all_of_them:
        node = candidate.statement.node
        bases = {_last(base) for base in node.bases} if isinstance(node, ast.ClassDef) else set()
        body = [item for item in node.body if not isinstance(item, ast.Pass)] if isinstance(node, ast.ClassDef) else [node]
        inner = frozenset[str]().union(*(free_names(item) for item in body)) - {candidate.name}
        parts |= inner & group.keys()
        parents |= bases & group.keys()
    alone = [candidate for candidate in all_of_them if candidate.name not in parts]
    leaves = [candidate for candidate in alone if candidate.name not in parents]
    return leaves if len(leaves) == 1 else alone or all_of_them


def _last(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
