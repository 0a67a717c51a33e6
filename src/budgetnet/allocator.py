"""Keep freed memory: glibc gives large blocks back to the system at once, and every step then pays for fresh pages again.

A training step frees and asks for the same hundred megabytes; without this, page faults take a noticeable share of a step. Only
glibc is spoken to; elsewhere nothing happens. The process keeps its peak memory until it ends.
"""

import ctypes
import sys

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Ask the C library to keep what is freed; return whether it agreed."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, 2**30)) and bool(mallopt(M_TRIM_THRESHOLD, LARGEST))
