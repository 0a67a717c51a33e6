"""Namespaces: a network without any interface, and a temporary folder in memory that nobody else sees (Linux).

Made through an unprivileged user namespace, which some distributions and containers forbid: then it is said, and the other layers
stand alone. Must run before the process starts its first thread.
"""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

NEW_MOUNTS, NEW_HOSTNAME, NEW_IPC, NEW_USER, NEW_NETWORK = 0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x40000000
NO_SETUID, NO_DEVICES, NO_EXECUTION, RECURSIVE, PRIVATE = 2, 4, 8, 16384, 1 << 18
CAPABILITY_VERSION = 0x20080522
NO_NEW_PRIVILEGES, DEATH_SIGNAL = 38, 1
KILL = 9
FILE_CAPABILITIES = 31
"""CAP_SETFCAP, without which user 0 cannot be mapped (Linux 5.12 and later)."""


def leave_network() -> bool:
    """Move into fresh user, network, mount, IPC and host name namespaces; return whether that was permitted."""
    library = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if user == 0 and not _has_capability(FILE_CAPABILITIES):
        return False  # the kernel lets such a root map nobody, and then it could not even write its temporary folder
    if library.unshare(NEW_USER | NEW_NETWORK | NEW_MOUNTS | NEW_IPC | NEW_HOSTNAME) != 0:
        return False
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    except OSError:
        pass  # the namespaces are there all the same; files then belong to nobody
    return True


def _has_capability(number: int) -> bool:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return bool(int(status.partition("CapEff:")[2].split()[0], 16) >> number & 1)
    except (OSError, ValueError, IndexError):
        return False


def mount_memory(folder: str, megabytes: int) -> bool:
    """Put an empty file system in memory over `folder`, of bounded size; return whether that was permitted."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.mount(b"none", b"/", None, RECURSIVE | PRIVATE, None) != 0:
        return False
    options = f"size={megabytes}m,nr_inodes=4096,mode=0700".encode()
    flags = NO_SETUID | NO_DEVICES | NO_EXECUTION
    return int(library.mount(b"tmpfs", folder.encode(), b"tmpfs", flags, options)) == 0


def cover_home(home: str, needed: list[str]) -> bool:
    """Put an empty folder over the user's home where nothing that is needed lies in it; return whether it is covered."""
    inside = Path(home)
    if any(Path(path).is_relative_to(inside) for path in needed):
        return False
    return mount_memory(home, 1)


def die_with_parent() -> None:
    """Be killed when the parent dies, however it dies."""
    ctypes.CDLL(None).prctl(DEATH_SIGNAL, KILL, 0, 0, 0)


def drop_privileges() -> bool:
    """Give up every capability, and any way to gain one; return whether the second holds."""
    library = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("Ii", CAPABILITY_VERSION, 0)
    library.capset(header, bytes(24))
    return int(library.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)) == 0
