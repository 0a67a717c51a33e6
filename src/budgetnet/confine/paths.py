"""What a confined Python needs to start: its own folders, which it may read, and an environment that tells nothing of the user.

A package is looked up by name and not by importing it, and a folder of the path is given only as far as a library of ours
lies in it: a path that holds the user's home must not open it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/nix/store", "/etc/ld.so.cache", "/etc/localtime", "/etc/alternatives", "/proc/self")
DEVICES = (
    "/dev/null",
    "/dev/zero",
    "/dev/urandom",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys/vm",
    "/sys/devices/system",
)
KEPT_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "WINDIR", "PATHEXT")
LIBRARIES = ("budgetnet", "torch", "numpy", "pydantic", "safetensors", "keras", "onnx", "onnxruntime")


def environment(folder: Path) -> dict[str, str]:
    """Return the child's whole environment: one thread, no devices, and every place of a user's own in `folder`."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
    places = dict.fromkeys(
        ("HOME", "TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME", "KERAS_HOME", "MPLCONFIGDIR", "TORCH_HOME"), str(folder)
    )
    kept = {key: os.environ[key] for key in KEPT_VARIABLES if key in os.environ}
    words = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "MPLBACKEND": "Agg", "KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": ""}
    return {**kept, **words, **one, **places}


def own_paths() -> list[str]:
    """Return the folders that hold the libraries and that an isolated interpreter would not look into."""
    inside = (Path(sys.prefix), Path(sys.base_prefix))
    found = [PACKAGE.parent]
    for library in LIBRARIES:
        root = _root_of(library)
        if root is not None and root not in found and not any(root.is_relative_to(prefix) for prefix in inside):
            found.append(root)
    return [str(path) for path in found]


def _root_of(library: str) -> Path | None:
    spec = importlib.util.find_spec(library)
    return Path(spec.origin).resolve().parents[1] if spec is not None and spec.origin else None


def python_paths() -> tuple[list[str], list[str]]:
    """Return what Python needs to read, and the folders of which it needs to see the names."""
    prefixes = [str(Path(path).resolve()) for path in {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}]
    own = [Path(path) for path in own_paths()]
    packages = [str(root / library) for root in own for library in LIBRARIES if (root / library).exists()]
    libraries = [path for path in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if path]
    sites = [str(root) for root in own if root.name in {"site-packages", "dist-packages"}]
    return [*SYSTEM, *DEVICES, *prefixes, *packages, *sites, *libraries], [str(root) for root in own]
