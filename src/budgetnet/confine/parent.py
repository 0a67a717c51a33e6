"""The trusting side: start the confined child, hand it a task, wait no longer than agreed, and believe only a well-formed answer.

Nothing foreign is parsed here but one bounded line of JSON. The child is alone in its session, so that all of it can be killed,
and its temporary folder goes when it goes. Everything that can happen to it ends as one `InputError`.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from budgetnet.confine.paths import environment, own_paths, python_paths
from budgetnet.errors import InputError

STARTING_SECONDS = 120.0
"""For the child's own imports, which are not the task's fault: torch from a cold disk takes its time."""
ANSWERS = 3
"""Lines of a child: what is missing, that it is ready, and the answer."""
LARGEST_ANSWER = 32 * 2**20
LARGEST_OUTPUT = 64 * 2**10
MOST_THREADS = 200
LARGEST_FOLDER = 256 * 2**20
MOST_FILES = 5_000
SHOWN_OUTPUT = 200
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Limits:
    """What a task may cost."""

    seconds: float = 60.0
    """Of the clock, from the moment the task begins."""
    memory: int = 4 * 2**30
    """Bytes of address space beyond the child's own imports."""


@dataclass(frozen=True)
class Confined:
    """What a confined task gave."""

    answer: Any
    """JSON, as the worker returned it. Not to be believed further than its form is checked."""
    missing: tuple[str, ...] = ()
    """What could not be confined on this platform."""


@dataclass
class _Child:
    process: subprocess.Popen[bytes]
    folder: Path
    name: str
    lines: list[bytes] = field(default_factory=list)
    output: bytearray = field(default_factory=bytearray)
    too_much: bool = False
    readers: list[threading.Thread] = field(default_factory=list)


