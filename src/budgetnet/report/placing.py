"""A report's folder: it appears whole, an earlier report is replaced, and anything else that lies there is refused. No torch."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path

from budgetnet.errors import InputError

README = "README.md"


def refuse_foreign(folder: Path, files: Collection[str], marker: str) -> None:
    """Raise `InputError` where `folder` is neither free, nor empty, nor a report of ours: of these files, with this first line."""
    advice = "Choose another --out, or move it away."
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"{folder}: is there already, and no folder. {advice}")
    found = sorted(child.name for child in folder.iterdir()) if folder.is_dir() else []
    if not found:
        return
    foreign = [name for name in found if name not in files]
    if foreign:
        raise InputError(f"{folder}: holds {foreign[0]!r}, which is no part of a report. {advice}")
    if not _begins_with(folder / README, marker):
        raise InputError(f"{folder}: holds files that were not written as a report. {advice}")


def _begins_with(path: Path, marker: str) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(marker.encode())) == marker.encode()
    except OSError:
        return False


def replace_folder(folder: Path, files: dict[str, bytes]) -> None:
    """Build the folder beside its place, then rename; the old one leaves only when the new one is complete."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    workplace = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=".tmp", dir=folder.parent))
    try:
        new, old = workplace / "new", workplace / "old"
        new.mkdir()
        for name, content in files.items():
            (new / name).write_bytes(content)
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
