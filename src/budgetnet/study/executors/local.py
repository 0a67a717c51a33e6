"""Runs on this machine: a process for each, of one thread unless told otherwise, as many at a time as there are processors.

One thread each is faster in sum than one run with all threads (docs/STUDIES.md has the figures), and a run that crashes, hangs or takes all
memory harms nobody but itself. The processes are nice, and die with this one, however it ends. No torch in this process.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from budgetnet.rundir import RunDirectory, open_run
from budgetnet.study.entries import FailureKind
from budgetnet.study.executors.child import STOPPED
from budgetnet.study.executors.interface import Limits, RunFailed, Standing, Stopped
from budgetnet.study.spec import RunSpec

PACKAGE = Path(__file__).resolve().parents[3]
PROGRAM = (sys.executable, "-P", "-m", "budgetnet.study.executors.child")
"""`-P` keeps the current folder off its path: a stranger's `json.py` there is not imported."""
NICE = 10
WAKE_SECONDS = 0.25
SECONDS_TO_SAVE = 120.0
"""What a run may take to save its state, from when it was asked to stop."""
SECONDS_TO_END = 30.0
"""What a process may take to end from when it said how its run ended, or closed its answers. Then it is killed; what it said counts."""
MORE_SECONDS_TO_START = 120.0
"""Beyond the quiet that is allowed: libraries and data are loaded before the first step."""
TAIL_BYTES = 2_000
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class LocalExecutor:
    """Processes of this machine; each trains one run and ends."""

    def __init__(
        self,
        runs: Path,
        *,
        jobs: int | None = None,
        threads: int = 1,
        limits: Limits | None = None,
        data_dir: Path | None = None,
        packed_data: Path | None = None,
        checkpoint_seconds: float | None = None,
        nice: int = NICE,
    ) -> None:
        self.runs = runs
        self.threads = threads
        self.slots = jobs or default_jobs(threads)
        self.name = f"this machine, {self.slots} at a time, {threads} thread{'s' if threads > 1 else ''} each"
        self.limits = limits or Limits()
        self.data_dir = data_dir
        self.packed_data = packed_data
        self.nice = nice
        self.checkpoint_seconds = checkpoint_seconds
        self._pool = ThreadPoolExecutor(max_workers=self.slots)
        self._stop = threading.Event()
        self._kill = threading.Event()
        self._standings: dict[str, Standing] = {}

    def __enter__(self) -> Self:
        """Nothing is to be got ready: a process is started for each run."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Kill what is under way."""
        self._kill.set()
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, spec: RunSpec) -> Future[RunDirectory]:
        """Train a run in a process of its own."""
        return self._pool.submit(self._run, spec)

    def standings(self) -> dict[str, Standing]:
        """Return where each run under way stands."""
        return dict(self._standings)

    def stop(self) -> None:
        """Send SIGTERM to every process; each saves its state and ends."""
        self._stop.set()

    def _run(self, spec: RunSpec) -> RunDirectory:
        if self._stop.is_set():
            raise Stopped
        path = self.runs / spec.key
        logs = self.runs.parent / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self._standings[spec.key] = Standing(epochs=spec.recipe.epochs_in_all)
        try:
            with (logs / f"{spec.key}.txt").open("wb") as complaints:
                return self._conduct(spec, path, complaints, Path(complaints.name))
        finally:
            self._standings.pop(spec.key, None)

    def _conduct(self, spec: RunSpec, path: Path, complaints: IO[bytes], log: Path) -> RunDirectory:
        process = subprocess.Popen(  # noqa: S603 - our own program, and words that no shell reads
            PROGRAM,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=_environment(self.threads),
            start_new_session=True,  # Ctrl-C is for us; we ask the processes ourselves
        )
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - both are pipes
        lines: queue.Queue[bytes | None] = queue.Queue()
        reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
        reader.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(self._order(spec, path)).encode() + b"\n")
                process.stdin.flush()
            answer = self._listen(spec, process, lines)
        finally:
            _end(process)
            reader.join(timeout=5)
            process.stdout.close()
            with contextlib.suppress(OSError):
                process.stdin.close()
        _raise_unless_finished(answer, process.returncode, log)
        return open_run(path)

    def _order(self, spec: RunSpec, path: Path) -> dict[str, Any]:
        return {
            "path": str(path.resolve()),
            "recipe": spec.recipe.model_dump(),
            "seed": spec.seed,
            "threads": self.threads,
            "data_dir": str(self.data_dir.resolve()) if self.data_dir else None,
            "packed_data": str(self.packed_data) if self.packed_data else None,
            "checkpoint_seconds": self.checkpoint_seconds,
            "nice": self.nice,
            "memory_mib": self.limits.memory_mib,
        }

    def _listen(self, spec: RunSpec, process: subprocess.Popen[bytes], lines: queue.Queue[bytes | None]) -> dict[str, Any]:
        """Read until the process says how the run ended, or closes its answers; return what it said, empty where it did not."""
        started = heard = time.monotonic()
        answer: dict[str, Any] = {}
        asked: float | None = None
        patience = self.limits.quiet_seconds + MORE_SECONDS_TO_START
        while True:
            try:
                line = lines.get(timeout=WAKE_SECONDS)
            except queue.Empty:
                line = b""
            now = time.monotonic()
            if line:
                heard, patience = now, self.limits.quiet_seconds
                answer = self._take(spec, line) or {}
            if line is None or answer:
                break
            if self._stop.is_set() and asked is None:
                asked = now
                process.terminate()
            if self._kill.is_set() or (asked is not None and now - asked > SECONDS_TO_SAVE):
                raise Stopped
            self._refuse_over_limit(now - started, now - heard, patience)
        try:
            process.wait(timeout=SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            if not answer:
                raise RunFailed("hang", "closed its answers and did not end") from None
        if asked is not None and "finished" not in answer:
            raise Stopped
        return answer

    def _take(self, spec: RunSpec, line: bytes) -> dict[str, Any] | None:
        document = json.loads(line)
        if "epoch" not in document:
            return cast(dict[str, Any], document)
        self._standings[spec.key] = Standing(**document)
        return None

    def _refuse_over_limit(self, seconds: float, quiet: float, patience: float) -> None:
        if self.limits.seconds is not None and seconds > self.limits.seconds:
            raise RunFailed("late", f"took more than the {self.limits.seconds:g} seconds that a run may take")
        if quiet > patience:
            raise RunFailed("hang", f"made no step for {quiet:.0f} seconds")


def default_jobs(threads: int) -> int:
    """Return how many runs of so many threads the processors that this process may use have room for, at least one."""
    # A container or a `taskset` may leave fewer processors than the machine has.
    able = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, able // threads)


def _raise_unless_finished(answer: dict[str, Any], code: int | None, log: Path) -> None:
    if "failed" in answer:
        raise RunFailed(cast(FailureKind, answer["failed"]), str(answer["words"]))
    if "finished" in answer:
        return
    if code == STOPPED:
        raise Stopped
    if code is not None and code < 0:
        kind: FailureKind = "memory" if code == -9 else "crash"
        reason = ", as the system does where memory runs out" if code == -9 else ""
        raise RunFailed(kind, f"was killed by signal {-code}{reason}")
    raise RunFailed("crash", f"ended with exit code {code}{_tail(log)}")


def _tail(log: Path) -> str:
    try:
        words = log.read_bytes()[-TAIL_BYTES:].decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return f": {words[-1].strip()[:300]}" if words else ""


def _read(pipe: IO[bytes], lines: queue.Queue[bytes | None]) -> None:
    with contextlib.suppress(OSError, ValueError):
        for line in pipe:
            lines.put(line)
    lines.put(None)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()


def _environment(threads: int) -> dict[str, str]:
    paths = [str(Path(path).resolve()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if PACKAGE.name not in {"site-packages", "dist-packages"} and str(PACKAGE) not in paths:
        paths.append(str(PACKAGE))
    return {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), "PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1"}
