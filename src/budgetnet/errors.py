"""What went wrong, in one sentence for a person.

Everything that a user can get wrong raises `InputError`; the command line prints its sentence and exits with 2, without a
traceback. `Diverged` is the training's own word for a loss that left the road. No dependencies; costs nothing to import.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(Exception):
    """Wrong input: the message says what was wrong, where, and what to do. Exit code 2."""


class Diverged(Exception):
    """The loss became NaN, infinite or far worse than guessing; the last good state was kept. Exit code 1."""


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Return ` Did you mean …?` with the closest of `options`, or the list of them where nothing is close."""
    known = sorted(options)
    close = get_close_matches(name, known, n=2, cutoff=0.55)
    if close:
        return f" Did you mean {' or '.join(repr(match) for match in close)}?"
    return f" Known: {', '.join(known)}."
