"""The top-level statements of a piece of Python: what each defines, changes and needs, and which of them something rests on.

A statement is taken because a name that the network uses is defined, changed or imported by it. So a hand-in's training loop,
downloads, plots and installs are left where they are. Works on syntax trees of a file or of a notebook; costs milliseconds.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from budgetnet.targets.names import free_names

SETTINGS = (
    "manual_seed",
    "seed",
    "set_seed",
    "set_random_seed",
    "set_default_dtype",
    "set_floatx",
    "set_image_data_format",
    "append",
    "insert",
)
"""Calls on an imported module that later definitions may rest on."""
CHANGING = {
    *SETTINGS,
    *("add", "extend", "update", "setdefault", "pop", "remove", "add_argument", "set_defaults"),
    *("add_module", "register_module", "register_buffer", "register_parameter"),
    *("register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook"),
}
"""Methods that change the object they are called on: a list, a parser of arguments, a network."""
WRAPPING = {
    *("weight_norm", "spectral_norm", "register_parametrization", "remove_parametrizations", "orthogonal"),
    *("l1_unstructured", "random_unstructured", "ln_structured", "random_structured", "custom_from_mask", "identity"),
}
"""Functions of torch that change the layer they are given."""


@dataclass
class Statement:
    """One top-level statement with the names it defines or changes, and the names it needs."""

    node: ast.stmt
    file: str
    """Where it stands, as it is shown: a path, or a path and a cell."""
    defines: frozenset[str]
    needs: frozenset[str]
    changes: frozenset[str] = frozenset()
    """Names of objects that it changes without binding them anew: `model.add(…)`, `Net.width = 3`."""


def statements_of(trees: Iterable[tuple[str, ast.Module]]) -> list[Statement]:
    """Return the top-level statements of all trees, in order; what stands under `if __name__ == "__main__"` apart."""
    found: list[Statement] = []
    for file, tree in trees:
        for node in tree.body:
            found += [] if _is_main(node) or _is_text(node) else [_statement(part, file) for part in _parts(node)]
    return found


def main_calls(trees: Iterable[tuple[str, ast.Module]]) -> list[ast.Call]:
    """Return every call that no definition of a class encloses: there a hand-in says how its network is built."""
    calls: list[ast.Call] = []
    for _, tree in trees:
        todo: list[ast.AST] = [tree]
        while todo:
            node = todo.pop(0)
            calls += [node] if isinstance(node, ast.Call) else []
            todo += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.ClassDef)]
    return calls


def needed(statements: Sequence[Statement], names: Iterable[str]) -> list[Statement]:
    """Return the statements that these names rest on, in their order."""
    wanted, todo = set(names), True
    taken: set[int] = set()
    while todo:
        todo = False
        for place, statement in enumerate(statements):
            if place in taken:
                continue
            if statement.defines & wanted or statement.changes & wanted or "*" in statement.defines:
                taken.add(place)
                wanted |= statement.needs
                todo = True
    return [statements[place] for place in sorted(taken)]


def plain_values(statements: Sequence[Statement], calls: Iterable[ast.Call]) -> list[str]:
    """Return the names of plain values (`WIDTH = 16`) that these calls are given."""
    given = {name for call in calls for part in (*call.args, *call.keywords) for name in free_names(part)}
    plain = {name for statement in statements if _is_plain(statement.node) for name in statement.defines}
    return sorted(given & plain)


def is_work(statement: Statement) -> bool:
    """Return whether leaving the statement out is worth a word: it is no import and no definition."""
    return not isinstance(statement.node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def _statement(node: ast.stmt, file: str) -> Statement:
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = frozenset((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        return Statement(node, file, names, frozenset())
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return Statement(node, file, frozenset({node.name}), free_names(node))
    stored = frozenset(item.id for item in ast.walk(node) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store))
    imported = frozenset(
        (alias.asname or alias.name).partition(".")[0]
        for item in ast.walk(node)
        if isinstance(item, ast.Import | ast.ImportFrom)
        for alias in item.names
    )
    inner = frozenset(item.name for item in ast.walk(node) if isinstance(item, ast.FunctionDef | ast.ClassDef))
    return Statement(node, file, stored | imported | inner, free_names(node), _changed(node))


def _parts(node: ast.stmt) -> list[ast.stmt]:
    """Return one import for each name of an import: the network may need one, and the rest not be installed."""
    if isinstance(node, ast.Import):
        return [ast.copy_location(ast.Import([alias]), node) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [ast.copy_location(ast.ImportFrom(node.module, [alias], node.level), node) for alias in node.names]
    return [node]


def _changed(node: ast.stmt) -> frozenset[str]:
    """Return the names of objects that the statement changes, in whatever block of it."""
    found = {name for item in ast.walk(node) if isinstance(item, ast.stmt) for name in _changed_by(item)}
    return frozenset(name for name in found if name)


def _changed_by(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Delete):
        targets = node.targets if isinstance(node, ast.Assign | ast.Delete) else [node.target]
        return {_root(target) for target in targets if not isinstance(target, ast.Name)}
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return set()
    call = node.value
    if isinstance(call.func, ast.Name) and call.func.id in {"setattr", "delattr"} and call.args:
        return {_root(call.args[0])}
    word = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""
    if word in WRAPPING and call.args:
        return {_root(call.args[0])}
    # What a call on an object changes is the object; a call on a library's module mostly changes nothing that matters.
    return {_root(call.func)} if isinstance(call.func, ast.Attribute) and word in CHANGING else set()


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_main(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and any(isinstance(item, ast.Name) and item.id == "__name__" for item in ast.walk(node.test))


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_plain(node: ast.stmt) -> bool:
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return False
    try:
        ast.literal_eval(node.value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True
