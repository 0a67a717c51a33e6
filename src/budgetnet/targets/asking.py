"""The trusting side of a check: understand the target, have it measured where it belongs, and put the facts together.

Foreign code never runs here. What the confined child answers is held against the form of the facts, and accuracy is counted
here, from answers to images whose labels the child never sees.
"""

from __future__ import annotations

import gc
import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from budgetnet.confine import Limits, run_confined
from budgetnet.errors import InputError
from budgetnet.facts import Facts, NetworkFacts, TrainingFacts
from budgetnet.image_shape import parse_shape
from budgetnet.targets.naming import Target, understand

WORKER = "budgetnet.targets.worker:work"
USUAL_INPUT = "1x28x28"
DEFAULT_DATA = "mnist"
MOST_NOTES = 200
MOST_ENTRIES = 2_000
WITH_IMAGES = 120.0
"""Seconds more for a network that also answers a test split."""
FORM_WRONG = "its code answered in place of the check; nothing that it says is believed"


@dataclass(frozen=True)
class Checked:
    """What was found out about a target."""

    target: str
    facts: Facts
    notes: tuple[str, ...]
    """What was guessed, chosen, left out, or not confined."""


def check_target(
    text: str,
    *,
    input_shape: str | None = None,
    weights: Path | None = None,
    data: str | None = None,
    data_dir: Path | None = None,
    limits: Limits | None = None,
    say: Callable[[str], None] | None = None,
    without: Iterable[str] = (),
) -> Checked:
    """Return the facts of the network that `text` names.

    `input_shape` is channels × height × width as `1x28x28`, guessed where it is not given. With `weights` (for a `.keras` or
    `.onnx` file: that file itself) the network also answers the test split of `data`, and its accuracy is in the facts. `say`
    is told what this platform cannot confine before anything foreign runs; `without` leaves layers of confinement out. Raises
    `InputError`.
    """
    target = understand(text)
    if weights is not None and target.kind in {"zoo", "run"}:
        raise InputError(
            f"{text}: --weights goes with a network in a file; a run has its own, and the zoo's are trained with `train`."
        )
    if target.kind == "zoo":
        return _zoo(text, input_shape)
    if target.kind == "run":
        return _run(target)
    shape = list(parse_shape(input_shape)) if input_shape else None
    with tempfile.TemporaryDirectory(prefix="budgetnet-images-") as folder:
        labels, images = (None, None) if weights is None else _images(Path(folder), data or DEFAULT_DATA, data_dir)
        task = {
            "kind": target.kind,
            "path": str(target.path),
            "label": text,
            "name": target.name,
            "arguments": list(target.arguments),
            "keywords": target.keywords,
            "input_shape": shape,
            "weights": str(_weights(weights)) if weights is not None else None,
            "images": str(images) if images else None,
        }
        limits = limits or Limits()
        if images:
            limits = Limits(limits.seconds + WITH_IMAGES, limits.memory)
        readable = [*_readable(target), *([Path(folder)] if images else []), *([_weights(weights)] if weights is not None else [])]
        confined = run_confined(
            WORKER,
            _plain(task, text),
            name=text,
            readable=readable,
            listed=_listed(target),
            limits=limits,
            say=say,
            without=without,
        )
        return _checked(text, confined.answer, confined.missing, labels, data or DEFAULT_DATA)


def _plain(task: dict[str, Any], text: str) -> dict[str, Any]:
    try:
        json.dumps(task)
    except (TypeError, ValueError):
        raise InputError(f"{text}: arguments are numbers, texts, truth values, or lists of them.") from None
    return task


def _zoo(text: str, input_shape: str | None) -> Checked:
    gc.disable()  # an import makes many objects and no rubbish: looking for it costs a tenth of torch's start
    try:
        from budgetnet.checking import network_facts
    finally:
        gc.enable()
    facts = network_facts(text, input_shape or USUAL_INPUT)
    return Checked(text, Facts(network=facts), facts.notes)


def _run(target: Target) -> Checked:
    from budgetnet.rundir import open_run

    directory = open_run(target.path or Path())
    if directory.finished:
        directory.verify()
    facts = directory.facts()
    notes = () if directory.finished else (f"The run is not finished: {len(directory.log())} epochs so far.",)
    return Checked(target.text, facts, (*notes, *facts.network.notes))


def _weights(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: no such file of weights.")
    return path.resolve()


def _readable(target: Target) -> list[Path]:
    """Return what the child may read: the target, and beside a file what lies in its folder, hidden names apart.

    A file that lies directly in the home folder, or above it, brings only its own kind along: a home is not a hand-in.
    """
    path = target.path or Path()
    if target.kind in {"keras", "onnx"}:
        return [path]
    folder = path if target.kind == "folder" else path.parent
    home = Path.home().resolve()
    if home == folder or folder in home.parents:
        if target.kind == "folder":
            raise InputError(
                f"{target.text}: holds the home folder, which is not opened to foreign code; name the network's own place."
            )
        return [path]
    entries = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")][:MOST_ENTRIES]
    return [path, *(entry for entry in entries if entry.resolve().is_relative_to(folder))]


def _listed(target: Target) -> list[Path]:
    """Return the folder whose names Python must see to import a neighbour; never the home folder."""
    folder = (target.path or Path()) if target.kind == "folder" else (target.path or Path()).parent
    home = Path.home().resolve()
    return [] if target.kind in {"keras", "onnx"} or home == folder or folder in home.parents else [folder]


def _images(folder: Path, data: str, data_dir: Path | None) -> tuple[Any, Path]:
    """Write the test split's images where the child may read them; return its labels, which stay here."""
    import numpy

    from budgetnet.datasets import load

    dataset = load(data, data_dir=data_dir)
    path = folder / "images.npy"
    numpy.save(path, dataset.test.images.numpy(), allow_pickle=False)
    return dataset.test.labels, path


def _checked(text: str, answer: Any, missing: tuple[str, ...], labels: Any, data: str) -> Checked:
    try:
        network = NetworkFacts.model_validate(answer["network"])
        said = [str(note)[:1000] for note in answer["notes"]][:MOST_NOTES]
        predicted = answer["predictions"]
    except (ValidationError, TypeError, KeyError, ValueError):
        raise InputError(f"{text}: {FORM_WRONG}.") from None
    notes = [f"Not confined on this platform: {item}." for item in missing]
    training = None
    if labels is not None:
        training = _accuracy(text, predicted, labels, data)
    return Checked(text, Facts(network=network, training=training), (*notes, *said, *network.notes))


def _accuracy(text: str, predicted: Any, labels: Any, data: str) -> TrainingFacts:
    right = labels.tolist()
    if not isinstance(predicted, list) or len(predicted) != len(right) or not all(type(one) is int for one in predicted):
        raise InputError(f"{text}: {FORM_WRONG}.")
    correct = sum(one == true for one, true in zip(predicted, right, strict=True))
    return TrainingFacts(
        data=data,
        seed=0,
        training_images=0,  # how the weights were trained is not known, and no epochs can be proven
        samples_seen=0,
        complete=True,
        accuracy=correct / len(right),
        loss=None,
        test_images=len(right),
        accuracy_by_epoch=None,
        forward_passes=1,
    )
