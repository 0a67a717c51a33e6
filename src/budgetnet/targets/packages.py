"""The package that a file belongs to, so that its relative imports mean what they mean to Python.

`from .blocks import Block` in a hand-in's `model/net.py` needs a package around the file. It is made of the folders above it, as far
as the file's own dots go; an `__init__.py` runs only where a name is asked of it. Runs a stranger's code: in the confined child alone.
"""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Iterable
from importlib.machinery import SourceFileLoader
from pathlib import Path

OUTERMOST = "budgetnet_package"


class _Package(types.ModuleType):
    """A package whose `__init__.py` is run when a name is asked that is not there."""

    def __getattr__(self, name: str) -> object:
        start = Path(self.__path__[0]) / "__init__.py"
        if name.startswith("__") or self.__dict__.get("__begun__") or not start.is_file():
            raise AttributeError(f"{start.parent.name} has no {name!r}")
        self.__dict__["__begun__"] = True
        SourceFileLoader(self.__name__, str(start)).exec_module(self)
        if name not in self.__dict__:
            raise AttributeError(f"{start.parent.name} has no {name!r}")
        return self.__dict__[name]


def package_of(path: Path, nodes: Iterable[ast.AST]) -> str | None:
    """Return the name of the package for a file at `path` whose statements are `nodes`; None where they import nothing relatively.

    The package and those around it are there afterwards.
    """
    imports = (item for node in nodes for item in ast.walk(node) if isinstance(item, ast.ImportFrom))
    depth = max((item.level for item in imports), default=0)
    if depth == 0:
        return None
    folders = [path.parent, *path.parent.parents][:depth]
    name = ""
    for number, folder in enumerate(reversed(folders)):
        name = f"{name}.{folder.name}" if number else OUTERMOST
        package = _Package(name)
        package.__path__ = [str(folder)]
        package.__package__ = name
        sys.modules[name] = package
    return name
