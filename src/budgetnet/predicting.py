"""`predict`: pictures of a user's own through a finished run's network, with what speaks against each being one digit.

Digits are cropped, centred and scaled as MNIST was made; pictures for other data sets are scaled whole. One that cannot be read has its
reason in its row, and the others are answered. About 30 ms a picture after torch has loaded.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from numpy.typing import NDArray

from budgetnet import datasets, photos
from budgetnet.errors import InputError
from budgetnet.evaluate import as_input
from budgetnet.loss import log_probability_function
from budgetnet.rundir import open_run
from budgetnet.trained import load_trained

DIGITS = ("mnist", "digits")
"""Data sets whose images are one digit in the middle of a frame."""
MOST_PICTURES = 10_000
UNSURE = 0.8
"""Probability; an answer below it is said to be unsure."""


@dataclass(frozen=True)
class Prediction:
    """What the network said of one picture."""

    picture: str
    answer: str | None
    """A class name; None where nothing could be asked."""
    probabilities: tuple[float, ...] | None
    doubts: tuple[str, ...]
    """What speaks against a picture of one digit, and for not trusting the answer."""
    readable: bool = True
    image: NDArray[numpy.uint8] | None = None
    """What the network saw, (C, H, W)."""


def predict(run: str | Path, pictures: Sequence[Path], *, data_dir: Path | None = None) -> tuple[list[Prediction], tuple[str, ...]]:
    """Return a prediction for each picture, and the class names; a folder stands for the pictures in it.

    Raises `InputError` where the run is unfinished or damaged, or no picture is named.
    """
    directory = open_run(run)
    directory.verify()
    files = _files(pictures)
    recipe = directory.recipe()
    data = datasets.load(recipe.data, data_dir=data_dir)
    network = load_trained(directory, data)
    ask = log_probability_function(network, data.shape, len(data.class_names))
    as_digits = recipe.data in DIGITS
    return [_one(path, ask, data.shape, data.class_names, as_digits) for path in files], data.class_names


def _files(pictures: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in pictures:
        if path.is_dir():
            inside = sorted(child for child in path.iterdir() if child.suffix.lower() in photos.SUFFIXES)
            if not inside:
                raise InputError(f"{path}: holds no pictures ({', '.join(photos.SUFFIXES)}).")
            found += inside
        else:
            found.append(path)
    if not found:
        raise InputError("Name the pictures to look at, or a folder that holds them.")
    if len(found) > MOST_PICTURES:
        raise InputError(f"{len(found):,} pictures are more than {MOST_PICTURES:,}; name a part of them.")
    return found


def _one(path: Path, ask: Any, shape: tuple[int, int, int], names: tuple[str, ...], as_digits: bool) -> Prediction:
    try:
        colours = photos.opened(path)
    except InputError as error:
        return Prediction(str(path), None, None, (str(error),), readable=False)
    doubts: tuple[str, ...] = ()
    if as_digits:
        framed = photos.prepared(colours, shape[1])
        if framed.image is None:
            return Prediction(str(path), None, None, (f"does not look like a digit: {framed.doubts[0]}",))
        image = numpy.repeat(framed.image[None], shape[0], 0)
        doubts = tuple(f"does not look like one digit: {doubt}" for doubt in framed.doubts)
    else:
        image = photos.fitted(colours, shape)
    with torch.inference_mode():
        probabilities = ask(as_input(torch.from_numpy(image)[None]))[0].exp().tolist()
    order = sorted(range(len(names)), key=lambda place: -probabilities[place])
    if probabilities[order[0]] < UNSURE:
        doubts = (*doubts, f"unsure: {_share(probabilities, names, order[0])}, {_share(probabilities, names, order[1])}")
    return Prediction(str(path), names[order[0]], tuple(probabilities), doubts, image=image)


def _share(probabilities: list[float], names: tuple[str, ...], place: int) -> str:
    return f"{names[place]} {probabilities[place] * 100:.0f} %"


def document(predictions: list[Prediction], names: tuple[str, ...]) -> dict[str, Any]:
    """Return the predictions as JSON values."""
    rows = [
        {
            "picture": prediction.picture,
            "answer": prediction.answer,
            "probabilities": None
            if prediction.probabilities is None
            else {name: round(value, 6) for name, value in zip(names, prediction.probabilities, strict=True)},
            "doubts": list(prediction.doubts),
            "readable": prediction.readable,
        }
        for prediction in predictions
    ]
    return {"predictions": rows}


def table_text(predictions: list[Prediction]) -> str:
    """Return the predictions for people: picture, answer, how sure, doubts."""
    rows = [("picture", "answer", "sure", "")]
    for prediction in predictions:
        sure = "" if prediction.probabilities is None else f"{max(prediction.probabilities) * 100:.1f} %"
        rows.append((prediction.picture, prediction.answer or "–", sure, "; ".join(prediction.doubts)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3])).rstrip() for row in rows
    )


def csv_text(predictions: list[Prediction], names: tuple[str, ...]) -> str:
    """Return the predictions as CSV: picture, answer, a probability for each class, doubts."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["picture", "answer", *names, "doubts"])
    for prediction in predictions:
        values = [f"{value:.6f}" for value in prediction.probabilities or ()] or [""] * len(names)
        writer.writerow([_cell(prediction.picture), prediction.answer or "", *values, _cell("; ".join(prediction.doubts))])
    return file.getvalue().rstrip("\n")


def _cell(text: str) -> str:
    """Return text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
