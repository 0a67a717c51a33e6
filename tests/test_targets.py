"""Any network, checked from outside: real files, real children, and what must come back of each."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from budgetnet.clauses import Contract
from budgetnet.confine import Limits
from budgetnet.contract import load_contract
from budgetnet.errors import InputError
from budgetnet.facts import Facts
from budgetnet.judging import judge
from budgetnet.remarks import remarks
from budgetnet.targets import Checked, check_target

HEAD = "import torch, random\nfrom torch import nn\nimport torch.nn.functional as F\n"
NET = """
class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.a = nn.Conv2d(1, width, 3, bias=False)
        self.h = nn.Conv2d(width, 10, 1, bias=False)
        PREPARE

    def forward(self, x):
        f = F.relu(self.a(x))
        FORWARD
        return self.h(f).mean((2, 3))
"""


def network(folder: Path, prepare: str = "pass", forward: str = "pass", before: str = "", after: str = "") -> str:
    body = NET.replace("PREPARE", prepare.replace("\n", "\n        ")).replace("FORWARD", forward.replace("\n", "\n        "))
    path = folder / "net.py"
    path.write_text(HEAD + before + body + after)
    return str(path)


def states(checked: Checked, contract: Contract | None = None) -> dict[str, str]:
    verdict = judge(checked.facts, contract or load_contract("code9"))
    return {result.name: result.state for result in verdict.clauses}


# --- files of torch -----------------------------------------------------------------------------------------------------------


def test_a_file_s_one_network_is_found_measured_and_said(tmp_path: Path) -> None:
    after = "\nimport not_there\nfor epoch in range(10**12):\n    print(epoch)\nopen('/nowhere/x', 'w')\n"
    checked = check_target(network(tmp_path, after=after))
    facts = checked.facts.network
    assert facts.parameters.total == 8 * 9 + 80
    assert (facts.name, facts.input_shape, facts.classes) == ("Net", (1, 28, 28), 10)
    assert facts.output is not None
    assert facts.output.kind == "logits"
    assert facts.output.shape == (10,)
    # The image, the first map, the second one, and the ten answers are alive at the end.
    assert facts.peak_activation_bytes == 4 * (28 * 28 + (8 + 10) * 26 * 26 + 10)
    assert facts.receptive_field == 3
    assert (facts.depends_on_batch, facts.random_in_evaluation, facts.depends_on_calls) == (False, False, False)
    assert remarks(facts) == []
    notes = " ".join(checked.notes)
    assert "Net, line" in notes
    assert "Input guessed as 1x28x28" in notes
    assert "2 statements that the network does not need were left out" in notes


def test_arguments_and_shapes_are_given_or_guessed_and_a_missing_one_is_asked_for(tmp_path: Path) -> None:
    path = network(tmp_path)
    assert check_target(f"{path}:Net(width=4)").facts.network.parameters.total == 4 * 9 + 40
    assert check_target(path, input_shape="1x9x9").facts.network.input_shape == (1, 9, 9)
    text = Path(path).read_text().replace("width=8", "width, num_classes").replace("Conv2d(1,", "Conv2d(3,")
    Path(path).write_text(text)
    with pytest.raises(InputError, match=r"Net needs a value for 'width'; give it as FILE:Net\(width=…, num_classes=…\)"):
        check_target(path)
    Path(path).write_text(f"W = 6\n{text}\nif __name__ == '__main__':\n    model = Net(W, num_classes=10)\n")
    checked = check_target(path)
    assert checked.facts.network.parameters.total == 6 * 27 + 60
    assert checked.facts.network.input_shape == (3, 32, 32)
    assert any("Built as the file itself does" in note for note in checked.notes)


def test_what_a_network_does_besides_its_structure_is_a_finding(tmp_path: Path) -> None:
    seen = {}
    for name, forward in {
        "batch": "f = f - f.mean(0, keepdim=True)",
        "chance": "f = f + torch.randn_like(f)",
        "calls": "self.n = getattr(self, 'n', 0) + 1\nf = f * self.n",
    }.items():
        facts = check_target(network(tmp_path, forward=forward)).facts.network
        seen[name] = (facts.depends_on_batch, facts.random_in_evaluation, facts.depends_on_calls)
    assert seen["batch"] == (True, False, False)
    assert seen["chance"] == (None, True, False)
    assert seen["calls"][2] is True
    hidden = check_target(network(tmp_path, prepare="self.w = torch.randn(8, 1, 1)", forward="f = f * self.w")).facts.network
    found = remarks(hidden)
    assert [finding["what"] for finding in found] == ["hidden numbers"]
    assert found[0]["file"].endswith("net.py")
    assert isinstance(found[0]["line"], int)
    assert hidden.parameters.with_hidden == hidden.parameters.total + 8


def test_facts_of_older_runs_still_load() -> None:
    facts = check_target("one-pool").facts
    new = ("hidden", "unused", "peak_activation_bytes", "receptive_field", "output", "depends_on_batch", "random_in_evaluation")
    document = json.loads(facts.model_dump_json())
    for name in (*new, "depends_on_calls"):
        del document["network"][name]
    old = Facts.model_validate(document)
    assert old.network.parameters == facts.network.parameters
    assert old.network.depends_on_batch is None


def test_a_class_that_is_wrapped_or_built_elsewhere_is_taken_as_it_is_used(tmp_path: Path) -> None:
    wrapped = network(tmp_path, after="\nmodel = nn.Sequential(Net(4), nn.Linear(10, 10, bias=False))\nmodel.fit()\n")
    facts = check_target(wrapped).facts.network
    assert facts.parameters.total == 4 * 9 + 40 + 100
    assert facts.fully_connected is not None
    assert len(facts.fully_connected) == 1
    changed = network(tmp_path, after="\nmodel = Net(4).to('cuda:7')\nmodel.h = nn.Linear(4, 10)\n")
    checked = check_target(changed)
    assert checked.facts.network.parameters.total == 4 * 9 + 40
    assert any("changes or wraps Net, which could not be followed" in note for note in checked.notes)
    text = (
        Path(network(tmp_path))
        .read_text()
        .replace("width=8", "settings")
        .replace("1, width, 3", "1, settings[0], 3")
        .replace("(width, 10", "(settings[0], 10")
    )
    Path(changed).write_text(text + "\ndef make():\n    return Net(list((6,)))\n")
    built = check_target(changed)
    assert built.facts.network.parameters.total == 6 * 9 + 60
    assert any("that was taken: make, line" in note for note in built.notes)


def test_a_library_that_is_not_here_is_missed_only_where_it_computes(tmp_path: Path) -> None:
    imports = "import not_there.lightning as pl\nfrom not_there import Accuracy, Layer\n"
    text = Path(
        network(tmp_path, prepare="self.save_hyperparameters()\nself.accuracy = Accuracy(task='multiclass')", before=imports)
    ).read_text()
    path = tmp_path / "lightning.py"
    path.write_text(text.replace("(nn.Module)", "(pl.LightningModule)"))
    checked = check_target(f"{path}:Net(width=4)")
    assert checked.facts.network.parameters.total == 4 * 9 + 40
    assert any("'not_there', which is not installed here" in note for note in checked.notes)
    for prepare, forward in (("self.layer = Layer(8)", "f = self.layer(f)"), ("self.layer = nn.Sequential(Layer(8))", "pass")):
        with pytest.raises(InputError, match="It uses 'not_there', which is not installed here"):
            check_target(network(tmp_path, prepare=prepare, forward=forward, before=imports))
    derived = Path(network(tmp_path, before=imports))
    derived.write_text(derived.read_text().replace("(nn.Module)", "(Layer)"))
    with pytest.raises(InputError, match="it imports 'not_there', which is not installed"):
        check_target(str(derived))


def test_a_command_line_s_own_defaults_are_taken(tmp_path: Path) -> None:
    before = "import argparse\nparser = argparse.ArgumentParser()\n"
    before += "parser.add_argument('--width', type=int, default=6)\nargs = parser.parse_args()\n"
    text = Path(network(tmp_path, before=before)).read_text().replace("width=8", "width=args.width")
    (tmp_path / "net.py").write_text(text)
    assert check_target(str(tmp_path / "net.py")).facts.network.parameters.total == 6 * 9 + 60


def test_what_is_hung_on_a_network_after_it_was_made_is_seen(tmp_path: Path) -> None:
    after = "\nshift = nn.Parameter(torch.rand(10))\nnet = Net()\nnet.register_forward_hook(lambda module, given, answer: answer + shift)\n"
    checked = check_target(network(tmp_path, after=after))
    assert states(checked)["biases"] == "broken"


# --- foreign code -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        ("import os\nos._exit(0)", "ended the process"),
        ("while True: pass", "took longer than 3 s"),
        ("self.w = torch.zeros(25 * 2**30)", "can't allocate memory"),
        ("import os\nos.fork()", "PermissionError"),
        ("import socket\nsocket.create_connection(('127.0.0.1', 9))", "PermissionError"),
        ("open(SECRET).read()", "Permission denied"),
        ("import budgetnet.targets.worker as w\nw.measure = lambda *a, **k: None", "replaced budgetnet.targets.worker.measure"),
        ("from budgetnet.check import rows\nrows.is_layer = lambda m: False", "replaced budgetnet.check.rows.is_layer"),
        ("nn.Conv2d.forward = lambda self, x: x", "replaced torch.nn.Conv2d.forward"),
        ("torch.Tensor.numel = lambda self: 1", "replaced torch.Tensor.numel"),
        ("raise ValueError('two\\nlines')", "line 10: cannot be built: ValueError: two lines"),
    ],
)
def test_hostile_code_costs_one_sentence(tmp_path: Path, prepare: str, sentence: str) -> None:
    secret = tmp_path / "elsewhere" / "secret"
    secret.parent.mkdir()
    secret.write_text("told to nobody")
    folder = tmp_path / "hand-in"
    folder.mkdir()
    path = network(folder, prepare=prepare.replace("SECRET", repr(str(secret))))
    with pytest.raises(InputError) as raised:
        check_target(path, limits=Limits(seconds=3))
    assert sentence in str(raised.value)
    assert str(raised.value).startswith(path)
    assert "\n" not in str(raised.value)


def test_neighbours_are_imported_and_hidden_files_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "blocks.py").write_text("from torch import nn\ndef head(width):\n    return nn.Conv2d(width, 10, 1, bias=False)\n")
    (tmp_path / ".env").write_text("TOKEN=told to nobody")
    path = network(tmp_path, prepare="self.h = head(width)", before="from blocks import head\n")
    assert check_target(path).facts.network.parameters.total == 152
    path = network(tmp_path, prepare=f"open({str(tmp_path / '.env')!r})")
    with pytest.raises(InputError, match="Permission denied"):
        check_target(path)


def test_a_file_in_the_home_folder_opens_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "diary.txt").write_text("told to nobody")
    path = network(tmp_path, prepare=f"open({str(tmp_path / 'diary.txt')!r})")
    with pytest.raises(InputError, match="Permission denied"):
        check_target(path)
    with pytest.raises(InputError, match="holds the home folder"):
        check_target(str(tmp_path))


# --- notebooks, folders, runs -------------------------------------------------------------------------------------------------


def test_a_notebook_s_definitions_are_taken_and_its_training_is_not(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    cells = [
        f"!touch {marker}\n%matplotlib inline\n" + HEAD + "import torchsummary_that_nobody_has\nBIAS = True",
        NET.replace("PREPARE", "self.b = nn.Conv2d(10, 10, 1, bias=BIAS)")
        .replace("FORWARD", "pass")
        .replace("self.h(f)", "self.b(self.h(f))"),
        f"open({str(marker)!r}, 'w')\nfor epoch in range(10**12): pass",
        "model = Net(4).cuda()",
    ]
    path = tmp_path / "hand in.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells]}))
    checked = check_target(str(path))
    facts = checked.facts.network
    assert facts.parameters.total == 4 * 9 + 40 + 110
    assert not marker.exists()
    assert facts.biases is not None
    assert [(bias.file, bias.line) for bias in facts.biases] == [(f"{path}, cell 2", 12)]
    assert any("statements that the network does not need were left out" in note for note in checked.notes)


def test_a_folder_s_network_is_found_and_named(tmp_path: Path) -> None:
    network(tmp_path)
    (tmp_path / "README.md").write_text("# My network")
    (tmp_path / ".git").mkdir()
    checked = check_target(str(tmp_path))
    assert checked.facts.network.parameters.total == 152
    assert any("net.py:Net" in note for note in checked.notes)


# --- weights ------------------------------------------------------------------------------------------------------------------


class Same(nn.Module):
    """What NET builds."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(1, 8, 3, bias=False)
        self.h = nn.Conv2d(8, 10, 1, bias=False)


