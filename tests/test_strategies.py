"""The page on what the strategies are worth: it says what the kept studies say today, and their numbers agree with their parts."""

import json
import tomllib
from pathlib import Path
from statistics import fmean

import pytest
import update_strategies

ROOT = Path(__file__).resolve().parent.parent


def test_the_page_is_what_the_kept_studies_say() -> None:
    assert update_strategies.PAGE.read_text(encoding="utf-8") == update_strategies.page(update_strategies.KEPT)


def test_every_study_file_has_its_place_on_the_page() -> None:
    assert sorted(update_strategies.ORDER) == sorted(path.stem for path in (ROOT / "studies").glob("*.toml"))


def study(folder: Path, missing: int = 0) -> None:
    recipe = {
        "recipe": "one pooling",
        "parameters": 14568,
        "n": 5,
        "epochs": 3,
        "mean": 0.99,
        "interval": [0.989, 0.991],
        "std": 0.0005,
        "pass_probability": 0.2,
        "best": 0.9912,
        "last5": None,
    }
    sentence = "no difference can be seen with 5 seeds"
    document = {
        "title": "T",
        "missing": missing,
        "recipes": [recipe],
        "comparisons": [{"sentence": sentence}],
        "command": "budgetnet study x",
    }
    folder.mkdir(parents=True)
    (folder / "study.json").write_text(json.dumps(document), encoding="utf-8")


def test_a_study_is_told_with_its_answer_and_the_others_are_named(tmp_path: Path) -> None:
    study(tmp_path / "one-pooling-or-two")
    text = update_strategies.page(tmp_path)
    assert "**No difference can be seen with 5 seeds.**" in text
    assert "| one pooling | 14,568 | 5 | **99.00%** | 98.90% – 99.10% | 0.050% | 99.12% | – | 1 of 5 |" in text
    assert "5 seeds a recipe, 3 epochs each." in text
    assert "`studies/dropout.toml`" in text.partition("## Not answered yet")[2]


def test_only_complete_studies_are_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update_strategies, "KEPT", tmp_path / "kept")
    study(tmp_path / "out" / "dropout", missing=2)
    study(tmp_path / "out" / "schedule")
    assert update_strategies.keep(tmp_path / "out") == ["schedule"]
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["schedule"]


@pytest.mark.parametrize("path", sorted(update_strategies.KEPT.glob("*/study.json")) or [None], ids=str)
def test_means_are_those_of_the_runs(path: Path | None) -> None:
    if path is None:
        assert not update_strategies.KEPT.exists(), "nothing is kept yet"
        return
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["title"] == tomllib.loads((ROOT / "studies" / f"{path.parent.name}.toml").read_text(encoding="utf-8"))["title"]
    for recipe in document["recipes"]:
        assert recipe["mean"] == pytest.approx(fmean(run["final"] for run in recipe["runs"]))
        assert recipe["n"] == len(recipe["runs"])


def test_what_is_kept_names_no_place_of_the_machine_that_trained_it() -> None:
    text = 'budgetnet study studies/x.toml --epochs 3 --out /home/me/runs\n "network": "/home/me/budgetnet/studies/networks.py:plain",\n'
    text += ' "command": "budgetnet study studies/x.toml --out /home/me/runs"\n'
    assert update_strategies.anywhere(text) == (
        'budgetnet study studies/x.toml --epochs 3\n "network": "studies/networks.py:plain",\n'
        ' "command": "budgetnet study studies/x.toml"\n'
    )
    for path in update_strategies.KEPT.rglob("*.*"):
        if path.suffix in {".md", ".json"}:
            assert "--out" not in path.read_text(encoding="utf-8")
