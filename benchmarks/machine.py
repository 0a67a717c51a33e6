"""What machine this is, as a name for files and as facts: processor, instruction set, processors that may be used, memory."""

from __future__ import annotations

import argparse
import os
import platform
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

from budgetnet.fingerprint import take_fingerprint

MEMORY_INFO = Path("/proc/meminfo")


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine_name(threads: int) -> str:
    """Return a name for files: `amd-epyc-avx2-2-threads`."""
    facts = take_fingerprint("")
    words = f"{facts['cpu']} {facts['cpu_capability']} {threads} thread{'s' if threads != 1 else ''}"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def machine_facts() -> dict[str, Any]:
    """Return what a reader needs to compare this machine with another."""
    facts = take_fingerprint("")
    match = re.search(r"MemTotal:\s+(\d+) kB", MEMORY_INFO.read_text()) if MEMORY_INFO.exists() else None
    return {
        "cpu": facts["cpu"],
        "cpu_vendor": facts["cpu_vendor"],
        "cpu_capability": facts["cpu_capability"],
        "processors": processors(),
        "memory_gib": round(int(match[1]) / 2**20, 1) if match else None,
        "platform": platform.platform(),
    }


def commit() -> str | None:
    """Return the commit of the program that is measured, with a plus where files differ from it; None outside a checkout."""
    git = ["git", "-C", str(Path(__file__).resolve().parent)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=False, capture_output=True, text=True)
    if head.returncode != 0:
        return None
    changed = subprocess.run([*git, "status", "--porcelain", "--", "../src"], check=False, capture_output=True, text=True)
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def data_folder() -> Path | None:
    """Return the folder that BUDGETNET_DATA names."""
    given = os.environ.get("BUDGETNET_DATA")
    return Path(given) if given else None


def command_without_places(program: str, given: argparse.Namespace) -> str:
    """Return the command that measures the same again on any machine: options that name a folder or a file are left out."""
    words = ["python", program]
    for name, value in sorted(vars(given).items()):
        if isinstance(value, Path) or value is None or value is False:
            continue
        words.append(f"--{name.replace('_', '-')}")
        if value is not True:
            words += [str(item) for item in (value if isinstance(value, list) else [value])]
    return shlex.join(words)
