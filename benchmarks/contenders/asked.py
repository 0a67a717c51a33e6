"""A contender's side of the conversation: a line of JSON comes in, a line of JSON goes out, until the input ends.

The first line is the task; the answer to it says that the contender is ready. Each further line asks for one round, and the answer gives
its seconds and its images. Standard library only, because every environment reads it. Import it before any numeric library: `begin`
pins the process to its processors and names the thread count in every variable that those libraries read when they load.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


class _Channel:
    """Where answers go: stdout as the process was given it, while everything that libraries print goes to stderr."""

    stream: TextIO | None = None


def begin() -> dict[str, Any]:
    """Return the task, after threads and output are settled."""
    _Channel.stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    task: dict[str, Any] = json.loads(sys.stdin.readline())
    threads = int(task["threads"])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)
    return task


def answer(**values: Any) -> None:
    """Send one line."""
    if _Channel.stream is None:
        raise RuntimeError("begin() comes first")
    _Channel.stream.write(json.dumps(values) + "\n")
    _Channel.stream.flush()


def asked() -> dict[str, Any] | None:
    """Return the next request, None when there will be no other."""
    line = sys.stdin.readline()
    return json.loads(line) if line else None


def serve(versions: dict[str, str], play: Callable[[], tuple[float, int]]) -> None:
    """Say that all is ready, then play a round for each request; `play` returns its seconds and images."""
    answer(ready=True, versions=versions)
    while asked() is not None:
        seconds, images = play()
        answer(seconds=seconds, images=images)
