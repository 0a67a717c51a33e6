"""Records: what a document says is what the raw values give, and the README's tables are the records'."""

import json
import statistics
from pathlib import Path

import pytest
import torch

import budgetnet
from budgetnet import stats
from budgetnet.errors import InputError
from budgetnet.record import newest, read_record, write_record
from budgetnet.record_text import own_table, record_text

ROOT = Path(__file__).resolve().parent.parent
TINY = f"{Path(__file__).parent / 'networks' / 'tiny.py'}:Tiny"


def run(out: Path, seed: int, epochs: int = 1) -> Path:
    return budgetnet.train(TINY, data="digits", epochs=epochs, seed=seed, threads=1, out=out, settings=["validation=200"]).path


def test_a_record_holds_each_seed_once_with_mean_and_interval(tmp_path: Path) -> None:
    runs = [run(tmp_path / str(seed), seed) for seed in (2, 0, 1)]
    path, document = write_record(runs, tmp_path / "records" / "tiny", contract="code9", commits=["abc"])
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


def test_seeds_that_another_commit_made_name_it(tmp_path: Path) -> None:
    paths = [run(tmp_path / str(seed), seed) for seed in (1, 0)]
    _, document = write_record(paths, tmp_path / "record", contract="code9", commits=["newer", "older"])
    assert document["commit"] == "older"
    assert [row.get("commit") for row in document["seeds"]] == [None, "newer"]
    with pytest.raises(InputError, match="3 commits for 2 runs"):
        write_record(paths, tmp_path / "again", contract="code9", commits=["a", "b", "c"])
    assert not (tmp_path / "again").exists()


def test_a_record_says_what_its_seeds_share_and_where_they_differ(tmp_path: Path) -> None:
    paths = [run(tmp_path / str(seed), seed) for seed in (0, 1)]
    try:
        other = budgetnet.train(TINY, data="digits", epochs=1, seed=2, threads=2, out=tmp_path / "2", settings=["validation=200"])
    finally:
        torch.set_num_threads(1)
    path, document = write_record([*paths, other.path], tmp_path / "record", contract="code9", commits=["abc"], frozen="def")
    finals = [row["final"] for row in document["seeds"]]
    assert document["deviation"] == pytest.approx(statistics.stdev(finals))
    assert document["recipe_frozen_by"] == "def"
    # The contract asks for MNIST, so on digits nothing about accuracy is proven, by any seed or by their mean.
    assert document["verdict"] == "unproven"
    assert document["pass_probability"]["met"] == 0
    assert document["pass_probability"]["interval"] == pytest.approx([0, 1 - 0.025 ** (1 / 3)])
    for row, directory in zip(document["seeds"], [*paths, other.path], strict=True):
        log = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
        assert row["curve"] == {"of": "validation", "accuracy": [round(line["val_accuracy"], 6) for line in log]}
    assert "fingerprint_differs" not in document["seeds"][1]
    assert document["seeds"][2]["fingerprint_differs"] == ["threads 1 → 2"]
    assert "Seed 2 was computed under another fingerprint than seed 0: threads 1 → 2." in record_text(path, document)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith('  {"seed": ') for line in lines) == 3


def test_a_record_s_verdict_holds_the_mean_against_the_contract(tmp_path: Path) -> None:
    paths = [run(tmp_path / str(seed), seed) for seed in (0, 1)]
    finals = [budgetnet.open_run(path).evaluation()["accuracy"] for path in paths]
    assert finals[0] != finals[1], "the seeds must differ for this test to say anything"
    contract = tmp_path / "between.toml"
    for limit, verdict in ((max(finals), "broken"), (min(finals), "met"), (statistics.fmean(finals) - 1e-9, "met")):
        contract.write_text(f'data = "digits"\n[accuracy]\nat_least = {limit}\n', encoding="utf-8")
        _, document = write_record(paths, tmp_path / "record", contract=str(contract))
        assert document["verdict"] == verdict
        assert document["pass_probability"]["met"] == sum(final >= limit for final in finals)


def test_a_record_goes_to_a_folder_of_its_day_and_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = run(tmp_path / "run", 0)
    monkeypatch.chdir(tmp_path)
    written, document = write_record([path], None, contract="code9")
    assert written == Path("records") / f"{document['date']}-Tiny" / "record.json"
    assert document["interval"] is None
    written.write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="is no record"):
        write_record([path], written.parent, contract="code9")


def test_runs_that_watched_the_test_split_are_said_to_have(tmp_path: Path) -> None:
    settings = ["validation=200", "watch=test"]
    watched = budgetnet.train(TINY, data="digits", epochs=1, threads=1, out=tmp_path / "run", settings=settings)
    path, document = write_record([watched.path], tmp_path / "record", contract="code9")
    assert document["seeds"][0]["curve"]["of"] == "training", "the curve is never the test split's"
    assert document["seeds"][0]["best"] is not None
    assert "looked at the test split after each epoch" in record_text(path, document)


def test_of_two_records_of_a_recipe_the_newest_counts() -> None:
    old, new = {"name": "a", "mean": 1}, {"name": "a", "date": "2026-11-22", "mean": 2}
    assert newest([old, new, {"name": "b"}], "a") == new
    assert newest([old], "b") is None


def test_the_table_of_own_recipes_shows_intervals_and_leaves_claims_out(tmp_path: Path) -> None:
    _, document = write_record([run(tmp_path / str(seed), seed) for seed in (0, 1)], tmp_path / "record", contract="code9")
    claimed = {**document, "name": "published", "claim": {"accuracy": 0.99}}
    text = own_table([document, claimed])
    low, high = document["interval"]
    assert f"**{document['mean']:.3%}** | {low:.3%} – {high:.3%} |" in text
    assert "`code9`: 0 of 2 seeds, 0% – 84%" in text
    assert "published" not in text
    assert "not made yet" in own_table([claimed])


def test_the_interval_is_student_s() -> None:
    # By hand: mean 2, deviation 1, t(0.975, 2) = 4.302653, half width 4.302653 / √3.
    assert stats.mean_interval([1, 2, 3]) == pytest.approx((2 - 2.484138, 2 + 2.484138), abs=1e-5)
    assert stats.mean_interval([0.994]) is None


def test_shipped_records_agree_with_themselves() -> None:
    paths = sorted((ROOT / "records").glob("*/record.json"))
    assert paths
    for path in paths:
        record = read_record(path)
        counts, rows = record["parameters"], record["seeds"]
        assert counts["total"] == counts["trainable"] + counts["non_trainable"]
        assert record["mean"] == pytest.approx(sum(row["final"] for row in rows) / len(rows))
        assert (record["interval"] is None) == (len(rows) < 2)
        teacher = record["recipe"].get("teacher")
        assert (teacher is None) == ("teacher" not in record)
        assert record["epochs"] == record["recipe"]["epochs"] + (teacher["epochs"] if teacher else 0) <= 20
        if teacher:
            assert record["teacher"]["samples_seen"] == teacher["epochs"] * 60_000
            logs = [path.parent / f"seed{row['seed']}-teacher-log.txt" for row in rows]
            assert all(log.read_text(encoding="utf-8").count("Epoch 00") == teacher["epochs"] for log in logs)
        assert record["commit"]
