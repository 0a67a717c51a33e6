"""What was graded already, so that a restart goes on: one line of JSON for each hand-in, on the disk before it is told of.

A line carries the sum of its row. One that a kill cut off, or that a bit was flipped in, is left out, and that hand-in is graded
again. No torch; a line costs one flush of the disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from budgetnet.durable import flush_folder, sha256
from budgetnet.errors import InputError
from budgetnet.grade.rows import Row

LEDGER = "grades.jsonl"
LOCK = ".grades.lock"
LARGEST_LEDGER = 256 * 2**20
SUM_LENGTH = 16


class Ledger:
    """The rows in a folder of results. Not to be made by hand: `open_ledger` holds the folder's lock around it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, Row] = {}
        """Digest -> row."""
        self.damaged = 0
        self._guard = threading.Lock()
        content = _content(path)
        whole, _, torn = content.rpartition(b"\n")
        if torn:
            # A line without its end was being written when the power went.
            self.damaged += 1
            os.truncate(path, len(content) - len(torn))
        for line in whole.split(b"\n") if whole else []:
            row = _row(line)
            if row is None:
                self.damaged += 1
            else:
                self.rows[row.digest] = row

    def done(self, digest: str, timeout: float) -> Row | None:
        """Return the row of that content; None where there is none, or where more time than it had is allowed now."""
        row = self.rows.get(digest)
        return None if row is None or (row.timed_out and timeout > row.timeout) else row

    def keep(self, row: Row) -> None:
        """Append a row, and wait until it is on the disk. Raises `InputError` where it cannot be written."""
        text = row.model_dump_json()
        line = json.dumps({"sum": _sum(text), "row": text}) + "\n"
        with self._guard:
            self.rows[row.digest] = row
            try:
                with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NO_LINK, 0o644), "wb") as file:
                    file.write(line.encode())
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise InputError(f"{self.path}: cannot be written ({error.strerror}); choose another --out.") from None


_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


@contextlib.contextmanager
def open_ledger(folder: Path) -> Iterator[Ledger]:
    """Make the folder of results where it is missing, hold it, and yield its ledger. Raises `InputError` where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(f"{folder}: another process is grading into this folder; wait for it, or choose another --out.") from None
    except OSError as error:
        raise InputError(f"{folder}: cannot hold the results ({error.strerror or error}); choose another --out.") from None
    try:
        yield Ledger(folder / LEDGER)
        flush_folder(folder)
    finally:
        lock.release()


def _content(path: Path) -> bytes:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST_LEDGER:
        raise InputError(f"{path}: is no ledger of grades; move it away, or choose another --out.")
    return path.read_bytes()


def _row(line: bytes) -> Row | None:
    try:
        content = json.loads(line)
        text = content["row"]
        return Row.model_validate_json(text) if content["sum"] == _sum(text) else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ValidationError):
        return None


def _sum(text: str) -> str:
    return sha256(text.encode())[:SUM_LENGTH]
