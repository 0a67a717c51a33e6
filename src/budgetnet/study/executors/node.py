"""What a node of a cluster does with one run: its data and its files laid ready, the run in a process of its own, its files back.

The process is that of the local executor, so that limits, crashes and bits are the same here and there. The data set is written once for
each node, under its sum, and goes when the study ends. No torch in this process, and nothing of Ray but what it is handed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as StillRunning
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from budgetnet.durable import sha256
from budgetnet.errors import InputError
from budgetnet.recipe import Recipe
from budgetnet.rundir import LOCK
from budgetnet.study.executors.interface import Limits, RunFailed, Standing, Stopped
from budgetnet.study.executors.local import LocalExecutor
from budgetnet.study.spec import RunSpec

PACKAGE = Path(__file__).resolve().parents[2]
SECONDS_BETWEEN_WORDS = 1.0
LARGEST_RUN = 512 * 2**20
"""Bytes of a run directory; the zoo's have a third of a megabyte."""


@dataclass(frozen=True)
class Order:
    """One run, as it is sent to a node."""

    key: str
    recipe: dict[str, Any]
    seed: int
    source_sha256: str | None
    threads: int
    limits: Limits
    code: str
    """The sum of the program that asks."""
    files: dict[str, bytes]
    """Of a run that goes on; empty for a new one."""
    data_sha256: str
    place: str
    """Names the folder on the node: its study and the node, so that nodes of one machine do not share it, nor studies of one node."""


@cache
def code_sum() -> str:
    """Return a sum over the program's own files: equal on two machines exactly when both run the same code."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(f"{path.relative_to(PACKAGE).as_posix()}\n{sha256(path.read_bytes())}\n".encode())
    return digest.hexdigest()


def carry_out(order: Order, data: Callable[[], bytes], tell: Callable[[Standing], bool]) -> dict[str, Any]:
    """Carry out an order; return how it ended and the files of the run, also of one that was stopped.

    `data` gives the packed data set where this node has it not yet; `tell` takes where the run stands and answers whether to stop.
    """
    if order.code != code_sum():
        return {"failed": "crash", "words": "this node has another version of budgetnet than the machine that started the study"}
    spec = RunSpec(Recipe.model_validate(order.recipe), order.seed, order.source_sha256)
    with _workplace(order) as folder:
        try:
            _check_source(spec)
            packed = _packed(order, data)
        except (InputError, OSError) as error:
            return {"failed": "crash", "words": str(error)}
        runs = folder / "runs"
        lay_out(runs / order.key, order.files)
        try:
            _train(spec, order, runs, packed, tell)
        except Stopped:
            return {"stopped": True, "files": gather(runs / order.key)}
        except RunFailed as failure:
            return {"failed": failure.kind, "words": failure.words}
        return {"finished": True, "files": gather(runs / order.key)}


def lay_out(folder: Path, files: dict[str, bytes]) -> None:
    """Write the files of a run directory. Names come from our own `gather`, and still none may leave the folder."""
    for name, content in files.items():
        target = folder / name
        if not target.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{name!r} leads out of the run directory.")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def gather(folder: Path) -> dict[str, bytes]:
    """Return the files of a run directory, those of its checkpoints too."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != LOCK and not path.name.endswith(".tmp")]
    if sum(path.stat().st_size for path in paths) > LARGEST_RUN:
        raise InputError(f"{folder}: is larger than {LARGEST_RUN >> 20} MiB and is not sent.")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _train(spec: RunSpec, order: Order, runs: Path, packed: Path, tell: Callable[[Standing], bool]) -> None:
    # Ray's own processes are nice already.
    with LocalExecutor(runs, jobs=1, threads=order.threads, limits=order.limits, packed_data=packed, nice=0) as executor:
        future = executor.submit(spec)
        asked = False
        while True:
            with contextlib.suppress(StillRunning):
                future.result(timeout=SECONDS_BETWEEN_WORDS)
                return
            standing = executor.standings().get(spec.key, Standing(epochs=spec.recipe.epochs_in_all))
            if tell(standing) and not asked:
                asked = True
                executor.stop()


@contextlib.contextmanager
def _workplace(order: Order) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"{order.key}-", dir=_node_folder(order)))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear(place: str) -> None:
    """Remove what a study's runs left on this node: the data set, and the files of runs that were killed."""
    shutil.rmtree(_path_of(place), ignore_errors=True)


def _node_folder(order: Order) -> Path:
    folder = _path_of(order.place)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _path_of(place: str) -> Path:
    user = os.getuid() if hasattr(os, "getuid") else 0
    return Path(tempfile.gettempdir()) / f"budgetnet-{user}-{place}"


def _packed(order: Order, data: Callable[[], bytes]) -> Path:
    """Return the file of the data set on this node; the first run that needs it writes it."""
    path = _node_folder(order) / f"{order.data_sha256}.safetensors"
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            temporary = path.with_suffix(".tmp")
            temporary.write_bytes(data())
            temporary.replace(path)
    return path


def _check_source(spec: RunSpec) -> None:
    if spec.source_sha256 is None:
        return
    path = Path(spec.recipe.network.rpartition(":")[0] or spec.recipe.network)
    if not path.is_file():
        raise InputError(f"{path}: is not on this node; a network of one's own must lie at the same path on every node.")
    if sha256(path.read_bytes()) != spec.source_sha256:
        raise InputError(f"{path}: is another file on this node than on the machine that started the study.")
