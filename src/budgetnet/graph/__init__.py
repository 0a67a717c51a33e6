"""A trained network as a short list of plain operations, which is all that an export target has to know.

`trace` reads any torch module through `torch.export`; `folded` takes the normalisations into the convolutions beside them; `execute`
computes a graph in torch, so that a trace can be held against the network it came from. A target that knows the eight kinds of
operation in `operations` can write every network that can be traced; what cannot be is refused by the operation's name.
"""

from budgetnet.graph.executing import execute
from budgetnet.graph.folding import folded
from budgetnet.graph.operations import (
    Activation,
    Concatenation,
    Convolution,
    GlobalPooling,
    Graph,
    Merge,
    Normalization,
    Operation,
    Pooling,
    Scaling,
)
from budgetnet.graph.packing import packed, unpacked
from budgetnet.graph.tracing import trace

__all__ = [
    "Activation",
    "Concatenation",
    "Convolution",
    "GlobalPooling",
    "Graph",
    "Merge",
    "Normalization",
    "Operation",
    "Pooling",
    "Scaling",
    "execute",
    "folded",
    "packed",
    "trace",
    "unpacked",
]
