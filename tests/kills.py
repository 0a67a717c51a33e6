"""A kill in a step of a training, as tests of resuming need it."""

from budgetnet.progress import Quiet


class Killed(BaseException):
    """Stands for a kill: nothing of the program handles it."""


class KillAt(Quiet):
    """Kills in the step of that number, wherever it is: steps are counted over epochs, and over a teacher and its network."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def step(self, done: int, samples: int, seconds: float, loss: float, accuracy: float) -> None:
        self.steps -= 1
        if self.steps == 0:
            raise Killed
