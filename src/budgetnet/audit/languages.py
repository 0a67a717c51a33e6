"""Hand-ins in German, French, Spanish, Italian, Portuguese and Chinese, and decimal commas -> the words and points that the readers know.

Only the words that a log, a table or a claim is made of are replaced, one by one: this is no translation. A text that holds none of
the words in `SIGNS` is left as it is, but for numbers that cannot be anything else than decimals (`99,42 %`; `0,99` between
semicolons). The line as its author wrote it stays with it, for the evidence. One pass over the lines; patterns are bounded.
"""

from __future__ import annotations

import re
from dataclasses import replace

from budgetnet.audit.words import Line

SIGNS = re.compile(
    r"\b(?:epochen?|époques?|épocas?|epoca|genauigkeit|\w{4,14}genauigkeit|\w{4,14}verlust|précision|exactitude|pérdida|exactitud"
    r"|precisión|accuratezza|precisão|parameteranzahl|parametern|paramètres|parámetros|parametri|parâmetros|testbilder\w?|testdaten"
    r"|lernrate|biais|sesgos?)\b|准确率|参数|训练|轮",
    re.IGNORECASE,
)
WORDS = {
    # German
    **dict.fromkeys(("epoche", "epochen"), "epoch"),
    **dict.fromkeys(("genauigkeit", "treffsicherheit"), "accuracy"),
    **dict.fromkeys(("testgenauigkeit", "testgenauigkeiten"), "test accuracy"),
    **dict.fromkeys(("trainingsgenauigkeit", "traininggenauigkeit"), "training accuracy"),
    **dict.fromkeys(("validierungsgenauigkeit", "validationsgenauigkeit"), "validation accuracy"),
    "verlust": "loss",
    "testverlust": "test loss",
    "trainingsverlust": "training loss",
    "validierungsverlust": "validation loss",
    "fehlerrate": "error rate",
    "testfehler": "test error",
    "testfehlerrate": "test error rate",
    **dict.fromkeys(("testbilder", "testbildern", "testdaten", "testmenge", "testdatensatz"), "test images"),
    **dict.fromkeys(("validierung", "validierungsdaten"), "validation"),
    "trainingsdaten": "training images",
    "lernrate": "learning rate",
    **dict.fromkeys(("parametern", "parameteranzahl", "parameterzahl"), "parameters"),
    **dict.fromkeys(("erreicht", "erreichte", "erreichen", "erzielt", "erzielte"), "reached"),
    **dict.fromkeys(("beste", "bester", "bestes", "besten", "bestem", "maximale", "maximaler"), "best"),
    **dict.fromkeys(("höchste", "höchster", "höchsten"), "highest"),
    **dict.fromkeys(("letzte", "letzter", "letzten", "letztem"), "last"),
    **dict.fromkeys(("ergebnis", "ergebnisse"), "result"),
    **dict.fromkeys(("endgültig", "endgültige", "abschließend", "abschließende"), "final"),
    "ohne": "without",
    **dict.fromkeys(("kein", "keine", "keinen", "keiner"), "no"),
    "nicht": "not",
    "und": "and",
    "aber": "but",
    "wir": "we",
    "ich": "I",
    **dict.fromkeys(("unser", "unsere", "unserem", "unseres", "unserer"), "our"),
    **dict.fromkeys(("vollverbunden", "vollverbundene", "vollverbundenen", "vollvernetzte"), "fully connected"),
    **dict.fromkeys(("schicht", "schichten"), "layer"),
    "nach": "after",
    "unter": "under",
    "höchstens": "at most",
    "mindestens": "at least",
    "ungefähr": "about",
    "etwa": "about",
    "mittelwert": "mean",
    "durchschnittlich": "mean",
    "ziel": "target",
    "vorgabe": "requirement",
    **dict.fromkeys(("aufgabe", "aufgabenstellung"), "assignment"),
    **dict.fromkeys(("soll", "sollen", "sollte"), "should"),
    **dict.fromkeys(("muss", "müssen"), "must"),
    **dict.fromkeys(("speichern", "gespeichert", "speichert"), "save"),
    **dict.fromkeys(("gestoppt", "angehalten", "abgebrochen", "stoppt"), "stopped"),
    **dict.fromkeys(("wenn", "sobald"), "when"),
    **dict.fromkeys(("im", "beim"), "in"),
    "mit": "with",
    "bei": "with",
    "von": "of",
    # French
    **dict.fromkeys(("époque", "époques"), "epoch"),
    **dict.fromkeys(("précision", "exactitude"), "accuracy"),
    **dict.fromkeys(("perte", "pertes"), "loss"),
    **dict.fromkeys(("entraînement", "apprentissage"), "training"),
    **dict.fromkeys(("meilleur", "meilleure", "meilleurs"), "best"),
    **dict.fromkeys(("finale", "finaux"), "final"),
    **dict.fromkeys(("dernier", "dernière"), "last"),
    **dict.fromkeys(("paramètre", "paramètres"), "parameters"),
    "biais": "bias",
    "sans": "without",
    **dict.fromkeys(("résultat", "résultats"), "result"),
    "nous": "we",
    "notre": "our",
    "après": "after",
    **dict.fromkeys(("atteint", "atteignons", "obtenons"), "reached"),
    "couche": "layer",
    "objectif": "target",
    "moyenne": "mean",
    # Spanish
    **dict.fromkeys(("época", "épocas", "epoca", "epocas"), "epoch"),
    **dict.fromkeys(("precisión", "exactitud"), "accuracy"),
    **dict.fromkeys(("pérdida", "pérdidas"), "loss"),
    "entrenamiento": "training",
    "prueba": "test",
    "validación": "validation",
    **dict.fromkeys(("mejor", "mejores"), "best"),
    **dict.fromkeys(("último", "última"), "last"),
    **dict.fromkeys(("parámetros", "parámetro"), "parameters"),
    "sin": "without",
    **dict.fromkeys(("sesgo", "sesgos"), "bias"),
    **dict.fromkeys(("resultado", "resultados"), "result"),
    "objetivo": "target",
    **dict.fromkeys(("alcanza", "alcanzamos", "obtenemos"), "reached"),
    # Italian, Portuguese
    **dict.fromkeys(("accuratezza", "precisão", "acurácia"), "accuracy"),
    **dict.fromkeys(("perdita", "perda"), "loss"),
    **dict.fromkeys(("parametri", "parâmetros"), "parameters"),
    "addestramento": "training",
    **dict.fromkeys(("migliore", "melhor"), "best"),
}
PHRASES = (
    (re.compile(r"\bam ende\b", re.IGNORECASE), "at the end"),
    (re.compile(r"\bweniger als\b|\bmoins de\b|\bmenos de\b", re.IGNORECASE), "less than"),
    (re.compile(r"\bmehr als\b|\bplus de\b|\bmás de\b", re.IGNORECASE), "more than"),
    (re.compile(r"\btaux d['’]apprentissage\b|\btasa de aprendizaje\b", re.IGNORECASE), "learning rate"),
    (re.compile(r"\btaux d['’]erreur\b|\btasa de error\b", re.IGNORECASE), "error rate"),
    (re.compile(r"\bd['’](?=entra)", re.IGNORECASE), ""),
    (re.compile(r"第\s?(\d{1,4})\s?轮"), r" epoch \1 "),
    (re.compile(r"准确率|精度|正确率"), " accuracy "),
    (re.compile(r"损失"), " loss "),
    (re.compile(r"参数(?:量|数量?|总数)?"), " parameters "),
    (re.compile(r"测试集?"), " test "),
    (re.compile(r"训练集?"), " training "),
    (re.compile(r"验证集?"), " validation "),
    (re.compile(r"最终"), " final "),
    (re.compile(r"最好|最佳|最高"), " best "),
    (re.compile(r"轮次?"), " epoch "),
)
WORD = re.compile(r"[^\W\d_]{2,30}")
COUNTED = (
    r"\s{0,2}(?:\w{0,12}\s)?(?:param\w{0,12}|paràm\w{0,12}|parám\w{0,12}|parâm\w{0,12}|\w{0,10}bilder\w?|images|imágenes|imagens)"
)
GROUPED = re.compile(
    rf"(?<![\d.,])\d{{1,3}}(?:[. ]\d{{3}}){{1,3}}(?![\d.,]\d)(?={COUNTED})"
    r"|(?<=[^\d.,\s])\s{0,2}[:=]?\s{0,2}\d{1,3}(?:\.\d{3}){2,3}(?![\d.,]\d)",
    re.IGNORECASE,
)
GROUPED_AFTER = re.compile(
    r"(\bparam\w{0,12}\W{1,4}(?:\w{2,6}\s)?)(\d{1,3}(?:[. ]\d{3}){1,2})(?![\d.,]\d|\s?[%kKmM])", re.IGNORECASE
)
DECIMAL = re.compile(r"(?<![\d.,])(\d{1,3}),(\d{1,18})(?![\d,]|\.\d)")
PERCENTAGE = re.compile(r"(?<![\d.,])(\d{1,2}),(\d{1,6})(?=\s?%)")
SEARCHED = 20_000
WIDEST = 4_000


