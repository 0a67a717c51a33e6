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
    r"['\"]?\b\w{1,30}['\"]? reached [\d.]{1,12} \(best [^)\n]{1,20}\), saving model|\bbest_model_path\b|ckpt_path\s{0,2}=\s{0,2}['\"]best"
    r"|\bsave_best(?:_model)?\s{0,2}[(=](?!\s{0,2}false)|\bsave_top_k\s{0,2}=\s{0,2}[1-9]|\bload_best_model_at_end\s{0,2}=\s{0,2}true"
    r"|\bcheckpoint\(\s{0,2}monitor\s{0,2}=|\bmodelcheckpoint\(|\bbest\b[^\n]{0,40}\.(?:pth?|ckpt|h5|keras)\b[^\n]{0,40}\bsaved\b"
    r"|\b(?:saving|saved)\b[^\n]{0,20}\bbest\b|\bbest\b[^.\n]{0,30}\b(?:model|weights|checkpoint)\b[^.\n]{0,20}\bsav"
    r"|\bnew best\b[^\n]{0,60}\bsav|\b(?:kept|keep|sav\w{1,3}|restor\w{1,3}|load\w{0,3}|took|take|pick\w{0,3}"
    r"|chose|selected|submit\w{0,4})\b[^.\n]{0,30}\b(?:best|highest)\b[^.\n]{0,40}\b(?:test|val\w*|epoch)\b"
    r"|\b(?:kept|keep|sav\w{1,3}|restor\w{1,3}|took|take|pick\w{0,3}|chose|selected|submit\w{0,4})\b[^.\n]{0,40}\b(?:checkpoint"
    r"|weights|epoch|model)\b[^.\n]{0,40}\b(?:where|when|with|whose|at which)\b[^.\n]{0,30}\b(?:test|val\w*)\b[^.\n]{0,20}"
    r"\b(?:best|highest|peak\w{0,4}|maxim\w{2,3}|top)",
    re.IGNORECASE,
)
NEGATED = re.compile(
    r"(?:\bno\b|\bnot\b|\bwithout\b|\bnever\b|n't\b|\binstead of\b|\bavoid\w*|\bneither\b|\bnor\b)[^.;\n]{0,40}$", re.IGNORECASE
)
MONITOR = re.compile(r"\b(?:monitor|metric_for_best_model|score_name)\s{0,2}=\s{0,2}['\"]([\w/ -]{1,40})['\"]")
BETTER = re.compile(
    r"^\s{0,40}if\s{1,3}\(?(?:(?P<left>[\w.\[\]'\"-]{1,40})\s{0,2}>=?\s{0,2}(?:self\.)?(?P<best>\w{0,20}(?:best|max|highest)\w{0,20})"
    r"|(?:self\.)?\w{0,20}best\w{0,20}\s{0,2}<=?\s{0,2}(?P<right>[\w.]{1,40})|(?P<lower>\w{0,20}loss\w{0,20})\s{0,2}<=?\s{0,2}(?:self\.)?\w{0,20}"
    r"(?:best|min|lowest)\w{0,20})"
)
STEPPED = re.compile(r"\bsched\w{0,20}\.step\(\s{0,2}([A-Za-z_][\w.\[\]'\"-]{0,60})")
SAVES = re.compile(
    r"torch\.save\(|\bsave_weights\(|\.save\(|\bdeepcopy\(|state_dict\(\)|save_model\(|save_checkpoint\(|pickle\.dump\("
)
WITHIN = 6
ON_TEST = re.compile(r"test", re.IGNORECASE)
ON_VALIDATION = re.compile(r"val|dev", re.IGNORECASE)
VALIDATED = re.compile(r"\bval|_val|\bdev_", re.IGNORECASE)
ON_TRAINING = {"loss", "acc", "accuracy", "train_loss", "train_acc", "training_loss"}
IMPORT = re.compile(r"\s{0,20}(?:from\s|import\s|#)")
TEST_SAID = re.compile(r"(?:\b|_)test", re.IGNORECASE)
WORDS = ("stop", "restor", "plateau", "scheduler", "rate", "lr", "sav", "best", "highest", "checkpoint")
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
        if pattern is RATE and _stepped_by_training(hand_in.lines):
            continue
        if pattern is KEEP:
            places = sorted([*places, *_kept_in_code(hand_in.lines)])
        if _validation_apart(hand_in):
            places = [place for place in places if not ON_VALIDATION.search(place[2]) or TEST_SAID.search(place[2])]
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
            if "checkpoint(" in match[0].lower() and not _keeps_best(call, monitors):
                continue
            yield line.number, text, " ".join([match[0], *sorted(monitors)])
            continue
        elif on_training:
            continue
        yield line.number, text, match[0]


