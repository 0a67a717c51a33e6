"""What a target's words mean, and which network a file, notebook or folder holds: all by reading, nothing is run."""

import ast
import json
from pathlib import Path

import pytest

from budgetnet.errors import InputError
from budgetnet.targets.definitions import candidates, wrapping
from budgetnet.targets.guessing import hinted_channels, normalization
from budgetnet.targets.names import free_names
from budgetnet.targets.naming import understand
from budgetnet.targets.reading import read
from budgetnet.targets.searching import the_one_in
from budgetnet.targets.statements import main_calls, needed, statements_of

HEAD = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n"
NET = """class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.c = nn.Conv2d(1, width, 3)
    def forward(self, x):
        return self.c(x)
"""
BLOCK = "class Block(nn.Module):\n    def forward(self, x):\n        return F.relu(x)\n"


def found(text: str) -> list[str]:
    trees = [("file", ast.parse(text))]
    return [candidate.name for candidate in candidates(statements_of(trees), main_calls(trees))]


def kept(text: str, *names: str) -> list[str]:
    statements = statements_of([("file", ast.parse(text))])
    return [ast.unparse(statement.node).splitlines()[0] for statement in needed(statements, names)]


def notebook(path: Path, *cells: str) -> Path:
    document = {"nbformat": 4, "cells": [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]}
    path.write_text(json.dumps(document))
    return path


# --- words ------------------------------------------------------------------------------------------------------------------


def test_names_calls_and_places_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(NET)
    assert understand("one-pool").kind == "zoo"
    assert understand(str(path)).name == ""
    target = understand(f"{path}:Net(16, deep=[1, 2], name='a:b')")
    assert (target.kind, target.name, target.arguments, target.keywords) == (
        "python",
        "Net",
        (16,),
        {"deep": [1, 2], "name": "a:b"},
    )
    assert understand(str(tmp_path)).kind == "folder"
    (tmp_path / "recipe.json").write_text("{}")
    assert understand(str(tmp_path)).kind == "run"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Name a network"),
        ("net.py:Net(width=open('x'))", "never computed ones"),
        ("net.py:Net(**{'a': 1})", "never computed ones"),
        ("net.py:Net.forward", "path/to/file.py:Class"),
        ("net.py:(lambda: 1)()", "path/to/file.py:Class"),
        ("net.py:" + "(" * 400, "path/to/file.py:Class"),
        ("net.py:Net(" + "1," * 400 + ")", "too long"),
        ("missing.py:Net", "no such file"),
        ("old.h5", "loader ignores safe mode"),
        ("weights.pt", "state dictionary as --weights"),
        ("weights.pickle", "runs code that it brings along"),
        ("weights.safetensors", "holds weights and no network"),
        ("model.tflite", "not read here"),
        ("saved", "SavedModel"),
        ("picture.png", "no network that can be read"),
        ("folder/nothing", "no such file or folder"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, sentence: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET)
    Path("saved").mkdir()
    Path("saved/saved_model.pb").write_bytes(b"")
    Path("picture.png").write_bytes(b"")
    with pytest.raises(InputError) as raised:
        understand(text)
    assert sentence in str(raised.value)


# --- which network ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (HEAD + NET, ["Net"]),
        (HEAD + BLOCK + NET.replace("nn.Conv2d(1, width, 3)", "Block()"), ["Net"]),
        (HEAD + "class Base(nn.Module):\n    def forward(self, x): return x\nclass Net(Base):\n    pass\n", ["Net"]),
        (HEAD + NET + NET.replace("Net", "Other"), ["Net", "Other"]),
        (HEAD + NET + NET.replace("Net", "Other") + "model = Other(3)\n", ["Other"]),
        (HEAD + NET + "class Loss(nn.Module):\n    def forward(self, answers, labels):\n        return 0\n", ["Net"]),
        (HEAD + "def make(width=3):\n    return nn.Sequential(nn.Conv2d(1, width, 3))\n", ["make"]),
        (HEAD + "def part(i):\n    return nn.Sequential(nn.ReLU())\ndef make():\n    return nn.Sequential(part(3))\n", ["make"]),
        (HEAD + "model = nn.Sequential(nn.Conv2d(1, 2, 3))\nprint(model)\n", ["model"]),
        ("from keras import *\nmodel = Sequential()\nmodel.add(Dense(3))\nmodel.fit(x, y)\n", ["model"]),
        (HEAD + "def train(model):\n    loss = model(1)\n    loss.backward()\n    return loss\n", []),
        ("x = 1\n", []),
    ],
)
def test_the_network_of_a_file_is_the_one_that_is_no_part_of_another(text: str, names: list[str]) -> None:
    assert found(text) == names


def test_a_variable_that_wraps_or_changes_a_class_is_known() -> None:
    def wider(after: str) -> list[str]:
        return [one.name for one in wrapping(statements_of([("file", ast.parse(HEAD + NET + after))]), "Net")]

    assert wider("model = nn.Sequential(Net(), nn.Linear(10, 10))\n") == ["model"]
    assert wider("model = Net().to('cpu')\nmodel.c = nn.Linear(10, 10)\n") == ["model"]
    assert wider("model = Net().to('cpu')\nmodel.train()\nfor x in y:\n    model(x).backward()\n") == []


