"""A file that only grows: lines of JSON, each on the disk before it is told of, each with the sum of its text.

A line that a kill cut off is repaired away when the file is next opened for writing; one in which a bit was flipped is left out and
counted. A reader may come at any time, beside the writer. Level 0; a line costs one flush of the disk.
"""

from __future__ import annotations

import json
import os
import stat
import threading
from dataclasses import dataclass
from pathlib import Path

from budgetnet.durable import flush_folder, sha256
from budgetnet.errors import InputError

LARGEST = 4 * 2**30
SUM_LENGTH = 16
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


@dataclass(frozen=True)
class Place:
    """Where a line lies in its file, in bytes, and the sum that it carries."""

    start: int
    end: int
    sum: str


@dataclass(frozen=True)
class Reading:
    """What a file held when it was read."""

    texts: list[str]
    """Of the whole lines, in their order."""
    damaged: int
    """Lines that are not what was written."""
    end: int
    """Bytes up to the end of the last whole line; what follows is a line under way, or a torn one."""
    last: Place | None
    """Of the last whole line that was good."""


class Journal:
    """A file open for appending, by one process at a time: its owner holds a lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reading = read_journal(path)
        self.torn = _cut(path, self.reading.end)
        self._guard = threading.Lock()

    def append(self, text: str) -> None:
        """Write a line, and wait until it is on the disk. Raises `InputError` where it cannot be; the file is then as before."""
        line = (json.dumps({"sum": sum_of(text), "row": text}, ensure_ascii=False) + "\n").encode()
        with self._guard:
            try:
                new = not self.path.exists()
                descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NO_LINK, 0o644)
                try:
                    size = os.fstat(descriptor).st_size
                    _write_whole(descriptor, line, size)
                finally:
                    os.close(descriptor)
                if new:
                    flush_folder(self.path.parent)
            except OSError as error:
                raise InputError(f"{self.path}: cannot be written ({error.strerror}); make room, then start again.") from None


def read_journal(path: Path, start: int = 0) -> Reading:
    """Return the whole lines from byte `start` on. Raises `InputError` where the file is none of ours."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return Reading([], 0, 0, None)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
        raise InputError(f"{path}: is no ledger; move it away.")
    texts: list[str] = []
    damaged, end, last = 0, start, None
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            if not line.endswith(b"\n"):
                break
            end += len(line)
            text = _text(line)
            if text is None:
                damaged += 1
            else:
                texts.append(text)
                last = Place(end - len(line), end, sum_of(text))
    return Reading(texts, damaged, end, last)


def sum_of(text: str) -> str:
    """Return the sum that a line carries of its text."""
    return sha256(text.encode())[:SUM_LENGTH]


def _cut(path: Path, end: int) -> bool:
    """Cut off a line that was being written when the power went; return whether there was one."""
    if not path.exists() or path.stat().st_size <= end:
        return False
    with path.open("rb+") as file:
        file.truncate(end)
        os.fsync(file.fileno())
    return True


def _write_whole(descriptor: int, line: bytes, size: int) -> None:
    try:
        written = 0
        while written < len(line):
            written += os.write(descriptor, line[written:])
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _text(line: bytes) -> str | None:
    try:
        content = json.loads(line)
        text = content["row"]
        return text if content["sum"] == sum_of(text) else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
