"""The facts of an ONNX model, from its graph: nodes in order, constants on one side, what depends on the image on the other.

Nothing is run here. Shapes are those of ONNX's own inference for one image. What joins image and constants in a way that no rule
here knows, a subgraph, or an operation of a foreign domain leaves clauses open rather than met. Costs some milliseconds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import prod
from typing import Any

from budgetnet.check import arithmetic, onnx_rules
from budgetnet.check.arithmetic import State
from budgetnet.check.onnx_numbers import Numbers, constant_of, derived, gather, non_zero, statistics
from budgetnet.check.rows import snake_case
from budgetnet.errors import InputError
from budgetnet.facts import Finding, LayerRow, NetworkFacts, ParameterCounts

MOST_NODES = 20_000
OWN_DOMAINS = {"", "ai.onnx"}
WORDS = {
    "Conv": "Conv{}D",
    "ConvInteger": "Conv{}D",
    "QLinearConv": "Conv{}D",
    "ConvTranspose": "Conv{}DTranspose",
    "Gemm": "Dense",
    "MatMul": "Dense",
    "QLinearMatMul": "Dense",
    "MatMulInteger": "Dense",
    "MaxPool": "MaxPooling{}D",
    "AveragePool": "AveragePooling{}D",
    "GlobalAveragePool": "GlobalAveragePooling{}D",
    "GlobalMaxPool": "GlobalMaxPooling{}D",
    "PRelu": "PReLU",
}


@dataclass
class Walk:
    """What is gathered on the way through the graph."""

    shapes: dict[str, tuple[int, ...]]
    numbers: Numbers
    followers: dict[str, list[str]]
    """Tensor -> types of the nodes that take it."""
    makers: dict[str, str] = field(default_factory=dict)
    """Tensor -> type of the node that made it."""
    states: dict[str, State] = field(default_factory=dict)
    rows: list[LayerRow] = field(default_factory=list)
    fully_connected: list[Finding] = field(default_factory=list)
    equivalent: list[Finding] = field(default_factory=list)
    biases: list[Finding] = field(default_factory=list)
    shifts: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unused: list[Finding] = field(default_factory=list)
    blind: dict[str, list[str]] = field(default_factory=lambda: {"fully_connected": [], "biases": [], "forward_passes": []})
    meetings: dict[str, float] = field(default_factory=dict)
    """First weights -> how many images' worth they are shown."""
    folded: int = 0
    """Numbers of biases that may be folded normalizations."""
    roots: set[str] = field(default_factory=set)
    """Tensors that are a root of a statistic."""
    words: Counter[str] = field(default_factory=Counter)

    def cannot_tell(self, why: str, *clauses: str) -> None:
        """Leave these clauses open, all of them where none is named."""
        for clause in clauses or tuple(self.blind):
            if why not in self.blind[clause]:
                self.blind[clause].append(why)


