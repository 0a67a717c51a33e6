"""From a recipe to a built network: a name of the zoo, or a class (or function) in a Python file of the user's own.

Building draws its random numbers from the run's seed alone. The file is run, because the user named it; a file found inside a run
directory is run again only if its content is still the one that the run was started with.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from budgetnet import zoo
from budgetnet.errors import InputError, did_you_mean
from budgetnet.randomness import derived_seed, global_generators_restored, seed_global_generators
from budgetnet.recipe import Recipe

OWN_TARGET = re.compile(r"(.+\.py)(?::(.+))?")
OWN_RECIPE_WORDS = (
    "A network of the user's own under the default recipe: Adam from 0.003 with an inverse-time schedule, batches of 128."
)


def default_recipe(target: str) -> Recipe:
    """Return the recipe that goes with a target: the zoo's own, or an honest default for a network from a file.

    The default keeps the last 5,000 training images for validation and reads the test split once, at the end.
    """
    if not is_own(target):
        return zoo.find(target).recipe
    path, name = split_target(target)
    return Recipe(
        name=name or path.stem,
        network=f"{path}:{name}" if name else str(path),
        validation=5000,
        watch="validation",
        strategy=OWN_RECIPE_WORDS,
    )


def build_network(recipe: Recipe, *, seed: int, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Return the recipe's network with fresh weights drawn from `seed`; float32, channels-last kernels."""
    with global_generators_restored():
        seed_global_generators(derived_seed(seed, 0, "initialisation"))
        if is_own(recipe.network):
            network = _call(_find_in_file(*split_target(recipe.network)), dict(recipe.network_arguments), recipe.network)
        else:
            own = {"classes": classes, "channels": input_shape[0]}
            network = _call(zoo.find(recipe.network).build, {**own, **recipe.network_arguments}, recipe.network)
    if not isinstance(network, nn.Module):
        raise InputError(f"{recipe.network}: gives {type(network).__name__}, not a torch.nn.Module.")
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def split_target(target: str) -> tuple[Path, str]:
    """Return the file and the class's name (empty where none is given) of `path/to/file.py:Class`; the file exists."""
    match = OWN_TARGET.fullmatch(target)
    if match is None:
        raise InputError(f"{target}: a network in a file is named as path/to/file.py:Class.")
    path = Path(match[1])
    if not path.is_file():
        raise InputError(f"{path}: no such file.")
    return path.resolve(), match[2] or ""


def is_own(target: str) -> bool:
    """Return whether a target names a Python file of the user's, not a network of the zoo."""
    return target not in zoo.MODULES and (OWN_TARGET.fullmatch(target) is not None or ".py" in Path(target).name)


def source_sha256(recipe: Recipe) -> str | None:
    """Return the hash of the user's network file, None for the zoo's networks."""
    if not is_own(recipe.network):
        return None
    return hashlib.sha256(split_target(recipe.network)[0].read_bytes()).hexdigest()


def teacher_source_sha256(recipe: Recipe) -> str | None:
    """Return the same of its teacher's."""
    return None if recipe.teacher is None else source_sha256(recipe.of_teacher())


def _find_in_file(path: Path, name: str) -> Any:
    module = _import_file(path)
    candidates = {
        key: value
        for key, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, nn.Module) and value.__module__ == module.__name__
    }
    if name:
        found = getattr(module, name, None)
        if not callable(found):
            raise InputError(f"{path}: has no class {name!r}.{did_you_mean(name, candidates)}")
        return found
    if len(candidates) != 1:
        listed = ", ".join(candidates) or "none"
        raise InputError(f"{path}: name the network to take, as {path.name}:Class (networks in this file: {listed}).")
    return next(iter(candidates.values()))


def _import_file(path: Path) -> ModuleType:
    name = f"budgetnet_own_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: is not a Python file that can be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise InputError(f"{path}, line {error.lineno}: {error.msg}.") from None
    except (Exception, SystemExit) as error:
        raise InputError(f"{path}: fails while it is imported: {type(error).__name__}: {_first_line(error)}") from error
    finally:
        if str(path.parent) in sys.path:
            sys.path.remove(str(path.parent))
    return module


def _call(build: Any, arguments: dict[str, Any], target: str) -> Any:
    try:
        accepted = inspect.signature(build).parameters
    except (TypeError, ValueError):
        accepted = None
    if accepted is not None and not any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values()):
        for name in arguments:
            if name not in accepted:
                raise InputError(f"{target}: takes no argument {name!r}.{did_you_mean(name, accepted)}")
    try:
        return build(**arguments)
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"{target}: cannot be built: {type(error).__name__}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no words"])[0]
