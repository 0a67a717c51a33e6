"""What a TARGET on the command line names, from its words and the look of the path alone: nothing is opened but a folder's list.

A name of the zoo, `file.py`, `file.py:Class`, `file.py:Net(width=16)`, a notebook (`.ipynb`, with or without a name), a
`.keras` or `.onnx` file, a run directory, or a folder with a hand-in. Formats whose reading runs code are refused here, by
name.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from budgetnet.errors import InputError

Kind = Literal["zoo", "python", "notebook", "keras", "onnx", "run", "folder"]
KINDS: dict[str, Kind] = {".py": "python", ".ipynb": "notebook", ".keras": "keras", ".onnx": "onnx"}
LARGEST_FILE = {"python": 4 * 2**20, "notebook": 64 * 2**20, "keras": 512 * 2**20, "onnx": 512 * 2**20}
OLD_KERAS = "is Keras's old HDF5 format, whose loader ignores safe mode and runs code that it brings along; save it as .keras"
PICKLED = "is a pickled file, and reading one runs code that it brings along"
REFUSED = {
    ".h5": OLD_KERAS,
    ".hdf5": OLD_KERAS,
    ".pt": f"{PICKLED}; name the file with its class, and give a state dictionary as --weights",
    ".pth": f"{PICKLED}; name the file with its class, and give a state dictionary as --weights",
    ".ckpt": f"{PICKLED}; name the file with its class, and give a state dictionary as --weights",
    ".bin": f"{PICKLED}; name the file with its class, and give a state dictionary as --weights",
    ".pkl": f"{PICKLED}; name the file with its class instead",
    ".p": f"{PICKLED}; name the file with its class instead",
    ".joblib": f"{PICKLED}; name the file with its class instead",
    ".pb": "is TensorFlow's SavedModel, a program that loading would run; save the model as .keras or .onnx",
    ".npz": "holds arrays and no network; name the network's file",
    ".npy": "holds an array and no network; name the network's file",
    ".safetensors": "holds weights and no network; name the network's file, and give this one as --weights",
    ".tflite": "is a TensorFlow Lite file, which is not read here; save the model as .keras or .onnx",
    ".mlmodel": "is a Core ML file, which is not read here; save the model as .onnx",
}
"""Ending -> why a file of it is not read."""
MOST_CHARACTERS = 500
FILE_AND_NAME = re.compile(r"(?P<path>.+?\.(?:py|ipynb))(?P<rest>:.*)?", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Target:
    """A target, understood but not yet opened."""

    text: str
    kind: Kind
    path: Path | None = None
    name: str = ""
    """Of the class or function in the file; empty where the one network is meant."""
    arguments: tuple[Any, ...] = ()
    keywords: dict[str, Any] = field(default_factory=dict)


def understand(text: str) -> Target:
    """Return what `text` names. Raises `InputError` where it can be nothing that is read here, or is not there."""
    if not text.strip() or "\0" in text:
        raise InputError("Name a network: a name of the zoo (`budgetnet list`), a file, a notebook, a run directory or a folder.")
    match = FILE_AND_NAME.fullmatch(text)
    if match is not None and not _is_folder(Path(text)):
        path = _existing(Path(match["path"]))
        name, arguments, keywords = _call((match["rest"] or "").removeprefix(":"), text)
        return Target(text, KINDS[path.suffix.lower()], path, name, arguments, keywords)
    path = Path(text)
    suffix = path.suffix.lower()
    suffix = ".p" if suffix.startswith(".pick") else suffix
    if _is_folder(path):
        if (path / "saved_model.pb").exists():
            raise InputError(f"{text}: {REFUSED['.pb']}.")
        return Target(text, "run" if (path / "recipe.json").is_file() else "folder", path.resolve())
    if suffix in REFUSED:
        raise InputError(f"{text}: {REFUSED[suffix]}.")
    if suffix in KINDS:
        return Target(text, KINDS[suffix], _existing(path))
    if _is_file(path):
        raise InputError(f"{text}: is no network that can be read here; known are {', '.join(KINDS)}, run directories and folders.")
    if len(path.parts) > 1 or suffix:
        raise InputError(f"{text}: no such file or folder.")
    return Target(text, "zoo", name=text)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a text too long for a name, most of all
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _existing(path: Path) -> Path:
    if not _is_file(path):
        raise InputError(f"{path}: no such file.")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: is empty (0 bytes).")
    largest = LARGEST_FILE[KINDS[path.suffix.lower()]]
    if path.stat().st_size > largest:
        raise InputError(f"{path}: is larger than the {largest // 2**20} MiB that a {path.suffix} file may have here.")
    return path.resolve()


def _call(text: str, target: str) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """Return name and literal arguments of `Net` or `Net(16, width=2)`; no expression is computed."""
    advice = "a network in a file is named as path/to/file.py:Class, or with plain values as path/to/file.py:Class(width=16)"
    if not text:
        return "", (), {}
    if text.isidentifier():
        return text, (), {}
    if len(text) > MOST_CHARACTERS:
        raise InputError(f"{target[:80]}…: is too long; {advice}.")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise InputError(f"{target}: {advice}.") from None
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
        raise InputError(f"{target}: {advice}.")
    try:
        arguments = tuple(ast.literal_eval(argument) for argument in tree.args)
        keywords = {str(word.arg): ast.literal_eval(word.value) for word in tree.keywords if word.arg is not None}
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise InputError(f"{target}: arguments are plain values (numbers, texts, lists of them), never computed ones.") from None
    if len(keywords) != len(tree.keywords):
        raise InputError(f"{target}: arguments are plain values (numbers, texts, lists of them), never computed ones.")
    return tree.func.id, arguments, keywords
