"""What a run was computed with. Two runs of one recipe, seed and fingerprint end in the same bits; others only inside the seed interval.

Torch promises nothing across releases, thread counts, instruction sets or processor vendors, so each of them is written down.
"""

import platform
import re
from typing import Any

import numpy
import torch

from budgetnet import kernels
from budgetnet.kernels.build import CPU_INFO
from budgetnet.version import __version__


def take_fingerprint(data_sha256: str) -> dict[str, Any]:
    """Return the fingerprint of this process, with the hash of the data set's content."""
    return {
        "budgetnet": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "kernels": kernels.description(),
        "numpy": numpy.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu("model name"),
        "cpu_vendor": _cpu("vendor_id"),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "data_sha256": data_sha256,
    }


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return what changed between two fingerprints, in words: `threads 1 → 2`."""
    return [f"{key} {old.get(key)} → {new.get(key)}" for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]


def _cpu(field: str) -> str:
    try:
        match = re.search(rf"^{field}\s*:\s*(.+)$", CPU_INFO.read_text(), re.MULTILINE)
    except OSError:
        match = None
    return match.group(1).strip() if match else platform.processor() or "unknown"
