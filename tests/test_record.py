"""Records: what a document says is what the raw values give, and the README's tables are the records'."""

import importlib.util
import json
from pathlib import Path

import pytest

import budgetnet
from budgetnet import stats
from budgetnet.errors import InputError
from budgetnet.record import read_records, write_record

ROOT = Path(__file__).resolve().parent.parent
TINY = f"{Path(__file__).parent / 'networks' / 'tiny.py'}:Tiny"


def run(out: Path, seed: int, epochs: int = 1) -> Path:
    return budgetnet.train(TINY, data="digits", epochs=epochs, seed=seed, threads=1, out=out, settings=["validation=200"]).path


def test_a_record_holds_each_seed_once_with_mean_and_interval(tmp_path: Path) -> None:
    runs = [run(tmp_path / str(seed), seed) for seed in (2, 0, 1)]
    path, document = write_record(runs, tmp_path / "records" / "tiny", contract="code9", commit="abc")
    assert json.loads(path.read_text()) == json.loads(json.dumps(document))
    assert [row["seed"] for row in document["seeds"]] == [0, 1, 2]
    finals = [row["final"] for row in document["seeds"]]
    assert document["mean"] == pytest.approx(sum(finals) / 3)
    low, high = document["interval"]
    assert low < document["mean"] < high
    assert all(row["best"] is None and row["last5"] is None for row in document["seeds"])
    assert "--threads 1" in document["command"]
    assert (path.parent / "seed1-log.txt").read_text().startswith("Train on 1237 samples")
    with pytest.raises(InputError, match="Seed 1 comes twice"):
        write_record([*runs, runs[2]], tmp_path / "again", contract="code9")
    with pytest.raises(InputError, match="another recipe"):
        write_record([*runs, run(tmp_path / "longer", 3, epochs=2)], tmp_path / "again", contract="code9")
    assert not (tmp_path / "again").exists()


def test_the_interval_is_student_s() -> None:
    # By hand: mean 2, deviation 1, t(0.975, 2) = 4.302653, half width 4.302653 / √3.
    assert stats.mean_interval([1, 2, 3]) == pytest.approx((2 - 2.484138, 2 + 2.484138), abs=1e-5)
    assert stats.mean_interval([0.994]) is None


def test_shipped_records_agree_with_themselves() -> None:
    records = read_records(ROOT / "records")
    assert records
    for record in records:
        counts, rows = record["parameters"], record["seeds"]
        assert counts["total"] == counts["trainable"] + counts["non_trainable"]
        assert record["mean"] == pytest.approx(sum(row["final"] for row in rows) / len(rows))
        assert (record["interval"] is None) == (len(rows) < 2)
        assert record["epochs"] == record["recipe"]["epochs"]
        assert record["commit"]


def test_the_readme_s_tables_are_the_records() -> None:
    script = ROOT / "scripts" / "update_readme.py"
    spec = importlib.util.spec_from_file_location("update_readme", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert module.with_parts(readme, module.generated_parts()) == readme, "stale: run make readme"
