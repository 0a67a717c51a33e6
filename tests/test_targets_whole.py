"""Which network of a file is the whole one, and files that need their package, their arguments, or what changes a network later."""

import ast
from pathlib import Path

import pytest

from budgetnet.errors import InputError
from budgetnet.targets import check_target
from budgetnet.targets.definitions import candidates, wrapping
from budgetnet.targets.naming import understand
from budgetnet.targets.packages import package_of
from budgetnet.targets.statements import main_calls, needed, statements_of

BLOCKS = """from torch import nn
def block(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, bias=False), nn.BatchNorm2d(o), nn.ReLU())
def head(i):
    return nn.Sequential(nn.Conv2d(i, 10, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""
CLASSES = """from torch import nn
class Down(nn.Module):
    def forward(self, x):
        return x
class Head(nn.Module):
    def forward(self, x):
        return x
"""
NET = """class Net(nn.Module):
    def __init__(self, width=WIDTH):
        super().__init__()
        self.a = nn.Conv2d(1, width, 3, bias=False)
        self.h = nn.Conv2d(width, 10, 1, bias=False)
    def forward(self, x):
        return self.h(self.a(x).relu()).mean((2, 3))
"""


def chosen(text: str) -> list[str]:
    trees = [("file", ast.parse(text))]
    return [one.name for one in candidates(statements_of(trees), main_calls(trees))]


@pytest.mark.parametrize(
    "parts", [BLOCKS + "model = nn.Sequential(block(1, 8), head(8))", CLASSES + "model = nn.Sequential(Down(), Head())"]
)
def test_a_variable_that_is_put_together_from_all_parts_is_the_network(parts: str) -> None:
    assert chosen(parts) == ["model"]
    assert chosen(parts + "\nif True:\n    model = model.cuda()\n") == ["model"]


def test_networks_that_nothing_puts_together_stay_a_question() -> None:
    assert chosen(CLASSES) == ["Down", "Head"]
    assert chosen(BLOCKS.partition("def head")[0] + "model = block(1, 10)") == ["block"]


def test_what_changes_a_network_or_a_parser_later_belongs_to_it() -> None:
    hooked = statements_of([("file", ast.parse(CLASSES + "net = Head()\nnet.register_forward_hook(shift)\nnet.summary()"))])
    assert [one.name for one in wrapping(hooked, "Head")] == ["net"]
    kept = [ast.unparse(one.node) for one in needed(hooked, ["net"])]
    assert "net.register_forward_hook(shift)" in kept
    assert "net.summary()" not in kept
    normed = statements_of([("file", ast.parse(CLASSES + "net = Head()\nweight_norm(net.c)"))])
    assert "weight_norm(net.c)" in [ast.unparse(one.node) for one in needed(normed, ["net"])]


def test_a_script_s_parser_of_arguments_gives_its_defaults(tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    parser = "import argparse\nfrom torch import nn\nparser = argparse.ArgumentParser()\n"
    parser += "parser.add_argument('--width', type=int, default=6)\nargs = parser.parse_args()\n"
    path.write_text(parser + "from not_there import Writer\nwriter = Writer()\n" + NET.replace("WIDTH", "args.width"))
    assert check_target(str(path)).facts.network.parameters.total == 6 * 9 + 60
    path.write_text(parser.replace("'--width', type=int, default=6", "'width', type=int") + NET.replace("WIDTH", "args.width"))
    with pytest.raises(InputError, match="waits for arguments of a command line"):
        check_target(str(path))


def test_a_package_s_relative_imports_and_the_script_beside_it_are_understood(tmp_path: Path) -> None:
    package = tmp_path / "model"
    package.mkdir()
    (package / "__init__.py").write_text("CLASSES = 10\nfrom .net import Net\n")
    (package / "sizes.py").write_text("WIDTH = 4\n")
    imports = "from torch import nn\nfrom .sizes import WIDTH\nfrom . import CLASSES\n"
    (package / "net.py").write_text(imports + NET.replace("10", "CLASSES"))
    (tmp_path / "train.py").write_text("from model import Net\nnet = Net(width=7)\n")
    checked = check_target(str(tmp_path))
    assert checked.facts.network.parameters.total == 7 * 9 + 70
    assert any("another file of the folder" in note for note in checked.notes)
    assert check_target(f"{package / 'net.py'}:Net").facts.network.parameters.total == 4 * 9 + 40


def test_only_relative_imports_need_a_package(tmp_path: Path) -> None:
    assert package_of(tmp_path / "net.py", [ast.parse("import torch")]) is None
    assert package_of(tmp_path / "net.py", [ast.parse("from . import a")]) is not None


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    for name in ("net.py", "net.onnx", "net.keras", "net.ipynb"):
        (tmp_path / name).touch()
        with pytest.raises(InputError, match=r"is empty \(0 bytes\)"):
            understand(str(tmp_path / name))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [("raise KeyboardInterrupt", "interrupts its own program"), ("raise SystemExit(0)", "ends its own program")],
)
def test_a_network_that_ends_its_program_is_told_in_a_sentence(tmp_path: Path, line: str, sentence: str) -> None:
    path = tmp_path / "net.py"
    path.write_text("from torch import nn\n" + NET.replace("WIDTH", "4").replace("return self.h", f"{line}\n        return self.h"))
    with pytest.raises(InputError, match=sentence):
        check_target(str(path))
