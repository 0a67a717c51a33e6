"""One command in a child process of its own: no longer than agreed, no more output than agreed, and nothing of it left behind.

The child leads a session of its own and works in an empty temporary folder, which goes with it; a stranger's `json.py` beside a hand-in
is never imported, because neither the hand-in nor the current folder is on its path. No torch; costs what the command costs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

LARGEST_ANSWER = 16 * 2**20
LARGEST_COMPLAINT = 64 * 2**10
POLL_SECONDS = 0.05
PACKAGE = Path(__file__).resolve().parents[2]
PROGRAM = (sys.executable, "-P", "-m", "budgetnet")
"""This very program; `-P` keeps the current folder off its path."""


@dataclass(frozen=True)
class Answer:
    """How a child ended."""

    how: Literal["itself", "late", "flood", "stopped", "not started"]
    """`late`: after its time; `flood`: it printed too much; `stopped`: someone asked for it."""
    code: int | None = None
    """Exit code, negative for a signal; None unless it ended by itself."""
    output: bytes = b""
    complaint: bytes = b""
    """The end of stderr."""


@dataclass
class _Pipes:
    output: bytearray = field(default_factory=bytearray)
    complaint: bytearray = field(default_factory=bytearray)
    flood: bool = False


def run_child(words: Sequence[str], *, seconds: float, stop: threading.Event) -> Answer:
    """Run a command, and return how it ended: by itself, after `seconds`, by a flood of output, or because `stop` was set."""
    with tempfile.TemporaryDirectory(prefix="budgetnet-grade-", ignore_cleanup_errors=True) as folder:
        try:
            process = subprocess.Popen(  # noqa: S603 - our own program, and words that no shell reads
                list(words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                cwd=folder,
                env=_environment(folder),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return Answer("not started", complaint=str(error).encode("utf-8", "replace"))
        pipes = _Pipes()
        readers = [
            threading.Thread(target=_read_output, args=(process.stdout, pipes), daemon=True),
            threading.Thread(target=_read_complaint, args=(process.stderr, pipes), daemon=True),
        ]
        for reader in readers:
            reader.start()
        try:
            how = _wait(process, pipes, seconds, stop)
        finally:
            _end(process)
        for reader in readers:
            reader.join(timeout=1.0)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        if pipes.flood and how == "itself":
            how = "flood"
        return Answer(how, process.returncode if how == "itself" else None, bytes(pipes.output), bytes(pipes.complaint))


def _wait(
    process: subprocess.Popen[bytes], pipes: _Pipes, seconds: float, stop: threading.Event
) -> Literal["itself", "late", "flood", "stopped"]:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=POLL_SECONDS)
            return "itself"
        if pipes.flood:
            return "flood"
        if stop.is_set():
            return "stopped"
        if time.monotonic() > deadline:
            return "late"


def _read_output(pipe: IO[bytes], pipes: _Pipes) -> None:
    with contextlib.suppress(OSError, ValueError):
        while part := pipe.read(65_536):
            if len(pipes.output) + len(part) > LARGEST_ANSWER:
                pipes.flood = True
                return
            pipes.output += part


def _read_complaint(pipe: IO[bytes], pipes: _Pipes) -> None:
    with contextlib.suppress(OSError, ValueError):
        while part := pipe.read(65_536):
            pipes.complaint += part
            del pipes.complaint[:-LARGEST_COMPLAINT]


def _environment(folder: str) -> dict[str, str]:
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), folder)
    # The child works elsewhere: what was meant from here must still be found.
    paths = [str(Path(path).resolve()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if PACKAGE.name not in {"site-packages", "dist-packages"}:
        paths.append(str(PACKAGE))
    return {**os.environ, **one, **places, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1", "NO_COLOR": "1"}


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a child, its session, and whatever it started in sessions of their own."""
    family = _descendants(process.pid) if process.poll() is None else []
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    for pid in family:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        process.kill()
    process.wait()


def _descendants(pid: int) -> list[int]:
    """Return the processes below `pid`, where the platform tells (Linux)."""
    found, todo = [], [pid]
    while todo:
        parent = todo.pop()
        with contextlib.suppress(OSError, ValueError):
            for task in os.listdir(f"/proc/{parent}/task"):  # noqa: PTH208 - names alone are wanted
                children = Path(f"/proc/{parent}/task/{task}/children").read_text(encoding="ascii")
                todo += [int(child) for child in children.split()]
        found += [parent] if parent != pid else []
    return found
