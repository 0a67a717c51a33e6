"""Networks that fail while they are trained, in each way that a study must survive."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import torch
from tiny import Tiny
from torch import Tensor

STEPS_BEFORE = 2
TRIED = 8
"""Images on which a network is tried before anything is trained."""


class Failing(Tiny):
    """Fails in its third step: by `how`, and with `once` only where that file is not there yet.

    After `linger` the process does not end. `slow` does not fail: each step from the third on takes long, until the file `once` is there.
    """

    def __init__(self, how: str = "raise", once: str = "") -> None:
        super().__init__(width=4)
        self.how = how
        self.once = once
        self.steps = 0

    def forward(self, images: Tensor) -> Tensor:
        answer = super().forward(images)
        if not self.training or len(images) <= TRIED:
            return answer
        self.steps += 1
        if self.steps <= STEPS_BEFORE or (self.once and Path(self.once).exists()):
            return answer
        if self.once and self.how != "slow":
            Path(self.once).touch()
        return self.fail(answer)

    def fail(self, answer: Tensor) -> Tensor:
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "hang":
            time.sleep(600)
        if self.how == "slow":
            time.sleep(0.2)
            return answer
        if self.how == "exit":
            sys.stdout.write("a network may print what it likes\n")
            os._exit(7)
        if self.how == "memory":
            return answer + torch.zeros(2**33, dtype=torch.uint8).sum()
        if self.how == "linger":
            threading.Thread(target=time.sleep, args=(600,)).start()
        if self.how == "diverge":
            return answer * float("nan")
        raise RuntimeError("this network fails")
