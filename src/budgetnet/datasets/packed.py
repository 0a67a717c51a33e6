"""A data set as one file of safetensors, to be sent to where it is needed. What is unpacked is checked and hashed like any other.

Costs what reading and hashing costs: 0.2 s for MNIST.
"""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from budgetnet.datasets.dataset import Dataset, build
from budgetnet.errors import InputError

PARTS = ("training.images", "training.labels", "test.images", "test.labels")


def pack(dataset: Dataset) -> bytes:
    """Return a data set as the content of a file."""
    values = (dataset.training.images, dataset.training.labels, dataset.test.images, dataset.test.labels)
    words = {"name": dataset.name, "class_names": json.dumps(dataset.class_names), "notes": json.dumps(dataset.notes)}
    return save(dict(zip(PARTS, values, strict=True)), metadata=words)


def unpack(path: Path) -> Dataset:
    """Return the data set of such a file. Raises `InputError` where it is none, or not sound."""
    try:
        with safe_open(path, framework="numpy") as file:
            words, values = file.metadata() or {}, [file.get_tensor(name) for name in PARTS]
        names, notes = json.loads(words["class_names"]), json.loads(words["notes"])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is no packed data set ({' '.join(str(error).split())[:120]}).") from None
    where = (f"{path} (training)", f"{path} (test)")
    return build(words["name"], (values[0], values[1]), (values[2], values[3]), tuple(names), where=where, notes=tuple(notes))
