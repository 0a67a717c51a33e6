"""The rows of the layer table: which module or bare operation is one layer, what Keras calls it, and whose numbers it holds.

A module without children is a layer, and so is one of torch's own that computes in one piece (`MultiheadAttention`). What a network
computes between its layers (`F.conv2d`, a pooling, a parameter of its own) gets a row too, so that no number and no product is
outside the table. The words are for people; no clause rests on them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from budgetnet.check import declared, operations
from budgetnet.check.geometry import Geometry
from budgetnet.check.sources import Source

KERAS_WORDS: dict[type[nn.Module], str] = {
    nn.Conv1d: "Conv1D",
    nn.Conv2d: "Conv2D",
    nn.Conv3d: "Conv3D",
    nn.ConvTranspose1d: "Conv1DTranspose",
    nn.ConvTranspose2d: "Conv2DTranspose",
    nn.BatchNorm1d: "BatchNormalization",
    nn.BatchNorm2d: "BatchNormalization",
    nn.BatchNorm3d: "BatchNormalization",
    nn.LayerNorm: "LayerNormalization",
    nn.GroupNorm: "GroupNormalization",
    nn.RMSNorm: "RMSNormalization",
    nn.Linear: "Dense",
    nn.Dropout: "Dropout",
    nn.Dropout1d: "SpatialDropout1D",
    nn.Dropout2d: "SpatialDropout2D",
    nn.AlphaDropout: "AlphaDropout",
    nn.MaxPool1d: "MaxPooling1D",
    nn.MaxPool2d: "MaxPooling2D",
    nn.AvgPool1d: "AveragePooling1D",
    nn.AvgPool2d: "AveragePooling2D",
    nn.ZeroPad2d: "ZeroPadding2D",
    nn.Upsample: "UpSampling2D",
    nn.Flatten: "Flatten",
    nn.Unflatten: "Reshape",
    nn.Softmax: "Activation",
    nn.LogSoftmax: "Activation",
    nn.Sigmoid: "Activation",
    nn.Tanh: "Activation",
    nn.SiLU: "Activation",
    nn.GELU: "Activation",
    nn.Hardswish: "Activation",
    nn.ReLU: "ReLU",
    nn.LeakyReLU: "LeakyReLU",
    nn.PReLU: "PReLU",
    nn.Embedding: "Embedding",
    nn.LSTM: "LSTM",
    nn.GRU: "GRU",
    nn.MultiheadAttention: "MultiHeadAttention",
}
IN_ONE_PIECE = (nn.MultiheadAttention, nn.RNNBase)
"""Modules with children of their own that they do not call as layers."""


@dataclass(eq=False)
class Row:
    """One layer of the table while the trace runs."""

    word: str
    module: nn.Module | None
    sources: list[Source] = field(default_factory=list)
    output_shape: tuple[int, ...] = ()
    geometry: Geometry | None = None
    multiply_accumulates: int = 0
    name: str = ""
    path: str = ""


class Rows:
    """The rows in the order of the forward pass, and the stack of modules that are being called."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.rows: list[Row] = []
        self.paths = {id(module): path for path, module in declared.modules(network)}
        self._stack: list[tuple[nn.Module, Row | None]] = []

    def enter(self, module: nn.Module) -> None:
        """Note that `module` is called; begin a row where it is a layer and not part of one."""
        inside = self._current() is not None
        row = None
        if not inside and module is not self.network and is_layer(module):
            row = Row(word_of(module), module, path=self.paths.get(id(module), ""))
            self.rows.append(row)
        self._stack.append((module, row))

    def leave(self, module: nn.Module, shape: tuple[int, ...], geometry: Geometry | None) -> None:
        """Note that `module` returned a tensor of that shape."""
        while self._stack:
            top, row = self._stack.pop()
            if top is module:
                if row is not None:
                    row.output_shape, row.geometry = shape, geometry
                return

    def _current(self) -> Row | None:
        return next((row for _, row in reversed(self._stack) if row is not None), None)

    def for_operation(
        self, name: str, arguments: Sequence[Any], used: Sequence[Source], input_shape: tuple[int, ...], output: Tensor
    ) -> Row | None:
        """Return the row that the operation belongs to: the layer being called, or one of its own; None where it needs none."""
        current = self._current()
        declared = [source for source in used if source.kind in {"parameter", "statistic"}]
        if current is not None:
            current.sources += [source for source in declared if source not in current.sources]
            return current
        word = _word_of_operation(name, arguments, bool(used), input_shape, output)
        claimed = {source.number for row in self.rows for source in row.sources}
        fresh = [source for source in declared if source.number not in claimed]
        if word is None and not fresh:
            return None
        holder = self._stack[-1][0] if self._stack else self.network
        path = fresh[0].name.rpartition(".")[0] if fresh else self.paths.get(id(holder), "")
        row = Row(word or "Parameter", None, list(declared), path=path)
        self.rows.append(row)
        return row


