"""budgetnet itself, as a user gets it: `budgetnet.train` with its run directory, log and checkpoints; a round is one epoch.

The training's own progress messages are the clock: an epoch begins when a round is asked for, and its end answers. So whatever the
program does for a user inside an epoch is in the time.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

from asked import answer, asked, begin

task = begin()

import torch  # noqa: E402

import budgetnet  # noqa: E402
from budgetnet.progress import Quiet  # noqa: E402


class Rounds(Quiet):
    """Holds the training at each epoch's start until a round is asked for, and answers at its end."""

    def __init__(self) -> None:
        self.started = 0.0
        self.ready = False

    def epoch_start(self, epoch: int, epochs: int, rate: float) -> None:  # noqa: ARG002
        """Wait for a request; leave when there is none."""
        if not self.ready:
            answer(ready=True, versions={"torch": torch.__version__, "budgetnet": budgetnet.__version__})
            self.ready = True
        if asked() is None:
            raise SystemExit(0)
        self.started = time.perf_counter()

    def epoch_end(self, row: dict[str, Any], seconds: float) -> None:  # noqa: ARG002
        """Answer with the epoch's seconds by our own clock."""
        answer(seconds=time.perf_counter() - self.started, images=row["samples"])


with tempfile.TemporaryDirectory() as folder:
    budgetnet.train(
        budgetnet.Recipe(**task["recipe"]), data=task["data"], threads=task["threads"], out=Path(folder) / "run", progress=Rounds()
    )
