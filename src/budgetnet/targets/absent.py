"""Libraries that a hand-in imports and that are not here: stand-ins that hold the place of what the network does not need.

A metric, a logger, a bar: they are named in constructors and methods, and compute nothing of the answer. A stand-in can be named, called
and kept; it refuses as soon as a tensor is given to it, and it is no layer. Lightning's module is a torch module with conveniences,
so that one is written out. `USED` says which libraries were called, for the sentence where the network then cannot be built.
"""

from __future__ import annotations

import ast
import inspect
import sys
from typing import Any

from torch import Tensor, nn

USED: dict[str, None] = {}
"""Libraries of which something was called, in order."""


class Absent:
    """Something of a library that is not installed."""

    def __init__(self, library: str) -> None:
        self.__dict__["_library"] = library

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return LightningModule if name == "LightningModule" else Absent(self._library)

    def __getitem__(self, key: object) -> Absent:
        return self

    def __mro_entries__(self, bases: object) -> tuple[type, ...]:
        raise _missing(self._library)

    def __call__(self, *args: object, **keywords: object) -> Any:
        """Return nothing of use; what decorates gives back what it was given. Raises where it is to compute with a tensor."""
        if any(isinstance(value, Tensor) for value in (*args, *keywords.values())):
            raise _missing(self._library)
        if len(args) == 1 and not keywords and (inspect.isclass(args[0]) or inspect.isfunction(args[0])):
            return args[0]
        USED[self._library] = None
        return Absent(self._library)


class Given(dict[str, Any]):
    """A constructor's arguments, as attributes too."""

    __getattr__ = dict.__getitem__


class LightningModule(nn.Module):
    """What a Lightning network needs of its base to be built and called."""

    def save_hyperparameters(self, *names: object, **_: object) -> None:
        """Keep the constructor's arguments under `hparams`."""
        frame = sys._getframe(1)
        given = inspect.getargvalues(frame)
        kept = {name: given.locals[name] for name in given.args[1:]} | (given.locals[given.keywords] if given.keywords else {})
        chosen = {name for name in names if isinstance(name, str)}
        self.hparams = Given({name: value for name, value in kept.items() if not chosen or name in chosen})

    def log(self, *_: object, **__: object) -> None:
        """Write nothing."""

    log_dict = log


def stand_in(node: ast.stmt, library: str) -> dict[str, Any]:
    """Return what this import would have bound, as stand-ins; nothing where it does not say the names."""
    if isinstance(node, ast.Import):
        return {alias.asname or alias.name.partition(".")[0]: Absent(library) for alias in node.names}
    if isinstance(node, ast.ImportFrom) and all(alias.name != "*" for alias in node.names):
        return {alias.asname or alias.name: getattr(Absent(library), alias.name) for alias in node.names}
    return {}


def remark() -> str:
    """Return a sentence on the libraries that were called and are not here, or nothing."""
    names = ", ".join(repr(name) for name in USED)
    return f" It uses {names}, which {'are' if len(USED) > 1 else 'is'} not installed here." if USED else ""


def _missing(library: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"No module named {library!r}", name=library)