def is_layer(module: nn.Module) -> bool:
    """Return whether the table shows the module as one row: it has no children, or shows itself as one by `keras_name`."""
    containers = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
    if isinstance(module, containers):
        return False
    return not declared.children(module) or isinstance(module, IN_ONE_PIECE) or _own_word(module) is not None


def _own_word(module: nn.Module) -> str | None:
    """Return the word that one of the zoo's blocks has for itself; what a stranger's class says of itself is not asked."""
    kind = type(module)
    home = sys.modules.get(kind.__module__) if kind.__module__.startswith("budgetnet.zoo.") else None
    if home is None or getattr(home, kind.__qualname__, None) is not kind:
        return None
    word = getattr(kind, "keras_name", None)
    return word if isinstance(word, str) and word.isidentifier() else None


def word_of(module: nn.Module) -> str:
    """Return Keras's word for the module by its type; the name of its class where it is another or computes in its own way."""
    own = _own_word(module)
    if own is not None:
        return own
    if isinstance(module, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d) and module.output_size in (1, (1, 1)):
        return "GlobalAveragePooling2D" if isinstance(module, nn.AdaptiveAvgPool2d) else "GlobalMaxPooling2D"
    kind = next((kind for kind in type(module).__mro__ if kind in KERAS_WORDS), None)
    if kind is None or type(module).forward is not kind.forward or "forward" in vars(module):
        return type(module).__name__
    return KERAS_WORDS[kind]


def snake_case(word: str) -> str:
    """Return the word as Keras writes it in a layer's name: `MaxPooling2D` -> `max_pooling2d`."""
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", word)).lower()


def number_names(rows: Sequence[Row]) -> None:
    """Name each row by its word and its place among its like, from 1; a layer that is called again keeps its name."""
    counts: dict[str, int] = {}
    known: dict[int, str] = {}
    for row in rows:
        if row.module is not None and id(row.module) in known:
            row.name = known[id(row.module)]
            continue
        word = snake_case(row.word)
        counts[word] = counts.get(word, 0) + 1
        row.name = f"{word}_{counts[word]}"
        if row.module is not None:
            known[id(row.module)] = row.name


def _word_of_operation(
    name: str, arguments: Sequence[Any], weighted: bool, input_shape: tuple[int, ...], output: Tensor
) -> str | None:
    if name in operations.CONVOLUTION:
        return f"Conv{output.ndim - 2}D" + ("Transpose" if arguments[6] else "")
    if name in operations.MATRIX:
        return "Dense" if weighted and name not in operations.RECURRENT else "MatMul"
    if name in operations.NORMALIZATION:
        words = {"native_layer_norm": "LayerNormalization", "native_group_norm": "GroupNormalization"}
        return words.get(name, "BatchNormalization")
    positions_gone = len(input_shape) == 4 and (output.ndim < 3 or tuple(output.shape[2:]) == (1, 1))
    if "adaptive" in name and positions_gone:
        return "GlobalMaxPooling2D" if "max" in name else "GlobalAveragePooling2D"
    return operations.POOLING.get(name) or (operations.GLOBAL_POOLING.get(name) if positions_gone else None)