def facts_of(model: Any, *, name: str, input_name: str, input_shape: tuple[int, int, int], label: str) -> NetworkFacts:
    """Return the facts of `model`, whose shapes were inferred for one image of `input_shape`."""
    graph = model.graph
    if len(graph.node) > MOST_NODES:
        raise InputError(f"{label}: its graph has more than {MOST_NODES:,} nodes.")
    walk = Walk(_shapes(graph), gather(graph, label), _followers(graph))
    sides = walk.shapes.get(input_name, ())[2:]
    walk.states[input_name] = arithmetic.of_image(sides)
    trained = _walk_nodes(graph, walk, label)
    _leftovers(walk, trained)
    answer = graph.output[0].name if graph.output else ""
    if answer not in walk.states:
        walk.cannot_tell("The graph's answer does not depend on the image.")
    if not walk.meetings:
        walk.cannot_tell("No weight meets the image by a convolution or matrix product.", "forward_passes")
    if walk.folded:
        # Scale, shift, mean and variance became one number of the bias.
        before = sum(row.parameters for row in walk.rows) + 3 * walk.folded
        walk.notes.append(f"If these biases were BatchNormalizations, the network had {before:,} parameters before it was written.")
    passes = max([1, *(round(count) for count in walk.meetings.values())])
    shape = walk.shapes.get(answer, ())
    blind = walk.blind
    return NetworkFacts(
        name=name,
        input_shape=input_shape,
        classes=shape[1] if len(shape) >= 2 and prod(shape) == shape[1] else None,
        parameters=_counts(walk),
        layers=tuple(walk.rows),
        multiply_accumulates=sum(row.multiply_accumulates for row in walk.rows),
        fully_connected=None if blind["fully_connected"] and not walk.fully_connected else tuple(walk.fully_connected),
        fully_connected_equivalent=None if blind["fully_connected"] and not walk.equivalent else tuple(walk.equivalent),
        biases=None if blind["biases"] and not walk.biases else tuple(walk.biases),
        normalization_shifts=tuple(walk.shifts),
        forward_passes=None if blind["forward_passes"] and passes == 1 else passes,
        notes=tuple(dict.fromkeys([*walk.notes, *(why for whys in blind.values() for why in whys)])),
        hidden=_hidden(walk),
        unused=tuple(walk.unused),
        peak_activation_bytes=_peak(graph, walk),
        receptive_field=max((row.receptive_field for row in walk.rows if row.receptive_field is not None), default=None),
    )


def _shapes(graph: Any) -> dict[str, tuple[int, ...]]:
    found = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        if kind.HasField("shape"):
            found[value.name] = tuple(int(side.dim_value) for side in kind.shape.dim)
    return found