def _keeps_best(call: str, monitors: set[str]) -> bool:
    """Return whether a checkpoint callback keeps the best epoch alone: Keras when it is told to, Lightning when it watches something."""
    if re.search(r"save_best_only\s{0,2}=\s{0,2}true", call, re.IGNORECASE):
        return True
    every = re.search(
        r"save_best_only\s{0,2}=\s{0,2}false|save_top_k\s{0,2}=\s{0,2}(?:-1|0)|save_weights_only|save_freq|\bperiod\b",
        call,
        re.IGNORECASE,
    )
    lightning = re.search(
        r"save_top_k|dirpath|\bmode\s{0,2}=|callbacks\.ModelCheckpoint\(monitor|ModelCheckpoint\(\s{0,2}monitor", call
    )
    return bool(monitors and lightning and not every)


def _kept_in_code(lines: list[Line]) -> Iterator[tuple[int, str, str]]:
    """Yield where code keeps weights below `if accuracy > best`, with the words that say what the accuracy was measured on."""
    for place, line in enumerate(lines):
        match = BETTER.match(line.text[:300]) if line.text.lstrip()[:2] == "if" else None
        if match is None or line.kind == "output":
            continue
        indent = len(line.text) - len(line.text.lstrip())
        for below in lines[place + 1 : place + 1 + WITHIN]:
            if below.text.strip() and len(below.text) - len(below.text.lstrip()) <= indent:
                break
            if SAVES.search(below.text[:300]) and not below.text.lstrip().startswith("#"):
                name = match["left"] or match["right"] or match["lower"]
                if said := _measured_on(lines, name):
                    yield line.number, line.text, said
                break


def _measured_on(lines: list[Line], name: str) -> str:
    """Return the words of a variable: its name, and what it was computed from; empty where neither says which images."""
    if ON_TEST.search(name) or (ON_VALIDATION.search(name) and not name.startswith("eval")):
        return name
    short = re.split(r"[.\[]", name)[0]
    given = re.compile(rf"\b{re.escape(short)}\b[\w\s,]{{0,40}}=(?!=)([^\n]{{1,120}})")
    words = " ".join(match[1] for line in lines if short in line.text[:300] and (match := given.search(line.text[:300])))
    if "train" in name or not (ON_TEST.search(words) or VALIDATED.search(words)):
        return ""
    return f"{name} val" if VALIDATED.search(words) else f"{name} test"


def _validation_apart(hand_in: HandIn) -> bool:
    """Return whether the logs show a validation part and the test split beside each other: then `val` is not the test."""
    rows = [log.rows[-1] for log in hand_in.logs]
    texts = [hand_in.text(row.line) for row in rows] + [
        line.text[:600] for line in hand_in.lines if "acc" in line.text[:600] and "|" in line.text[:600]
    ][:50]
    beside = any(
        re.search(r"(?<![a-z])val", text, re.IGNORECASE) and re.search(r"(?<![a-z])test", text, re.IGNORECASE) for text in texts
    )
    return beside or (hand_in.said.held_out and not hand_in.said.test_watched)


def _trained_on(lines: list[Line]) -> bool:
    """Return whether every `monitor=` of the hand-in's code names a training figure."""
    monitors = {name for line in lines if "monitor" in line.text[:1000] for name in MONITOR.findall(line.text[:1000])}
    return bool(monitors) and monitors <= ON_TRAINING


def _stepped_by_training(lines: list[Line]) -> bool:
    """Return whether the code hands its scheduler figures of the training alone."""
    given = {match[1].lower() for line in lines if "step(" in line.text[:400] for match in STEPPED.finditer(line.text[:400])}
    return bool(given) and all("train" in name and "test" not in name and "val" not in name for name in given)


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