@pytest.fixture
def own_data(tmp_path: Path) -> Path:
    """A small data set of noise, whose test answers are class 3 half of the time."""
    generator = np.random.default_rng(0)
    path = tmp_path / "noise.npz"
    np.savez(
        path,
        x_train=generator.integers(0, 256, (60, 28, 28), dtype=np.uint8),
        y_train=np.arange(60) % 10,
        x_test=generator.integers(0, 256, (40, 28, 28), dtype=np.uint8),
        y_test=np.array([3, 1] * 20),
    )
    return path


def test_weights_let_the_accuracy_be_measured_and_prove_no_epochs(tmp_path: Path, own_data: Path) -> None:
    torch.manual_seed(0)
    state = Same().state_dict()
    state["a.weight"].fill_(1.0)
    state["h.weight"].fill_(0.0)
    state["h.weight"][3] = 1.0
    save_file(state, tmp_path / "w.safetensors")
    torch.save({"epoch": 3, "model_state_dict": {f"module.{name}": value for name, value in state.items()}}, tmp_path / "w.pt")
    path = network(tmp_path)
    contract = Contract.model_validate({"name": "mine", "accuracy": {"at_least": 0.5}, "epochs": {"at_most": 20.0}})
    for name in ("w.safetensors", "w.pt"):
        checked = check_target(path, weights=tmp_path / name, data=str(own_data))
        assert checked.facts.training is not None
        assert checked.facts.training.accuracy == 0.5
        assert states(checked, contract) == {"accuracy": "met", "epochs": "unproven"}


class Touch:
    """Leaves a mark where it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.path}",)


def test_weights_that_bring_code_or_do_not_fit_are_refused(tmp_path: Path, own_data: Path) -> None:
    path = network(tmp_path)
    torch.save({"a": Touch(str(tmp_path / "marker"))}, tmp_path / "evil.pt")
    torch.save({"a.weight": torch.zeros(8, 1, 3, 3)}, tmp_path / "short.pt")
    (tmp_path / "torn.safetensors").write_bytes(b"\x10" + bytes(20))
    (tmp_path / "x.txt").write_text("")
    expected = {
        "evil.pt": "would run code that it brings along",
        "short.pt": r"1 missing \(h.weight\)",
        "torn.safetensors": "no sound safetensors file",
        "x.txt": "weights are a .safetensors file",
        "none.pt": "no such file of weights",
    }
    for name, sentence in expected.items():
        with pytest.raises(InputError, match=sentence):
            check_target(path, weights=tmp_path / name, data=str(own_data))
    assert not (tmp_path / "marker").exists()
    with pytest.raises(InputError, match="--weights goes with a network in a file"):
        check_target("one-pool", weights=tmp_path / "short.pt")
