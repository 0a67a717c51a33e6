"""What a text says that a choice did for the accuracy, and that no run of its own shows: unproven, with what would prove it.

«Not using dropout in the last layer increased my accuracy» compares two networks, and one was shown, once. At 99.4 % the standard error
of 10,000 test images is 0.077 points, and seeds differ by as much: even two logs, one for each choice, are one run each. Nobody
is accused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from budgetnet.audit.handin import HandIn, same_at_printed_digits
from budgetnet.audit.sizes import TEST_IMAGES
from budgetnet.audit.words import Found

CHOICE = re.compile(
    r"drop-?out|pool(?:ing|s|ed)?\b|batch[ -]?(?:norm|size)|1\s?[x×*]\s?1|separable|depthwise|learning[ -]rate|\blr\b|schedul|augment"
    r"|regulari[sz]|kernel|filter|channel|activation|optimi[sz]er|\badam\b|\bsgd\b|flatten|layers?\b|convolution|\bGAP\b|\bGMP\b",
    re.IGNORECASE,
)
EFFECT = re.compile(
    r"\b(?:increas|improv|boost|rais|help|hurt|degrad)\w{0,5}\b|\b(?:better|worse|best results?|not good|not (?:work|help)"
    r"|effective\w{0,2}|to ensure|no (?:gain|effect|difference)|makes? (?:a|no) difference)\b|\bable to reach\b",
    re.IGNORECASE,
)
ON_ACCURACY = re.compile(
    r"accura|\bresult|\bfeature|\bgenerali|overfit|\bloss\b|\bperform|\b99\.\d|\b9\d\.\d{1,2}\s?%", re.IGNORECASE
)
SENTENCE = re.compile(r"(?<=[.!?;])\s+(?=[A-Za-z\d*])")
SEVERAL_RUNS = re.compile(
    r"\bseeds?\b|\bmean of\b|\bruns each\b|±|\+/-|\bstandard (?:error|deviation)\b|\baverage over\b", re.IGNORECASE
)
MOST = 20
PROOF = "Several seeds of the same recipe with and without it, and their difference with its interval."


def strategies(hand_in: HandIn) -> Iterator[Found]:
    """Yield the claimed effects of choices, and the comparisons of two logs of one run each."""
    if not hand_in.logs:
        return
    if any(SEVERAL_RUNS.search(line.text[:1000]) for line in hand_in.lines if line.kind == "prose"):
        return
    compared = list(_compared(hand_in))
    yield from compared
    logged = {found.line for found in compared} | {number for log in hand_in.logs for number in range(log.line, log.end + 1)}
    count = 0
    for line in hand_in.lines:
        if line.kind != "prose" or line.number in logged or len(line.text) > 4000:
            continue
        if not CHOICE.search(line.text[:2000]):
            continue
        for sentence in SENTENCE.split(line.text[:2000]):
            if EFFECT.search(sentence) and ON_ACCURACY.search(sentence):
                yield hand_in.found(
                    "A choice is said to have worked, and no run shows it beside one without it.", sentence, line.number, PROOF
                )
                count += 1
                break
        if count == MOST:
            return


def _compared(hand_in: HandIn) -> Iterator[Found]:
    """Yield the sentence that holds the final accuracies of two logs: one run each."""
    finals = [rows[-1][1] for log in hand_in.logs if log.watches and (rows := log.watched())]
    told: dict[tuple[int, str], list[int]] = {}
    for claim in hand_in.claims:
        if claim.kind != "accuracy" or claim.label in {"target", "other", "training"}:
            continue
        places = [place for place, final in enumerate(finals) if same_at_printed_digits(claim.number, final)]
        if len(places) == 1:
            told.setdefault((claim.line, claim.text), []).append(places[0])
    for (number, text), places in told.items():
        if len(set(places)) < 2:
            continue
        one, two = (finals[place].value for place in sorted(set(places), key=places.index)[:2])
        error = math.sqrt(one * (1 - one) / TEST_IMAGES + two * (1 - two) / TEST_IMAGES)
        yield hand_in.found(
            f"{100 * one:.2f} % against {100 * two:.2f} %, one run each: they differ by {100 * abs(one - two):.2f} points, where the standard "
            f"error of two counts of 10,000 images is {100 * error:.2f}, before seeds.",
            text,
            number,
            PROOF,
        )
        return
