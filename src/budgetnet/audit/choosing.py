"""Where the test split chose something: when to stop, when to lower the rate, which epoch's weights to keep.

Seen in code, in what callbacks print, and in the text. It is a finding only where what was watched is the test split, by the log's
own counts or words; a validation part is there to choose with. Where the hand-in does not show which it was, it is unproven.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from budgetnet.audit.handin import HandIn, matches
from budgetnet.audit.words import Found, Line

STOP = re.compile(
    r"\bearly_?stopping\s{0,2}\(|epoch\s{1,3}\d{1,5}:\s{0,2}early stopping"
    r"|restor\w{1,4} model weights from the end of the best epoch|restore_best_weights\s{0,2}=\s{0,2}true|"
    r"\bstop(?:s|ped)?\b[^.\n]{0,40}\b(?:when|once|as soon as|after|if|at)\b[^.\n]{0,50}\b(?:test|val\w*"
    r"|accuracy)\b|\b(?:used?|using|with|by|through)\s(?:an?\s)?early[- ]stopping",
    re.IGNORECASE,
)
RATE = re.compile(
    r"\breducelronplateau\s{0,2}\(|reducelronplateau reducing learning rate|scheduler\.step\(\s{0,2}[^)\n]{0,40}(?:test|val)|"
    r"\b(?:reduc|lower|halv|decreas|dropp|divid)\w{0,4}\b[^.\n]{0,30}\b(?:learning rate"
    r"|lr)\b[^.\n]{0,40}\b(?:when|once|if|whenever|as soon as)\b[^.\n]{0,50}\b(?:test|val\w*|accuracy)\b|"
    r"\b(?:used?|using|with)\s(?:an?\s)?reducelronplateau",
    re.IGNORECASE,
)
KEEP = re.compile(
    r"save_best_only\s{0,2}=\s{0,2}true|val_\w{1,20} improved from [^\n]{1,60} saving|(?:test|val\w*)\s(?:loss"
    r"|acc\w*)\s{1,3}(?:has\s{1,3})?(?:de|in)creased\s{0,2}\([^)\n]{1,60}\)[^\n]{0,6}\s{0,3}saving|"
    r"\bnew best\b[^\n]{0,60}\bsav|\b(?:kept|keep|sav\w{1,3}|restor\w{1,3}|load\w{0,3}|took|take|pick\w{0,3}"
    r"|chose|selected|submit\w{0,4})\b[^.\n]{0,30}\b(?:best|highest)\b[^.\n]{0,40}\b(?:test|val\w*|epoch)\b",
    re.IGNORECASE,
)
NEGATED = re.compile(
    r"(?:\bno\b|\bnot\b|\bwithout\b|\bnever\b|n't\b|\binstead of\b|\bavoid\w*|\bneither\b|\bnor\b)[^.;\n]{0,40}$", re.IGNORECASE
)
MONITOR = re.compile(r"monitor\s{0,2}=\s{0,2}['\"](\w{1,30})['\"]")
ON_TRAINING = {"loss", "acc", "accuracy", "train_loss", "train_acc", "training_loss"}
IMPORT = re.compile(r"\s{0,20}(?:from\s|import\s|#)")
TEST_SAID = re.compile(r"\btest", re.IGNORECASE)
WORDS = ("stop", "restor", "plateau", "scheduler", "rate", "lr", "sav", "best", "highest")
"""No pattern matches without one of them."""
KINDS = (
    (STOP, "to stop", "A run of a fixed number of epochs, or one stopped by a validation part of the training images."),
    (RATE, "to step the learning rate", "A schedule fixed beforehand, or one stepped by a validation part of the training images."),
    (
        KEEP,
        "to choose the epoch whose weights are kept",
        "The last epoch's result, or weights chosen by a validation part of the training images.",
    ),
)


def choice_findings(hand_in: HandIn) -> tuple[list[Found], list[Found]]:
    """Return (findings, unproven)."""
    findings: list[Found] = []
    unproven: list[Found] = []
    watched = set(hand_in.watched)
    for pattern, purpose, proof in KINDS:
        places = list(_places(hand_in.lines, pattern))
        if not places or (pattern is KEEP and _last_epoch_counted(hand_in)):
            continue
        line, text, _ = places[0]
        more = f" ({len(places)} lines say so)" if len(places) > 1 else ""
        own_word = next(((other, said) for other, said, matched in places if TEST_SAID.search(matched)), None)
        if "validation" in watched and "test" not in watched:
            continue
        if "test" in watched or own_word:
            if "test" not in watched and own_word:
                line, text = own_word
            findings.append(hand_in.found(f"The test accuracy was used {purpose}{more}.", text, line, proof))
        else:
            unproven.append(
                hand_in.found(
                    f"What was watched was used {purpose}{more}; whether it is the test split is not shown.", text, line, proof
                )
            )
    return findings, unproven


def _places(lines: list[Line], pattern: re.Pattern[str]) -> Iterator[tuple[int, str, str]]:
    on_training = _trained_on(lines)
    for place, line in enumerate(lines):
        text = line.text[:1000]
        lowered = text.lower()
        match = pattern.search(text) if any(word in lowered for word in WORDS) else None
        if match is None or (IMPORT.match(text) and line.kind in {"code", "block"}) or NEGATED.search(text[: match.start()]):
            continue
        if "(" in match[0] or "=" in match[0]:
            call = " ".join(other.text[:300] for other in lines[max(0, place - 2) : place + 5])
            monitors = set(MONITOR.findall(call))
            if monitors and monitors <= ON_TRAINING:
                continue
        elif on_training:
            continue
        yield line.number, text, match[0]


def _trained_on(lines: list[Line]) -> bool:
    """Return whether every `monitor=` of the hand-in's code names a training figure."""
    monitors = {name for line in lines if "monitor" in line.text[:1000] for name in MONITOR.findall(line.text[:1000])}
    return bool(monitors) and monitors <= ON_TRAINING


def _last_epoch_counted(hand_in: HandIn) -> bool:
    """Return whether each result is the last epoch's although another epoch was better: then the kept weights were not used."""
    if not hand_in.logs or not hand_in.belongs:
        return False
    for place, result in hand_in.belongs.items():
        rows = hand_in.logs[place].watched()
        best = max(value.value for _, value in rows) if rows else 0.0
        if not matches(result, hand_in.logs[place].rows[-1]) or best - result.accuracy.value < 1e-4:
            return False
    return True
