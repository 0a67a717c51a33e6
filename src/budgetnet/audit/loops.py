"""Lines that loops of one's own print for an epoch, in whatever shape -> figures: `train 90.54% | test 97.68%`, `acc 0.9/0.98`.

Without a colon or an equals sign nothing tells such a line from a sentence but its repetition: three lines of the same words whose
numbers of epochs rise, or that follow heads of epochs. Only then is it read here, and only where the strict reader in `metrics`
sees less. One pass over each candidate's tokens; lines over 400 characters are no such lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from budgetnet.audit.metrics import Reading, fraction, number_unit, plain_number, readings
from budgetnet.audit.words import Line, Value

START = re.compile(
    r"[\s>*+#|\-=\"'`~(_•:]{0,40}(?:\d{4}-\d\d-\d\d[\sT][\d:.,+Z]{5,20}[\s|\-\]]{0,5}(?:\[?(?:INFO|DEBUG|root)\b[\s|:\]-]{0,5})?)?"
    r"(?:finished\s|end of\s|after\s)?(?P<word>epochs?|ep|e)?(?(word)[\s#:=\[(.-]{0,5}|[\[(]?\s{0,3})(?P<number>\d{1,5})(?![\d%A-Za-z])"
    r"(?!\.\d)(?:\s{0,2}(?:/|\bof\b)\s{0,2}(?P<planned>\d{1,5})(?![\d.%]))?[\s\])]{0,3}",
    re.IGNORECASE,
)
TOKEN = re.compile(r"[A-Za-z]+|\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|\.\d+|[^\sA-Za-z\d]", re.ASCII)
CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
GLUED = re.compile(r"(train|test|val|valid|tr|te)(acc|accuracy|loss|err|error)")
COMPLETE = re.compile(r"\d{1,9}/\d{1,9} \[|[━█▏▎▍▌▋▊▉]|it/s|s/it|improve\w* from|global step", re.IGNORECASE)
OWNERS = {
    **dict.fromkeys(("train", "training", "trained", "trn", "tr"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "validate"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "te", "eval", "evaluation", "holdout", "tested"), "test"),
}
METRICS = {
    **dict.fromkeys(("loss", "cost", "nll", "losses", "xent"), "loss"),
    **dict.fromkeys(("acc", "accuracy", "correct", "accuracies", "precision"), "acc"),
    **dict.fromkeys(("err", "error", "errors"), "error"),
    "lr": "lr",
}
SKIPPED = {
    "best",
    "max",
    "highest",
    "target",
    "previous",
    "time",
    "took",
    "elapsed",
    "min",
    "baseline",
    "batch",
    "step",
    "steps",
    "patience",
    "momentum",
    "seed",
    "wd",
    "dropout",
}
UNITS = {"s", "sec", "secs", "seconds", "ms", "us", "m", "min", "h", "it", "k"}
CHANGING = {"best", "new", "saved", "saving", "model", "improved", "improvement", "checkpoint", "no", "e", "highest"}
DIGIT = re.compile(r"[0-9]")
LEAST_LINES = 3
FARTHEST = 60
WIDEST = 400
LEAST_IMAGES = 1_000


@dataclass(frozen=True, slots=True)
class Framed:
    """What one line, or one row of a table, says of an epoch."""

    number: int | None
    planned: int | None
    figures: list[Reading]


@dataclass(slots=True)
class Raw:
    """A figure before it is known what its column counts in."""

    owner: str
    metric: str
    text: str
    percent: bool = False
    images: int | None = None


@dataclass(slots=True)
class _Group:
    places: list[int] = field(default_factory=list)
    numbers: list[int | None] = field(default_factory=list)
    planned: list[int | None] = field(default_factory=list)
    raws: list[list[Raw]] = field(default_factory=list)


def loop_rows(lines: list[Line]) -> dict[int, Framed]:
    """Return what the repeated lines say, by the line's place in `lines`."""
    groups: dict[tuple[str, ...], list[_Group]] = {}
    for place, line in enumerate(lines):
        text = line.text
        if line.kind == "code" or not text or len(text) > WIDEST or not DIGIT.search(text):
            continue
        start = START.match(text)
        body = text[start.end() :] if start else text
        if COMPLETE.search(text) or not (raws := raw_figures(body)):
            continue
        number = int(start["number"]) if start else None
        planned = int(start["planned"]) if start and start["planned"] else None
        key = _skeleton(text, start is not None)
        known = groups.setdefault(key, [])
        if not known or place - known[-1].places[-1] > FARTHEST or _falls_back(known[-1].numbers[-1], number):
            known.append(_Group())
        group = known[-1]
        group.places.append(place)
        group.numbers.append(number)
        group.planned.append(planned)
        group.raws.append(raws)
    found: dict[int, Framed] = {}
    for group in (group for known in groups.values() for group in known):
        if len(group.places) >= LEAST_LINES:
            _read(group, lines, found)
    return found


def _read(group: _Group, lines: list[Line], found: dict[int, Framed]) -> None:
    numbers = {number for number in group.numbers if number is not None}
    if numbers and len(numbers) < LEAST_LINES:  # the same number again and again counts something else
        return
    large = any(raw.metric == "error" and plain_number(raw.text) > 1 for raws in group.raws for raw in raws)
    for place, number, planned, raws in zip(group.places, group.numbers, group.planned, group.raws, strict=True):
        figures = resolved(raws, large_errors=large)
        names = {reading.name for reading in figures} - {"lr"}
        strict = {reading.name for reading in readings(lines[place].text)} - {"lr"}
        headed = "epoch" in lines[place].text.lower()
        if not names & {"acc", "val_acc"}:
            continue
        if strict < names or (names == strict and number is not None and not headed):
            found[place] = Framed(number, planned, figures)


