"""A run's log as text, in the very form of the published hand-ins.

That form is what Keras 2.2 printed with its progress bar and a talking `LearningRateScheduler`; whoever handed in a README pasted
it. Pure functions from the rows of `log.jsonl` and `timing.jsonl` to lines, without line ends of their own at the close: the
trainer prints with them, and the report writes the same text from the files. No torch; costs nothing to import.
"""

from collections.abc import Mapping, Sequence
from typing import Any

BAR = "=" * 30
"""Keras's progress bar, full."""


def header(samples: int, validated: int) -> str:
    """Return the line above the first epoch; `validated` is 0 where nothing is watched.

    >>> header(60000, 10000)
    'Train on 60000 samples, validate on 10000 samples'
    """
    watched = f", validate on {validated} samples" if validated else ""
    return f"Train on {samples} samples{watched}"


def rate_text(rate: float) -> str:
    """Return a learning rate as the hand-ins print it: the shortest digits of the float rounded to ten places.

    A rate so small that nothing would be left of it is printed as it is.

    >>> rate_text(0.003 / (1 + 0.319 * 11))
    '0.000665336'
    """
    return repr(round(float(rate), 10) or float(rate))


def epoch_head(epoch: int, epochs: int, rate: float) -> str:
    """Return the three lines (the second is blank) that open `epoch`, counted from 1."""
    return f"Epoch {epoch}/{epochs}\n\nEpoch {epoch:05d}: LearningRateScheduler setting learning rate to {rate_text(rate)}."


def epoch_line(row: Mapping[str, Any], seconds: float | None) -> str:
    """Return the line that closes an epoch.

    `row` is one of `log.jsonl`: `samples`, `loss`, `accuracy` (fraction), and `val_loss` and `val_accuracy`, None where nothing was
    watched. `seconds` is the epoch's time with its validation, as Keras counts it; None (not known) leaves the time out.
    """
    samples = int(row["samples"])
    text = f"{samples}/{samples} [{BAR}]"
    if seconds is not None:
        text += f" - {seconds:.0f}s {time_for_each(seconds / max(1, samples))}/step"
    named = (("loss", "loss"), ("acc", "accuracy"), ("val_loss", "val_loss"), ("val_acc", "val_accuracy"))
    return text + "".join(f" - {word}: {number(row[key])}" for word, key in named if row.get(key) is not None)


def whole_log(rows: Sequence[Mapping[str, Any]], timing: Sequence[Mapping[str, Any]], epochs: int) -> str:
    """Return the log of a run, from its rows in order of epochs; `epochs` is what the recipe asked for.

    An epoch that `timing` (rows of `timing.jsonl`) does not know is printed without its time. No rows give an empty text.
    """
    if not rows:
        return ""
    seconds = {entry["epoch"]: float(entry["seconds"]) for entry in timing}
    lines = [header(int(rows[0]["samples"]), int(rows[0].get("validated") or 0))]
    for row in rows:
        lines += [epoch_head(row["epoch"], epochs, row["rate"]), epoch_line(row, seconds.get(row["epoch"]))]
    return "\n".join(lines)


def score(loss: float, accuracy: float) -> str:
    """Return `[loss, accuracy]` as Python prints what Keras's `evaluate` gives; `accuracy` is a fraction.

    >>> score(0.019243195453239603, 0.994)
    '[0.019243195453239603, 0.994]'
    """
    return f"[{float(loss)!r}, {float(accuracy)!r}]"


def number(value: float) -> str:
    """Return a loss or an accuracy with four decimals; from a thousandth down as Keras does, with four digits and an exponent."""
    return f"{value:.4f}" if abs(value) > 1e-3 else f"{value:.4e}"


def time_for_each(seconds: float) -> str:
    """Return the time for one sample in Keras's units: whole seconds, milliseconds or microseconds."""
    if seconds >= 1:
        return f"{seconds:.0f}s"
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"
