"""Exports of runs on the embedded digits, opened with the real runtimes, and what must not be written."""

import importlib
import json
import shutil
import subprocess
from pathlib import Path

import numpy
import pytest
import torch
import varied_networks as varied
from exported import digits_run, subject_of
from hypothesis import given
from hypothesis import strategies as st

from budgetnet import datasets, rundir
from budgetnet.errors import InputError
from budgetnet.export import c_source, export, table_text
from budgetnet.export.memory import Life, offsets
from budgetnet.rundir import open_run

TARGETS = ["onnx", "onnx-int8", "keras", "c"]
TEST = datasets.load("digits").test


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network of all operations, exported to every target that needs no browser."""
    out = tmp_path_factory.mktemp("plain")
    rows = export(digits_run("Plain", 25), TARGETS, out=out)
    assert json.loads((out / "exports.json").read_text())["exports"] == rows
    assert {path.name for path in out.iterdir()} == {"exports.json", *(name for row in rows for name in row["files"])}
    return out


@pytest.mark.parametrize("target", TARGETS)
def test_each_target_answers_as_torch_does(target: str, plain: Path) -> None:
    (row,) = (row for row in json.loads((plain / "exports.json").read_text())["exports"] if row["target"] == target)
    assert row["images"] == len(TEST)
    assert row["torch_accuracy"] == open_run(digits_run("Plain", 25)).evaluation()["accuracy"]
    assert round(abs(row["accuracy"] - row["torch_accuracy"]) * len(TEST)) <= (0 if row["float"] else 3)
    assert row["largest_difference"] < (1e-4 if row["float"] else 0.3)
    assert row["torch_accuracy"] > 0.5, "the network must have learned something for this to mean anything"
    assert target in table_text([row])


@pytest.mark.parametrize("name", ["plain.onnx", "plain.int8.onnx"])
def test_onnx_files_take_pixels_in_any_batch_and_hold_nothing_of_this_machine(name: str, plain: Path) -> None:
    onnxruntime = importlib.import_module("onnxruntime")
    content = (plain / name).read_bytes()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (pixels,) = session.get_inputs()
    assert pixels.type == "tensor(uint8)"
    for count in (1, 7):
        (answers,) = session.run(None, {pixels.name: TEST.images[:count].numpy()})
        assert answers.shape == (count, 10)
        assert numpy.allclose(answers.sum(1), 1, atol=1e-5)
    assert b"site-packages" not in content
    assert b"varied_networks.py" not in content


def test_keras_evaluates_its_file_to_the_run_s_accuracy(tmp_path: Path) -> None:
    (row,) = export(digits_run("code9-gap", 2), ["keras"], out=tmp_path)
    keras_file = importlib.import_module("budgetnet.export.keras_file")
    lines: list[str] = []
    with keras_file.quietly():
        model = keras_file.Loaded(tmp_path / "code9-gap.keras").model
        model.summary(print_fn=lambda text, **_: lines.append(text))
        score = model.evaluate(TEST.images.numpy().transpose(0, 2, 3, 1), TEST.labels.numpy(), verbose=0)
    evaluation = open_run(digits_run("code9-gap", 2)).evaluation()
    assert score == pytest.approx([evaluation["loss"], evaluation["accuracy"]], abs=1e-4)
    total = open_run(digits_run("code9-gap", 2)).facts().network.parameters.total
    assert row["parameters"] == total == 11_504
    assert "BatchNormalization" in "\n".join(lines)


def test_the_c_source_needs_no_allocation_and_no_undefined_behaviour(plain: Path, tmp_path: Path) -> None:
    (row,) = (row for row in json.loads((plain / "exports.json").read_text())["exports"] if row["target"] == "c")
    assert row["flash_bytes"] < 64 * 1024
    assert row["ram_bytes"] <= 32 * 1024
    source = plain / "plain.c"
    compiled = tmp_path / "plain.o"
    strict = [*c_source.FLAGS, "-Wconversion", "-Wno-sign-conversion", "-Wno-float-conversion", "-Os"]
    subprocess.run(["cc", *strict, "-c", source, "-o", compiled], check=True)
    needed = subprocess.run(["nm", "--undefined-only", compiled], capture_output=True, text=True, check=True).stdout.split()
    assert {name for name in needed if name != "U"} <= {"expf", "erff", "tanhf", "floorf", "_GLOBAL_OFFSET_TABLE_"}
    driver, program = tmp_path / "driver.c", tmp_path / "program"
    driver.write_text(c_source._templates().get_template("network_driver.c.jinja").render(name="plain"))
    checks = ["-fsanitize=undefined,address", "-fno-sanitize-recover=all"]
    subprocess.run(["cc", *c_source.FLAGS, *checks, "-O1", f"-I{plain}", source, driver, "-o", program, "-lm"], check=True)
    extremes = numpy.stack([numpy.zeros((28, 28)), numpy.full((28, 28), 255), *TEST.images[:20, 0].numpy()]).astype(numpy.uint8)
    done = subprocess.run([program], input=extremes.tobytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    answers = numpy.frombuffer(done.stdout, numpy.float32).reshape(-1, 10)
    assert len(answers) == 22
    assert numpy.allclose(answers.sum(1), 1, atol=1e-5)


def test_a_network_too_large_for_the_small_machine_is_refused_with_the_figures(tmp_path: Path) -> None:
    torch.manual_seed(0)
    with pytest.raises(InputError, match=r"50,048 bytes of RAM.*has 32,768"):
        c_source.write(subject_of(varied.Large()), tmp_path)
    with pytest.raises(InputError, match=r"bytes of flash.*has 65,536"):
        c_source._refuse_too_large("own", 70_000, 1_000)


def test_keras_refuses_what_it_has_no_layer_for(tmp_path: Path) -> None:
    torch.manual_seed(0)
    with pytest.raises(InputError, match="maximum pooling with padding"):
        importlib.import_module("budgetnet.export.keras_file").write(subject_of(varied.Edged()), tmp_path)


def test_the_c_source_knows_padded_poolings(tmp_path: Path) -> None:
    torch.manual_seed(0)
    subject = subject_of(varied.Edged())
    with c_source.opened(c_source.write(subject, tmp_path), subject) as program:
        answers = program.answers(subject.test_images)
    assert numpy.abs(answers - subject.probabilities).max() < 0.02


def test_an_export_that_differs_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Nothing was written"):
        export(digits_run("LooksAtItsBatch"), ["c"], out=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_new_export_of_a_target_replaces_its_row_alone_and_gives_the_same_bytes(plain: Path) -> None:
    before = (plain / "plain.c").read_bytes()
    export(digits_run("Plain", 25), ["c"], out=plain)
    assert (plain / "plain.c").read_bytes() == before
    assert [row["target"] for row in json.loads((plain / "exports.json").read_text())["exports"]] == TARGETS


def test_wrong_words_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Did you mean 'onnx"):
        export(digits_run("Plain", 25), ["onx"], out=tmp_path)
    unfinished = shutil.copytree(digits_run("Plain", 25), tmp_path / "unfinished")
    (unfinished / rundir.DONE).unlink()
    with pytest.raises(InputError, match="not finished"):
        export(unfinished, ["c"])
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        export(digits_run("Plain", 25), ["c"], out=tmp_path / "taken")


lives = st.dictionaries(
    st.integers(0, 30),
    st.tuples(st.integers(1, 500), st.integers(0, 20), st.integers(0, 20)).map(
        lambda parts: Life(parts[0], min(parts[1:]), max(parts[1:]))
    ),
    max_size=12,
)


@given(lives)
def test_values_that_live_at_one_time_never_share_a_byte(given_lives: dict[int, Life]) -> None:
    placed, whole = offsets(given_lives)
    for one, first in given_lives.items():
        assert placed[one] + first.size <= whole
        for other, second in given_lives.items():
            if one < other and first.first <= second.last and second.first <= first.last:
                apart = placed[one] + first.size <= placed[other] or placed[other] + second.size <= placed[one]
                assert apart, (one, other, placed)


def test_a_chain_needs_no_more_than_its_two_largest_neighbours() -> None:
    sizes = [784, 21632, 6760, 18432, 5760]
    chain = {place: Life(size, place, place + 1) for place, size in enumerate(sizes)}
    assert offsets(chain)[1] == 21632 + 6760
