"""The facts that come with the zoo: what a trace gives today, believed only while nothing that decides them has changed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from budgetnet import checking, known_facts, zoo

ANEW = "python scripts/update_known_facts.py writes them anew"


@pytest.mark.parametrize("name", zoo.names())
def test_what_is_kept_is_what_a_trace_gives(name: str) -> None:
    kept = known_facts.known_facts(name)
    assert kept is not None, ANEW
    assert kept == checking.traced_facts(name), ANEW


def test_no_network_is_kept_that_the_zoo_has_not() -> None:
    assert sorted(json.loads(known_facts.PLACE.read_text(encoding="utf-8"))["networks"]) == sorted(zoo.names())


def test_a_changed_file_or_another_input_asks_for_a_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert known_facts.known_facts("one-pool", "1x30x30") is None
    assert known_facts.known_facts("one-pool", "1x28x28") is not None, ANEW
    package = tmp_path / "budgetnet"
    for pattern in known_facts.DECIDING:
        for path in known_facts.PACKAGE.glob(pattern):
            copy = package / path.relative_to(known_facts.PACKAGE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    monkeypatch.setattr(known_facts, "PACKAGE", package)
    assert known_facts.known_facts("one-pool") is not None
    changed = package / "zoo" / "one_pool.py"
    changed.write_text(changed.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    assert known_facts.known_facts("one-pool") is None


def test_a_broken_file_of_facts_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_facts, "PLACE", tmp_path / "facts.json")
    assert known_facts.known_facts("one-pool") is None
    known_facts.PLACE.write_text("{", encoding="utf-8")
    assert known_facts.known_facts("one-pool") is None


def test_a_check_of_the_zoo_starts_no_torch() -> None:
    code = (
        "import sys\n"
        "from budgetnet.cli import main\n"
        "sys.argv = ['budgetnet', 'check', 'one-pool', '--json']\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert stop.code == 3, stop.code\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
