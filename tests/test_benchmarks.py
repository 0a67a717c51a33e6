"""The benchmarks: every contender trains the very same network, rounds take turns, what fails is said, and figures follow from raw times."""

import os

os.environ["KERAS_BACKEND"] = "torch"

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asking
import described
import keras
import keras_network
import numpy
import plain_torch
import pytest
import throughput
import time_to_accuracy
import torch
from torch import Tensor, nn

from budgetnet import zoo
from budgetnet.checking import network_facts
from budgetnet.errors import InputError
from budgetnet.zoo import blocks
from budgetnet.zoo.own import stages

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
CLOSE = 1e-4


class Residual(nn.Module):
    """A sum, a concatenation and a mean, as no chain has them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = blocks.Convolution(1, 6, 3, padding=1)
        self.second = nn.Sequential(blocks.Convolution(6, 6, 3, padding=1, activation=None), blocks.BatchNormalization(6))
        self.last = blocks.Convolution(12, 10, 1, activation=None)

    def forward(self, images: Tensor) -> Tensor:
        start = self.first(images)
        branch = torch.relu(start + self.second(start))
        answer: Tensor = self.last(torch.cat([start, branch], 1)).mean((2, 3))
        return answer


def copy_into_keras(parameters: Iterator[Tensor], made: list[Any]) -> None:
    """Weights in the order of nodes, which both sides share; kernels get height and width first, statistics stay."""
    for layer in (value._keras_history.operation for value in made):
        values = []
        for variable in layer.trainable_weights:
            value = next(parameters).detach()
            if value.ndim == 4:
                value = value.permute(2, 3, 0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else value.permute(2, 3, 1, 0)
            assert value.shape == variable.shape
            values.append(value.numpy())
        if values:
            layer.set_weights([*values, *(keras.ops.convert_to_numpy(variable) for variable in layer.non_trainable_weights)])


def answers_of_all(network: nn.Module) -> list[numpy.ndarray]:
    """Probabilities of ours, plain torch and Keras for the same images, with the same weights."""
    nodes = described.described(network)
    plain = plain_torch.Described(nodes)
    with torch.no_grad():
        for theirs, ours in zip(plain.parameters(), network.parameters(), strict=True):
            theirs.copy_(ours)
    made = keras_network.keras_values(nodes, (28, 28, 1))
    model = keras.Model(made[0], made[-1])
    copy_into_keras(iter(network.parameters()), made)
    images = torch.rand(4, 1, 28, 28)
    network.eval()
    plain.eval()
    with torch.no_grad():
        answers = [network(images), plain(images)]
    answers.append(torch.tensor(keras.ops.convert_to_numpy(model(images.permute(0, 2, 3, 1).numpy(), training=False))))
    soft = isinstance(network, blocks.Network | blocks.Towers)
    ends = [soft, False, soft]
    return [(answer if end else torch.softmax(answer, 1)).numpy() for answer, end in zip(answers, ends, strict=True)]


@pytest.mark.parametrize("name", zoo.names())
def test_every_contender_gets_the_zoo_s_very_network(name: str) -> None:
    torch.manual_seed(3)
    ours, tutorial, theirs = answers_of_all(zoo.find(name).build())
    assert abs(ours - tutorial).max() < CLOSE
    assert abs(ours - theirs).max() < CLOSE


def test_sums_and_concatenations_are_described_as_well() -> None:
    torch.manual_seed(3)
    ours, tutorial, theirs = answers_of_all(Residual())
    assert abs(ours - tutorial).max() < CLOSE
    assert abs(ours - theirs).max() < CLOSE
    assert {"add", "concatenate", "global_average"} <= {node["kind"] for node in described.described(Residual())}


def test_towers_are_described_as_well() -> None:
    torch.manual_seed(3)
    network = blocks.Towers(*[stages([[4, 6], [8], [7]], classes=10, channels=1) for _ in range(2)])
    ours, tutorial, theirs = answers_of_all(network)
    assert abs(ours - tutorial).max() < CLOSE
    assert abs(ours - theirs).max() < CLOSE


def test_a_layer_without_a_kind_is_refused_by_its_name() -> None:
    with pytest.raises(InputError, match="LSTM"):
        described.described(nn.Sequential(nn.LSTM(4, 4)))


def test_contenders_take_turns_and_figures_follow_from_the_raw_times(tmp_path: Path) -> None:
    out = tmp_path / "throughput.json"
    empty = tmp_path / "no-data"
    empty.mkdir()
    words = ["--short", "--networks", "gap-1x1", "--images", "32", "--batch", "16", "--threads", "1", "--data-dir", str(empty)]
    words += ["--only", "ours", "pytorch-tutorial", "--out", str(out), "--cache", str(tmp_path)]
    assert throughput.main(words) == 0
    document = json.loads(out.read_text(encoding="utf-8"))
    network = document["networks"]["gap-1x1"]
    assert "random images" in document["data"] or "of MNIST" in document["data"]
    assert network["multiply_accumulates"] == network_facts("gap-1x1").multiply_accumulates
    rows = network["contenders"]
    assert set(rows) == {"ours", "pytorch-tutorial"}
    for row in rows.values():
        assert len(row["microseconds_per_image"]) == 5
        assert row["median"] == sorted(row["microseconds_per_image"])[2]
        expected = 3 * network["multiply_accumulates"] / (row["median"] * 1e-6) / network["matrix_rate"]
        assert row["matrix_share"] == pytest.approx(expected, abs=1e-4)
    ratios = document["ratios"]["gap-1x1"]
    assert ratios["pytorch-tutorial"] == pytest.approx(rows["pytorch-tutorial"]["median"] / rows["ours"]["median"], abs=1e-3)
    assert ratios["keras-jax"] is None
    assert ratios["matrix_rate"] == rows["ours"]["matrix_share"]
    assert str(tmp_path) not in out.read_text(encoding="utf-8")


def test_a_contender_that_ends_is_said_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(asking.ContenderFailed, match=r"matrix ended: .*KeyError: 'threads'"):
        asking.start("matrix", sys.executable, "matrix", {}, tmp_path)
    contender = asking.start("matrix", sys.executable, "matrix", {"threads": 1}, tmp_path)
    contender.process.kill()
    contender.process.wait()
    with pytest.raises(asking.ContenderFailed, match="matrix ended: it printed nothing"):
        contender.play(counted=True)
    contender.stop()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--rounds", "4"], "a median of fewer than 5"),
        (["--threads", "9999"], "processors"),
        (["--networks", "one-poll"], "Did you mean 'one-pool'"),
    ],
)
def test_wrong_input_is_one_sentence(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert throughput.main(words) == 2
    assert sentence in capsys.readouterr().err


def test_held_is_the_mean_of_the_last_five() -> None:
    touch = [0.99, 0.9960, 0.99, 0.99, 0.99, 0.99]
    assert time_to_accuracy.held_at(touch, 0.994) is None
    assert time_to_accuracy.held_at([0.994] * 4, 0.994) is None
    assert time_to_accuracy.held_at([0.9, 0.9939, 0.9941, 0.9940, 0.9940, 0.9940], 0.994) == 6


def test_seconds_of_another_machine_are_said_to_be(tmp_path: Path) -> None:
    here = {"cpu": "A", "cpu_capability": "AVX2", "threads": 2}
    record = {"name": "fast", "recipe": {}, "mean": 0.9941, "fingerprint": here, "seeds": [{"seconds": 40.0}, {"seconds": 60.0}]}
    (tmp_path / "2026-11-22-fast").mkdir()
    (tmp_path / "2026-11-22-fast" / "record.json").write_text(json.dumps(record), encoding="utf-8")
    ours = time_to_accuracy.fast_record(tmp_path, here)
    assert ours is not None
    assert (ours["mean_seconds"], ours["elsewhere"]) == (50.0, [])
    other = time_to_accuracy.fast_record(tmp_path, {**here, "threads": 4})
    assert other is not None
    run = {"seed": 0, "finished": True, "held_at": 6, "seconds": 1000.0, "epochs": []}
    document = {"runs": [run], "target": 0.994, "ours": other, "compared": time_to_accuracy.compared([run], other)}
    assert "20.0 times less" in time_to_accuracy.summary(document)
    assert "threads differ" in time_to_accuracy.summary(document)


def test_the_comparison_is_a_bound_where_a_seed_never_held() -> None:
    ours: dict[str, Any] = {"mean_seconds": 50.0, "seconds": [50.0], "elsewhere": []}
    held = {"finished": True, "held_at": 9, "seconds": 900.0}
    never = {"finished": True, "held_at": None, "seconds": 2000.0}
    under_way = {"finished": False, "held_at": None, "seconds": 10.0}
    assert time_to_accuracy.compared([held, under_way], ours) == {"ratio": 18.0, "is_a_lower_bound": False}
    assert time_to_accuracy.compared([held, never], ours) == {"ratio": 29.0, "is_a_lower_bound": True}
    assert time_to_accuracy.compared([held], None)["ratio"] is None


@pytest.mark.mnist
def test_a_stopped_re_enactment_goes_on_where_it_stood(tmp_path: Path, mnist_folder: Path) -> None:
    out = tmp_path / "time.json"
    words = ["--images", "64", "--threads", "1", "--backend", "torch", "--data-dir", str(mnist_folder)]
    words += ["--work", str(tmp_path / "work"), "--cache", str(tmp_path), "--out", str(out)]
    assert time_to_accuracy.main([*words, "--epochs", "1"]) == 0
    first = json.loads(out.read_text(encoding="utf-8"))["runs"][0]["epochs"]
    log = next((tmp_path / "work").glob("*/epochs.jsonl"))
    log.write_text(log.read_text(encoding="utf-8") + '{"epoch": 2, "ra', encoding="utf-8")
    assert time_to_accuracy.main([*words, "--epochs", "2"]) == 0
    run = json.loads(out.read_text(encoding="utf-8"))["runs"][0]
    assert run["epochs"][0] == first[0]
    assert [row["epoch"] for row in run["epochs"]] == [1, 2]
    assert [row["rate"] for row in run["epochs"]] == [0.003, 0.0022744503]
    assert run["seconds"] == pytest.approx(sum(row["seconds"] for row in run["epochs"]), abs=0.01)
    assert run["held_at"] is None
