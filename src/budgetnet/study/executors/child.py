"""One run in a process of its own: `python -m budgetnet.study.executors.child`, the order as a line of JSON on stdin.

The process answers on stdout with lines of JSON: where it stands, and how it ended. What a user's network prints goes to stderr. Stdin is
its life line: when the other end closes, however that process ended, this one ends at once, as by a kill, and the run's checkpoints stay.
Limits are set before torch is loaded. Costs about two seconds before the first step.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from budgetnet.errors import Diverged, InputError
from budgetnet.interruption import Interrupted
from budgetnet.progress import Quiet
from budgetnet.recipe import Recipe

STOPPED = 143
"""128 + SIGTERM, as a shell says it."""
NO_LIFE_LINE = 99
SECONDS_BETWEEN_LINES = 0.5
WAIT_FOR_LOCK_SECONDS = 60.0
"""A process of a study that was killed needs a moment to end."""
OUT_OF_MEMORY = ("defaultcpuallocator", "not enough memory", "can't allocate memory", "cannot allocate memory", "std::bad_alloc")


class Telling(Quiet):
    """Tells where the run stands, not more often than twice a second."""

    def __init__(self, say: Any, epochs: int) -> None:
        self.say = say
        self.epochs = epochs
        self.epoch = 0
        self.before = 0
        self.accuracy: float | None = None
        self.last = 0.0

    def start(self, samples: int, validated: int, epochs_before: int = 0) -> None:  # noqa: ARG002
        """Take note of a teacher's epochs, which are over."""
        self.before = epochs_before

    def epoch_start(self, epoch: int, epochs: int, rate: float) -> None:  # noqa: ARG002
        """Tell that an epoch begins."""
        self.epoch = self.before + epoch - 1
        self._tell(0.0)

    def step(self, done: int, samples: int, seconds: float, loss: float, accuracy: float) -> None:  # noqa: ARG002
        """Tell how far the epoch is, from time to time."""
        if time.monotonic() - self.last >= SECONDS_BETWEEN_LINES:
            self._tell(done / samples)

    def epoch_end(self, row: dict[str, Any], seconds: float) -> None:  # noqa: ARG002
        """Tell what the epoch reached."""
        self.epoch = self.before + int(row["epoch"])
        watched = row.get("val_accuracy")
        self.accuracy = row["accuracy"] if watched is None else watched
        self._tell(0.0)

    def _tell(self, share: float) -> None:
        self.last = time.monotonic()
        self.say({"epoch": self.epoch, "epochs": self.epochs, "share": round(share, 3), "accuracy": self.accuracy})


def main() -> None:
    """Carry out the order on stdin."""
    order = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_hold_life_line, daemon=True).start()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)

    def say(document: dict[str, Any]) -> None:
        answers.write(json.dumps(document) + "\n")

    _set_limits(order.get("nice"), order.get("memory_mib"))
    try:
        carry_out(order, say)
    except Interrupted:
        answers.flush()
        os._exit(STOPPED)
    except BaseException as error:
        say({"failed": kind_of(error), "words": words_of(error)})
        raise
    say({"finished": True})


def carry_out(order: dict[str, Any], say: Any) -> Path:
    """Train the order's run in its folder, or go on with it; return the folder."""
    from budgetnet import training
    from budgetnet.datasets.packed import unpack
    from budgetnet.rundir import RECIPE

    path, recipe = Path(order["path"]), Recipe.model_validate(order["recipe"])
    progress = Telling(say, recipe.epochs_in_all)
    shared: dict[str, Any] = {"threads": order["threads"], "data_dir": order.get("data_dir"), "progress": progress}
    if order.get("packed_data") is not None:
        shared["dataset"] = unpack(Path(order["packed_data"]))
    if order.get("checkpoint_seconds") is not None:
        shared["checkpoint_seconds"] = order["checkpoint_seconds"]
    _wait_until_free(path)
    if (path / RECIPE).is_file():
        training.resume(path, **shared)
    else:
        training.train(recipe, seed=order["seed"], out=path, **shared)
    return path


def kind_of(error: BaseException) -> str:
    """Return the ledger's word for an error."""
    if isinstance(error, Diverged):
        return "diverged"
    words = str(error).lower()
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(sign in words for sign in OUT_OF_MEMORY)):
        return "memory"
    return "crash"


def words_of(error: BaseException) -> str:
    """Return an error in one line."""
    words = " ".join((str(error).strip() or "no words").split())[:500]
    return words if isinstance(error, Diverged | InputError) else f"{type(error).__name__}: {words}"


def _hold_life_line() -> None:
    while os.read(0, 4096):
        pass
    os._exit(NO_LIFE_LINE)


def _set_limits(nice: int | None, memory_mib: int | None) -> None:
    if nice and hasattr(os, "nice"):
        os.nice(nice)
    if memory_mib is None:
        return
    try:
        import resource
    except ImportError:  # Windows has none
        return
    size = memory_mib * 2**20
    # Linux counts private memory under RLIMIT_DATA; what torch merely maps (gigabytes of libraries) is not in it.
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def _wait_until_free(path: Path) -> None:
    from filelock import FileLock, Timeout

    from budgetnet.rundir import LOCK

    if not path.is_dir():
        return
    lock = FileLock(path / LOCK)
    try:
        lock.acquire(timeout=WAIT_FOR_LOCK_SECONDS)
    except Timeout:
        return  # the training will say who holds it
    lock.release()


if __name__ == "__main__":
    main()
