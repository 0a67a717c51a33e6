"""One line -> the figures it names: losses, accuracies, learning rates, whoever printed them.

Keras writes `val_acc: 0.9953`, loops write `Test set: Average loss: 0.02, Accuracy: 9912/10000 (99.12%)`, `Train: Loss=…`, `Val
Acc: 99.2%`. All are words, a colon or an equals sign, a number; the word before says whose figure it is, until another one says
otherwise. One pass over the line's tokens: linear, whatever the line holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from budgetnet.audit.words import Value

TOKEN = re.compile(r"[A-Za-z_]+|\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|\.\d+|[^\sA-Za-z_\d]", re.ASCII)
NUMBER = re.compile(r"\.?[0-9]")
TRAIN = {"train", "training", "trn"}
WATCHED = {"val", "valid", "validation", "test", "testing", "dev", "eval", "evaluation"}
TESTED = {"test", "testing"}
NOT_THIS_EPOCH = {
    "best",
    "max",
    "maximum",
    "highest",
    "top",
    "peak",
    "target",
    "previous",
    "min",
    "baseline",
    "current_best",
    "ema",
}
LONGEST_KEY = 6


@dataclass(frozen=True, slots=True)
class Reading:
    """A named figure: `name` is `loss`, `acc`, `val_loss`, `val_acc` or `lr`; `plain` has no word that says whose it is."""

    name: str
    value: Value
    tested: bool = False
    plain: bool = False


def number_unit(text: str) -> float:
    """Return the worth of the last digit of a printed number: 0.0001 for `0.9947`, 1e-08 for `4.2487e-04`."""
    mantissa, _, exponent = text.lower().partition("e")
    power = int(exponent[:4]) if exponent else 0
    return float(10.0 ** max(-30, min(30, power - len(mantissa.partition(".")[2]))))


def plain_number(text: str) -> float:
    """Return a printed number; of one with more signs than any has, its first 40."""
    try:
        return float(text[:40])
    except ValueError:  # cut inside its exponent
        return float(text[:40].lower().partition("e")[0])


def fraction(text: str, percent: bool) -> Value | None:
    """Return an accuracy as a fraction; None for what is none. Above 1, a number is a percentage even without its sign."""
    value, unit = plain_number(text), number_unit(text[:40])
    if percent or value > 1:
        value, unit = value / 100, unit / 100
    return Value(value, unit) if 0 <= value <= 1 else None


def readings(text: str) -> list[Reading]:
    """Return the figures that a line names, in order."""
    tokens = TOKEN.findall(text)
    found: list[Reading] = []
    words: list[str] = []
    owner = ""
    index = 0
    while index < len(tokens):
        sign = tokens[index]
        index += 1
        if sign[0].isalpha() or sign[0] == "_":
            words = [*words[-LONGEST_KEY:], sign.lower()]
        elif sign in ":=":
            while index < len(tokens) and tokens[index] in "[(*=:":
                index += 1
            if index < len(tokens) and NUMBER.match(tokens[index]):
                reading, owner = _reading(words, owner, tokens, index)
                if reading:
                    found.append(reading)
                words = []
            else:
                owner = _owner(words) or owner
                words = []
        elif sign in ",;|":
            words = []
    return found


def _owner(words: list[str]) -> str:
    for word in reversed(words):
        if word in TRAIN:
            return "train"
        if word in WATCHED:
            return "test" if word in TESTED else "val"
    return ""


def _reading(words: list[str], owner: str, tokens: list[str], index: int) -> tuple[Reading | None, str]:
    """Return the reading of a key and the number at `index`, and whose the next unlabelled figures are."""
    parts = [part for word in words[-3:] for part in word.split("_") if part]
    if not parts:
        return None, owner
    joined = _owner([word for word in words if "_" not in word])
    own = joined or _owner(parts)
    # Keras's `val_loss` speaks for itself alone; `Val Loss: …, Acc: …` speaks for what follows.
    owner_after = joined or owner
    whose = own or owner
    if set(parts) & NOT_THIS_EPOCH:
        return None, owner_after
    last = parts[-1]
    if last in {"lr"} or parts[-2:] == ["learning", "rate"]:
        text = tokens[index][:40]
        return Reading("lr", Value(plain_number(text), number_unit(text))), owner_after
    watched = "val_" if whose in {"val", "test"} else ""
    if last in {"loss", "cost", "nll"}:
        text = tokens[index][:40]
        return Reading(f"{watched}loss", Value(plain_number(text), number_unit(text)), whose == "test", not whose), owner_after
    if last in {"acc", "accuracy"}:
        value = _accuracy(tokens, index)
        return (Reading(f"{watched}acc", value, whose == "test", not whose) if value else None), owner_after
    return None, owner_after


def _accuracy(tokens: list[str], index: int) -> Value | None:
    """Return the accuracy at `index`: `0.9912`, `99.12`, `99.12 %`, or `9912/10000`, whose count is exact."""
    after = tokens[index + 1 : index + 3]
    if len(after) == 2 and after[0] == "/" and after[1].isdecimal() and tokens[index].isdecimal():
        correct, images = int(tokens[index][:12]), int(after[1][:12])
        return Value(correct / images, 1 / images, images) if 0 <= correct <= images and images else None
    return fraction(tokens[index], bool(after) and after[0] == "%")
