"""The confined side: give up what can be given up, say what could not, do one task, answer, end.

Runs in a fresh interpreter that `parent` starts; its settings come as JSON on the command line, the task as one line on stdin. The
answer goes out through a copy of stdout that foreign code is not told of: what it prints goes to stderr. Without torch.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

from budgetnet.confine import hook, landlock, namespaces, syscalls
from budgetnet.errors import InputError

OPEN_FILES = 256
SPARE_SECONDS = 5
"""Of the processor: the parent's clock comes first, and this limit is for where nobody looks."""
PROCESSES = 4096
"""Of the whole user; what is new here is refused by the filter of system calls already."""
LARGEST_FILE = 64 * 2**20
TEMPORARY_MEGABYTES = 64
MEMORY_SPENT = "it asked for more memory than it may have"
MISSING = {
    "network": "no network namespace (the network is closed by refusing sockets alone)",
    "sockets": "no filter of system calls (a new process or a socket is refused by Python alone)",
    "files": "no Landlock (files are guarded by Python alone)",
    "everything": "only limits and Python's own hooks hold here: machine code could pass them",
    "limits": "no limits on memory, processor time and files",
}


def main() -> None:
    """Do the one task that this process was started for."""
    settings = json.loads(sys.argv[1])
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    missing = confine(settings)
    _say(answers, {"missing": missing})
    gc.disable()  # an import makes many objects and no rubbish: looking for it costs a tenth of torch's start
    worker = _trusted(settings["worker"])
    gc.freeze()
    gc.enable()
    _limit_task(settings["memory"], settings["seconds"])
    _say(answers, {"ready": True})  # from here on the clock runs
    task = json.loads(sys.stdin.buffer.readline())
    # Foreign code has nothing to read here, and what it answers with must carry a word that only this frame knows.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    word = task.pop("word")
    answer = _done(worker, task["task"])
    _say(answers, {"word": word, **answer})
    os._exit(0)  # threads and exit handlers of foreign code do not run on


def confine(settings: dict[str, Any]) -> list[str]:
    """Give up what this platform lets us give up; return what it does not, in words."""
    without = set(settings["without"])
    lacking = []
    if not _limit():
        lacking.append("limits")
    folders = {"read": settings["read"], "names": settings["names"], "write": [settings["folder"]]}
    closed = filtered = guarded = False
    if sys.platform == "linux":
        namespaces.die_with_parent()
        if "namespaces" not in without:
            closed = namespaces.leave_network()
        able = "landlock" not in without and landlock.version() > 0
        if closed:
            namespaces.mount_memory(settings["folder"], TEMPORARY_MEGABYTES)
            os.chdir(settings["folder"])
        if closed and not able:
            namespaces.cover_home(settings["home"], [*settings["read"], settings["folder"]])
        if namespaces.drop_privileges():
            guarded = able and landlock.restrict(**folders)
            filtered = "syscalls" not in without and syscalls.restrict()
    if not guarded:
        hook.restrict(**folders)
    elif not filtered:
        hook.restrict(read=["/"], names=["/"], write=["/"])
    if sys.platform != "linux" or not (closed or filtered or guarded):
        return [MISSING[name] for name in [*lacking, "everything"]]
    # A closed door behind a closed door is not missed: sockets are refused, or there is no network, or both.
    lacking += ["network"] if not closed and not filtered else []
    lacking += [] if filtered else ["sockets"]
    lacking += [] if guarded else ["files"]
    return [MISSING[name] for name in lacking]


def _limit() -> bool:
    """Bound open files, processes and the size of written files; return whether the platform knows such limits."""
    try:
        import resource
    except ImportError:
        return False
    bounds = [
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, LARGEST_FILE),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_NPROC, PROCESSES),
    ]
    for kind, bound in bounds:
        _, hard = resource.getrlimit(kind)
        lower = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        resource.setrlimit(kind, (lower, lower))
    return True


def _limit_task(allowance: int, seconds: float) -> None:
    """Bound address space and processor time to what trusted imports took already and so much more."""
    try:
        import resource

        spent = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) + seconds) + SPARE_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (spent, spent))
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - before pathlib is needed
            taken = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + allowance, taken + allowance))
    except (ImportError, OSError, ValueError):
        return  # macOS has the limit and ignores it; Windows has none


def _trusted(worker: str) -> Callable[[Any], dict[str, Any]]:
    module, _, name = worker.partition(":")
    found: Callable[[Any], dict[str, Any]] = getattr(importlib.import_module(module), name)
    return found


def _done(worker: Callable[[Any], dict[str, Any]], task: Any) -> dict[str, Any]:
    try:
        return {"answer": worker(task)}
    except InputError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": MEMORY_SPENT}
    except BaseException as error:
        reason = " ".join(str(error).split())[:300]
        return {"error": f"{type(error).__name__}: {reason}" if reason else type(error).__name__}


def _say(answers: BinaryIO, document: dict[str, Any]) -> None:
    answers.write(json.dumps(document).encode() + b"\n")
    answers.flush()
