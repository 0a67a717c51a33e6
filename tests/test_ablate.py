"""The page on our levers: it says what the kept runs say, and its runs were made alike."""

import json
from pathlib import Path

import ablate
import pytest
import torch

from budgetnet.datasets import Split


def rows(path: Path) -> list[dict[str, object]]:
    return json.loads(path.read_text(encoding="utf-8"))["runs"]  # type: ignore[no-any-return]


def test_the_page_is_what_the_kept_runs_say() -> None:
    assert ablate.PAGE.read_text(encoding="utf-8") == ablate.page()


@pytest.mark.parametrize("path", sorted(ablate.KEPT.glob("*.json")), ids=lambda path: path.stem)
def test_every_variant_has_the_seeds_of_the_recipe_as_it_is(path: Path) -> None:
    seeds: dict[object, set[object]] = {}
    for row in rows(path):
        assert row["seed"] not in seeds.setdefault(row["variant"], set())
        seeds[row["variant"]].add(row["seed"])
    assert set(seeds) <= set(ablate.VARIANTS)
    assert len(seeds[ablate.WHOLE]) >= 3
    assert all(own == seeds[ablate.WHOLE] for own in seeds.values())


def test_runs_are_added_in_the_order_of_variants_and_seeds(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    for variant, seed in [("no averaging of weights", 1), (ablate.WHOLE, 0), ("no averaging of weights", 0)]:
        ablate._add(path, {"variant": variant, "seed": seed, "accuracy": 0.99, "loss": 0.02}, "some", [])
    assert [(row["variant"], row["seed"]) for row in rows(path)] == [
        (ablate.WHOLE, 0),
        ("no averaging of weights", 0),
        ("no averaging of weights", 1),
    ]
    assert list(tmp_path.iterdir()) == [path]


def test_label_smoothing_is_judged_by_wrong_answers_and_all_else_by_cross_entropy(tmp_path: Path) -> None:
    path = tmp_path / "some-batch=32.json"
    for variant, accuracy, loss in [
        (ablate.WHOLE, 0.996, 0.1),
        ("no label smoothing", 0.995, 0.02),
        ("batches of 128", 0.995, 0.15),
    ]:
        for seed in range(3):
            row = {"variant": variant, "seed": seed, "accuracy": accuracy + seed / 1e4, "loss": loss + seed / 1e4}
            ablate._add(path, row, "some", ["batch=32"])
    table = ablate._table(path)
    assert "## `some`, batch=32" in table
    assert "| no label smoothing | 3 | **99.510%** | 99.50%, 99.51%, 99.52% | 0.0201 | +0.10 ± 0.00 points |" in table
    assert "| batches of 128 | 3 | **99.510%** | 99.50%, 99.51%, 99.52% | 0.1501 | +0.0500 ± 0.0000 |" in table
    assert "`python scripts/ablate.py some --seeds 3 --set batch=32 --only 'batches of 128' --only 'no label smoothing'`" in table


def test_parts_of_the_training_split_tell_variants_apart_image_by_image(tmp_path: Path) -> None:
    path = tmp_path / "some-6-folds.json"
    for variant, wrong in [(ablate.WHOLE, [[1, 2], [13]]), ("ReLU", [[2, 3, 4], [13, 14, 15]])]:
        for fold, indices in enumerate(wrong):
            row = {"variant": variant, "seed": fold, "accuracy": 0.99, "loss": 0.02, "wrong": indices}
            ablate._add(path, row, "some", [], folds=6)
    table = ablate._table(path)
    assert "## `some`, by 2 of 6 parts of the training split" in table
    assert "| as it is | 2, 1 | **3** | – | 0.0200 | – |" in table
    assert "| ReLU | 3, 3 | **6** | 4, 1 | 0.0200 | p = 0.38 |" in table
    assert "`python scripts/ablate.py some --seeds 2 --only 'ReLU' --folds 6`" in table


def test_only_parts_that_both_were_judged_by_are_compared(tmp_path: Path) -> None:
    path = tmp_path / "some-6-folds.json"
    for variant, fold, indices in [(ablate.WHOLE, 0, [1, 2]), (ablate.WHOLE, 1, [13, 14, 15, 16]), ("ReLU", 0, [1, 2])]:
        row = {"variant": variant, "seed": fold, "accuracy": 0.99, "loss": 0.02, "wrong": indices}
        ablate._add(path, row, "some", [], folds=6)
    assert "| ReLU | 2 | **2** | 0, 0 | 0.0200 | p = 1.00 |" in ablate._table(path)


def test_every_image_is_in_one_part() -> None:
    images = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1)
    parts = [ablate._fold(Split(images, torch.zeros(10, dtype=torch.int64)), place, 3) for place in range(3)]
    assert torch.equal(torch.cat([part.images for _, part in parts]), images)
    for others, part in parts:
        assert sorted(others.images.flatten().tolist() + part.images.flatten().tolist()) == list(range(10))
