"""budgetnet: train, check, compare and hand in image classifiers that must fit a contract.

The public names, loaded when they are first used: importing budgetnet imports no torch.
"""

from typing import TYPE_CHECKING, Any

from budgetnet.version import __version__

if TYPE_CHECKING:
    from budgetnet.check import measure
    from budgetnet.contract import Contract, judge, load_contract
    from budgetnet.datasets import load as load_data
    from budgetnet.errors import Diverged, InputError
    from budgetnet.facts import Facts
    from budgetnet.recipe import Recipe
    from budgetnet.report import write_report
    from budgetnet.rundir import RunDirectory, open_run
    from budgetnet.trained import evaluate_run
    from budgetnet.training import resume, train

HOMES = {
    "Contract": ("contract", "Contract"),
    "Diverged": ("errors", "Diverged"),
    "Facts": ("facts", "Facts"),
    "InputError": ("errors", "InputError"),
    "Recipe": ("recipe", "Recipe"),
    "RunDirectory": ("rundir", "RunDirectory"),
    "evaluate_run": ("trained", "evaluate_run"),
    "judge": ("contract", "judge"),
    "load_contract": ("contract", "load_contract"),
    "load_data": ("datasets", "load"),
    "measure": ("check", "measure"),
    "open_run": ("rundir", "open_run"),
    "resume": ("training", "resume"),
    "train": ("training", "train"),
    "write_report": ("report", "write_report"),
}
"""Public name -> module and the name there."""

__all__ = [
    "Contract",
    "Diverged",
    "Facts",
    "InputError",
    "Recipe",
    "RunDirectory",
    "__version__",
    "evaluate_run",
    "judge",
    "load_contract",
    "load_data",
    "measure",
    "open_run",
    "resume",
    "train",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name not in HOMES:
        raise AttributeError(f"module 'budgetnet' has no attribute {name!r}")
    from importlib import import_module

    module, own_name = HOMES[name]
    value = getattr(import_module(f"budgetnet.{module}"), own_name)
    globals()[name] = value
    return value
