"""What one node of an ONNX graph computes with the image, by its operation as the ONNX standard defines it.

A bias of a convolution may be a BatchNormalization that the exporter folded in: it is left open, with its reason, unless a
BatchNormalization still stands behind it. Source: the operator documents of onnx.ai, opsets 1 to 24.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from budgetnet.check import arithmetic
from budgetnet.check.arithmetic import State
from budgetnet.check.onnx_numbers import Constant
from budgetnet.facts import Finding

if TYPE_CHECKING:
    from budgetnet.check.onnx_graph import Walk

CONVOLUTION = {"Conv", "ConvInteger", "QLinearConv", "ConvTranspose"}
KERNEL = {"QLinearConv": 3}
"""Where the kernel stands among the inputs; 1 elsewhere."""
BIAS = {"QLinearConv": 8, "Conv": 2, "ConvTranspose": 2}
MATRIX = {"Gemm", "MatMul", "QLinearMatMul", "MatMulInteger", "Einsum"}
RECURRENT = {"LSTM", "GRU", "RNN"}
SHIFT = {"BatchNormalization": 2, "InstanceNormalization": 2, "LayerNormalization": 2, "GroupNormalization": 2}
POOLING = {"MaxPool", "AveragePool", "LpPool"}
ADDITION = {"Add", "Sub", "Sum"}
RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
PLAIN_WORDS = (
    "Relu LeakyRelu PRelu Clip Sigmoid Tanh Softmax LogSoftmax Hardmax HardSwish HardSigmoid Elu Selu Celu Gelu Swish Mish "
    "Softplus Softsign ThresholdedRelu Erf Exp Log Sqrt Pow Abs Neg Max Min Mean Identity Dropout Cast CastLike Split Slice "
    "Pad Where Equal Greater GreaterOrEqual Less LessOrEqual Not And Or Xor Expand Tile Reciprocal Floor Ceil Round Sign Sin "
    "Cos ArgMax ArgMin TopK QuantizeLinear DequantizeLinear DynamicQuantizeLinear Mul Div Concat Trilu IsNaN IsInf "
    "LpNormalization MeanVarianceNormalization RMSNormalization LRN Shrink Mod CumSum Flatten Reshape Transpose Squeeze "
    "Unsqueeze DepthToSpace SpaceToDepth Resize Upsample"
)
PLAIN = frozenset(PLAIN_WORDS.split())
FOLDING = {"Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "SpaceToDepth", "DepthToSpace"}
GLOBAL = {"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"}
FOLDED = "may be a BatchNormalization that was folded into it when the file was written"


def look(node: Any, label: str, before: Sequence[State], walk: Walk) -> tuple[State, int]:  # noqa: PLR0911 - one for each family
    """Return what the node's outputs see, and its products; what clauses ask about goes into `walk`."""
    name = str(node.op_type)
    state = arithmetic.merged(before)
    constants = {place: walk.numbers.known[key] for place, key in enumerate(node.input) if key in walk.numbers.known}
    if name in CONVOLUTION:
        return _convolution(node, label, name, state, constants=constants, walk=walk)
    if name in MATRIX:
        return _matrix(node, label, name, state, constants=constants, walk=walk)
    if name in RECURRENT:
        numbers = sum(constant.numbers for place, constant in constants.items() if place in {1, 2})
        _found(walk.fully_connected, label, f"{label} ({name}) multiplies its input by weight matrices", numbers)
        if 3 in constants:
            _found(walk.biases, label, f"{label} ({name}) adds biases of {constants[3].numbers:,} numbers", constants[3].numbers)
        steps = walk.shapes.get(node.input[0], (1,))[0]
        return arithmetic.gone(replace(state, mixed=True), state.positions), numbers * max(steps, 1)
    if name in SHIFT:
        shift = constants.get(SHIFT[name])
        if shift is not None:
            what = f"{label} ({name}) shifts by {shift.numbers:,} learned numbers, as normalizations do"
            _found(walk.shifts, label, what, shift.numbers)
        return replace(state, normalized=True, weighted=False), 0
    if name in POOLING:
        return _pooled(node, state, walk), 0
    if name in GLOBAL or name.startswith("Reduce"):
        return _reduced(node, label, name, state, walk), 0
    if name in ADDITION:
        _addition(node, label, name, state, constants=constants, walk=walk)
        return replace(state, weighted=False), 0
    return _moved(node, label, name, before, constants=constants, walk=walk), 0


def _found(findings: list[Finding], label: str, what: str, numbers: int) -> None:
    finding = Finding(what=what, layer=label, numbers=numbers)
    if finding not in findings:
        findings.append(finding)


def _attribute(node: Any, name: str, default: list[int]) -> list[int]:
    for attribute in node.attribute:
        if attribute.name == name:
            return [int(value) for value in attribute.ints] or [int(attribute.i)]
    return default


