"""An audit hook: the last layer, for platforms and kernels that offer no better one.

Python tells its hooks of each file it opens, each socket, each process. Refusing there stops code that means no harm and code
that tries the usual ways; machine code called through ctypes passes by, which is why it is named as what it is wherever it
stands alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

PROCESSES = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "os.kill",
    "os.killpg",
    "signal.pthread_kill",
    "pty.spawn",
    "webbrowser.open",
)
CHANGES = (
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.chown",
    "os.utime",
    "os.truncate",
)
NETWORK = ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def restrict(*, read: Iterable[str], names: Iterable[str], write: Iterable[str]) -> None:
    """From here on refuse, with PermissionError, files outside these folders, the network, and other processes."""
    readable = tuple(os.path.realpath(path) for path in (*read, *write, "/dev/null", "/dev/urandom"))
    listed = frozenset(os.path.realpath(path) for path in names)
    writable = tuple(os.path.realpath(path) for path in write)
    real, separator, fsdecode = os.path.realpath, os.sep, os.fsdecode
    sockets, processes, changes = frozenset(NETWORK), frozenset(PROCESSES), frozenset(CHANGES)
    own = os.getpid()

    def within(path: str, folders: tuple[str, ...]) -> bool:
        return any(path == folder or path.startswith(folder.rstrip(separator) + separator) for folder in folders)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in sockets or event == "socket.__new__":
            raise PermissionError("the network is out of reach here")
        if event in processes and not (event == "os.kill" and arguments[0] == own):
            raise PermissionError("no other process can be reached or started here")
        if event in {"os.listdir", "os.scandir"}:
            path = real(fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes) else os.curdir)
            if path not in listed and not within(path, readable):
                raise PermissionError(13, "Permission denied", path)
        if event in changes and isinstance(arguments[0], str | bytes) and not within(real(fsdecode(arguments[0])), writable):
            raise PermissionError(13, "Permission denied", fsdecode(arguments[0]))
        if event == "open" and isinstance(arguments[0], str | bytes):
            flags = arguments[2] if isinstance(arguments[2], int) else 0
            folders = writable if flags & WRITING else readable
            path = real(fsdecode(arguments[0]))
            if not within(path, folders) and path != os.devnull:
                raise PermissionError(13, "Permission denied", path)

    sys.addaudithook(hook)