def _followers(graph: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for node in graph.node:
        for name in node.input:
            found.setdefault(name, []).append(str(node.op_type))
    return found


def _walk_nodes(graph: Any, walk: Walk, label: str) -> set[str]:
    """Look at each node once, in order; return the names of statistics, which are not trained."""
    for node in graph.node:
        given = [name for name in node.input if name]
        outputs = [name for name in node.output if name]
        constants = [walk.numbers.known[name] for name in given if name in walk.numbers.known]
        if node.op_type == "Constant":
            _constant_node(node, walk, label)
        elif not any(name in walk.states for name in given) or node.op_type in {"Shape", "Size"}:
            for name in outputs:
                walk.numbers.known[name] = derived(str(node.op_type), constants, walk.shapes.get(name, ()))
            if node.op_type in onnx_rules.RANDOM:
                walk.notes.append("The graph draws random numbers: its answers are not repeatable.")
        else:
            _image_node(node, constants, walk)
        walk.makers.update(dict.fromkeys(outputs, str(node.op_type)))
    return statistics(graph)


def _constant_node(node: Any, walk: Walk, label: str) -> None:
    name = node.output[0]
    for attribute in node.attribute:
        if attribute.name == "value":
            attribute.t.name = name
            constant = constant_of(attribute.t, label)
            walk.numbers.known[name] = constant
            if constant.floating and constant.numbers > 1:
                walk.numbers.nodes[name] = constant
            return
    walk.numbers.known[name] = derived("Constant", [], walk.shapes.get(name, ()))


def _image_node(node: Any, constants: list[Any], walk: Walk) -> None:
    """Look at a node that depends on the image: rules, row, and what its outputs see."""
    given = [name for name in node.input if name]
    before = [walk.states[name] for name in given if name in walk.states]
    for constant in constants:
        walk.numbers.met |= constant.sources
    if node.domain not in OWN_DOMAINS:
        walk.cannot_tell(
            f"{node.op_type} of the domain {str(node.domain)[:60]!r} is no operation of ONNX's own, and is not known here."
        )
        after = arithmetic.gone(State(None, None, arithmetic.merged(before).positions, True), arithmetic.merged(before).positions)
        work, label = 0, str(node.op_type)
    else:
        label = _name(node, walk)
        after, work = onnx_rules.look(node, label, before, walk)
    for name in node.output:
        if name:
            walk.states[name] = after
    fresh_statistics = {name for c in constants for name in c.sources} & statistics_of(node)
    moving = sum(
        walk.numbers.initializers[n].numbers for n in fresh_statistics & walk.numbers.initializers.keys() - walk.numbers.claimed
    )
    fresh = walk.numbers.weights_of(constants)
    if fresh or work or node.op_type in WORDS or node.op_type == "BatchNormalization":
        shape = list(walk.shapes.get(node.output[0], ()))
        shown = [shape[0], *shape[2:], shape[1]] if len(shape) > 3 else shape
        walk.rows.append(
            LayerRow(
                name=label,
                type=_word(node, walk),
                output_shape=tuple(None if place == 0 else side for place, side in enumerate(shown)),
                parameters=fresh,
                trainable=fresh - moving,
                multiply_accumulates=work,
                receptive_field=arithmetic.side_of(after.field),
                jump=round(max(after.jump)) if after.jump and float(max(after.jump)).is_integer() else None,
            )
        )


def statistics_of(node: Any) -> set[str]:
    """Return the names of a BatchNormalization's mean and variance."""
    return set(list(node.input)[3:5]) if node.op_type == "BatchNormalization" else set()


def _word(node: Any, walk: Walk) -> str:
    spatial = max(len(walk.shapes.get(node.input[0], ())) - 2, 1)
    return WORDS.get(str(node.op_type), str(node.op_type)).format(spatial)


def _name(node: Any, walk: Walk) -> str:
    word = _word(node, walk)
    walk.words[word] += 1
    return f"{snake_case(word)}_{walk.words[word]}"


def _leftovers(walk: Walk, trained: set[str]) -> None:
    """Give a row to initializers that no node on the image's way uses."""
    left = walk.numbers.initializers.keys() - walk.numbers.claimed
    numbers = sum(walk.numbers.initializers[name].numbers for name in left)
    if numbers:
        what = f"Kept in the file and never used with the image: {numbers:,} numbers, counted all the same."
        walk.notes.append(what)
        walk.unused.append(Finding(what=what, layer="initializers", numbers=numbers))
        moving = sum(walk.numbers.initializers[name].numbers for name in left & trained)
        walk.rows.append(
            LayerRow(
                name="initializers",
                type="Parameter",
                output_shape=(),
                parameters=numbers,
                trainable=numbers - moving,
                multiply_accumulates=0,
                receptive_field=None,
                jump=None,
            )
        )


def _counts(walk: Walk) -> ParameterCounts:
    total = sum(row.parameters for row in walk.rows)
    trainable = sum(row.trainable for row in walk.rows)
    hidden = sum(finding.numbers for finding in _hidden(walk))
    return ParameterCounts(
        total=total,
        trainable=trainable,
        non_trainable=total - trainable,
        with_hidden=total + hidden,
        non_zero=non_zero(walk.numbers),
    )


def _hidden(walk: Walk) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            what=f"{constant.numbers:,} numbers that meet the image stand in a Constant node.",
            layer=name[:80],
            numbers=constant.numbers,
        )
        for name, constant in walk.numbers.nodes.items()
        if name in walk.numbers.met
    )


def _peak(graph: Any, walk: Walk) -> int:
    """Return the most bytes of tensors that depend on the image, each held from its making to its last use, four bytes a number."""
    last_use = {name: place for place, node in enumerate(graph.node) for name in node.input}
    last_use.update({value.name: len(graph.node) for value in graph.output})
    alive = {value.name for value in graph.input if value.name in walk.states}
    peak = 0
    for place, node in enumerate(graph.node):
        alive |= {name for name in node.output if name in walk.states}
        peak = max(peak, sum(4 * prod(walk.shapes.get(name, (0,))) for name in alive))
        alive = {name for name in alive if last_use.get(name, -1) > place}
    return peak
