"""Wall time of training until 99.40 % is held: Keras on TensorFlow with one-pool's published recipe, against the recipe `fast`.

Held means: the mean of the last five epochs' test accuracy reaches the target. The re-enactment trains as published (Adam from 0.003 with the
inverse-time schedule, batches of 128) and looks at the test split after each epoch as its author did; seconds are `fit`'s alone. `fast`'s
seconds are those of its record. Takes about 25 minutes a seed on two threads; every epoch is kept in --work as it comes, and the same
command goes on where it was stopped.

    python benchmarks/time_to_accuracy.py --seeds 3 --threads 2     # writes benchmarks/time-to-9940-<machine>.json after each epoch
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy
from asking import ContenderFailed, start
from described import described
from environments import CannotInstall, interpreter
from machine import command_without_places, commit, data_folder, machine_facts, machine_name, processors
from platformdirs import user_cache_path

from budgetnet import datasets, zoo
from budgetnet.errors import InputError
from budgetnet.fingerprint import take_fingerprint
from budgetnet.networks import build_network
from budgetnet.record import newest, read_records
from budgetnet.schedule import rate_of_epoch

ROOT = Path(__file__).resolve().parent.parent
RECIPE = "one-pool"
OURS = "fast"
LAST = 5
SPEED = ("cpu", "cpu_capability", "threads")
"""What of a fingerprint must be equal for seconds to be compared."""
PATIENCE = 3600.0
"""Seconds for one epoch, on a slow machine that others use too."""


def main(arguments: list[str] | None = None) -> int:
    """Train what is left to train; return the exit code."""
    given = _parser().parse_args(arguments)
    given.work.mkdir(parents=True, exist_ok=True)
    out = given.out or ROOT / "benchmarks" / f"time-to-{given.target * 1e4:.0f}-{machine_name(given.threads)}.json"
    try:
        data, sha256 = _write_data(given.work / "images.npz", given.images, given.data_dir)
        python = interpreter(given.backend, given.cache)
        for seed in range(given.seeds):
            _train_seed(seed, python, data, given, lambda: _write(out, given, sha256))
    except (InputError, CannotInstall, ContenderFailed) as error:
        sys.stderr.write(f"time_to_accuracy: {error}\n")
        return 2
    document = _write(out, given, sha256)
    sys.stdout.write(f"{summary(document)}\nWritten: {out}\n")
    return 0


def held_at(accuracies: list[float], target: float) -> int | None:
    """Return the first epoch (from 1) whose last-five mean reaches `target`, None where none does.

    >>> held_at([0.99, 0.994, 0.994, 0.994, 0.994, 0.994], 0.994)
    6
    """
    for epoch in range(LAST, len(accuracies) + 1):
        # Accuracies are counts of images: rounding keeps a mean that is the target from missing it by a float's last bit.
        if round(fmean(accuracies[epoch - LAST : epoch]), 9) >= target:
            return epoch
    return None


def compared(runs: list[dict[str, Any]], ours: dict[str, Any] | None) -> dict[str, Any]:
    """Return the ratio of mean seconds; a bound where a seed never held the target, None where there is nothing to compare."""
    finished = [run for run in runs if run["finished"]]
    if not finished or ours is None:
        return {"ratio": None, "is_a_lower_bound": None}
    ratio = fmean(run["seconds"] for run in finished) / ours["mean_seconds"]
    return {"ratio": round(ratio, 2), "is_a_lower_bound": any(run["held_at"] is None for run in finished)}


def summary(document: dict[str, Any]) -> str:
    """Return the result in words."""
    lines = []
    for run in document["runs"]:
        what = f"held from epoch {run['held_at']}" if run["held_at"] else f"not held in {len(run['epochs'])} epochs"
        lines.append(f"seed {run['seed']}: {document['target']:.2%} {what}, {run['seconds']:.0f} s")
    ours, ratio = document["ours"], document["compared"]["ratio"]
    if ours is None:
        lines.append(f"There is no record of {OURS!r} yet to compare with.")
    elif ratio is not None:
        bound = "at least " if document["compared"]["is_a_lower_bound"] else ""
        lines.append(f"{OURS}: {ours['mean_seconds']:.1f} s, mean of {len(ours['seconds'])} seeds: {bound}{ratio:.1f} times less")
        if ours["elsewhere"]:
            lines.append(f"Its record was made elsewhere ({', '.join(ours['elsewhere'])} differ), so the ratio says little.")
    return "\n".join(lines)


def _train_seed(seed: int, python: str, data: Path, given: argparse.Namespace, write: Any) -> None:
    folder = _folder(seed, given)
    folder.mkdir(exist_ok=True)
    rows = _rows(folder)
    if _is_finished(rows, given):
        return
    recipe = zoo.find(RECIPE).recipe
    task = {
        "threads": given.threads,
        "backend": given.backend,
        "batch": recipe.batch,
        "data": str(data),
        "network": described(build_network(recipe, seed=seed, input_shape=(1, 28, 28), classes=10)),
        "seed": seed,
        "epochs_done": len(rows),
        "state": str(_state(folder, len(rows))) if rows else None,
    }
    contender = start(f"seed{seed}", python, "keras_epochs", task, folder, patience=PATIENCE)
    try:
        while not _is_finished(rows, given):
            epoch = len(rows)
            rate = rate_of_epoch(recipe, epoch)
            answer = contender.ask({"rate": rate, "keep": str(_state(folder, epoch + 1))})
            row = {"epoch": epoch + 1, "rate": rate, **answer, "versions": contender.versions, "resumed": bool(task["epochs_done"])}
            with (folder / "epochs.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            rows.append(row)
            _state(folder, epoch).unlink(missing_ok=True)
            write()
            sys.stderr.write(f"seed {seed}, epoch {epoch + 1}: {answer['test_accuracy']:.4f}, {answer['seconds']:.1f} s\n")
    finally:
        contender.stop()


def _folder(seed: int, given: argparse.Namespace) -> Path:
    # Whatever changes the figures is in the name, so that no training goes on as another one.
    return Path(given.work) / f"{given.backend}-{given.images}-images-{given.threads}-threads-seed{seed}"


def _state(folder: Path, epochs: int) -> Path:
    return folder / f"after-{epochs:03d}-epochs.keras"


def _rows(folder: Path) -> list[dict[str, Any]]:
    """Return the complete epochs whose state is there; a line that a kill cut short is dropped."""
    path = folder / "epochs.jsonl"
    rows: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    if rows and not _state(folder, len(rows)).is_file():
        raise InputError(f"{folder}: the state after epoch {len(rows)} is missing; remove the folder to begin anew.")
    if path.exists():
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return rows


def _is_finished(rows: list[dict[str, Any]], given: argparse.Namespace) -> bool:
    return len(rows) >= given.epochs or held_at([row["test_accuracy"] for row in rows], given.target) is not None


def _write(out: Path, given: argparse.Namespace, sha256: str) -> dict[str, Any]:
    """Write what is known up to now; return it."""
    runs = [_run(seed, given) for seed in range(given.seeds) if _folder(seed, given).is_dir()]
    fingerprint = {**take_fingerprint(sha256), "threads": given.threads}
    ours = fast_record(ROOT / "records", fingerprint)
    document = {
        "what": f"seconds of training until the mean test accuracy of the last {LAST} epochs reaches the target",
        "rule": "Keras: seconds of fit, without evaluation, up to that epoch; ours: seconds of the whole training, from its record",
        "target": given.target,
        "recipe": f"{RECIPE} as published: Adam, inverse-time schedule, batches of 128; at most {given.epochs} epochs",
        "backend": given.backend,
        "training_images": given.images,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": command_without_places("benchmarks/time_to_accuracy.py", given),
        "commit": commit(),
        "machine": machine_facts(),
        "fingerprint": fingerprint,
        "runs": runs,
        "ours": ours,
        "compared": compared(runs, ours),
    }
    temporary = out.with_suffix(".tmp")
    temporary.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(out)
    return document


def _run(seed: int, given: argparse.Namespace) -> dict[str, Any]:
    rows = _rows(_folder(seed, given))
    held = held_at([row["test_accuracy"] for row in rows], given.target)
    counted = rows[: held or len(rows)]
    return {
        "seed": seed,
        "finished": _is_finished(rows, given),
        "held_at": held,
        "seconds": round(sum(row["seconds"] for row in counted), 2),
        "epochs": rows,
    }


def fast_record(folder: Path, fingerprint: dict[str, Any]) -> dict[str, Any] | None:
    """Return the seconds of each seed in the newest record of `fast` below `folder`, and whether this machine computed it."""
    record = newest(read_records(folder), OURS)
    if record is None:
        return None
    seconds = [row["seconds"] for row in record["seeds"]]
    return {
        "recipe": OURS,
        "seconds": seconds,
        "mean_seconds": fmean(seconds),
        "mean_accuracy": record["mean"],
        "fingerprint": record["fingerprint"],
        "elsewhere": [key for key in SPEED if record["fingerprint"].get(key) != fingerprint[key]],
    }


def _write_data(path: Path, count: int, data_dir: Path | None) -> tuple[Path, str]:
    mnist = datasets.load("mnist", data_dir=data_dir)
    training = mnist.training
    if not path.is_file() or len(numpy.load(path)["y_train"]) != count:
        numpy.savez(
            path,
            x_train=training.images[:count, 0].numpy(),
            y_train=training.labels[:count].numpy(),
            x_test=mnist.test.images[:count, 0].numpy(),
            y_test=mnist.test.labels[:count].numpy(),
        )
    return path, mnist.sha256


def _parser() -> argparse.ArgumentParser:
    cache = user_cache_path("budgetnet") / "benchmarks"
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1, help="how many trainings of the re-enactment")
    parser.add_argument("--epochs", type=int, default=20, help="at most so many")
    parser.add_argument("--target", type=float, default=0.994, help="mean test accuracy of the last five epochs")
    parser.add_argument("--threads", type=int, default=processors())
    parser.add_argument(
        "--images", type=int, default=60_000, help="training and test images at most; fewer only to try the program"
    )
    parser.add_argument("--backend", choices=["tensorflow", "jax", "torch"], default="tensorflow")
    parser.add_argument("--data-dir", type=Path, default=data_folder(), help="folder that holds MNIST")
    parser.add_argument("--work", type=Path, default=cache / "time-to-accuracy", help="where epochs and states are kept")
    parser.add_argument("--cache", type=Path, default=cache, help="where environments are kept")
    parser.add_argument("--out", type=Path, help="the JSON file; benchmarks/time-to-9940-<machine>.json")
    return parser


if __name__ == "__main__":
    sys.exit(main())
