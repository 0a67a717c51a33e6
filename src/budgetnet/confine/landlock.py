"""Landlock: which files a process may read and write, given up for good and without privilege (Linux 5.13 and later).

Written against the kernel's userspace API (docs.kernel.org, `userspace-api/landlock`): a ruleset names the rights that are
taken away everywhere, and each rule gives some back beneath one path. Metadata (names given to `stat`) stays visible. Costs a
few milliseconds.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""System call numbers, the same on every architecture."""
VERSION_FLAG = 1
RULE_PATH_BENEATH = 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIRECTORY = 1 << 0, 1 << 1, 1 << 2, 1 << 3
TRUNCATE = 1 << 14
RIGHTS_BY_VERSION = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many rights on files each version of the interface knows; later ones know as many as 5."""
TCP_RIGHTS = 0b11
SCOPES = 0b11
"""Abstract sockets and signals (version 6): neither reaches a process outside."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """Return the version of the kernel's Landlock, 0 where there is none."""
    library = ctypes.CDLL(None, use_errno=True)
    return max(int(library.syscall(CREATE_RULESET, None, 0, VERSION_FLAG)), 0)


def restrict(*, read: Iterable[str], names: Iterable[str], write: Iterable[str]) -> bool:
    """Give up every file but these: `read` (beneath), `write` (beneath, and read), and in `names` the listing of folders.

    Returns whether it holds from here on. The caller has set «no new privileges».
    """
    known = version()
    if known == 0:
        return False
    library = ctypes.CDLL(None, use_errno=True)
    rights = (1 << RIGHTS_BY_VERSION.get(known, 16)) - 1
    ruleset = _Ruleset(rights, TCP_RIGHTS if known >= 4 else 0, SCOPES if known >= 6 else 0)
    # An older kernel takes a longer structure as long as what it does not know is zero.
    handle = int(library.syscall(CREATE_RULESET, ctypes.byref(ruleset), ctypes.sizeof(ruleset), 0))
    if handle < 0:
        return False
    try:
        reading, writing = READ_FILE | READ_DIRECTORY, rights & ~EXECUTE
        for paths, allowed in ((read, reading), (names, READ_DIRECTORY), (write, writing)):
            for path in paths:
                _allow(library, handle, path, allowed)
        return int(library.syscall(RESTRICT_SELF, handle, 0)) == 0
    finally:
        os.close(handle)


def _allow(library: ctypes.CDLL, handle: int, path: str, allowed: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no rule
    try:
        if not Path(path).is_dir():
            allowed &= EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
        rule = _PathBeneath(allowed, place)
        library.syscall(ADD_RULE, handle, RULE_PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(place)