def run_confined(
    worker: str,
    task: Any,
    *,
    name: str,
    readable: Iterable[Path] = (),
    listed: Iterable[Path] = (),
    trusted: Iterable[Path] = (),
    limits: Limits | None = None,
    say: Callable[[str], None] | None = None,
    without: Iterable[str] = (),
) -> Confined:
    """Run `worker` («module:function», this package's own) on `task` (JSON) in a confined child and return its answer.

    The child may read `readable` (files, and folders whole), Python's own files and its empty temporary folder, and may see
    the names in the folders `listed`. `say` is told, before the task begins, each thing that could not be confined. Workers
    may also be taken from modules in the folders `trusted`. `without` leaves layers out (`namespaces`, `landlock`,
    `syscalls`), as on a platform that lacks them. Raises `InputError`, beginning with `name`, whatever the child does instead
    of answering.
    """
    limits = limits or Limits()
    with tempfile.TemporaryDirectory(prefix="budgetnet-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary).resolve()
        child = _start(
            worker,
            folder,
            name=name,
            readable=list(readable),
            listed=list(listed),
            trusted=list(trusted),
            limits=limits,
            without=list(without),
        )
        try:
            report = _line(child, 0, STARTING_SECONDS, "could not be started in a confined process")
            missing = [str(item) for item in report.get("missing", [])]
            for item in missing:
                if say is not None:
                    say(f"{name}: not confined on this platform: {item}.")
            word = secrets.token_hex(16)
            _hand_over(child, {"word": word, "task": task})
            _line(child, 1, STARTING_SECONDS, "could not be started in a confined process")
            answer = _line(child, 2, limits.seconds, f"took longer than {limits.seconds:g} s and was stopped")
        finally:
            _end(child)
    if not secrets.compare_digest(str(answer.get("word", "")), word):
        raise InputError(f"{name}: its code answered in place of the check; nothing that it says is believed.")
    if "error" in answer:
        raise InputError(_prefixed(name, str(answer["error"])))
    return Confined(answer.get("answer"), tuple(missing))


def _prefixed(name: str, error: str) -> str:
    sentence = " ".join(error.split())[:1000]
    return sentence if sentence.startswith(name) else f"{name}: {sentence}"


def _start(
    worker: str,
    folder: Path,
    *,
    name: str,
    readable: list[Path],
    listed: list[Path],
    trusted: list[Path],
    limits: Limits,
    without: list[str],
) -> _Child:
    read, names = python_paths()
    settings = {
        "worker": worker,
        "folder": str(folder),
        "read": [*read, *(str(path.resolve()) for path in (*readable, *trusted))],
        "names": [*names, *(str(path.resolve()) for path in listed)],
        "home": str(Path.home()),
        "seconds": limits.seconds,
        "memory": limits.memory,
        "without": without,
    }
    # The interpreter is isolated: no user's site folder, no PYTHON… variables, no current folder among its paths.
    code = f"import sys; sys.path[:0] = {[*own_paths(), *map(str, trusted)]!r}; from budgetnet.confine.child import main; main()"
    try:
        process = subprocess.Popen(  # noqa: S603 - this interpreter, and words of our own
            [sys.executable, "-I", "-B", "-c", code, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=environment(folder),
            start_new_session=True,
        )
    except OSError as error:
        raise InputError(f"{name}: cannot be started in a confined process ({error.strerror}).") from None
    child = _Child(process, folder, name)
    for reader, pipe in ((_read_lines, process.stdout), (_read_output, process.stderr)):
        thread = threading.Thread(target=reader, args=(child, pipe), daemon=True)
        thread.start()
        child.readers.append(thread)
    return child


def _read_lines(child: _Child, pipe: IO[bytes]) -> None:
    """Keep the child's lines; a child that says more, or too much in one, is cut off."""
    with contextlib.suppress(OSError, ValueError):
        while len(child.lines) < ANSWERS and not child.too_much:
            line = pipe.readline(LARGEST_ANSWER + 1)
            if not line:
                return
            child.too_much = len(line) > LARGEST_ANSWER
            child.lines.append(line)


def _read_output(child: _Child, pipe: IO[bytes]) -> None:
    """Keep the end of what the child prints, and let the rest go by."""
    with contextlib.suppress(OSError, ValueError):
        while part := pipe.read1(65_536):  # type: ignore[attr-defined]
            child.output += part
            del child.output[:-LARGEST_OUTPUT]


def _hand_over(child: _Child, document: dict[str, Any]) -> None:
    pipe = child.process.stdin
    # A child that is gone cannot take it; its end is looked at next.
    with contextlib.suppress(OSError):
        if pipe is not None:
            pipe.write(json.dumps(document).encode() + b"\n")
            pipe.close()


def _line(child: _Child, number: int, seconds: float, too_late: str) -> dict[str, Any]:
    """Return the child's line of that number, as JSON; raise `InputError` where it does not come."""
    deadline = time.monotonic() + seconds
    ended = False
    while len(child.lines) <= number:
        if ended:
            raise InputError(_how_it_ended(child))
        if time.monotonic() > deadline:
            raise InputError(f"{child.name}: {too_late}.")
        _watch(child)
        ended = child.process.poll() is not None
        # What was sent right before the end is still on its way through the reader.
        child.readers[0].join(timeout=1.0 if ended else POLL_SECONDS / 4)
    if child.too_much:
        raise InputError(f"{child.name}: its answer is larger than {LARGEST_ANSWER // 2**20} MiB, and was not read.")
    try:
        document = json.loads(child.lines[number])
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise InputError(f"{child.name}: its code answered in place of the check; nothing that it says is believed.")
    return document


def _watch(child: _Child) -> None:
    """Stop a child that makes threads without end, or fills its folder."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            if len(os.listdir(f"/proc/{child.process.pid}/task")) > MOST_THREADS:  # noqa: PTH208 - names alone are wanted
                raise InputError(f"{child.name}: started more than {MOST_THREADS} threads and was stopped.")
    files, size = 0, 0
    for folder, _, names in os.walk(child.folder):
        for name in names:
            files += 1
            with contextlib.suppress(OSError):
                size += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - many files, looked at often
        if files > MOST_FILES or size > LARGEST_FOLDER:
            raise InputError(f"{child.name}: filled its temporary folder and was stopped.")


def _how_it_ended(child: _Child) -> str:
    child.readers[1].join(timeout=1.0)
    code = child.process.returncode
    printed = child.output.decode("utf-8", "replace").split("\n")
    last = " ".join(next((line for line in reversed(printed) if line.strip()), "").split())[:SHOWN_OUTPUT]
    shown = f" (its last words: {''.join(character for character in last if character.isprintable())})" if last else ""
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        why = {"SIGXCPU": "used up its processor time", "SIGKILL": "was killed, most likely for its memory"}.get(
            name, f"died of {name}"
        )
        return f"{child.name}: its process {why}{shown}."
    return f"{child.name}: its code ended the process (exit code {code}) before the check was done{shown}."


def _end(child: _Child) -> None:
    """Kill what is left of the child's session, and wait for it."""
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(child.process.pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        child.process.kill()
    child.process.wait()
    for reader in child.readers:
        reader.join(timeout=1.0)
    for pipe in (child.process.stdin, child.process.stdout, child.process.stderr):
        with contextlib.suppress(OSError):
            if pipe is not None:
                pipe.close()