def _falls_back(before: int | None, number: int | None) -> bool:
    return before is not None and number is not None and number < before


def _skeleton(text: str, numbered: bool) -> tuple[str, ...]:
    words = [word.lower() for word in re.findall(r"[A-Za-z]+|%", text)]
    return (str(numbered), *(word for word in words if word not in CHANGING))


def resolved(raws: list[Raw], *, large_errors: bool) -> list[Reading]:
    """Return the readings; `large_errors` says that the errors of this column are percentages."""
    figures: list[Reading] = []
    for raw in raws:
        watched = "val_" if raw.owner in {"val", "test"} else ""
        tested, plain = raw.owner == "test", not raw.owner
        if raw.metric in {"loss", "lr"}:
            name = "lr" if raw.metric == "lr" else f"{watched}loss"
            figures.append(Reading(name, Value(plain_number(raw.text), number_unit(raw.text[:40])), tested, plain))
            continue
        if raw.images:
            value: Value | None = Value(min(1.0, plain_number(raw.text) / raw.images), 1 / raw.images, raw.images)
        elif raw.metric == "error":
            wrong = fraction(raw.text, raw.percent or large_errors)
            value = Value(round(1 - wrong.value, 12), wrong.unit) if wrong else None
        else:
            value = fraction(raw.text, raw.percent)
        if value is not None:
            figures.append(Reading(f"{watched}acc", value, tested, plain))
    return figures


def raw_figures(text: str) -> list[Raw]:
    """Return the figures of a line in order, each with the words that it belongs to."""
    reader = _Reader()
    tokens = [part for token in TOKEN.findall(text[:WIDEST]) for part in CAMEL.split(token)]
    index = 0
    while index < len(tokens):
        sign = tokens[index]
        if sign[0].isalpha():
            reader.word(sign.lower())
            index += 1
        elif sign[0].isdigit() or (sign[0] == "." and len(sign) > 1):
            index = reader.number(tokens, index)
        else:
            reader.sign(sign)
            index += 1
    return reader.found


class _Reader:
    """Words before a number say what it is; where there are none, the words after it do."""

    def __init__(self) -> None:
        self.found: list[Raw] = []
        self.owner = self.metric = ""
        self.named = False  # an owner stands since the last number
        self.skip = False
        self.waiting: Raw | None = None
        self.both: list[str] = []

    def word(self, word: str) -> None:
        glued = GLUED.fullmatch(word)
        for part in glued.groups() if glued else (word,):
            if part in OWNERS:
                if self.waiting and not self.waiting.owner:
                    self.waiting.owner = OWNERS[part]
                    self._settle()
                else:
                    self.both = [*self.both[-1:], OWNERS[part]] if self.named else [OWNERS[part]]
                    self.owner, self.named = OWNERS[part], True
            elif part in METRICS:
                if self.waiting:
                    self.waiting.metric = METRICS[part]
                else:
                    self.metric = METRICS[part]
            elif part in SKIPPED:
                self.skip = True

    def _settle(self) -> None:
        if self.waiting:
            self.found.append(self.waiting)
        self.waiting = None

    def sign(self, sign: str) -> None:
        if sign in ",;|":
            self._drop()
            self.skip = False

    def _drop(self) -> None:
        if self.waiting and self.waiting.metric and self.waiting.owner:
            self._settle()
        self.waiting = None

    def number(self, tokens: list[str], index: int) -> int:
        text, after = tokens[index], tokens[index + 1 : index + 3]
        index += 1
        percent = bool(after) and after[0].lower() in {"%", "percent", "pct"}
        images = _images(text, after)
        if images:
            index += 2
        decimal = "." in text or percent or bool(images)
        if self.skip or (after and after[0].lower() in UNITS) or not decimal:
            self.skip = self.skip and not decimal
            return index
        self._drop()
        raw = Raw(self.owner, self.metric, text, percent, images)
        if not raw.metric and (percent or images or (self.named and 20 <= plain_number(text) <= 100)):
            raw.metric = "acc"
        if (images and not self.metric and not raw.owner) or (images == 10_000 and not raw.owner):
            raw.owner = "test"
        if raw.metric and (self.metric or self.named or images):
            index = self._pair(raw, tokens, index + percent)
        elif raw.metric:
            raw.owner = ""
            self.waiting = raw
        self.metric, self.named = "", False
        return index

    def _pair(self, raw: Raw, tokens: list[str], index: int) -> int:
        """Take `a/b`, two figures of one kind: the training's and the test's, in the order that the words give."""
        second = tokens[index + 1 : index + 2]
        if not raw.images and tokens[index : index + 1] == ["/"] and second and "." in second[0] and second[0][-1:].isdigit():
            owners = self.both if len(self.both) == 2 else ["train", "test"]
            percent = tokens[index + 2 : index + 3] == ["%"]
            self.found += [
                Raw(owners[0], raw.metric, raw.text, raw.percent or percent),
                Raw(owners[1], raw.metric, second[0], raw.percent or percent),
            ]
            return index + 2 + percent
        self.found.append(raw)
        return index


def _images(text: str, after: list[str]) -> int | None:
    if len(after) == 2 and after[0] == "/" and text.isdecimal() and after[1].isdecimal():
        correct, images = int(text[:12]), int(after[1][:12])
        return images if images >= LEAST_IMAGES and correct <= images else None
    return None
