"""Whose figure a sentence tells: the author's own, the task's that was set, or other people's.

A limit quoted from an assignment, and an accuracy of another network, are no claims of the hand-in's author, and no log of it can
contradict them. Words decide, clause by clause: an own word («we», «ours», «this network») takes a clause back from a sentence
about others. Sections and block quotes carry over to their lines. Each pattern is bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Whose = Literal["own", "task", "others"]
TARGET = re.compile(
    r"\btarget|\bgoal|\baim|\bobjective|\brequire|\bconstraint|\bshould\b|\bmust\b|\bneed|\bexpect"
    r"|\bassignment\b(?! ?\d)|(?<!able )(?<!managed )\bto (?:achieve|reach|get)\b|"
    r"\bdeadline|\bat least|\bminimum|\bthreshold|\bchallenge|\ballowed|copy and paste|\bsubmit|\bwrite the|\btry to|\bhope"
    r"|\b(?:the|this|our|a) (?:task|exercise|brief|budget|limit|bar|rules?|specification)\b"
    r"|\b(?:limit|budget|cap|ceiling) (?:of|is|was|:)|\basks?\b|\basked (?:for|to)|\bdemand|\bpermitted|\bconditions?\b"
    r"|\b(?:may|can) (?:have|use|train)\b|\bforbidden|^\W{0,12}(?:limits?|tasks?|rules?|budget|exercise|assignment)\W{0,4}:"
    r"|\bno more than\b|\bnot exceed|^\W{0,12}(?:reach|achieve|use|train|keep|stay"
    r"|get|build|design|write) ",
    re.IGNORECASE,
)
TARGET_TITLE = re.compile(
    r"target|objective|assignment\b(?! ?\d)|requirement|constraint|problem|goal|task\b|rules|contract|criteria"
    r"|what is asked|question|conditions|limits|specification|\bbrief\b|exercise\b(?! ?\d)|to do\b|\basks?\b|\basked\b|\bwants\b"
    r"|\bmust\b|\bshould\b|\bgiven\b|instructions|statement|budget",
    re.IGNORECASE,
)
RESULT_TITLE = re.compile(
    r"result|solution|log\b|logs\b|\bours?\b|\bmy\b|\bwe\b|\bsubmission|\banswer|\bdone\b|achieved", re.IGNORECASE
)
OTHERS = re.compile(
    r"\bet al\b|\bpapers?\b|\bliterature|\bpublished\b|state[- ]of[- ]the[- ]art|\bsota\b|\bbaselines?\b|leader ?board|\bkaggle"
    r"|\bLe-?Net|\bAlexNet|\bVGG|\bResNet|\bMobileNet|\bSqueezeNet|\bEfficientNet|\bDenseNet|\bCapsNet|\bcapsule net|\bGoogLeNet"
    r"|\bInception|\bSVMs?\b|\brandom forest|\bk-?NN\b|\bnearest neighbou?r|\blinear classifier|\bhuman"
    r"|\blast (?:year|term|semester|week)|\bprevious (?:year|group|team|work|author|student|course)|\bother (?:people|team|group|"
    r"student|author|network|net|model|work|entr)\w{0,2}|\bothers\b|\banother (?:group|team|student|author|network|model|person)"
    r"|\b(?:earlier|older|previous|former) (?:version|attempt|net|network|model|run|try|experiment)|\bsomeone|\bcolleague|\bclassmate|\bfriend"
    r"|\bneighbou?r|\bwinner|\brecord\b|\btutorial|\bofficial example|\b(?:keras|pytorch"
    r"|tensorflow|torch)(?:['’]s)? (?:\w{1,10} )?(?:example|tutorial|demo)|\barxiv|\b(?:they|their|his|her|he|she|theirs)\b"
    r"|\bbest (?:known|network (?:we|I) know|published)|\bwe know of|\bknown (?:result|network)|\breference (?:net|model|impl|solution)"
    r"|(?-i:\b(?:by|of|from) [A-Z][a-z]{2,20}(?: (?:and|&) [A-Z][a-z]{2,20})?,? \(?(?:19|20)\d\d|\b[A-Z][a-z]{2,20} \((?:19|20)\d\d\))"
    r"|\bthe (?:course|teacher|lecturer|author)(?:'s|’s)? (?:own |sample |model )?(?:solution|net|network|model)|\breported by\b"
    r"|\bcompared (?:to|with)\b|\bin comparison\b|(?-i:\bteam [A-Z]\b)|\bgroup \d",
    re.IGNORECASE,
)
OTHERS_TITLE = re.compile(
    r"related|other (?:people|work|net|model|group|result|solution)|baseline|reference|compar|literature|prior|papers?\b"
    r"|state of the art|known results|leader ?board|background",
    re.IGNORECASE,
)
OWN = re.compile(
    r"\b(?:we|ours?|our own|my|mine|I|I've|we've|us)\b|\bthis (?:net|network|model|one|hand-in|notebook|repository|run|submission)\b"
    r"|\bthe (?:network|net|model) (?:here|below|above)\b|\bhere\b|\bhand-in\b|^\W{0,6}(?:result|final|achieved|reached|got)\b",
    re.IGNORECASE,
)
KNOWN = re.compile(
    r"\bwe (?:know|read|found in|cite|compare|were)|\b(?:our|my) (?:task|assignment|goal|target|teacher|course|budget|limit|aim)"
    r"|\bI (?:know|read)|\basked (?:us|me)|\bgiven (?:us|me)|\bus to\b|\bme to\b|\b(?:we|I) (?:must|should|need|have to|may|aim|want|are to)",
    re.IGNORECASE,
)
"""An own word that tells of others, or of the task."""
NOT_OWN_COLUMN = re.compile(r"\blimit|\brequired\b|\btarget|\ballowed|\basked|\bbudget|\btask\b", re.IGNORECASE)
CLAUSE = re.compile(r"[;()]|,\s|\s[–—-]\s|:\s|\b(?:but|while|whereas|and we|and ours?|and my|and I|against|vs\.?|versus)\b")
QUOTE = re.compile(r"\s{0,8}>")
LIMITING = re.compile(
    r"\bwithin|\bat most|\bunder\b|\bless than|\bfewer|\bbelow|\bat least|[<≤>≥]|\bmax|\bno (?:fully|bias|dense)|\bwithout\b|\bin \d"
    r"|\bup to|\bnot\b",
    re.IGNORECASE,
)
UNFINISHED = re.compile(r"[^.!?:;|\s]\s{0,4}$")
GOES_ON = re.compile(r"\s{0,8}(?:>\s?)?(?:[a-z(\d]|\*{1,2}[a-z])")
ITEM = re.compile(r"\s{0,12}(?:>\s?)?(?:[-*+•]|\(?\d{1,2}[.)]|\(?[a-z]\))\s")


@dataclass(slots=True)
class Section:
    """What the lines above say of a line: the title it stands under, and the sentence it goes on with."""

    whose: Whose = "own"
    listed: bool = False
    """It was a line with a colon: it speaks for the list below it, not for the text after that."""
    started: bool = False
    unfinished: str = ""
    """The sentence that the lines above left open."""
    columns: tuple[bool, ...] = ()
    """Of the table that the line stands in: which columns are not the author's."""

    def own_cells(self, text: str) -> str:
        """Return a table's row without the cells of other people's, or of the task's, columns; any other line as it is."""
        if text.count("|") < 2:
            self.columns = ()
            return text
        cells = text.strip().strip("|").split("|")
        if not self.columns:
            self.columns = tuple(bool(OTHERS.search(cell) or NOT_OWN_COLUMN.search(cell)) for cell in cells)
            return text
        return "|".join(" " if other else cell for cell, other in zip(cells, (*self.columns, *[False] * len(cells)), strict=False))

    def carried(self, text: str) -> Whose:
        """Return whose the sentence is that this line goes on with."""
        if not self.unfinished or not GOES_ON.match(text[:40]):
            return "own"
        return clauses(self.unfinished, "own", "own")[-1][1]

    def leave(self, sentence: str) -> None:
        """Take a line's last sentence."""
        open_end = UNFINISHED.search(sentence[-8:])
        self.unfinished = f"{self.unfinished} {sentence}"[-600:] if open_end else ""

    def title(self, text: str, words: str) -> None:
        """Take a heading, or a label with a colon."""
        task = bool(TARGET_TITLE.search(text) or TARGET.search(words))
        if RESULT_TITLE.search(words) and not KNOWN.search(words):
            self.whose = "own"
        else:
            self.whose = "task" if task else "others" if OTHERS_TITLE.search(words) or OTHERS.search(words) else "own"
        self.listed, self.started = not text.lstrip(" >").startswith("#") and text.rstrip(" *_").endswith(":"), False

    def line(self, text: str) -> None:
        """Take a line that is no title: the text after a list is no part of it."""
        if not text.strip() or not self.listed:
            return
        if ITEM.match(text) or QUOTE.match(text) or (self.started and text[:2].isspace()):
            self.started = True
        elif self.started:
            self.whose, self.listed, self.started = "own", False, False


