"""The states that a run keeps on its way: folders that appear whole, the newest one and the one before it.

Each has a manifest of its own, so that a flipped bit is noticed before a run goes on from it. No torch.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from budgetnet.durable import MANIFEST, flush_folder, manifest_of, verify_manifest, write_durably
from budgetnet.errors import InputError

STATE_TENSORS = "state.safetensors"
STATE = "state.json"
KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """One state of a run, as it was saved: JSON values, and a safetensors file's bytes."""

    state: dict[str, Any]
    tensors: bytes


@dataclass(frozen=True)
class Checkpoints:
    """The folder of a run's states."""

    folder: Path
    advice: str
    """How the run is gone on with, for messages."""

    def paths(self) -> list[Path]:
        """Return the kept ones, oldest first."""
        return sorted(path for path in self.folder.glob("[0-9]*") if path.is_dir())

    def save(self, name: str, checkpoint: Checkpoint) -> None:
        """Keep a state under `name`, by which they are ordered; it appears whole or not at all, and the one before it stays."""
        final = self.folder / name
        if final.exists():
            return
        temporary = self.folder / f".{name}.{os.getpid()}.tmp"
        state = json.dumps(checkpoint.state).encode()
        try:
            temporary.mkdir(parents=True)
            write_durably(temporary / STATE_TENSORS, checkpoint.tensors)
            write_durably(temporary / STATE, state)
            write_durably(temporary / MANIFEST, manifest_of({STATE_TENSORS: checkpoint.tensors, STATE: state}))
            flush_folder(temporary)
            temporary.replace(final)
        except OSError as error:
            shutil.rmtree(temporary, ignore_errors=True)
            raise InputError(
                f"{self.folder}: the checkpoint cannot be written ({error.strerror}); the one before it is intact. {self.advice}"
            ) from None
        flush_folder(self.folder)
        for old in self.paths()[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def load(self, run: Path, *, previous: bool) -> Checkpoint | None:
        """Return the newest state (or the one before it) of the run at `run`, None where there is none yet.

        Raises `InputError` naming the file where its content is not what was written.
        """
        for litter in self.folder.glob(".*.tmp"):
            shutil.rmtree(litter, ignore_errors=True)
        kept = self.paths()
        if previous:
            if len(kept) < KEPT:
                raise InputError(f"{run}: there is no previous checkpoint; {len(kept)} kept.")
            verify_manifest(kept[-2], (STATE_TENSORS, STATE))
            shutil.rmtree(kept.pop())
        if not kept:
            return None
        try:
            verify_manifest(kept[-1], (STATE_TENSORS, STATE))
        except InputError as error:
            hint = " The checkpoint before it can be taken: add --previous." if len(kept) > 1 else ""
            raise InputError(f"{error}{hint}") from None
        return Checkpoint(json.loads((kept[-1] / STATE).read_bytes()), (kept[-1] / STATE_TENSORS).read_bytes())
