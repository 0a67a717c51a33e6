"""The README's generated parts and its front picture: they are what the records, the public points and the benchmarks say today."""

import copy
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import accuracy_picture
import pytest
import update_readme

from budgetnet.record import read_records

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    return read_records(ROOT / "records")


def own_record(records: list[dict[str, Any]]) -> dict[str, Any]:
    """A record of a recipe that nobody claims anything of."""
    record = copy.deepcopy(records[0])
    seeds = [{**record["seeds"][0], "seed": seed} for seed in range(5)]
    record.update(name="mine", claim=None, date="2026-11-22", mean=0.9961, interval=[0.9958, 0.9964], seeds=seeds)
    return record


def test_the_readme_s_parts_are_generated_from_what_is_there() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert update_readme.with_parts(readme, update_readme.generated_parts()) == readme, "stale: run make readme"


def test_the_front_picture_is_drawn_from_what_is_there() -> None:
    picture = update_readme.PICTURE.read_text(encoding="utf-8")
    assert accuracy_picture.digest_in(picture) == accuracy_picture.digest(update_readme.drawn()), "stale: run make readme"
    ET.fromstring(picture)  # noqa: S314  (our own file)
    assert f"({update_readme.PICTURE.relative_to(ROOT)})" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_another_figure_makes_the_picture_stale(records: list[dict[str, Any]]) -> None:
    before = accuracy_picture.digest(accuracy_picture.marks(records, update_readme.PUBLIC))
    changed = copy.deepcopy(records)
    changed[0]["mean"] += 0.0001
    assert accuracy_picture.digest(accuracy_picture.marks(changed, update_readme.PUBLIC)) != before


def test_own_recipes_are_drawn_with_their_intervals_and_claims_beside_what_they_reach(records: list[dict[str, Any]]) -> None:
    drawn = accuracy_picture.marks([*records, own_record(records)], update_readme.PUBLIC)
    mine = next(mark for mark in drawn if mark.name == "mine")
    assert (mine.kind, mine.seeds) == ("ours", 5)
    assert (mine.accuracy, mine.low, mine.high) == pytest.approx((99.61, 99.58, 99.64))
    published = {record["name"] for record in records if record.get("claim")}
    assert {mark.name for mark in drawn if mark.kind == "claim"} == published
    assert {mark.name for mark in drawn if mark.kind == "measured again"} == published
    ours = [mark for mark in drawn if mark.kind == "ours"]
    assert len(ours) == 1 + sum(not record.get("claim") for record in records)
    assert f"Blue: {len(ours)} recipes" in accuracy_picture.words(drawn)
    without = accuracy_picture.svg([mark for mark in drawn if mark.kind != "ours"])
    picture = accuracy_picture.svg(drawn)
    assert picture == accuracy_picture.svg(drawn), "the same points give the same bytes"
    assert accuracy_picture.OURS in picture
    assert accuracy_picture.OURS not in without


def test_the_caption_counts_what_lies_outside() -> None:
    drawn = update_readme.drawn()
    points = tomllib.loads(update_readme.PUBLIC.read_text(encoding="utf-8"))["point"]
    outside = [
        point
        for point in points
        if not (1_500 <= point["parameters"] <= 40_000 and 99.0 <= point.get("final", point["claim"]) <= 99.8)
    ]
    assert f"{len(points)} public networks" in accuracy_picture.words(drawn)
    assert f"; {len(outside)} lie outside" in accuracy_picture.words(drawn)


def test_public_points_name_their_sources_and_no_final_exceeds_its_claim() -> None:
    for point in tomllib.loads(update_readme.PUBLIC.read_text(encoding="utf-8"))["point"]:
        assert point["source"]
        assert point["kind"] in {"final", "once", "best"}
        assert point.get("final", 0) <= point["claim"] <= 100
        assert point["parameters"] > 0


def test_benchmark_files_become_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update_readme, "ROOT", tmp_path)
    assert "make bench" in update_readme.benchmarks(tmp_path)
    (tmp_path / "throughput-x.json").write_text(
        """{"machine": {"cpu": "A", "cpu_capability": "AVX2"}, "fingerprint": {"threads": 2},
            "ratios": {"one-pool": {"keras-tensorflow": 5.25, "keras-jax": null, "matrix_rate": 0.361}},
            "networks": {"one-pool": {"multiply_accumulates": 1234, "contenders": {"ours": {"median": 201.4}}}}}""",
        encoding="utf-8",
    )
    (tmp_path / "time-to-9940-x.json").write_text(
        """{"target": 0.994, "runs": [{"finished": true}, {"finished": false}], "ours": {"recipe": "fast", "mean_seconds": 50,
            "seconds": [50, 50]}, "compared": {"ratio": 24.4, "is_a_lower_bound": true}}""",
        encoding="utf-8",
    )
    text = update_readme.benchmarks(tmp_path)
    assert "| `one-pool` | 201 | 5.2× | – | – | – | 36% |" in text
    assert "There `one-pool` is an earlier form of it, of 1,234 multiply-accumulates an image; now it has " in text
    assert "`fast` trains in 50 s (mean of 2 seeds), at least 24 times less" in text
    assert "(n = 1;" in text
