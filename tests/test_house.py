"""The house as the documents draw it: the map is the tree, imports go downward, the public names are the listed ones."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import budgetnet

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "budgetnet"
MAP = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
LEVEL = re.compile(r"^ {2}LEVEL (\d)", re.MULTILINE)
ROOM = re.compile(r"^ {2,4}([a-z_]+)(\.py|/) ", re.MULTILINE)
FREE = {"__init__", "__main__"}
MOST_MODULE_LINES = 300
MOST_FUNCTION_LINES = 60


def levels() -> dict[str, int]:
    """Room -> level, as the map in docs/ARCHITECTURE.md gives them."""
    drawn = MAP.partition("src/budgetnet/")[2].partition("```")[0]
    result: dict[str, int] = {}
    level = 0
    for line in drawn.splitlines():
        if heading := LEVEL.match(line):
            level = int(heading[1])
        elif room := ROOM.match(line):
            result[room[1]] = level
    return result


LEVELS = levels()
SOURCES = sorted(path for path in PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    """The module or folder directly below the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """The rooms that a file imports, anywhere in it; what only the type checker reads does not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "budgetnet":
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("budgetnet."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {name.name.split(".")[1] for name in node.names if name.name.startswith("budgetnet.")}
    return found - {"__version__"}


def test_the_map_shows_every_room_and_no_other() -> None:
    rooms = {room_of(path) for path in SOURCES} - FREE
    assert rooms == set(LEVELS)


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if room_of(path) not in FREE], ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_imports_go_only_downward(path: Path) -> None:
    own = room_of(path)
    for other in imported_rooms(path) - {own}:
        assert LEVELS[other] <= LEVELS[own], f"{own} (level {LEVELS[own]}) imports {other} (level {LEVELS[other]})"


def test_rooms_of_one_level_import_each_other_without_circles() -> None:
    edges = {room: set[str]() for room in LEVELS}
    for path in SOURCES:
        if room_of(path) not in FREE:
            edges[room_of(path)] |= imported_rooms(path) - {room_of(path)}
    left = dict(edges)
    while left:
        bottom = [room for room, needs in left.items() if not needs & left.keys()]
        assert bottom, f"these import each other in a circle: {sorted(left)}"
        for room in bottom:
            del left[room]


@pytest.mark.parametrize("room", [*sorted(room for room, level in LEVELS.items() if level == 0), "report", "cli"])
def test_words_and_reports_import_no_torch(room: str) -> None:
    code = f"import sys, budgetnet.{room}; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_public_names_are_sorted_and_there() -> None:
    assert budgetnet.__all__ == sorted(budgetnet.__all__)
    assert set(budgetnet.HOMES) | {"__version__"} == set(budgetnet.__all__)
    for name in budgetnet.__all__:
        assert getattr(budgetnet, name) is not None
    assert not set(budgetnet.HOMES) & {room_of(path) for path in SOURCES}, "a public name hides a module"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_rooms_stay_small_and_say_what_they_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_MODULE_LINES
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < MOST_FUNCTION_LINES, f"{node.name} is too long"


FORBIDDEN = re.compile(
    r"\bimport pickle\b|\bpickle\.|\btorch\.load\((?!.*weights_only=True)|weights_only\s*=\s*False|allow_pickle\s*=\s*True|\beval\(|\bexec\("
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_is_unpickled_or_evaluated(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    code = ast.unparse(_without_docstrings(tree))
    assert not re.search(FORBIDDEN, code.replace("network.eval()", "").replace(".eval()", ""))


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [
                child for child in node.body if not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant))
            ] or [ast.Pass()]
    return tree


def test_every_command_has_help_and_the_readme_s_commands_exist() -> None:
    cli = importlib.import_module("budgetnet.cli")
    commands = {command.name or command.callback.__name__ for command in cli.app.registered_commands}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"^(?:\$ )?budgetnet ([a-z]+)", readme, re.MULTILINE))
    assert shown
    assert shown <= commands
    for target in re.findall(r"^make ([a-z]+)", readme, re.MULTILINE):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