def _convolution(
    node: Any, label: str, name: str, state: State, *, constants: dict[int, Constant], walk: Walk
) -> tuple[State, int]:
    into, out = walk.shapes.get(node.input[0], ()), walk.shapes.get(node.output[0], ())
    kernel = constants.get(KERNEL.get(name, 1))
    if kernel is None or len(kernel.shape) < 3 or len(into) != len(kernel.shape) or len(out) != len(into):
        walk.cannot_tell(f"{label} ({name}) is a convolution whose kernel or shapes are not constants of the file.")
        return replace(state, mixed=True), 0
    _meet(kernel, state, walk, max(float(into[0]), 1.0))
    size, sides, outputs = kernel.shape[2:], into[2:], out[2:]
    strides = _attribute(node, "strides", [1] * len(size))
    dilations = _attribute(node, "dilations", [1] * len(size))
    pads = _padding(node, size, strides=strides, dilations=dilations, sides=sides, outputs=outputs)
    bias = constants.get(BIAS.get(name, -1))
    if bias is not None and bias.numbers:
        _bias_of_convolution(node, label, name, bias, walk)
    up = name == "ConvTranspose"
    work = prod(into if up else out) * prod(kernel.shape[1:])
    if not up and arithmetic.covers(sides, kernel=size, strides=strides, before=pads, dilations=dilations, outputs=outputs):
        folded = state.positions / max(prod(sides), 1)
        if folded > 1.5:
            said = (
                f"sees {folded:.0f} positions that were folded into its channels: it computes what a fully connected layer computes"
            )
        elif prod(sides) > 1:
            said = f"sees its whole {'×'.join(map(str, sides))} input map: it computes what a fully connected layer computes"
        else:
            said = "is a convolution on a single position: it computes what a fully connected layer of that vector computes"
        _found(walk.equivalent, label, f"{label} ({name}) {said}", kernel.numbers)
    return replace(arithmetic.slid(state, size, strides, dilations, outputs, up=up), mixed=True), work


