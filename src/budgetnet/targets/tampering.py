"""Whether foreign code replaced parts of Python, torch or this package while it was in the same process.

The functions that the measurement rests on are noted before the first foreign line runs and held against what is there afterwards.
This catches replacing by assignment; code that reaches into the interpreter's memory is beyond it (docs/CHECK.md). Costs some
milliseconds.
"""

from __future__ import annotations

import builtins
import inspect
import json
import sys
import types
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from budgetnet.errors import InputError

REPLACED_BY_TORCH = {"torch.manual_seed"}
"""torch's compiler wraps it anew when it is first imported; nothing that measures uses it."""

GUARDED = {"torch.Tensor", "torch.nn.Module"}
Marks = dict[str, dict[str, tuple[object, object]]]
"""Owner (a module or a class) -> name -> what stands there, and its code where it is a function."""


def marks() -> Marks:
    """Return what stands under each name that the measurement rests on."""
    found: Marks = {}
    for owner_name, owner in _owners():
        own = found.setdefault(owner_name, {})
        for name, value in list(vars(owner).items()):
            plain = value.__func__ if isinstance(value, staticmethod | classmethod) else value
            if callable(plain) or isinstance(value, property):
                own[name] = (value, getattr(plain, "__code__", None))
    return found


def refuse_changes(before: Marks, label: str, look: Callable[[], Marks] = marks) -> None:
    """Raise `InputError` where something of `before` is no longer what it was, or something new stands in front of it."""
    now = look()  # bound before anything foreign ran
    for owner, names in before.items():
        after = now.get(owner, {})
        changed = [name for name, (value, code) in names.items() if _differs(after.get(name), value, code)]
        # A module of torch may get a part when that is first imported; a class, and this package, get nothing.
        guarded = owner.startswith("budgetnet.") or owner in GUARDED
        changed += sorted(after.keys() - names.keys()) if guarded else []
        for name in changed:
            if f"{owner}.{name}" not in REPLACED_BY_TORCH:
                why = f"its code replaced {owner}.{name} while it was checked; nothing that was measured can be believed"
                raise InputError(f"{label}: {why}.")
    if sys.gettrace() is not None or sys.getprofile() is not None:
        raise InputError(f"{label}: its code watches the check while it runs; nothing that was measured can be believed.")


def _differs(now: tuple[object, object] | None, value: object, code: object) -> bool:
    return now is None or now[0] is not value or now[1] is not code


def _owners() -> list[tuple[str, Any]]:
    owners: list[tuple[str, Any]] = [("builtins", builtins), ("json", json), ("inspect", inspect)]
    owners += [
        ("torch", torch),
        ("torch.nn.functional", nn.functional),
        ("torch.Tensor", torch.Tensor),
        ("torch._C.TensorBase", torch._C.TensorBase),
        ("torch.nn.Module", nn.Module),
    ]
    owners.append(("torch.nn.modules.module", nn.modules.module))
    for name, kind in vars(nn).items():
        if inspect.isclass(kind) and issubclass(kind, nn.Module):
            owners.append((f"torch.nn.{name}", kind))
    for name, module in list(sys.modules.items()):
        if name.startswith("budgetnet.") and isinstance(module, types.ModuleType):
            owners.append((name, module))
            for inner, kind in list(vars(module).items()):
                if inspect.isclass(kind) and kind.__module__ == name:
                    owners.append((f"{name}.{inner}", kind))
    return owners
