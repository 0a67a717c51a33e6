"""Which names a piece of Python needs from outside of itself: its own arguments and variables are not among them."""

from __future__ import annotations

import ast

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def free_names(node: ast.AST) -> frozenset[str]:
    """Return the names that `node` reads and does not bind in a scope of its own."""
    if isinstance(node, ast.Name):
        return frozenset({node.id}) if isinstance(node.ctx, ast.Load) else frozenset()
    if isinstance(node, FUNCTIONS):
        return _of_function(node)
    inner = frozenset[str]().union(*(free_names(child) for child in ast.iter_child_nodes(node)))
    if isinstance(node, COMPREHENSIONS):
        return inner - _stored(*(generator.target for generator in node.generators))
    if isinstance(node, ast.For | ast.AsyncFor):
        return inner - _stored(node.target)
    return inner


def _of_function(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> frozenset[str]:
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [extra for extra in (arguments.vararg, arguments.kwarg) if extra is not None]
    outside: list[ast.AST] = [default for default in (*arguments.defaults, *arguments.kw_defaults) if default is not None]
    outside += [argument.annotation for argument in every if argument.annotation is not None]
    body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else [*node.body]
    if not isinstance(node, ast.Lambda):
        outside += [*node.decorator_list, *([node.returns] if node.returns is not None else [])]
    bound = frozenset(argument.arg for argument in every) | (_bound(body) - _declared_global(body))
    inner = frozenset[str]().union(*(free_names(child) for child in body))
    return (inner - bound).union(*(free_names(child) for child in outside))


def _bound(body: list[ast.AST]) -> frozenset[str]:
    """Return the names that these statements bind in their own scope."""
    found: set[str] = set()
    todo = list(body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
            continue
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
        if not isinstance(node, ast.Lambda):
            todo += ast.iter_child_nodes(node)
    return frozenset(found)


def _declared_global(body: list[ast.AST]) -> frozenset[str]:
    return frozenset(name for part in body for node in ast.walk(part) if isinstance(node, ast.Global) for name in node.names)


def _stored(*targets: ast.AST) -> frozenset[str]:
    return frozenset(item.id for target in targets for item in ast.walk(target) if isinstance(item, ast.Name))