def in_known_words(lines: list[Line]) -> list[Line]:
    """Return the lines with the words and numbers that the readers know; each that differs keeps its author's text."""
    foreign = any(SIGNS.search(line.text[:WIDEST]) for line in lines[:SEARCHED])
    return [_known(line, foreign) for line in lines]


def _known(line: Line, foreign: bool) -> Line:
    text = line.text
    if len(text) > WIDEST or not text:
        return line
    if foreign and line.kind != "code":
        text = _numbers(_words(text))
    elif "," in text:
        text = DECIMAL.sub(r"\1.\2", text) if text.count(";") >= 2 and "(" not in text else PERCENTAGE.sub(r"\1.\2", text)
    return line if text == line.text else replace(line, text=text, original=line.text)


def _numbers(text: str) -> str:
    """Return the text with points for decimal commas, and commas between thousands."""

    def commas(match: re.Match[str]) -> str:
        return re.sub(r"(?<=\d)[. ](?=\d{3})", ",", match[0])

    text = GROUPED.sub(commas, text)
    text = GROUPED_AFTER.sub(lambda match: match[1] + re.sub(r"[. ]", ",", match[2]), text)
    return DECIMAL.sub(lambda match: _decimal(text, match), text)


def _decimal(text: str, match: re.Match[str]) -> str:
    """Return a decimal comma's number with a point; `13,080` that counts something stays."""
    if len(match[2]) == 3 and match[1] != "0" and re.match(COUNTED, text[match.end() : match.end() + 40], re.IGNORECASE):
        return match[0]
    grouped = len(match[2]) == 3 and match[1] != "0" and not re.match(r"\s?%", text[match.end() : match.end() + 3])
    return match[0] if grouped else f"{match[1]}.{match[2]}"


def _words(text: str) -> str:
    for pattern, known in PHRASES:
        text = pattern.sub(known, text)
    return WORD.sub(lambda match: WORDS.get(match[0].lower(), match[0]), text)