def _padding(
    node: Any,
    size: Sequence[int],
    *,
    strides: Sequence[int],
    dilations: Sequence[int],
    sides: Sequence[int],
    outputs: Sequence[int],
) -> list[int]:
    """Return the zeros before each dimension."""
    automatic = next((attribute.s.decode() for attribute in node.attribute if attribute.name == "auto_pad"), "NOTSET")
    if automatic in {"SAME_UPPER", "SAME_LOWER"}:
        whole = [
            max((count - 1) * step + gap * (length - 1) + 1 - side, 0)
            for count, step, gap, length, side in zip(outputs, strides, dilations, size, sides, strict=True)
        ]
        return [space // 2 if automatic == "SAME_UPPER" else space - space // 2 for space in whole]
    return _attribute(node, "pads", [0] * (2 * len(size)))[: len(size)]


def _bias_of_convolution(node: Any, label: str, name: str, bias: Constant, walk: Walk) -> None:
    if walk.followers.get(node.output[0], []) == ["BatchNormalization"]:
        # What folds a BatchNormalization leaves none behind: this bias was one before.
        _found(walk.biases, label, f"{label} ({name}) adds a bias of {bias.numbers:,} numbers", bias.numbers)
    else:
        walk.folded += bias.numbers
        walk.cannot_tell(f"{label} ({name}) adds a bias of {bias.numbers:,} numbers, which {FOLDED}.", "biases")


def _meet(weight: Constant, state: State, walk: Walk, rows: float = 1.0) -> None:
    """Note that weights meet an image that no weight has met before."""
    if not state.mixed:
        for source in weight.sources:
            walk.meetings[source] = walk.meetings.get(source, 0.0) + max(state.copies, rows)


def _matrix(node: Any, label: str, name: str, state: State, *, constants: dict[int, Constant], walk: Walk) -> tuple[State, int]:
    bias = constants.get(2) if name == "Gemm" else None
    factors = [constant for place, constant in constants.items() if constant.numbers > 1 and not (name == "Gemm" and place == 2)]
    if name == "QLinearMatMul":
        factors = [constant for place, constant in constants.items() if place in {0, 3}]
    factors = [constant for constant in factors if constant.sources or constant.floating]
    out, into = walk.shapes.get(node.output[0], ()), walk.shapes.get(node.input[0], ())
    if factors:
        shapes = " and ".join("×".join(str(side) for side in factor.shape) for factor in factors[:2])
        what = f"{label} ({name}) multiplies its input by a weight matrix ({shapes})"
        _found(walk.fully_connected, label, what, sum(factor.numbers for factor in factors))
        for factor in factors:
            _meet(factor, state, walk)
    elif state.weighted:
        walk.cannot_tell(f"{label} ({name}) sums products with weights.", "fully_connected")
    if bias is not None and bias.numbers:
        _found(walk.biases, label, f"{label} ({name}) adds a bias of {bias.numbers:,} numbers", bias.numbers)
    transposed = name == "Gemm" and _attribute(node, "transA", [0])[0]
    inner = (into[-2] if transposed and len(into) > 1 else into[-1]) if into else 1
    after = replace(state, mixed=state.mixed or bool(factors), weighted=False, normalized=False)
    return (arithmetic.gone(after, after.positions) if len(out) < 3 else after), prod(out) * inner


def _addition(node: Any, label: str, name: str, state: State, *, constants: dict[int, Constant], walk: Walk) -> None:
    out = walk.shapes.get(node.output[0], ())
    makers = {walk.makers.get(key, "") for key in node.input if key in walk.states}
    for constant in constants.values():
        if not constant.floating or constant.numbers <= 1:
            continue
        numbers = constant.numbers
        if not state.mixed:
            walk.notes.append(f"{label} ({name}) shifts the input image by {numbers:,} constants, as preprocessing does.")
        elif state.normalized:
            _found(walk.shifts, label, f"{label} ({name}) shifts by {numbers:,} learned numbers after a normalization", numbers)
        elif makers & {*CONVOLUTION, "Mul"} and numbers < prod(out) and prod(out[2:]) > 1:
            walk.cannot_tell(f"{label} ({name}) adds {numbers:,} numbers behind a convolution, which {FOLDED}.", "biases")
        else:
            _found(walk.biases, label, f"{label} ({name}) adds {numbers:,} constant numbers to its input", numbers)


def _pooled(node: Any, state: State, walk: Walk) -> State:
    size = _attribute(node, "kernel_shape", [1])
    strides = _attribute(node, "strides", [1] * len(size))
    into, out = walk.shapes.get(node.input[0], ())[2:], walk.shapes.get(node.output[0], ())[2:]
    slid = arithmetic.slid(state, size, strides, [1] * len(size), out)
    return arithmetic.gone(slid) if prod(out) == 1 and prod(into) > 1 else slid


def _reduced(node: Any, label: str, name: str, state: State, walk: Walk) -> State:
    into, out = walk.shapes.get(node.input[0], ()), walk.shapes.get(node.output[0], ())
    if state.weighted and ("Mean" in name or "Sum" in name or "Average" in name):
        walk.cannot_tell(f"{label} ({name}) sums products with weights: a matrix product in two steps, perhaps.", "fully_connected")
    channels_only = len(into) == 4 and len(out) == 4 and into[2:] == out[2:]
    return replace(state, weighted=False) if channels_only else arithmetic.gone(state)


def _moved(node: Any, label: str, name: str, before: Sequence[State], *, constants: dict[int, Constant], walk: Walk) -> State:  # noqa: PLR0911 - one for each family
    state = arithmetic.merged(before)
    arrays = [constant for constant in constants.values() if constant.floating and constant.numbers > 1]
    if name == "Gather" and 0 not in constants:
        return replace(state, weighted=state.weighted)
    if name not in PLAIN and name not in RANDOM:
        why = f"{label} ({name}) is an operation that no rule here knows" + (
            ", and it joins image and constants." if arrays else "."
        )
        walk.cannot_tell(why)
        return State(None, None, state.positions, True, state.copies)
    if name in {"Mul", "Div"}:
        by_root = any(key in walk.roots for key in node.input)
        varied = any(constant.sources and constant.numbers > 1 for constant in arrays)
        return replace(state, weighted=state.weighted or varied, normalized=state.normalized or by_root)
    if name in {"Sqrt", "Reciprocal", "Pow"}:
        walk.roots |= set(node.output)
    if name == "Concat":
        return _joined(node, label, state, before, arrays=arrays, walk=walk)
    into, out = walk.shapes.get(node.input[0], ()), walk.shapes.get(node.output[0], ())
    if name in {"Expand", "Tile"} and len(out) == 4 and into and into[0]:
        return replace(state, copies=state.copies * max(out[0] / into[0], 1.0))
    if name in FOLDING and (len(out) != len(into) or sorted(out[2:]) != sorted(into[2:])):
        return State(None, None, state.positions, state.mixed, state.copies, state.weighted, state.normalized)
    if name in {"Resize", "Upsample"} and state.jump and len(out) == len(into) == len(state.jump) + 2:
        jump = tuple(step * then / max(now, 1) for step, then, now in zip(state.jump, into[2:], out[2:], strict=True))
        return replace(state, jump=jump, positions=float(prod(out[2:])))
    keeps = name in {"Cast", "Identity", "QuantizeLinear", "DequantizeLinear", "Reshape", "Transpose"}
    return state if keeps else replace(state, weighted=False, normalized=False)


def _joined(node: Any, label: str, state: State, before: Sequence[State], *, arrays: list[Constant], walk: Walk) -> State:
    axis = _attribute(node, "axis", [0])[0]
    rank = len(walk.shapes.get(node.output[0], ())) or 4
    if axis % rank == 0:
        return replace(state, copies=sum(one.copies for one in before))
    if arrays and axis % rank == 1 and rank == 4:
        numbers = arrays[0].shape[1] if len(arrays[0].shape) > 1 else arrays[0].numbers
        _found(
            walk.biases,
            label,
            f"{label} (Concat) appends channels that do not depend on the image, a bias for the next layer",
            numbers,
        )
    return state
