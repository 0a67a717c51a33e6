"""A record made again: the same bits where the fingerprint is equal, the interval elsewhere, and nothing lost when it is stopped."""

import copy
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy
import pytest

import budgetnet
from budgetnet import zoo
from budgetnet.errors import InputError
from budgetnet.record import write_record
from budgetnet.reproduce import compare, find_record
from budgetnet.stats.predicted import predicted_interval

TINY = f"{Path(__file__).parent / 'networks' / 'tiny.py'}:Tiny"
SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of records with one of `Tiny` on digits: three seeds."""
    folder = tmp_path_factory.mktemp("reproduce")
    settings = ["validation=200"]
    paths = [
        budgetnet.train(TINY, data="digits", epochs=6, seed=seed, threads=1, out=folder / f"run{seed}", settings=settings).path
        for seed in SEEDS
    ]
    write_record(paths, folder / "records" / "2026-01-01-Tiny", contract="code9")
    return folder / "records"


def command(records: Path, out: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "budgetnet", "reproduce", "Tiny", "--records", str(records), "--out", str(out), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def record_of(records: Path) -> dict[str, Any]:
    found = find_record("Tiny", records)
    assert found is not None
    return found


def test_a_stopped_reproduction_goes_on_to_the_same_bits(records: Path, tmp_path: Path) -> None:
    out = tmp_path / "again"
    first = command(records, out)
    deadline = time.monotonic() + 120
    while not (out / "seed1" / "log.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    first.send_signal(signal.SIGTERM)
    _, errors = first.communicate(timeout=120)
    if first.returncode != 0:  # a slow machine may have been past its last step when the signal came
        assert first.returncode == 128 + signal.SIGTERM, errors
        assert "Go on with the same command" in errors
        assert not (out / "record.json").exists()
    kept = (out / "seed0" / "done").stat().st_mtime_ns
    second = command(records, out, "--json")
    text, errors = second.communicate(timeout=120)
    assert second.returncode == 0, errors
    result = json.loads(text)
    assert result["comparison"]["outcome"] == "same bits"
    assert (out / "seed0" / "done").stat().st_mtime_ns == kept, "a finished seed was trained again"
    assert [row["weights_sha256"] for row in result["record"]["seeds"]] == [
        row["weights_sha256"] for row in record_of(records)["seeds"]
    ]


def test_fewer_seeds_under_another_recipe_s_runs_are_refused(records: Path, tmp_path: Path) -> None:
    budgetnet.train(TINY, data="digits", epochs=1, seed=0, threads=1, out=tmp_path / "seed0", settings=["validation=200"])
    process = command(records, tmp_path, "--seeds", "1")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "another recipe or seed" in errors


def test_other_weights_under_an_equal_fingerprint_are_no_reproduction(records: Path) -> None:
    record = record_of(records)
    again = copy.deepcopy(record)
    again["seeds"][1]["weights_sha256"] = "0" * 64
    comparison = compare(record, again)
    assert comparison.outcome == "other bits"
    assert "seed 1" in comparison.why


@pytest.mark.parametrize(("shift", "outcome"), [(0.0, "inside the interval"), (0.5, "outside the interval")])
def test_under_another_fingerprint_the_interval_decides(records: Path, shift: float, outcome: str) -> None:
    record = record_of(records)
    again = copy.deepcopy(record)
    again["fingerprint"]["threads"] = 4
    for row in again["seeds"]:
        row["weights_sha256"], row["final"] = "0" * 64, row["final"] - shift
    comparison = compare(record, again)
    assert comparison.outcome == outcome
    assert "threads 1 → 4" in comparison.why


def test_one_recorded_seed_gives_no_interval_and_no_record_nothing_to_compare(records: Path) -> None:
    record = record_of(records)
    single = {**record, "seeds": record["seeds"][:1]}
    again = {**copy.deepcopy(single), "fingerprint": {**record["fingerprint"], "cpu": "another"}}
    assert compare(single, again).outcome == "nothing to compare with"
    assert compare(single, copy.deepcopy(single)).outcome == "same bits"
    assert compare(None, record).outcome == "nothing to compare with"


def test_records_are_found_by_folder_by_name_and_by_recipe(records: Path, tmp_path: Path) -> None:
    found = record_of(records)
    assert find_record("2026-01-01-Tiny", records) == found
    assert find_record(str(records / "2026-01-01-Tiny"), tmp_path) == found
    assert find_record("one-pool", tmp_path) is None
    with pytest.raises(InputError, match="Did you mean 'Tiny'"):
        find_record("Tine", records)


SHIPPED = Path(__file__).resolve().parent.parent / "records"


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*/record.json")), ids=lambda path: path.parent.name)
def test_every_shipped_record_can_be_made_again(path: Path) -> None:
    record = find_record(path.parent.name, SHIPPED)
    assert record is not None
    recipe = budgetnet.Recipe(**record["recipe"])
    assert recipe.network in zoo.MODULES
    assert recipe.epochs_in_all == record["epochs"]
    assert compare(record, copy.deepcopy(record)).outcome == "same bits"


def test_where_the_mean_of_further_values_lies() -> None:
    # By hand: mean 2, deviation 1, t(0.975, 2) = 4.302653, times √(1/3 + 1/2).
    assert predicted_interval([1, 2, 3], 2) == pytest.approx((2 - 3.927758, 2 + 3.927758), abs=1e-5)
    assert predicted_interval([0.994], 5) is None
    draws = numpy.random.default_rng(0).normal(size=(2000, 8))
    inside = 0
    for values in draws:
        bounds = predicted_interval(list(values[:5]), 3)
        assert bounds is not None
        inside += bounds[0] <= values[5:].mean() <= bounds[1]
    assert 0.935 <= inside / len(draws) <= 0.965
