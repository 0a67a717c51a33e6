"""Compiling chain.c once for this processor, and loading it; what is compiled lies in the user's cache under a hash of all it depends on.

The source is the program's own; nothing of a user's is compiled. About three seconds the first time, a millisecond afterwards.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import platformdirs
import torch

SOURCE = Path(__file__).with_name("chain.c")
SWITCH = "BUDGETNET_KERNELS"
FLAGS = ("-O3", "-std=gnu11", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared", "-fopenmp")
TIME_LIMIT = 120
"""Seconds that a compiler may take."""
CPU_INFO = Path("/proc/cpuinfo")


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the compiled kernels, or None where they are switched off or cannot be compiled here; decided once a process."""
    return _load()[0]


def loaded() -> ctypes.CDLL:
    """Return the compiled kernels. Raises `RuntimeError` where there are none: callers ask `library()` first."""
    kernels = library()
    if kernels is None:
        raise RuntimeError("the compiled kernels are not available here; ask library() first")
    return kernels


def description() -> str:
    """Return what runs, in words for a fingerprint: `compiled by gcc …, vectors of 8`, or `plain torch`."""
    return _load()[1]


def missing() -> bool:
    """Return whether the kernels are wanted here and cannot be had."""
    return library() is None and not _switched_off()


def _switched_off() -> bool:
    return os.environ.get(SWITCH, "") == "plain"


@functools.cache
def _load() -> tuple[ctypes.CDLL | None, str]:
    compiler = _compiler()
    if _switched_off() or compiler is None or platform.system() != "Linux":
        return None, "plain torch"
    try:
        version = _first_line(compiler)
        path = _cached(compiler, version)
        # torch is loaded already, and with it the OpenMP runtime that the kernels then share.
        kernels = ctypes.CDLL(str(path))
        return kernels, f"compiled by {version}, {hashlib.sha256(_sources()).hexdigest()[:12]}, vectors of {kernels.vector_lanes()}"
    except (OSError, subprocess.SubprocessError):
        return None, "plain torch"


def _sources() -> bytes:
    return b"".join(path.read_bytes() for path in [SOURCE, *sorted(SOURCE.parent.glob("*.h"))])


def _compiler() -> str | None:
    named = os.environ.get("CC")
    names = [named] if named else ["gcc", "cc", "clang"]
    return next((found for name in names if (found := shutil.which(name))), None)


def _first_line(compiler: str) -> str:
    result = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True, timeout=TIME_LIMIT)  # noqa: S603
    return result.stdout.splitlines()[0] if result.stdout else Path(compiler).name


def _cached(compiler: str, version: str) -> Path:
    flags = [*FLAGS, "-mcpu=native" if platform.machine() in {"aarch64", "arm64"} else "-march=native"]
    key = hashlib.sha256("\n".join([version, *flags, _processor(), torch.__version__]).encode() + _sources())
    folder = Path(platformdirs.user_cache_dir("budgetnet")) / "kernels"
    path = folder / f"{key.hexdigest()[:24]}.so"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            made = Path(scratch) / "kernels.so"
            command = [compiler, *flags, "-o", str(made), str(SOURCE), "-lm"]
            subprocess.run(command, capture_output=True, check=True, timeout=TIME_LIMIT)  # noqa: S603
            made.replace(path)
    return path


def _processor() -> str:
    # A cache may lie on a disk that machines with other instruction sets share.
    try:
        lines = re.findall(r"^(?:model name|flags|Features|CPU part)\s*:.*$", CPU_INFO.read_text(), re.MULTILINE)
    except OSError:
        lines = [platform.processor()]
    return "\n".join(sorted(set(lines)))
