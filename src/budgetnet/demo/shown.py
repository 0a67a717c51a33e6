"""Which network the page shows: a run's, or the small one that comes with the program.

The shipped one is `embedded/demo.json`, trained by this project; `scripts/ship_demo_network.py RUN` writes it anew.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from budgetnet import datasets
from budgetnet.errors import InputError
from budgetnet.export.page import page
from budgetnet.graph import Graph, folded, packed, trace, unpacked
from budgetnet.rundir import open_run
from budgetnet.trained import load_trained

SHIPPED = "demo.json"


@dataclass(frozen=True, eq=False)
class Shown:
    """A network with the words that the page has for it."""

    name: str
    words: str
    classes: tuple[str, ...]
    graph: Graph
    """Folded."""

    def page(self, *, served: bool) -> str:
        """Return the page."""
        where = "It is asked by ONNX Runtime on this machine." if served else "Everything here is computed in this page."
        return page(self.graph, name=self.name, words=f"{self.words} {where}", classes=self.classes, served=served)

    def document(self) -> dict[str, Any]:
        """Return what `shipped` reads."""
        return {"name": self.name, "words": self.words, "classes": list(self.classes), "graph": packed(self.graph)}


def shown_of_run(path: Path, data_dir: Path | None = None) -> Shown:
    """Return a finished run's network. Raises `InputError` where it is unfinished, or holds what no graph can hold."""
    run = open_run(path)
    run.verify()
    recipe = run.recipe()
    data = datasets.load(recipe.data, data_dir=data_dir)
    training = run.facts().training
    accuracy = training.accuracy if training is not None else None
    total = run.facts().network.parameters.total
    right = "" if accuracy is None else f" and has {accuracy * 100:.2f} % of its test images right"
    words = f"The network {recipe.name} has {total:,} parameters, was trained on {data.name}{right}."
    return Shown(recipe.name, words, data.class_names, folded(trace(load_trained(run, data), data.shape)))


def shipped() -> Shown:
    """Return the network that comes with the program."""
    document = json.loads((files("budgetnet") / "embedded" / SHIPPED).read_text(encoding="utf-8"))
    return Shown(document["name"], document["words"], tuple(document["classes"]), unpacked(document["graph"]))


def write_page(shown: Shown, path: Path) -> None:
    """Write the page as one file. Raises `InputError` where something lies there, or nothing can be written."""
    content = shown.page(served=False)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError:
        raise InputError(f"{path}: is there already; choose another name.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}.") from None
