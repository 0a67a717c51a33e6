"""The page to draw on: one HTML file with the network, its inference and its looks inside, and no request to anywhere.

The same page is served (then it asks its server) and exported (then it computes by itself). Pure text; some milliseconds.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

import jinja2

from budgetnet.errors import InputError
from budgetnet.graph import Graph, packed


def page(graph: Graph, *, name: str, words: str, classes: tuple[str, ...], served: bool = False) -> str:
    """Return the page of a folded graph. Raises `InputError` for colour images: one draws in one colour."""
    channels, height, width = graph.shapes[0]
    if channels != 1 or height != width:
        raise InputError(f"{name}: takes images of {channels}×{height}×{width}; a page to draw on needs square gray ones.")
    network = packed(graph) | {"classes": list(classes), "served": served}
    environment = _templates()
    parts = {part: environment.loader.get_source(environment, file)[0] for part, file in PARTS.items()}  # type: ignore[union-attr]
    return environment.get_template("demo.html.jinja").render(
        name=name,
        words=words,
        served=served,
        shape=graph.shapes[0],
        # Inside a script element only `<` could end it.
        network=json.dumps(network, separators=(",", ":")).replace("<", "\\u003c"),
        **parts,
    )


PARTS = {"css": "demo.css", "engine": "engine.js", "script": "demo.js"}


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (files("budgetnet") / "templates" / name).read_text(encoding="utf-8")),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
