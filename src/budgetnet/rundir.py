"""The run directory: the only file that knows what the files of a run are called.

Everything is written to a temporary name, flushed to the disk and renamed, so that a kill at any moment leaves either the old file or
the new one. Checkpoints are folders that appear whole, the newest and the one before it are kept, and every byte that is read
back is held against a SHA-256 (neither safetensors nor JSON notices a flipped bit). `done` is written last: it means complete. No torch.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import ValidationError

from budgetnet.checkpoints import Checkpoint, Checkpoints
from budgetnet.durable import MANIFEST, flush_folder, manifest_of, parse_json_object, verify_manifest, write_durably
from budgetnet.errors import InputError
from budgetnet.facts import Facts
from budgetnet.recipe import Recipe, explain

RECIPE = "recipe.json"
RUN = "run.json"
FINGERPRINT = "fingerprint.json"
LOG = "log.jsonl"
TIMING = "timing.jsonl"
FACTS = "facts.json"
EVALUATION = "evaluation.json"
MISCLASSIFIED = "misclassified.safetensors"
WEIGHTS = "weights.safetensors"
DONE = "done"
LOCK = ".lock"
CHECKPOINTS = "checkpoints"
EXPORTS = "export"
"""The folder of what `export` wrote, each file verified."""
EXPORTS_TABLE = "exports.json"
TEACHER = "teacher"
"""The folder of the network that a run learned from: a run directory of its own, without a result on the test split."""
RESULTS = (RECIPE, RUN, FINGERPRINT, LOG, TIMING, FACTS, EVALUATION, MISCLASSIFIED, WEIGHTS)
"""The files of a finished run, each in the manifest."""
RESULTS_OF_TEACHER = (RECIPE, RUN, FINGERPRINT, LOG, TIMING, WEIGHTS)
"""The same for a teacher."""
MANIFEST_OF_TEACHER = f"{TEACHER}/{MANIFEST}"
"""In the manifest of the run that learned from it."""
LARGEST_FILE = 256 * 2**20
"""Bytes; a file of a run directory that is larger was not written by this program."""


@dataclass(frozen=True)
class RunDirectory:
    """A run's folder. Readers raise `InputError` that names the file where one is missing, damaged or not what it should be."""

    path: Path

    @property
    def finished(self) -> bool:
        """Whether the run is complete: all results are there and `done` was written."""
        return (self.path / DONE).is_file()

    @property
    def is_teacher(self) -> bool:
        """Whether this is the folder of another run's teacher."""
        return self.path.name == TEACHER and (self.path.parent / RECIPE).is_file()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory; a second process is refused at once. The system lets go when the process ends, however it ends."""
        lock = FileLock(self.path / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise InputError(f"{self.path}: another process is working on this run; wait for it, or stop it.") from None
        try:
            yield
        finally:
            lock.release()

    # -- what every run has from its first moment

    def recipe(self) -> Recipe:
        """Return the run's recipe."""
        try:
            return Recipe.model_validate_json(self.read(RECIPE))
        except ValidationError as error:
            raise InputError(f"{self.path / RECIPE}: not a recipe: {explain(error)}") from None

    def identity(self) -> dict[str, Any]:
        """Return the run's seed, the command that makes it again, and what ties it to a network file of the user's."""
        identity = self._json_object(RUN)
        if not isinstance(identity.get("seed"), int):
            raise InputError(f"{self.path / RUN}: names no seed.")
        return identity

    def fingerprint(self) -> dict[str, Any]:
        """Return what the run was computed with: program, torch, threads, processor, data."""
        return self._json_object(FINGERPRINT)

    def log(self) -> list[dict[str, Any]]:
        """Return a row for each epoch that is complete."""
        rows = self._json_lines(LOG)
        if not all(isinstance(row.get("samples_seen"), int) and isinstance(row.get("epoch"), int) for row in rows):
            raise InputError(f"{self.path / LOG}: a row lacks its epoch or its samples_seen.")
        return rows

    def timing(self) -> list[dict[str, Any]]:
        """Return the seconds of each epoch that is complete."""
        return self._json_lines(TIMING)

    def teacher(self) -> RunDirectory:
        """Return the directory of the run's teacher; it exists once a recipe with one was begun."""
        return RunDirectory(self.path / TEACHER)

    def seconds(self) -> float:
        """Return the seconds of all complete epochs, a teacher's with them."""
        return sum(float(row["seconds"]) for row in [*self.teacher().timing(), *self.timing()])

    # -- what a finished run has

    def facts(self) -> Facts:
        """Return what was measured of the network and of the training; of an unfinished run, what was seen up to its last epoch."""
        try:
            facts = Facts.model_validate_json(self.read(FACTS))
        except ValidationError as error:
            raise InputError(f"{self.path / FACTS}: not a file of facts: {explain(error)}") from None
        if self.finished or facts.training is None:
            return facts
        # Without `done` nothing vouches for a result, so an unfinished run has none, whatever its file says.
        seen = [
            *(int(row["samples_seen"]) for run in (self, self.teacher()) for row in run.log()[-1:]),
            *(int(path.name) for run in (self, self.teacher()) for path in run.checkpoints()[-1:]),
        ]
        unfinished = dict.fromkeys(("accuracy", "loss", "forward_passes", "accuracy_by_epoch"))
        seen_so_far = {"samples_seen": max(seen, default=0), "complete": False}
        return facts.model_copy(update={"training": facts.training.model_copy(update={**unfinished, **seen_so_far})})

    def evaluation(self) -> dict[str, Any]:
        """Return the evaluation on the test split."""
        return self._json_object(EVALUATION)

    def verify(self, results: Sequence[str] = RESULTS) -> None:
        """Hold every result, a teacher's too, against its manifest. Raises `InputError` with the first that differs or lacks."""
        if not self.finished:
            raise InputError(f"{self.path}: this run is not finished ({len(self.log())} epochs so far). {self._how_to_resume()}")
        verify_manifest(self.path, results)
        if results is RESULTS and self.recipe().teacher is not None:
            if not self.teacher().finished:
                raise InputError(f"{self.teacher().path}: the run learned from a teacher, and its files are not here.")
            self.teacher().verify(RESULTS_OF_TEACHER)
            verify_manifest(self.path, [MANIFEST_OF_TEACHER])

    # -- writing

    def write(self, name: str, content: bytes) -> None:
        """Replace the file `name`, atomically and durably."""
        temporary = self.path / f".{name}.{os.getpid()}.tmp"
        try:
            write_durably(temporary, content)
            temporary.replace(self.path / name)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise InputError(f"{self.path / name}: cannot be written: {error.strerror}.") from None
        flush_folder(self.path)

    def write_json(self, name: str, value: Any) -> None:
        """Replace the file `name` by `value` as indented JSON."""
        self.write(name, (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())

    def write_lines(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Replace the file `name` by one line of JSON for each row."""
        self.write(name, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows).encode())

    def finish(self, contents: Mapping[str, bytes], results: Sequence[str] = RESULTS) -> None:
        """Write `contents`, then the manifest over all `results`, then `done`; the checkpoints are no longer needed."""
        for name, content in contents.items():
            self.write(name, content)
        names = [*results, MANIFEST_OF_TEACHER] if (self.path / MANIFEST_OF_TEACHER).is_file() else results
        self.write(MANIFEST, manifest_of({name: self.read(name) for name in names}))
        self.write(DONE, b"")
        shutil.rmtree(self.path / CHECKPOINTS, ignore_errors=True)

    # -- checkpoints

    @property
    def _kept(self) -> Checkpoints:
        return Checkpoints(self.path / CHECKPOINTS, self._how_to_resume())

    def save_checkpoint(self, samples_seen: int, checkpoint: Checkpoint) -> None:
        """Keep a state of the run; it appears whole or not at all, and the one before it stays."""
        self._kept.save(f"{samples_seen:012d}", checkpoint)

    def checkpoints(self) -> list[Path]:
        """Return the kept checkpoints, oldest first."""
        return self._kept.paths()

    def load_checkpoint(self, *, previous: bool = False) -> Checkpoint | None:
        """Return the newest checkpoint (or the one before it), or None where there is none yet.

        Raises `InputError` naming the file where its content is not what was written.
        """
        for path in self.path.glob(".*.tmp"):
            path.unlink(missing_ok=True)
        return self._kept.load(self.path, previous=previous)

    # -- reading

    def read(self, name: str) -> bytes:
        """Return a file's bytes; at most `LARGEST_FILE` of them."""
        path = self.path / name
        try:
            if path.stat().st_size > LARGEST_FILE:
                raise InputError(f"{path}: larger than {LARGEST_FILE // 2**20} MiB; not a file of a run.")
            return path.read_bytes()
        except FileNotFoundError:
            words = "is missing" if self.finished else f"is not there yet. {self._how_to_resume()}"
            raise InputError(f"{path}: {words}") from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}.") from None

    def _json_object(self, name: str) -> dict[str, Any]:
        return parse_json_object(self.read(name), self.path / name)

    def _json_lines(self, name: str) -> list[dict[str, Any]]:
        lines = self.read(name).splitlines() if (self.path / name).exists() else []
        return [parse_json_object(line, self.path / name) for line in lines]

    def _how_to_resume(self) -> str:
        run = self.path.parent if self.is_teacher else self.path
        return f"Go on with: budgetnet train --resume {shlex.quote(str(run))}"


def create_run(path: Path, recipe: Recipe, *, identity: dict[str, Any], fingerprint: dict[str, Any]) -> RunDirectory:
    """Make a new run directory. Raises `InputError` where the place is taken: nothing is ever overwritten."""
    run = RunDirectory(path)
    if (path / RECIPE).exists():
        state = "a finished run" if run.finished else "an unfinished run"
        advice = "choose another --out" if run.finished else f"choose another --out, or go on with: budgetnet train --resume {path}"
        raise InputError(f"{path}: holds {state} already; {advice}.")
    if path.exists() and (not path.is_dir() or not all(_from_a_start(child) for child in path.iterdir())):
        raise InputError(f"{path}: is not empty and not a run; choose another --out.")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be made: {error.strerror}.") from None
    with run.locked():
        if (path / RECIPE).exists():
            raise InputError(f"{path}: another process has just begun a run here; choose another --out.")
        run.write_json(FINGERPRINT, fingerprint)
        run.write_json(RUN, identity)
        run.write_json(RECIPE, recipe.model_dump())
    return run


def open_run(path: str | Path) -> RunDirectory:
    """Return the run at `path`. Raises `InputError` where there is none."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such run directory.")
    if not (path / RECIPE).is_file():
        raise InputError(f"{path}: not a run directory (it has no {RECIPE}).")
    return RunDirectory(path)


def _from_a_start(path: Path) -> bool:
    # What a start leaves that was killed before the recipe, its last file, was written.
    return path.name in {LOCK, FINGERPRINT, RUN} or (path.name.startswith(".") and path.name.endswith(".tmp"))
