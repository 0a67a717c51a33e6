"""Writing that survives a kill or a power cut, and reading that notices a flipped bit.

A file is written, flushed to the disk and only then renamed into place, and the folder is flushed after it; a manifest of SHA-256
sums stands beside each group of files, because neither safetensors nor JSON notices a changed bit. Level 0; a flush costs milliseconds.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from budgetnet.errors import InputError

MANIFEST = "manifest.json"


def sha256(content: bytes) -> str:
    """Return the SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def write_durably(path: Path, content: bytes) -> None:
    """Write a file and wait until it is on the disk. Not atomic: give a temporary name, and rename."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def flush_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def parse_json(content: bytes, path: Path) -> Any:
    """Return what the JSON of `path` says. Raises `InputError` naming the file where it is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise InputError(f"{path}: damaged: it is not JSON.") from None


def parse_json_object(content: bytes, path: Path) -> dict[str, Any]:
    """Return the JSON object that `content`, a part of `path` or all of it, holds. Raises `InputError` naming the file where it is none."""
    value = parse_json(content, path)
    if not isinstance(value, dict):
        raise InputError(f"{path}: a JSON object is expected.")
    return value


def manifest_of(contents: dict[str, bytes]) -> bytes:
    """Return the text of a manifest over named contents."""
    return json.dumps({"files": {name: sha256(content) for name, content in contents.items()}}, indent=1).encode()


def verify_manifest(folder: Path, names: Sequence[str]) -> None:
    """Hold the files `names` against the folder's manifest. Raises `InputError` with the first that lacks or differs."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise InputError(f"{manifest}: is missing, so nothing here can be trusted.")
    content = parse_json(manifest.read_bytes(), manifest)
    listed = content.get("files") if isinstance(content, dict) else None
    for name in names:
        path = folder / name
        if not path.is_file():
            raise InputError(f"{path}: is missing.")
        if not isinstance(listed, dict) or listed.get(name) != sha256(path.read_bytes()):
            raise InputError(f"{path}: damaged: its SHA-256 is not the one that was written down when it was saved.")
