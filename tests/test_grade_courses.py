"""What a course repository takes over: the workflow and the hook run as they stand, on real files."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import textwrap
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WORKFLOW = (ROOT / "docs" / "workflow-check.yml").read_text(encoding="utf-8")
COURSES = (ROOT / "docs" / "COURSES.md").read_text(encoding="utf-8")
HOOKS = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
NETWORK = """
import torch.nn as nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 10, 3, bias={bias}), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    def forward(self, images):
        return self.layers(images)
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """One in which `budgetnet` is a command, as after pip's install, and the runner's variables are set."""
    command = tmp_path / "bin" / "budgetnet"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m budgetnet "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "RUNNER_TEMP": str(tmp_path),
    }


def repository(folder: Path, *, bias: bool) -> Path:
    """A course repository with one network."""
    folder.mkdir()
    (folder / "model.py").write_text(NETWORK.format(bias=bias), encoding="utf-8")
    (folder / "README.md").write_text("# Hand-in\n", encoding="utf-8")
    return folder


def step(name: str) -> str:
    """The script of a step, as the workflow has it."""
    found = re.search(rf"- name: {name}\n( +)run: \|\n((?:\1  .*\n|\n)+)", f"{WORKFLOW}\n")
    assert found
    return textwrap.dedent(found[2])


def value(key: str, text: str) -> str:
    """A plain scalar of YAML."""
    found = re.search(rf"^ *{key}: (.*?)(?: +#.*)?$", text, re.MULTILINE)
    assert found
    return found[1].strip('"')


@pytest.mark.parametrize(("bias", "code", "word"), [(False, 0, "unproven"), (True, 1, "broken")])
def test_the_workflow_fails_on_a_broken_clause_alone_and_writes_the_summary(
    tmp_path: Path, environment: dict[str, str], bias: bool, code: int, word: str
) -> None:
    folder = repository(tmp_path / "course", bias=bias)
    settings = {key: value(key, WORKFLOW) for key in ("TARGET", "CONTRACT")}
    # As GitHub's runner starts a step on Linux.
    process = subprocess.run(
        ["bash", "-e", "-c", step("Check")],
        cwd=folder,
        env={**environment, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == code, process.stdout + process.stderr
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith(f"## budgetnet check: {word}\n\n    ")
    assert "biases" in summary
    assert "\x1b" not in summary
    assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == ["README.md", "model.py"]


def test_the_workflow_says_that_nothing_could_be_checked(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "course").mkdir()
    settings = {"TARGET": "model.py", "CONTRACT": "code9"}
    process = subprocess.run(
        ["bash", "-e", "-c", step("Check")],
        cwd=tmp_path / "course",
        env={**environment, **settings},
        capture_output=True,
        check=False,
    )
    assert process.returncode == 2
    assert "not checked" in (tmp_path / "summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("bias", "code"), [(False, 0), (True, 1)])
def test_the_hook_refuses_a_broken_clause_alone(tmp_path: Path, environment: dict[str, str], bias: bool, code: int) -> None:
    folder = repository(tmp_path / "course", bias=bias)
    entry = shlex.split(value("entry", HOOKS))
    arguments = [word.strip() for word in value("args", HOOKS).strip("[]").split(",")]
    assert value("pass_filenames", HOOKS) == "false", "the target is an argument, and stands alone"
    process = subprocess.run([*entry, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == code, process.stdout + process.stderr
    assert "biases" in process.stdout


def test_the_workflow_may_read_and_no_more_and_no_tabs_are_in_yaml() -> None:
    assert re.search(r"^permissions:\n  contents: read\n\n", WORKFLOW, re.MULTILINE)
    assert "persist-credentials: false" in WORKFLOW
    assert "${{" not in step("Check"), "nothing of a repository is pasted into a script"
    assert "\t" not in WORKFLOW + HOOKS


def commands(word: str) -> str:
    """The one block of shell commands of docs/COURSES.md that holds the word."""
    (block,) = [block for block in re.findall(r"```sh\n(.*?)```", COURSES, re.DOTALL) if word in block]
    return str(block)


def bash(script: str, folder: Path, environment: dict[str, str], code: int = 0) -> str:
    """Run a script as GitHub's runner does, and return what it printed."""
    process = subprocess.run(["bash", "-e", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == code, process.stdout + process.stderr
    return process.stdout


@pytest.fixture
def copy_of_budgetnet(tmp_path: Path) -> Path:
    """A copy of the repository beside the course's, as docs/COURSES.md has it, so that building leaves nothing in ours."""
    copy = tmp_path / "budgetnet"
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copytree(ROOT / "docs", copy / "docs")
    for name in ("pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml"):
        shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """A runner's Python: an environment of its own, where all that this one has is installed, but not budgetnet."""
    installed = tmp_path / "installed"
    installed.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "budgetnet" not in entry.name and entry.suffix != ".pth":
            (installed / entry.name).symlink_to(entry)
    venv.create(tmp_path / "python", with_pip=True, symlinks=True)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "BUDGETNET"))},
        "PYTHONPATH": str(installed),
        "PATH": f"{tmp_path / 'python' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads it as its own negation: build with what is installed
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "RUNNER_TEMP": str(tmp_path),
    }


def test_the_commands_of_the_page_make_a_repository_whose_workflow_runs_as_written(
    tmp_path: Path, copy_of_budgetnet: Path, machine: dict[str, str]
) -> None:
    folder = repository(tmp_path / "course", bias=True)
    subprocess.run(["git", "init", "-q", "."], cwd=folder, check=True)
    bash(commands("pip wheel"), folder, machine)
    (wheel,) = (folder / ".budgetnet").iterdir()
    assert wheel.stat().st_size < 1_000_000
    added = subprocess.run(["git", "ls-files"], cwd=folder, check=True, capture_output=True, text=True).stdout.split()
    assert added == [f".budgetnet/{wheel.name}", ".github/workflows/check.yml"]
    written = (folder / ".github" / "workflows" / "check.yml").read_text(encoding="utf-8")
    assert written == WORKFLOW
    settings = {key: value(key, written) for key in ("TARGET", "CONTRACT", "BUDGETNET")}
    # Each step in the order of the file; torch is there already, so that nothing is fetched.
    names = re.findall(r"- name: (.*)", written)
    assert names == ["Install", "Check"]
    bash(step("Install"), folder, {**machine, **settings})
    where = bash("command -v budgetnet", folder, machine).strip()
    assert where == str(tmp_path / "python" / "bin" / "budgetnet")
    bash(step("Check"), folder, {**machine, **settings}, code=1)
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith("## budgetnet check: broken\n\n    ")
    assert "biases" in summary


def test_the_commands_of_the_page_write_a_configuration_for_pre_commit(tmp_path: Path, copy_of_budgetnet: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    for words in (["init", "-q", "."], ["add", "-A"], ["commit", "-qm", "a"], ["update-ref", "refs/remotes/origin/HEAD", "HEAD"]):
        subprocess.run([*git, *words], cwd=copy_of_budgetnet, check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=copy_of_budgetnet, check=True, capture_output=True, text=True).stdout
    folder = repository(tmp_path / "course", bias=False)
    bash(commands("pre-commit-config"), folder, dict(os.environ))
    written = (folder / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert [value("- repo", written), value("rev", written)] == ["../budgetnet", head.strip()]
    assert f"- id: {value('- id', HOOKS)}" in written
    assert value("args", written) == value("args", HOOKS)


def test_no_page_names_a_place_that_is_not_there() -> None:
    assert "example.org" not in WORKFLOW + COURSES + HOOKS
