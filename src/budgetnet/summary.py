"""The layer table as text: as Keras 2 prints it, and wider, with what a designer of small networks looks at.

Facts in, text out; no torch. The form is that of Keras 2 as the hand-ins quote it: 65 columns, one rule between layers, names cut
off where the column ends. A layer that is called again appears again, with no numbers of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from budgetnet.facts import LayerRow, NetworkFacts

WIDTH = 65
STOPS = (29, 55, 65)
"""Where Keras 2 ends the columns: 45 %, 85 % and 100 % of the width."""


def layer_table(facts: NetworkFacts) -> str:
    """Return the table of `facts` as Keras 2's `summary()` prints it, counts included, without a newline at the end."""
    rows = [_keras_line((f"{row.name} ({row.type})", shape_text(row), str(row.parameters))) for row in facts.layers]
    counts = facts.parameters
    return "\n".join(
        [
            f'Model: "{facts.name}"',
            "_" * WIDTH,
            _keras_line(("Layer (type)", "Output Shape", "Param #")),
            "=" * WIDTH,
            f"\n{'_' * WIDTH}\n".join(rows) if rows else "",
            "=" * WIDTH,
            f"Total params: {counts.total:,}",
            f"Trainable params: {counts.trainable:,}",
            f"Non-trainable params: {counts.non_trainable:,}",
            "_" * WIDTH,
        ]
    )


def wide_table(facts: NetworkFacts) -> str:
    """Return a table with receptive field, jump and multiply-accumulates of each layer, and the counts of parameters below.

    Receptive field and jump are in pixels of the input, and empty once positions are gone; multiply-accumulates are for one image.
    """
    header = ("Layer (type)", "Output Shape", "Param #", "Trainable", "Field", "Jump", "Mult-adds")
    body = [
        (
            f"{row.name} ({row.type})",
            shape_text(row),
            f"{row.parameters:,}",
            f"{row.trainable:,}",
            _or_empty(row.receptive_field),
            _or_empty(row.jump),
            f"{row.multiply_accumulates:,}",
        )
        for row in facts.layers
    ]
    counts = facts.parameters
    sums = ("", "", f"{counts.total:,}", f"{counts.trainable:,}", "", "", f"{facts.multiply_accumulates:,}")
    widths = [max(len(line[column]) for line in (header, *body, sums)) for column in range(len(header))]
    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    channels, height, width = facts.input_shape
    return "\n".join(
        [
            f"{facts.name}: images of {height}×{width}×{channels}, {facts.classes or 'an unknown number of'} classes",
            rule,
            _aligned(header, widths),
            rule,
            *(_aligned(line, widths) for line in body),
            rule,
            _aligned(sums, widths),
            "",
            "Parameters",
            f"  {counts.total:>11,}  total, as Keras counts: trainable and non-trainable",
            f"  {counts.trainable:>11,}  trainable ({counts.non_trainable:,} are not: running statistics and frozen weights)",
            f"  {counts.with_hidden:>11,}  total with constants hidden in buffers, attributes or code",
            f"  {counts.non_zero:>11,}  not zero, of the total",
            *(f"Note: {note}" for note in facts.notes),
        ]
    )


def shape_text(row: LayerRow) -> str:
    """Return the output shape as Keras writes it: `(None, 26, 26, 32)`; a dash for a layer that gave none."""
    return str(tuple(row.output_shape)) if row.output_shape else "–"


def _keras_line(fields: Sequence[str]) -> str:
    """Cut and pad each field to its stop: one that is too long loses its end, and the last column of it is a space."""
    line = ""
    for text, stop in zip(fields, STOPS, strict=True):
        line = (f"{line[:-1]} " if line else "") + text
        line = line[:stop].ljust(stop)
    return line


def _aligned(fields: Sequence[str], widths: Sequence[int]) -> str:
    cells = (
        text.ljust(width) if place < 2 else text.rjust(width)
        for place, (text, width) in enumerate(zip(fields, widths, strict=True))
    )
    return "  ".join(cells).rstrip()


def _or_empty(value: int | None) -> str:
    return "" if value is None else str(value)
