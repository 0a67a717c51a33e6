"""Ctrl-C and SIGTERM, turned into a request that the training answers at the next step, with its state saved.

A second Ctrl-C ends the program at once. SIGKILL cannot be caught; for it there are the checkpoints on the way.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType


class Interrupted(Exception):
    """The run in `path` was asked to stop by the signal of that number, and its state was saved. Exit code 128 + signal."""

    def __init__(self, number: int, path: Path) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.signal = number
        self.path = path


@dataclass
class StopRequest:
    """Whether someone asked for a stop, and by which signal."""

    signal: int | None = None


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Catch SIGINT and SIGTERM inside the block; outside the main thread nothing can be caught and nothing is."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number: int, _frame: FrameType | None) -> None:
        if request.signal is not None:
            raise KeyboardInterrupt
        request.signal = number

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
