"""The chosen statements of a hand-in, run as a module of their own; and its network, built.

Runs a stranger's code: only ever in the confined child. Statements keep the file and line that they were read from, so that errors
and findings point there. Where tensorflow is not installed and Keras is, `tensorflow.keras` is read as Keras on torch.
"""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.machinery
import inspect
import sys
import types
from collections.abc import Sequence
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any

from budgetnet.errors import InputError, did_you_mean
from budgetnet.targets.absent import stand_in
from budgetnet.targets.definitions import Candidate
from budgetnet.targets.packages import package_of
from budgetnet.targets.statements import Statement

MODULE = "budgetnet_hand_in"


class NeedsValueError(InputError):
    """A constructor needs a value that nobody gave."""


CLASSES_WORDS = "num_classes n_classes nb_classes classes num_class n_class output_dim output_size n_outputs num_outputs"
CLASSES = CLASSES_WORDS.split()
CHANNELS_WORDS = "in_channels channels input_channels n_channels num_channels in_ch in_chans nc channels_in"
CHANNELS = CHANNELS_WORDS.split()
SHAPES = ("input_shape", "in_shape", "image_shape", "img_shape")
KERAS_WORDS = (
    "activations applications backend callbacks constraints datasets initializers layers losses metrics models ops "
    "optimizers preprocessing random regularizers saving utils "
)
KERAS_PARTS = KERAS_WORDS.split()
OLD_LAYERS_WORDS = "core convolutional pooling normalization advanced_activations merge noise"
OLD_LAYERS = OLD_LAYERS_WORDS.split()


class _Statements(importlib.abc.InspectLoader):
    """Loads compiled statements as if they were a file: importlib runs them."""

    def __init__(self, code: types.CodeType) -> None:
        self._code = code

    def get_code(self, fullname: str) -> types.CodeType:  # noqa: ARG002 - the interface
        """Return the code that was compiled."""
        return self._code

    def get_source(self, fullname: str) -> str | None:  # noqa: ARG002 - the interface
        """Return nothing: the text stays where it is."""
        return None


def run_statements(statements: Sequence[Statement], path: Path) -> dict[str, Any]:
    """Run `statements` in a fresh module beside `path`, and return its names. Raises `InputError` with file and line."""
    _offer_keras(statements)
    spec = importlib.machinery.ModuleSpec(MODULE, None, origin=str(path))
    module = module_from_spec(spec)
    module.__file__ = str(path)
    module.__package__ = package_of(path, (statement.node for statement in statements)) or module.__package__
    sys.modules[MODULE] = module
    sys.path.insert(0, str(path.parent))
    # One code object for each import, and for each file or cell in a row; within a row the order is that of the file.
    rows: list[list[Statement]] = []
    for statement in statements:
        if rows and rows[-1][0].file == statement.file and not _imports(statement) and not _imports(rows[-1][-1]):
            rows[-1].append(statement)
        else:
            rows.append([statement])
    arguments, sys.argv = sys.argv, [str(path)]  # as where the file is run with none
    try:
        for row in rows:
            tree = ast.Module(body=[statement.node for statement in row], type_ignores=[])
            try:
                _Statements(compile(tree, row[0].file, "exec", dont_inherit=True)).exec_module(module)
            except ModuleNotFoundError as error:
                names = stand_in(row[0].node, str(error.name))
                if not names:
                    raise
                vars(module).update(names)
    except BaseException as error:
        raise InputError(f"{path.name}: {place_of(error, path)}fails while it is read: {words_of(error)}") from error
    finally:
        sys.argv = arguments
    return vars(module)


def _offer_keras(statements: Sequence[Statement]) -> None:
    """Put Keras where old hand-ins look for it."""
    wanted = {name.partition(".")[0] for statement in statements for node in ast.walk(statement.node) for name in _imported(node)}
    if not wanted & {"keras", "tensorflow"} or find_spec("keras") is None:
        return
    keras = importlib.import_module("keras")
    for part in OLD_LAYERS:
        sys.modules.setdefault(f"keras.layers.{part}", keras.layers)
    if "tensorflow" not in wanted or find_spec("tensorflow") is not None:
        return
    tensorflow = types.ModuleType("tensorflow")
    tensorflow.__dict__.update(keras=keras, nn=keras.ops.nn, float32="float32", __path__=[])
    sys.modules["tensorflow"] = tensorflow
    for part in KERAS_PARTS:
        if hasattr(keras, part):
            sys.modules[f"tensorflow.keras.{part}"] = getattr(keras, part)
    for part in OLD_LAYERS:
        sys.modules[f"tensorflow.keras.layers.{part}"] = keras.layers
    sys.modules["tensorflow.keras"] = keras


def _imports(statement: Statement) -> bool:
    return isinstance(statement.node, ast.Import | ast.ImportFrom)


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []


