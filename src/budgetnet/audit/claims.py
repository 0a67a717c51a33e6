"""What a hand-in's text claims: accuracies, parameter counts, epochs, the absence of biases and of fully connected layers.

A figure is a claim only by the words around it: a task's «99.4 % in 15,000 parameters» is a target, «under 15,000» a limit, «best»
and «in epoch 18» are labels that an author may honestly give. Lines of logs and tables are no claims. Words are looked for in the
figure's own sentence, near it; each pattern is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from budgetnet.audit.metrics import fraction, number_unit
from budgetnet.audit.owners import QUOTE, Section, Whose, clauses, quoted_task, whose_at
from budgetnet.audit.scores import SCORE
from budgetnet.audit.words import Claim, Line, Value

Label = Literal["plain", "final", "best", "training", "limit", "target", "mean", "other", "trainable", "non-trainable", "total"]
ACCURACY = re.compile(
    r"(?<![\d.,/_-])(?P<number>\d{1,3}(?:\.\d{1,18})?|0?\.\d{2,18})\s?(?P<percent>%|percent\b|pct\b)?(?![\d/_])(?!\.\d)"
)
ABOUT_ACCURACY = re.compile(
    r"accura|\bacc\b|evaluat|\bscore|\breach|achiev|\btest (?:set|split|data|images|digits|samples)|\bval\b|validation",
    re.IGNORECASE,
)
EPOCH_FIGURE = re.compile(r"\b9\d\.\d{1,4}\s?%?[^.\n]{0,60}\bepoch|\bepoch\b[^.\n]{0,60}\b9\d\.\d{1,4}\s?%", re.IGNORECASE)
"""«99.41 % already in epoch 6» names no accuracy, and is one."""
PARAMETERS = re.compile(
    r"(?:(?P<left>\d{1,3}(?:,\d{2,3}){1,3}|\d{3,9}|\d{1,4}(?:\.\d{1,3})?\s?[kKmM])\s{1,3}(?:(?:total|trainable"
    r"|learnable|model)\s)?param\w{0,12}"
    r"|param\w{0,12}\b(?![\w-]*\s*=\s*\()[^\d\n|]{0,40}?(?P<right>\d{1,3}(?:,\d{2,3}){1,3}|\d{3,9}"
    r"|\d{1,4}(?:\.\d{1,3})?\s?[kKmM])(?![\d.]|\s?%|\s?(?:MB|KB|epoch)))",
    re.IGNORECASE,
)
EPOCHS = re.compile(
    r"(?<![\d.,])(?P<left>\d{1,4})\s{0,2}-?\s{0,2}epochs?\b|\bepochs?\s{0,2}(?:trained|run"
    r"|used)?\s{0,2}[:=-]{1,2}\s{0,3}(?P<right>\d{1,4})\b(?!\s{0,2}[/.%])",
    re.IGNORECASE,
)
LIMIT = re.compile(
    r"(?:under|less than|fewer than|below|at most|within|up to|max(?:imum)? of|more than|over|above|exceed\w*"
    r"|cross\w*|at least|greater than|[<>≤≥]=?|~|about|around|approx\w*|nearly|almost"
    r"|close to)\s{0,3}(?:of\s)?(?:the\s)?[\d.,]*\s{0,2}$",
    re.IGNORECASE,
)
AT_MOST = re.compile(r"[\s,(]{0,3}(?:at (?:the )?most|or (?:fewer|less|under)|max(?:imum)?\b|tops\b|and no more)", re.IGNORECASE)
NUMBERED = r"(?:epoch\s?#?(?P<one>\d{1,4})|(?P<other>\d{1,4})(?:st|nd|rd|th) epoch)(?![\d/])(?!\.\d)"
IN_EPOCH_AFTER = re.compile(
    r"\s?%?\s?(?:test |val\w* )?(?:accuracy\s)?[(\[]?(?:(?:already|first|once|reached|as early as|best|max)\s){0,2}"
    r"(?:(?:in|at|on|by|@|from)\s)?(?:the\s)?" + NUMBERED + r"(?!\s(?:on|onwards|to))",
    re.IGNORECASE,
)
IN_EPOCH_BEFORE = re.compile(
    r"(?<!after )(?<!since )(?<!until )(?<!before )(?<!from )(?:the )?"
    + NUMBERED
    + r"[\s:,=)\]–-]{1,4}(?:(?:it|we|already|has|had|have|"
    r"gives|gave|shows|showed|reached|reaches|at|with|is|was|the|a|of|an|network|net|model|test|val|validation|accuracy|acc|"
    r"got|hit|hits|an accuracy)[\s:=]{1,3}){0,7}$",
    re.IGNORECASE,
)
BEST = re.compile(
    r"\bbest|\bmax|\bhighest|\bpeak|\btop\b|\btouch|\bonce\b|\b\d{1,3}(?:st|nd|rd|th)\b|(?:\bat|\bin|\bon|\bfrom"
    r"|\bthe|\()\s{0,3}(?:the\s)?epoch\b|epoch\s{0,2}[#:]?\s{0,2}\d{1,4}\b|\bas (?:high|good) as",
    re.IGNORECASE,
)
FINAL = re.compile(
    r"\bfinal|\blast epoch|evaluat|\bscore\b|\bafter (?:all|the last)|\bend(?:s|ed)? (?:at|with)|\bat the end", re.IGNORECASE
)
TRAINING = re.compile(
    r"\btrain(?:ing)?[ _-]{0,2}(?:set\s)?(?:acc|score)|\btrain(?:ing)?\s{0,2}[:=]|accuracy (?:on|of) (?:the )?train", re.IGNORECASE
)
WATCHED = re.compile(r"\btest|\bval|evaluat", re.IGNORECASE)
MEAN = re.compile(
    r"\bmean\b|\baverage[sd]?\b|\bavg\b|\bseeds\b|\bruns\b|\blast (?:5|five|few|4|four)|±|\+/-|\brange"
    r"|\bbetween\b|\bapart\b|\bdrop|without|baseline|previous|earlier|other|paper|state of the art|sota",
    re.IGNORECASE,
)
TITLE = re.compile(r"[\s>*+#|\-_0-9.)\[\]]{0,40}(?P<words>[A-Za-z][^:\n]{0,60}?)\s{0,3}[:*#_\s]{0,10}$")
SENTENCE = re.compile(r"(?<=[.!?;])\s+(?=[A-Z\d*])")
TAG = re.compile(r"</?[A-Za-z][^<>]{0,80}>")
OWNER = re.compile(r"\b(train(?:ing)?(?= (?:set|acc|score|loss|-))|test(?:ing)?|val(?:idation)?)\b", re.IGNORECASE)
AFTER_TRAINING = re.compile(r"\s{0,3}%?\s{0,3}(?:on (?:the )?)?train", re.IGNORECASE)
ONE_CLASS = re.compile(
    r"(?:\bclass(?:es)?\b|\bdigits?\b|\blabel\b)\W{0,12}[\w/-]{1,14}\W{0,4}(?:\(\w{1,12}\)\W{0,3})?(?:accuracy|acc|has|is|at|gets)?\W{0,6}$"
    r"|\b(?:accuracy|acc|precision|recall)\s(?:of|for)\s{1,12}(?:the\s)?['\"]?(?:\d|(?!the\b|our\b|my\b|this\b|test|val|train|net|model|final)"
    r"[\w/-]{2,14})['\"]?(?:s\b)?\s{0,12}[:=]\s{0,12}$",
    re.IGNORECASE,
)
"""«Accuracy of 3 : 99.5 %», «digit 7: 99.1 %»: a part of the test images."""
MISSED = re.compile(
    r"(?:n't|\bnot|\bnever|\bunable|\bfail\w*|\bcannot)\b[^.\n]{0,40}\b(?:reach|achiev|get|got|hit|cross|meet)|\bshort of\b",
    re.IGNORECASE,
)
"""What was not reached is no claim."""
TITLE_REACH = 8
DIGIT = re.compile(r"[0-9]")
MOST_CLAIMS = 500
"""Each is held against each log; more of them are no hand-in."""
LEAST = 0.5


def read_claims(lines: list[Line], used: set[int]) -> list[Claim]:
    """Return the claims in order; `used` are the lines of logs and tables."""
    found: list[Claim] = []
    section, best_until = Section(), -1
    tasks = _quoted_tasks(lines)
    for place, line in enumerate(lines):
        if line.number in used or line.kind == "code" or not line.text.strip():
            section.unfinished, section.columns = "", ()
            continue
        text = TAG.sub(" ", section.own_cells(line.text[:2000])).replace("*", "").replace("`", "").replace("_", " ")
        below = lines[place + 1].text.strip()[:200] if place + 1 < len(lines) else ""
        if words := _title(line.text[:120], below):
            section.title(line.text[:120], words)
            best_until = place + TITLE_REACH if BEST.search(words) else -1
        else:
            section.line(line.text[:200])
        sentences = SENTENCE.split(text)
        if DIGIT.search(text):
            above: Whose = "task" if place in tasks else section.whose
            carried = section.carried(text)
            for sentence in sentences:
                if DIGIT.search(sentence):
                    found += _of_sentence(sentence, line, clauses(sentence, above, carried), place <= best_until)
                carried = "own"
        if len(sentences) > 1:
            section.unfinished = ""
        section.leave(sentences[-1])
        if len(found) > MOST_CLAIMS:
            break
    return found[:MOST_CLAIMS]


def _quoted_tasks(lines: list[Line]) -> set[int]:
    """Return the places of the lines in block quotes that quote the task."""
    places: set[int] = set()
    block: list[int] = []
    for place, line in enumerate([*lines, Line(0, "")]):
        if line.kind == "prose" and line.text and QUOTE.match(line.text[:12]):
            block.append(place)
        elif block:
            if quoted_task([lines[other].text[:300] for other in block[:40]]):
                places.update(block)
            block = []
    return places


def _title(text: str, below: str) -> str:
    """Return the words of a line that stands over others: a heading, a label with a colon, or one with a rule below it."""
    match = TITLE.match(text)
    if match is None:
        return ""
    underlined = len(below) >= 3 and set(below) <= {"=", "-"}
    over = text.lstrip().startswith("#") or text.rstrip().endswith((":", "*")) or "#" in text[:12] or underlined
    return match["words"] if over else ""


def _of_sentence(sentence: str, line: Line, owners: list[tuple[int, Whose]], best: bool) -> Iterator[Claim]:
    missed = bool(MISSED.search(sentence)) or sentence.rstrip().endswith("?")
    short = " ".join(sentence.split())[:160]

    def claim(
        kind: Literal["accuracy", "parameters", "epochs"], value: Value, label: Label, place: int, epoch: int | None = None
    ) -> Claim:
        whose = whose_at(owners, place)
        return Claim(
            kind=kind,
            value=round(value.value, 12),
            unit=value.unit,
            label="target" if missed or whose == "task" else "other" if whose == "others" else label,
            epoch=epoch,
            line=line.number,
            text=short,
        )

    if (ABOUT_ACCURACY.search(sentence) or EPOCH_FIGURE.search(sentence)) and not SCORE.search(sentence):
        for value, label, match in _accuracies(sentence):
            epoch = None if label == "limit" else epoch_beside(sentence[: match.start()], sentence[match.end() :])
            yield claim("accuracy", value, "best" if best and label == "plain" else label, match.start(), epoch)
    if "param" in sentence.lower():
        for value, label, start in _parameters(sentence):
            yield claim("parameters", value, label, start)
    for match in EPOCHS.finditer(sentence):
        before = sentence[: match.start()]
        if re.search(
            r"(?:last|first|every|each|patience|for the|next|few|about|step"
            r"|initial|start\w{0,5}|after\sthe|since|from)\s{0,3}[\d–-]*\s{0,2}$|per\s$",
            before,
            re.IGNORECASE,
        ):
            continue
        number = match["left"] or match["right"]
        yield claim("epochs", Value(float(number), 1.0), _epoch_label(before, sentence, match), match.start())


def _epoch_label(before: str, sentence: str, match: re.Match[str]) -> Label:
    if LIMIT.search(before) or AT_MOST.match(sentence[match.end() : match.end() + 30]):
        return "limit"
    told = match["right"] or re.search(
        r"train\w*|ran\b|run\b|logs?\b|total|all|complet|for\s{0,2}$|number", before[-60:], re.IGNORECASE
    )
    return "total" if told or len(sentence.split()) <= 5 else "plain"


def epoch_beside(before: str, after: str) -> int | None:
    """Return the epoch that a figure is said of: «99.41 already in epoch 6», «epoch 6: 99.41»; None where none is."""
    match = IN_EPOCH_AFTER.match(after[:80]) or IN_EPOCH_BEFORE.search(before[-80:])
    return int(match["one"] or match["other"]) if match else None


def _accuracies(sentence: str) -> Iterator[tuple[Value, Label, re.Match[str]]]:
    for match in ACCURACY.finditer(sentence):
        text = match["number"]
        bare = not match["percent"]
        if bare and ("." not in text or not (text.startswith(("0.", ".")) or 90 <= float(text) < 100)):
            continue
        before, after = sentence[: match.start()], sentence[match.end() :]
        if bare and not ABOUT_ACCURACY.search(before[-70:] + after[:25]) and epoch_beside(before, after) is None:
            continue
        if re.search(
            r"(?:loss|rate|lr|momentum|dropout|decay|error|drop|gamma|beta\w?|split)\b[^,;]{0,14}$", before, re.IGNORECASE
        ):
            continue
        value = fraction(text, not bare)
        if value is None or value.value < LEAST or re.match(r"\s?(?:of the (?:data|images|train)|confiden|drop|split|s\b)", after):
            continue
        yield value, _accuracy_label(before, after), match


def _accuracy_label(before: str, after: str) -> Label:
    # A clause ends at a comma: «final 99.47%, best 99.53% (18)» labels each figure by its own words.
    own_before = re.split(r"[,;|(]|\band\b|&|\bwhile\b|\bbut\b|\d%", before[-90:])[-1]
    own_after = re.split(r"[,;|]|\band\b|\bwhile\b|\bbut\b", after[:50])[0]
    own = f"{own_before} # {own_after}"
    owners = OWNER.findall(before[-90:])
    trained = TRAINING.search(own_before) or (owners and owners[-1].lower().startswith("train")) or AFTER_TRAINING.match(own_after)
    if trained and not WATCHED.search(own_before):
        return "training"
    if MEAN.search(own) or ONE_CLASS.search(before[-60:]):
        return "mean"
    if LIMIT.search(before[-24:]):
        return "limit"
    if FINAL.search(own_before) and not BEST.search(own_before):
        return "final"
    if BEST.search(own) or (BEST.search(before[-90:]) and not FINAL.search(own)):
        return "best"
    return "final" if FINAL.search(own) else "plain"


def _parameters(sentence: str) -> Iterator[tuple[Value, Label, int]]:
    for match in PARAMETERS.finditer(sentence):
        text = (match["left"] or match["right"]).replace(",", "").replace(" ", "")
        scale = {"k": 1e3, "m": 1e6}.get(text[-1].lower(), 1.0)
        digits = text.rstrip("kKmM")
        value = Value(float(digits) * scale, number_unit(digits) * scale)
        start = match.start("left") if match["left"] else match.start("right")
        words = sentence[max(0, match.start() - 30) : start].lower()
        if LIMIT.search(sentence[max(0, start - 24) : start]) or AT_MOST.match(sentence[match.end() : match.end() + 30]):
            yield value, "limit", start
        elif re.search(r"non[- ]?(?:train|learn)", words):
            yield value, "non-trainable", start
        elif re.search(r"train|learn", words):
            yield value, "trainable", start
        else:
            yield value, "total", start
