"""Did the log's weights start fresh? Warm starts, second fits, logs that end early, epochs that are left out.

A fresh network's first loss is near ln 10 = 2.3, and the mean over its first epoch carries that: in the hand-ins of this field the
loss of the second epoch is a half to a quarter of the first one's, with any dropout and any batch. A log that opens at 98 % or more
with nearly no such fall goes on from weights that were trained before. Figures measured after the epoch, not during it, open high
in honest logs too, and must be nearly level to count. Read in 121 public logs; the limits are named below.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from budgetnet.audit.handin import HandIn
from budgetnet.audit.openings import warm_opening
from budgetnet.audit.words import EpochRow, Found, Log

OPENS_AT = 0.98
OPENS_BELOW_LOSS = 0.07
FALL = 2.0
FALL_TINY_BATCH = 1.4
MANY_STEPS = 7_500
FALL_LEVEL = 1.25
"""Where the figures may have been measured after the epoch."""
FALL_NONE = 1.12
"""With much dropout: whatever its level, a fresh network's loss falls by more than that."""
ALONE_AT, ALONE_LOSS = 0.985, 0.05
"""For a log of a single epoch, which shows no fall."""
BEFORE_PROOF = "The epochs that came before, or a run from fresh weights with its whole log and its seed."
EARLY = re.compile(r"early stopping|stopped early|stopped training|early[- ]stopp", re.IGNORECASE)
STOPPER = re.compile(r"\bearly_?stopping\s{0,2}\(", re.IGNORECASE)
"""In code; without `verbose` it prints nothing."""
RESUMED = re.compile(
    r"\bresum|\bwent on\b|\bgo(?:es|ing)? on\b|\bcontinu|\bsittings?\b|initial[ _]epoch|\bpicked up|\binterrupted|\bcrashed"
    r"|\bdisconnected|\bmore epochs|\bin two (?:parts|runs|sessions|steps)|\bfurther epochs|\brestarted from"
    r"|\bfine[- ]?tun|\bthe same weights\b|\b\d+ \+ \d+\b",
    re.IGNORECASE,
)
EXCERPT = re.compile(r"\bfirst\b|excerpt|truncat|snippet|part of|\bsome of|\bonly\b|\blast \d|shorten", re.IGNORECASE)


def start_findings(hand_in: HandIn) -> Iterator[Found]:
    """Yield what the beginnings and ends of the logs show."""
    seen = 0
    for place, log in enumerate(hand_in.logs):
        before = hand_in.logs[place - 1] if place else None
        if before is not None and goes_on(before, log):
            seen += log.reached
            if _declared(hand_in, seen):
                continue
            yield hand_in.found(
                f"A second fit on the same weights (a warm start): epoch {log.first} goes on where epoch {before.last} of the log "
                f"above ended, so these weights saw {seen} epochs, not {log.reached}.",
                f"{_figures(before.rows[-1])} → {_figures(log.rows[0])}",
                log.line,
                "A run from fresh weights, with its whole log and its seed, or the sum of the epochs in the text.",
            )
        else:
            seen = log.reached
        if warm(log) and seen == log.reached:
            fall = _fall(log)
            then = f", and falls only to {_figures(log.rows[1])}" if fall else ""
            yield hand_in.found(
                "A warm start: the first epoch opens where no fresh network stands, so the weights had been trained before.",
                f"epoch {log.first}: {_figures(log.rows[0])}{then}",
                log.rows[0].line,
                BEFORE_PROOF,
            )
        elif seen == log.reached and (first := warm_opening(hand_in.lines, log)):
            yield hand_in.found(
                f"A warm start: the first batch has a loss of {first.loss:.4g}, where a fresh network of ten classes stands near 2.3, "
                "so the weights had been trained before.",
                first.text,
                first.line,
                BEFORE_PROOF,
            )
        after = hand_in.logs[place + 1] if place + 1 < len(hand_in.logs) else None
        if after is None or not 1 < after.first <= log.last + 1 <= after.last:  # taken up again from an earlier epoch
            yield from _ends_early(hand_in, log)


def _declared(hand_in: HandIn, seen: int) -> bool:
    """Return whether the text says that a training was taken up again, and counts all its epochs."""
    whole = any(
        claim.kind == "epochs" and claim.label not in {"target", "other"} and claim.value == seen for claim in hand_in.claims
    )
    whole = whole or any(
        line.kind == "prose" and re.search(rf"\b{seen}\b (?:epochs )?(?:in all|in total|altogether|overall)", line.text[:600])
        for line in hand_in.lines
    )
    return whole and any(RESUMED.search(line.text[:600]) for line in hand_in.lines if line.kind == "prose")


