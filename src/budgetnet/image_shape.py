"""The shape of an image as words: `1x28x28` is channels, height, width. No torch."""

from __future__ import annotations

import re

from budgetnet.errors import InputError

LARGEST_SIDE = 512


def parse_shape(text: str) -> tuple[int, int, int]:
    """Return (channels, height, width) of `1x28x28`. Raises `InputError` for anything else."""
    match = re.fullmatch(r"(\d{1,4})[x×,](\d{1,4})[x×,](\d{1,4})", text.strip())
    if match is None:
        raise InputError(f"--input takes channels, height and width as 1x28x28, not {text!r}.")
    channels, height, width = (int(group) for group in match.groups())
    if not (1 <= channels <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE and 1 <= width <= LARGEST_SIDE):
        raise InputError(f"--input {text}: each side lies between 1 and {LARGEST_SIDE}.")
    return channels, height, width
