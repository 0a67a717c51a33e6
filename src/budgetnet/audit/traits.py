"""What a log's figures tell of a training that the text does not describe: dropout, and an optimizer that is not named.

Notes, which accuse nobody: they say where to ask. Pure; costs a pass over the lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from budgetnet.audit.handin import HandIn
from budgetnet.audit.words import Found

GAP = 0.02
"""Accuracy in training so far under the one that is watched, at the end."""
LARGE_RATE = 0.1
OPTIMIZER = re.compile(
    r"\badam\w{0,5}\b|\bsgd\b|\brmsprop\b|\badagrad\b|\badadelta\b|\bmomentum\b|\bnadam\b|\blion\b|\bmuon\b", re.IGNORECASE
)


def trait_notes(hand_in: HandIn) -> Iterator[Found]:
    """Yield what the logs tell beside their figures."""
    named = any(OPTIMIZER.search(line.text[:1000]) for line in hand_in.lines)
    for log in hand_in.logs:
        last = log.rows[-1]
        trained, watched = last.metrics.get("acc"), last.metrics.get("val_acc")
        if trained and watched and watched.value - trained.value >= GAP:
            yield hand_in.found(
                f"The training accuracy ends {100 * (watched.value - trained.value):.2f} points under the watched one: something works in "
                "training alone, much dropout or augmentation.",
                last.text,
                log.end,
                "",
            )
        rates = [row.metrics["lr"].value for row in log.rows if "lr" in row.metrics]
        if rates and max(rates) >= LARGE_RATE and not named:
            yield hand_in.found(
                f"The text names no optimizer; a rate of {max(rates):g} is one of SGD's, not of Adam's.",
                log.rows[0].text,
                log.line,
                "",
            )