def test_only_what_the_network_rests_on_is_kept() -> None:
    text = (
        HEAD
        + "import torchvision\nWIDTH = 8\nunused = download()\n"
        + NET.replace("width=8", "width=WIDTH")
        + "Net.deep = 3\nx = torch.rand(3)\nfor self in range(3):\n    x.backward()\nmodel = Net()\nmodel.fit()\nWIDTH += 1\n"
        + "if __name__ == '__main__':\n    WIDTH = 99\n"
    )
    assert kept(text, "Net") == [
        "import torch",
        "from torch import nn",
        "WIDTH = 8",
        "class Net(nn.Module):",
        "Net.deep = 3",
        "WIDTH += 1",
    ] or (kept(text, "Net") == ["from torch import nn", "WIDTH = 8", "class Net(nn.Module):", "Net.deep = 3", "WIDTH += 1"])


def test_names_of_a_scope_s_own_are_not_needed_from_outside() -> None:
    def needs(text: str) -> set[str]:
        return set(free_names(ast.parse(text).body[0]))

    assert needs("def f(a, b=c, *d, e: g, **h):\n    i = a + j\n    return [k for k in i if l]") == {"c", "g", "j", "l"}
    assert needs("def f():\n    global a\n    a = b") == {"b"}
    assert needs("lambda x: x + y") == {"y"}
    assert needs("class A(B, metaclass=C):\n    d = e\n    def f(self): return self.g + h") == {"B", "C", "e", "h"}
    assert needs("def f():\n    import a\n    try: pass\n    except b as c: return a, c") == {"b"}


def test_a_notebook_s_shell_lines_and_magics_are_left_out_and_counted(tmp_path: Path) -> None:
    path = notebook(
        tmp_path / "a.ipynb",
        "!pip install x\n%matplotlib inline\n" + HEAD,
        "%%bash\nrm -rf /",
        "%%time\n" + NET,
        "if True:\n    !ls\nx = 2",
        "this is no python",
        "Net?",
    )
    source = read(path)
    assert [where.rpartition(", ")[2] for where, _ in source.trees] == ["cell 1", "cell 3", "cell 4", "cell 6"]
    assert source.left_out >= 5
    assert any("Cell 5 is not valid Python" in note for note in source.notes)
    old = {"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "code", "input": ["x = 1\n"]}]}]}
    path.write_text(json.dumps(old))
    assert len(read(path).trees) == 1


@pytest.mark.parametrize("content", ["", "[]", "{", '{"cells": 3}', '{"cells": []}', "[" * 100_000])
def test_a_broken_notebook_is_one_sentence_or_empty(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(content)
    with pytest.raises(InputError, match=r"^a\.ipynb: "):
        read(path)


@pytest.mark.parametrize("content", [b"def (", b"\x00", b"x = " + b"(" * 5000, b"\xff\xfe"])
def test_a_file_that_is_not_python_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"^a\.py"):
        read(path)


# --- folders ----------------------------------------------------------------------------------------------------------------


def test_the_network_of_a_folder_is_found_beside_what_only_supports_it(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(HEAD + "from blocks import Block\n" + NET.replace("nn.Conv2d(1, width, 3)", "Block()"))
    (tmp_path / "blocks.py").write_text(HEAD + BLOCK)
    (tmp_path / "train.py").write_text("from model import Net\nmodel = Net()\n")
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "model.onnx").write_bytes(b"")
    for folder in ("venv", ".git", "tests", "__pycache__"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "other.py").write_text(HEAD + NET)
    chosen = the_one_in(tmp_path, "hand-in")
    assert (chosen.path.name, chosen.name) == ("model.py", "Net")
    assert "model.py:Net" in chosen.why


def test_several_networks_of_a_folder_are_a_question_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(HEAD + NET)
    (tmp_path / "b.py").write_text(HEAD + NET.replace("Net", "Other"))
    with pytest.raises(InputError, match=r"which network is meant\? Name one of a.py:Net, b.py:Other\."):
        the_one_in(tmp_path, "hand-in")
    (tmp_path / "b.py").write_text(HEAD + NET)
    assert the_one_in(tmp_path, "hand-in").path.name == "a.py", "a copy is no second network"
    (tmp_path / "a.py").write_text("x = 1")
    (tmp_path / "b.py").write_text("x = (")
    with pytest.raises(InputError, match=r"no network was found in this folder \(b.py, line 1"):
        the_one_in(tmp_path, "hand-in")


def test_hints_of_the_text() -> None:
    assert hinted_channels("datasets.CIFAR10(...)") == 3
    assert hinted_channels("nothing") == 1
    assert normalization("transforms.Normalize((0.1307,), (0.3081,))") == (0.1307, 0.3081)
    assert normalization("Normalize(mean=[0.5], std=[0.25])") == (0.5, 0.25)
    assert normalization("Normalize((127,), (255,))") is None