def warm(log: Log) -> bool:
    """Return whether the log opens at figures that fresh weights do not show in their first epoch."""
    if log.first > 1:
        return False
    row = log.rows[0]
    accuracy, loss = row.metrics.get("acc"), None if row.batch_loss else row.metrics.get("loss")
    fall = _fall(log)
    low = loss is None or loss.value <= OPENS_BELOW_LOSS
    if accuracy is not None and accuracy.value >= OPENS_AT and low:
        if fall is None:
            return row.running and accuracy.value >= ALONE_AT and (loss is None or loss.value <= ALONE_LOSS)
        limit = (FALL_TINY_BATCH if MANY_STEPS <= (row.steps or 0) < 20_000 else FALL) if row.running else FALL_LEVEL
        if fall < limit:
            return True
    watched = row.metrics.get("val_acc")
    level = row.running and len(log.rows) >= 5 and fall is not None and fall < FALL_NONE and loss is not None
    return bool(level and watched and watched.value >= ALONE_AT and accuracy and accuracy.value >= 0.9)


def goes_on(before: Log, log: Log) -> bool:
    """Return whether the second log's first epoch continues the first log's last one."""
    if log.first > 1 or before.first > 1 or len(before.rows) < 2:
        return False
    opened, ended, began = log.rows[0], before.rows[-1], before.rows[0]
    share = 1.2 if warm(before) else 0.5  # a log that goes on itself does not fall far
    near = 2.0 if warm(log) else 1.35  # a new optimizer's first steps shake trained weights
    if all("loss" in row.metrics and not row.batch_loss for row in (opened, ended, began)):
        start, end, first = (row.metrics["loss"].value for row in (opened, ended, began))
        return start <= near * end and start <= share * first
    for name in ("acc", "val_acc"):
        if all(name in row.metrics for row in (opened, ended, began)):
            start, end, first = (1 - row.metrics[name].value for row in (opened, ended, began))
            return start <= near * end and start <= share * first and (share > 1 or first - start >= 0.005)
    return False


def _fall(log: Log) -> float | None:
    """Return by what factor the training loss falls from the first epoch to the second; of the errors where no loss is shown."""
    if len(log.rows) < 2 or log.rows[1].number != log.first + 1:
        return None
    first, second = log.rows[0], log.rows[1]
    for name in ("loss", "acc"):
        if name in first.metrics and name in second.metrics and not (name == "loss" and first.batch_loss):
            one, two = first.metrics[name].value, second.metrics[name].value
            high, low = (one, two) if name == "loss" else (1 - one, 1 - two)
            return high / low if low > 0 else None
    return None


def _figures(row: EpochRow) -> str:
    names = (("loss", "training loss"), ("acc", "training accuracy"), ("val_acc", "watched accuracy"))
    shown = [
        f"{word} {row.metrics[name].value:.4g}"
        for name, word in names
        if name in row.metrics and not (name == "loss" and row.batch_loss)
    ]
    return ", ".join(shown[:2])


def _ends_early(hand_in: HandIn, log: Log) -> Iterator[Found]:
    planned = log.planned
    if planned is None or log.reached >= planned or log.first > 1 or len(log.rows) < 2:
        return
    around = [hand_in.text(number) for number in range(log.end, log.end + 9)]
    above = [hand_in.text(number) for number in range(log.line - 6, log.line)]
    stopped = any(line.kind != "prose" and STOPPER.search(line.text[:400]) for line in hand_in.lines)
    if stopped or any(EARLY.search(text[:300]) for text in around) or any(EXCERPT.search(text[:300]) for text in above):
        return
    yield hand_in.found(
        f"The log ends early: after epoch {log.last} of {planned}.",
        log.rows[-1].text,
        log.end,
        f"The log up to epoch {planned}, with its last evaluation.",
    )


def gaps(hand_in: HandIn) -> Iterator[Found]:
    """Yield what the logs leave out: that accuses nobody, and proves nothing."""
    for log in hand_in.logs:
        if warm(log):
            yield hand_in.found(
                f"{log.epochs} epochs: a log that does not start from fresh weights does not prove them.",
                log.rows[0].text,
                log.line,
                "The log of the epochs before, or a run from fresh weights.",
            )
        if log.first > 1:
            yield hand_in.found(
                f"The log begins at epoch {log.first}: the epochs before it are not shown.",
                log.rows[0].text,
                log.line,
                f"The log from epoch 1 to {log.last}.",
            )
        elif len(log.rows) < log.epochs:
            yield hand_in.found(
                f"The log leaves out {log.epochs - len(log.rows)} of its {log.epochs} epochs.",
                log.rows[0].text,
                log.line,
                "The whole log.",
            )
