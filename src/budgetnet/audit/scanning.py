"""Lines -> what logs are made of: epoch heads, progress bars, figures, rates. Whole logs are put together in `logs`.

A line is cut where an epoch or a bar begins, since some authors paste a whole log on one line. Each pattern is bounded, so that the
cost is linear in the text, whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from budgetnet.audit.grids import grid_rows
from budgetnet.audit.loops import Framed, loop_rows
from budgetnet.audit.metrics import Reading, number_unit, readings
from budgetnet.audit.words import Line, Value

HEAD = re.compile(
    r"\bepoch\b\s{0,3}[#:=\[(-]{0,2}\s{0,3}(?P<number>\d{1,5})(?![\d.%]|,\d)(?:\s{0,2}(?:/|\bof\b)\s{0,2}(?P<planned>\d{1,5}))?",
    re.IGNORECASE,
)
DECORATION = re.compile(
    r"[\s>*+#|\-=\"'`~\[(_•]{0,120}(?:train(?:ing)?\s{1,3})?(?:\d{4}-\d\d-\d\d[\sT][\d:.,+Z]{5,20}[\s"
    r"|\-\]]{0,5}(?:\[?(?:INFO|DEBUG|root)\b[\s|:\]-]{0,5})?)?",
    re.IGNORECASE,
)
BAR = re.compile(
    r"(?<![\d/.])(?P<at>\d{1,9})/(?P<of>\d{1,9})\s{0,3}(?P<bar>\[[=>.]{1,60}\]|[━╸╺╍─]{3,60}|-(?=\s{0,2}(?:\d|[a-z_]{1,30}:)))"
)
TQDM = re.compile(r"(?<!\d)(?P<percent>\d{1,3})%\s?(?:\|[^|]{0,300}\|)?\s{0,3}(?P<at>\d{1,9})/(?P<of>\d{1,9})\s{0,2}\[\d{1,3}:")
DICTIONARY = re.compile(r"""[\s>*#|-]{0,12}\{[^{}]{0,120}["']epoch["']\s{0,3}:""")
BRACES = str.maketrans("", "", "{}\"'")
SECONDS = re.compile(r"(?<![\w.])(\d{1,6})s(?=\s|$|/epoch)")
EACH = re.compile(r"(?<![\w.])(\d{1,6}(?:\.\d{1,3})?)(us|µs|μs|ms|s)/(step|sample)")
UNITS = {"us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0}
HEADER = re.compile(r"train on (\d{1,9}) samples(?:,? validate on (\d{1,9}) samples)?", re.IGNORECASE)
RATE = re.compile(
    r"(?:learning rate|\blr\b)\s{0,3}(?:of group \d{1,2}\s)?(?:to|is|was|now|->|="
    r"|:)?\s{0,3}(?:to\s)?[\[(:=]{0,2}\s{0,2}(\d{1,3}(?:\.\d{1,20})?(?:e-?\d{1,3})?|\.\d{1,20})",
    re.IGNORECASE,
)
PLATEAU = re.compile(r"reducelronplateau", re.IGNORECASE)
COUNTED = re.compile(
    r"\b(?:test|train|val|valid|validation|training|testing)\b[^:=]{0,20}[:=][^/\n]{0,80}\b\d{1,7}/\d{1,7}\b", re.IGNORECASE
)
LABELLED = re.compile(DECORATION.pattern + r"(?:test|train|val|valid|validation|training|testing)\b", re.IGNORECASE)
HEADING = re.compile(r"\s{0,8}(?:[-+>]\s{0,4}){0,6}#{1,6}\s|\*\*[^*]{1,120}\*\*\s{0,3}$")
OF_A_LOG = re.compile(r"\d/\d|loss\s{0,2}[:=]|batch_id|it/s")
"""A comment sign before a line of a log makes no heading of it."""
WIDEST_TITLE = 160


@dataclass(slots=True)
class Piece:
    """What one stretch of a line says of an epoch."""

    line: Line
    text: str
    number: int | None = None
    planned: int | None = None
    steps: int | None = None
    bar: str = ""
    """`keras`, `tqdm`, or nothing."""
    figures: list[Reading] = field(default_factory=list)
    rate: Value | None = None
    seconds: float | None = None
    each: float | None = None
    header: tuple[int, int | None] | None = None
    heading: bool = False
    loose: bool = False
    """Has figures, and neither head nor bar of its own."""
    repeated: bool = False
    """Its words stand in line after line: the form of a log, not of a sentence."""
    frame: bool = False
    """The head of a table of epochs."""


def pieces(lines: list[Line]) -> Iterator[Piece]:
    """Yield the stretches of the lines that a log can be made of, in order."""
    lines = [_without_braces(line) for line in lines]
    framed = {**loop_rows(lines), **grid_rows(lines)}
    for place, line in enumerate(lines):
        if place in framed:
            yield _framed(line, framed[place])
            continue
        lowered = line.text.lower()
        heading = line.kind == "prose" and bool(HEADING.match(line.text[:WIDEST_TITLE])) and not OF_A_LOG.search(lowered[:400])
        if heading:
            yield Piece(line, line.text[:WIDEST_TITLE], heading=True)
        if not any(word in lowered for word in ("epoch", "acc", "loss", "rate", "lr", "train on", "it/s", "s/it")):
            continue
        yield from _line_pieces(line)


def _without_braces(line: Line) -> Line:
    """Return a line that prints an epoch as JSON or as a dictionary in plain words: `{"epoch": 1, "test_acc": 0.99}`."""
    if not DICTIONARY.match(line.text[:200]):
        return line
    return replace(line, text=line.text.strip().translate(BRACES))


def _framed(line: Line, said: Framed) -> Piece:
    figures = list(said.figures)
    piece = Piece(line, line.text, said.number, said.planned, figures=figures, repeated=True)
    _times_and_rates(piece)
    piece.loose = bool(figures) and said.number is None
    piece.frame = not figures
    return piece


def _line_pieces(line: Line) -> Iterator[Piece]:
    text = line.text
    heads = {match.start(): match for match in HEAD.finditer(text)}
    inside = [(match.start(), match.end()) for match in heads.values()]
    bars = {
        match.start(): match
        for match in BAR.finditer(text)
        if not any(start <= match.start() < end for start, end in inside[:2000])
    }
    cuts = sorted({0, *heads, *bars})
    stretches = [text[start:end] for start, end in zip(cuts, [*cuts[1:], len(text)], strict=True)]
    figures = [readings(stretch) for stretch in stretches]
    opened = DECORATION.match(text)
    first = opened.end() if opened else 0
    for place, (start, stretch) in enumerate(zip(cuts, stretches, strict=True)):
        piece = Piece(line, stretch, figures=figures[place])
        head, bar, tqdm = heads.get(start), bars.get(start), TQDM.search(stretch)
        if head and (start <= first or any(figures[place:]) or "learningratescheduler" in stretch.lower()):
            piece.number = int(head["number"])
            piece.planned = int(head["planned"]) if head["planned"] else None
        if bar and int(bar["at"]) < int(bar["of"]):
            continue
        if tqdm and not bar:
            if tqdm["percent"] == "100":
                piece.bar, piece.steps = "tqdm", int(tqdm["of"])
            else:  # what stands before an unfinished bar is not the epoch's
                piece.figures = readings(stretch[tqdm.end() :])
        if bar:
            piece.bar, piece.steps = "keras", int(bar["of"])
        elif not piece.bar and SECONDS.search(stretch[:40]) and re.match(r"\s{0,8}(?:[>#*]\s{0,4})?-\s\d{1,6}s\s-\s", stretch):
            piece.bar = "keras"
        if "ETA:" in stretch:
            continue
        _times_and_rates(piece)
        piece.loose = bool(piece.figures) and not piece.bar and piece.number is None
        yield piece


def _times_and_rates(piece: Piece) -> None:
    if header := HEADER.search(piece.text):
        piece.header = (int(header[1]), int(header[2]) if header[2] else None)
    if seconds := SECONDS.search(piece.text):
        piece.seconds = float(seconds[1])
    if each := EACH.search(piece.text):
        piece.each = float(each[1]) * UNITS[each[2]]
    rates = [reading.value for reading in piece.figures if reading.name == "lr"]
    if not rates and (rate := RATE.search(piece.text)):
        rates = [Value(float(rate[1]), number_unit(rate[1]))]
    piece.rate = rates[-1] if rates else None


def says_epoch(piece: Piece) -> bool:
    """Return whether loose figures are in the form that loops print for an epoch, not in a sentence about them."""
    return (
        piece.repeated
        or bool(COUNTED.search(piece.text[:400]))
        or bool(LABELLED.match(piece.text[:400]))
        or piece.line.text.count("=") >= len(piece.figures) > 0
    )