def clauses(sentence: str, above: Whose, carried: Whose) -> list[tuple[int, Whose]]:
    """Return where each clause of a sentence begins, and whose figures it tells."""
    starts = [0, *(match.end() for match in CLAUSE.finditer(sentence))]
    whole: Whose = carried if carried != "own" else above
    if whole == "own" and TARGET.search(sentence):
        whole = "task"
    found: list[tuple[int, Whose]] = []
    current = whole
    others = [match.start() for match in OTHERS.finditer(sentence)]
    for start, end in zip(starts, [*starts[1:], len(sentence)], strict=True):
        words = sentence[start:end]
        own = bool(OWN.search(words)) and not KNOWN.search(words)
        if any(start <= place < end for place in others) and not (own and whole == "own"):
            current = "others"
        elif own and not TARGET.search(words):
            current = "own"
        elif TARGET.search(words):
            current = "task"
        found.append((start, current))
    return found


def whose_at(found: list[tuple[int, Whose]], place: int) -> Whose:
    """Return whose the figure at `place` is."""
    return next((whose for start, whose in reversed(found) if start <= place), "own")


def quoted_task(texts: list[str]) -> bool:
    """Return whether the lines of a block quote are the task's: limits of two kinds, and nobody who says «we»."""
    text = " ".join(texts)[:2000]
    kinds = sum(bool(re.search(word, text, re.IGNORECASE)) for word in (r"param", r"epoch", r"%|accura", r"bias|fully|dense"))
    return kinds >= 2 and bool(LIMITING.search(text)) and not (OWN.search(text) and not KNOWN.search(text))
