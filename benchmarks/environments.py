"""Environments for the contenders: a virtual environment for each library that cannot live beside torch's, made once in a cache folder.

TensorFlow takes 1.6 GB and two minutes the first time, JAX 0.7 GB and one. The releases are written here and in `constraints.txt`, so
that two runs of the benchmark compare the same programs.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = {
    "tensorflow": ("tensorflow-cpu==2.21.0" if sys.platform == "linux" else "tensorflow==2.21.0", "keras"),
    "jax": ("jax==0.10.2", "keras"),
    "torch": (f"torch=={torch.__version__.partition('+')[0]}", "keras"),
}
MARK = "installed.txt"


class CannotInstall(Exception):
    """An environment could not be made; the message is pip's last line."""


def interpreter(backend: str, cache: Path) -> str:
    """Return the Python that has Keras on `backend`: this one where it does, else that of an environment below `cache`.

    Raises `CannotInstall` where no such environment can be made.
    """
    if backend == "torch" and importlib.util.find_spec("keras") is not None:
        return sys.executable
    folder = cache / f"environment-{backend}"
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    wanted = "\n".join([*LIBRARIES[backend], sys.version, constraints])
    mark = folder / MARK
    if mark.is_file() and mark.read_text(encoding="utf-8") == wanted:
        return str(python)
    sys.stderr.write(f"Making an environment for Keras on {backend} in {folder} (once; minutes) ...\n")
    folder.mkdir(parents=True, exist_ok=True)
    _carry_out([sys.executable, "-m", "venv", "--clear", str(folder)])
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _carry_out([*install, "-c", str(ROOT / "constraints.txt"), *LIBRARIES[backend]])
    mark.write_text(wanted, encoding="utf-8")
    return str(python)


def _carry_out(command: list[str]) -> None:
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode != 0:
        raise CannotInstall((result.stderr.strip().splitlines() or ["no words"])[-1])