def build(
    names: dict[str, Any],
    candidate: Candidate,
    arguments: Sequence[Any],
    keywords: dict[str, Any],
    *,
    channels: int,
    label: str,
) -> tuple[Any, list[str]]:
    """Return the network and what was guessed on the way. Raises `InputError` where it cannot be built."""
    found = names.get(candidate.name)
    if found is None:
        raise InputError(f"{label}: {candidate.name!r} is not there once the file was read.")
    if candidate.kind == "variable" or not callable(found):
        return found, []
    notes: list[str] = []
    given, by_name = list(arguments), dict(keywords)
    if not given and not by_name:
        given, by_name, notes = _guessed(found, candidate, names, channels, label)
    else:
        _refuse_unknown(found, by_name, label)
    try:
        return found(*given, **by_name), notes
    except InputError:
        raise
    except BaseException as error:
        path = Path(str(names.get("__file__", "")))
        raise InputError(f"{label}: {place_of(error, path)}cannot be built: {words_of(error)}") from error


def _refuse_unknown(build: Any, keywords: dict[str, Any], label: str) -> None:
    try:
        accepted = inspect.signature(build).parameters
    except (TypeError, ValueError):
        return
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values()):
        for name in keywords:
            if name not in accepted:
                raise InputError(f"{label}: takes no argument {name!r}.{did_you_mean(name, accepted)}")


def _guessed(
    build: Any, candidate: Candidate, names: dict[str, Any], channels: int, label: str
) -> tuple[list[Any], dict[str, Any], list[str]]:
    """Return arguments for what must be given: as the hand-in itself gives them, else by what their names say."""
    try:
        required = [p for p in inspect.signature(build).parameters.values() if p.default is p.empty and p.kind not in {2, 4}]
    except (TypeError, ValueError):
        return [], {}, []
    for call in [*candidate.calls, *candidate.elsewhere]:
        literal = _literal(call, names)
        if literal is not None and (literal[0] or literal[1]):
            shown = ", ".join([*(repr(value) for value in literal[0]), *(f"{k}={v!r}" for k, v in literal[1].items())])
            who = "the file itself" if call in candidate.calls else "another file of the folder"
            return literal[0], literal[1], [f"Built as {who} does, line {call.lineno}: {candidate.name}({shown[:120]})."]
    keywords: dict[str, Any] = {}
    for parameter in required:
        lowered = parameter.name.lower()
        if lowered in CLASSES:
            keywords[parameter.name] = 10
        elif lowered in CHANNELS:
            keywords[parameter.name] = channels
        elif lowered in SHAPES:
            keywords[parameter.name] = (28, 28, 1) if channels == 1 else (32, 32, 3)
        else:
            raise NeedsValueError(
                f"{label}: {candidate.name} needs a value for {parameter.name!r}; give it as "
                f"FILE:{candidate.name}({', '.join(f'{p.name}=…' for p in required)})."
            )
    said = ", ".join(f"{name}={value!r}" for name, value in keywords.items())
    return [], keywords, [f"Guessed for the constructor of {candidate.name}: {said}."] if keywords else []


def _literal(call: ast.Call, names: dict[str, Any]) -> tuple[list[Any], dict[str, Any]] | None:
    """Return a call's arguments where each is a plain value, or the name of one."""

    def value(node: ast.expr) -> Any:
        if isinstance(node, ast.Name) and isinstance(names.get(node.id), int | float | str | bool | tuple | list | None):
            if node.id not in names:
                raise ValueError
            return names[node.id]
        return ast.literal_eval(node)

    try:
        if any(word.arg is None for word in call.keywords):
            return None
        return [value(node) for node in call.args], {str(word.arg): value(word.value) for word in call.keywords}
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def words_of(error: BaseException) -> str:
    """Return an exception as part of a sentence."""
    if isinstance(error, MemoryError):
        return "it asks for more memory than it may have."
    if isinstance(error, ModuleNotFoundError):
        return f"it imports {error.name!r}, which is not installed."
    if isinstance(error, SystemExit):
        wanted = ", as where it waits for arguments of a command line" if error.code == 2 else ""
        return f"it ends its own program (SystemExit{wanted})."
    if isinstance(error, KeyboardInterrupt):
        return "it interrupts its own program (KeyboardInterrupt)."
    reason = " ".join(str(error).split())[:300].rstrip(".")
    return f"{type(error).__name__}: {reason}." if reason else f"{type(error).__name__}."


def place_of(error: BaseException, path: Path) -> str:
    """Return `line 12: ` of the hand-in's own innermost line in the error's traceback, or nothing."""
    line, frame = "", error.__traceback__
    while frame is not None:
        name = frame.tb_frame.f_code.co_filename
        if name.startswith(str(path)):
            cell = name.removeprefix(str(path)).removeprefix(", ")
            line = f"{cell}, line {frame.tb_lineno}: " if cell else f"line {frame.tb_lineno}: "
        frame = frame.tb_next
    return line
