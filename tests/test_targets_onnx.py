"""ONNX files: their facts from the graph, what is left open, and what is refused."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from budgetnet.errors import InputError
from budgetnet.facts import NetworkFacts
from budgetnet.remarks import remarks
from budgetnet.targets import check_target
from budgetnet.targets.onnx_model import facts_of_file
from budgetnet.targets.worker import Work

GENERATOR = np.random.default_rng(0)
node = helper.make_node


def weight(name: str, *shape: int) -> Any:
    return numpy_helper.from_array(GENERATOR.normal(size=shape).astype(np.float32), name)


def written(
    path: Path, nodes: Sequence[Any], weights: Sequence[Any], *, shape: Sequence[Any] = ("n", 1, 28, 28), **more: Any
) -> Path:
    image = helper.make_tensor_value_info("x", 1, shape)
    answer = helper.make_tensor_value_info("y", 1, None)
    graph = helper.make_graph(list(nodes), "graph", [image], [answer], list(weights))
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("other", 1)]
    path.write_bytes(helper.make_model(graph, opset_imports=domains, ir_version=8, **more).SerializeToString())
    return path


def measured(path: Path) -> NetworkFacts:
    result = facts_of_file(Work(kind="onnx", path=str(path), label=path.name))
    facts = NetworkFacts.model_validate(result["network"])
    assert facts.parameters.total == sum(row.parameters for row in facts.layers)
    assert facts.parameters.trainable == sum(row.trainable for row in facts.layers)
    return facts


def words(facts: NetworkFacts) -> tuple[int | None, ...]:
    groups = (facts.fully_connected, facts.fully_connected_equivalent, facts.biases)
    return (*(None if group is None else len(group) for group in groups), facts.forward_passes)


def normalization(into: str, out: str, channels: int) -> tuple[Any, list[Any]]:
    names = [f"{out}_{part}" for part in ("scale", "shift", "mean")]
    variance = numpy_helper.from_array(np.ones(channels, np.float32), f"{out}_variance")
    return node("BatchNormalization", [into, *names, variance.name], [out]), [*(weight(name, channels) for name in names), variance]


STEM = node("Conv", ["x", "w"], ["a"], kernel_shape=[3, 3])
HEAD = [node("GlobalAveragePool", ["z"], ["p"]), node("Flatten", ["p"], ["y"])]
W = weight("w", 10, 1, 3, 3)


def test_the_facts_of_an_honest_model(tmp_path: Path) -> None:
    normal, numbers = normalization("a", "b", 10)
    nodes = [STEM, normal, node("Relu", ["b"], ["c"]), node("MaxPool", ["c"], ["z"], kernel_shape=[2, 2], strides=[2, 2]), *HEAD]
    checked = check_target(str(written(tmp_path / "net.onnx", nodes, [W, *numbers])))
    facts = checked.facts.network
    assert (facts.parameters.total, facts.parameters.trainable) == (90 + 40, 90 + 20)
    assert words(facts) == (0, 0, 0, 1)
    assert [shift.numbers for shift in facts.normalization_shifts] == [10]
    assert facts.multiply_accumulates == 26 * 26 * 90
    assert facts.receptive_field == 4
    assert facts.layers[0].output_shape == (None, 26, 26, 10)
    assert facts.output is not None
    assert facts.output.shape == (10,)
    assert (facts.depends_on_batch, facts.random_in_evaluation, facts.depends_on_calls) == (False, False, False)
    assert facts.peak_activation_bytes == 2 * 4 * 10 * 26 * 26
    assert remarks(facts) == []


def dense(*tail: Any) -> list[Any]:
    return [STEM, node("Flatten", ["a"], ["f"]), *tail]


CASES: dict[str, tuple[list[Any], list[Any], tuple[int | None, ...]]] = {
    "gemm": (dense(node("Gemm", ["f", "m", "b"], ["y"])), [W, weight("m", 6760, 10), weight("b", 10)], (1, 0, 1, 1)),
    "matmul": (dense(node("MatMul", ["f", "m"], ["y"])), [W, weight("m", 6760, 10)], (1, 0, 0, 1)),
    "matmul add": (
        dense(node("MatMul", ["f", "m"], ["g"]), node("Add", ["g", "b"], ["y"])),
        [W, weight("m", 6760, 10), weight("b", 10)],
        (1, 0, 1, 1),
    ),
    "whole map": (
        [STEM, node("Conv", ["a", "k"], ["z"], kernel_shape=[26, 26]), *HEAD],
        [W, weight("k", 10, 10, 26, 26)],
        (0, 1, 0, 1),
    ),
    "nearly whole map": (
        [STEM, node("Conv", ["a", "k"], ["z"], kernel_shape=[25, 25]), *HEAD],
        [W, weight("k", 10, 10, 25, 25)],
        (0, 0, 0, 1),
    ),
    "folded into channels": (
        [
            STEM,
            node("Reshape", ["a", "s"], ["r"]),
            node("Conv", ["r", "k"], ["z"], kernel_shape=[1, 1]),
            *HEAD,
        ],
        [W, numpy_helper.from_array(np.array([-1, 6760, 1, 1]), "s"), weight("k", 10, 6760, 1, 1)],
        (0, 1, 0, 1),
    ),
    "bias that may be folded": (
        [node("Conv", ["x", "w", "b"], ["z"], kernel_shape=[3, 3]), *HEAD],
        [W, weight("b", 10)],
        (0, 0, None, 1),
    ),
    "same weights twice": (
        [
            STEM,
            node("Neg", ["x"], ["m"]),
            node("Conv", ["m", "w"], ["o"], kernel_shape=[3, 3]),
            node("Add", ["a", "o"], ["z"]),
            *HEAD,
        ],
        [W],
        (0, 0, 0, 2),
    ),
    "views in the batch": (
        [
            node("Neg", ["x"], ["m"]),
            node("Concat", ["x", "m"], ["t"], axis=0),
            node("Conv", ["t", "w"], ["z"], kernel_shape=[3, 3]),
            *HEAD,
        ],
        [W],
        (0, 0, 0, 2),
    ),
    "product and sum": (
        [STEM, node("Mul", ["a", "k"], ["q"]), node("GlobalAveragePool", ["q"], ["p"]), node("Flatten", ["p"], ["y"])],
        [W, weight("k", 1, 10, 26, 26)],
        (None, None, 0, 1),
    ),
    "foreign domain": ([STEM, node("Magic", ["a"], ["z"], domain="other"), *HEAD], [W], (None, None, None, None)),
    "constant channel": (
        [STEM, node("Concat", ["a", "k"], ["t"], axis=1), node("Conv", ["t", "v"], ["z"], kernel_shape=[1, 1]), *HEAD],
        [W, weight("k", 1, 1, 26, 26), weight("v", 10, 11, 1, 1)],
        (0, 0, 1, 1),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_nodes_are_told_by_what_they_compute(tmp_path: Path, case: str) -> None:
    nodes, weights, expected = CASES[case]
    assert words(measured(written(tmp_path / "net.onnx", nodes, weights))) == expected


def test_a_bias_before_a_normalization_is_one_and_a_folded_one_says_so(tmp_path: Path) -> None:
    biased = node("Conv", ["x", "w", "b"], ["a"], kernel_shape=[3, 3])
    normal, numbers = normalization("a", "z", 10)
    facts = measured(written(tmp_path / "a.onnx", [biased, normal, *HEAD], [W, weight("b", 10), *numbers]))
    assert words(facts) == (0, 0, 1, 1)
    folded = measured(written(tmp_path / "b.onnx", *CASES["bias that may be folded"][:2]))
    assert "may be a BatchNormalization that was folded into it" in " ".join(folded.notes)


def test_constants_and_leftovers_are_counted(tmp_path: Path) -> None:
    constant = node("Constant", [], ["k"], value=weight("", 1, 10, 1, 1))
    nodes = [STEM, constant, node("Mul", ["a", "k"], ["z"]), *HEAD]
    facts = measured(written(tmp_path / "net.onnx", nodes, [W, weight("unused", 77), weight("single")]))
    assert facts.parameters.total == 90 + 77
    assert facts.parameters.with_hidden == 90 + 77 + 10
    assert [finding.numbers for finding in facts.unused] == [77]
    assert {finding["what"] for finding in remarks(facts)} == {"hidden numbers", "declared and never used"}


def test_chance_and_neighbours_show_in_the_answers(tmp_path: Path) -> None:
    noise = [STEM, node("RandomNormalLike", ["a"], ["r"]), node("Add", ["a", "r"], ["z"]), *HEAD]
    facts = measured(written(tmp_path / "a.onnx", noise, [W]))
    assert (facts.random_in_evaluation, facts.depends_on_calls) == (True, False)
    batch = [STEM, node("ReduceMean", ["a"], ["r"], axes=[0], keepdims=1), node("Sub", ["a", "r"], ["z"]), *HEAD]
    assert measured(written(tmp_path / "b.onnx", batch, [W])).depends_on_batch is True


def test_an_open_size_is_guessed_and_said(tmp_path: Path) -> None:
    path = written(tmp_path / "net.onnx", [STEM, node("Identity", ["a"], ["z"]), *HEAD], [W], shape=("n", 1, "h", "w"))
    checked = check_target(str(path))
    assert checked.facts.network.input_shape == (1, 28, 28)
    assert any("guessed as 1x28x28" in note for note in checked.notes)


def external(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = 1
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../secret"


def claimed(model: Any) -> None:
    model.graph.initializer[0].dims[0] = 10**10


def torn(model: Any) -> None:
    model.graph.initializer[0].raw_data = b"\x00"


def sparse(model: Any) -> None:
    model.graph.sparse_initializer.add()


def two_inputs(model: Any) -> None:
    model.graph.input.append(helper.make_tensor_value_info("x2", 1, (1, 3)))


def huge_image(model: Any) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 10**9


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (external, "keeps numbers in '../../secret'"),
        (claimed, "more than is read"),
        (torn, "does not fit its shape"),
        (sparse, "sparse tensors"),
        (two_inputs, "takes 2 inputs"),
        (huge_image, "side of more than"),
    ],
)
def test_what_is_not_whole_in_itself_is_refused(tmp_path: Path, change: Callable[[Any], None], sentence: str) -> None:
    path = written(tmp_path / "net.onnx", [STEM, node("Identity", ["a"], ["z"]), *HEAD], [W])
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError) as raised:
        measured(path)
    assert sentence in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"hello" * 50, bytes(100)])
def test_a_file_of_anything_else_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"^net\.onnx: "):
        measured(path)
