"""Vectors of eight numbers, also on a processor that has wider ones: all tests of the kernels again, compiled without AVX-512."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from budgetnet.kernels import build

TESTS = [str(Path(__file__).with_name(name)) for name in ("test_kernels.py", "test_moving.py")]
COMPILER = """#!/bin/sh
case "$1" in --version) exec {compiler} --version;; esac
exec {compiler} "$@" {flag}
"""
FLAG = "-mno-avx512f" if platform.machine() == "x86_64" else ""


@pytest.mark.usefixtures("compiled")
def test_narrower_vectors_pass_the_same_tests(tmp_path: Path) -> None:
    found = build._compiler()
    compiler = tmp_path / "compiler"
    compiler.write_text(COMPILER.format(compiler=found, flag=FLAG), encoding="utf-8")
    compiler.chmod(0o755)
    environment = {**os.environ, "CC": str(compiler), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:xdist", "-p", "no:cacheprovider", *TESTS]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert result.returncode == 0, result.stdout[-4000:]
    command = [sys.executable, "-c", "from budgetnet import kernels; print(kernels.description())"]
    assert subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.endswith(", vectors of 8\n")
