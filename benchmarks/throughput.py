"""Training throughput of the very same network and batch: budgetnet against Keras 3 on three backends and the tutorials' PyTorch loop.

Every contender is a child process pinned to the same processors, with the same number of threads and the same images. After warm-up
rounds they take turns, one round each, at least five times; what counts is the median. A network is trained by the plain recipe
everywhere (Adam, cross-entropy, no augmentation, no averaging), so all do the same work; where a recipe of the zoo does more,
`ours-whole-recipe` is what it takes as it is. The machine's own matrix-product rate is measured in the same turns. A training step
is counted as three times the multiply-accumulates of the forward pass: for the result, for the gradient of the input, for that of the weights.

    python benchmarks/throughput.py                       # one-pool and accurate, all processors; writes throughput-<machine>.json
    python benchmarks/throughput.py --short               # under five minutes once the environments are there; prints only

The first run makes the environments of TensorFlow and JAX in --cache (2.3 GB).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy
from asking import Contender, ContenderFailed, start
from described import described
from environments import CannotInstall, interpreter
from machine import command_without_places, commit, data_folder, machine_facts, machine_name, processors
from platformdirs import user_cache_path

from budgetnet import Recipe, datasets, zoo
from budgetnet.check import measure as measure_network
from budgetnet.errors import InputError
from budgetnet.fingerprint import take_fingerprint
from budgetnet.networks import build_network

OURS = "ours"
WHOLE = "ours-whole-recipe"
MATRIX = "matrix"
BACKENDS = {"keras-tensorflow": "tensorflow", "keras-jax": "jax", "keras-torch": "torch"}
TUTORIAL = "pytorch-tutorial"
CONTENDERS = [OURS, *BACKENDS, TUTORIAL]
NETWORKS = ("one-pool", "accurate")
SHAPE = (1, 28, 28)
STEP_OVER_FORWARD = 3
LEAST_ROUNDS = 5
WARM_UPS = 2
"""Rounds before the first that counts: compilers work in the first, and allocators settle in both."""
ENDLESS = 10_000
"""Epochs of a training that is ended from outside."""


@dataclass(frozen=True)
class Plan:
    """What every contender gets."""

    threads: int
    rounds: int
    images: int
    cache: Path
    folder: Path
    data: Path
    only: tuple[str, ...]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write; return the exit code: 1 where a contender failed."""
    given = _parser().parse_args(arguments)
    given.images = given.images or (1280 if given.short else 6400)
    given.networks = given.networks or (["one-pool"] if given.short else [name for name in NETWORKS if name in zoo.MODULES])
    try:
        document = measure(given)
    except InputError as error:
        sys.stderr.write(f"throughput: {error}\n")
        return 2
    sys.stdout.write(table(document) + "\n")
    path = given.out or (None if given.short else Path(__file__).parent / f"throughput-{machine_name(given.threads)}.json")
    if path is not None:
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        sys.stdout.write(f"\nWritten: {path}\n")
    failed = [row for network in document["networks"].values() for row in network["contenders"].values() if row["error"]]
    return 1 if failed else 0


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Return the whole document of one run of the benchmark."""
    for name in given.networks:
        zoo.find(name)
    if given.rounds < LEAST_ROUNDS:
        raise InputError(f"--rounds {given.rounds}: a median of fewer than {LEAST_ROUNDS} rounds says too little.")
    if not 1 <= given.threads <= processors():
        raise InputError(f"--threads {given.threads}: this process may use 1 to {processors()} processors.")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        what, sha256 = _write_data(folder / "images.npz", given.images, given.data_dir)
        only = tuple(given.only or CONTENDERS)
        plan = Plan(given.threads, given.rounds, given.images, given.cache, folder, folder / "images.npz", only)
        networks = {name: _measure_network(name, plan, given.batch) for name in given.networks}
    return {
        "what": "training throughput: median microseconds an image over rounds that take turns; ratio = theirs / ours",
        "rule": "matrix_rate = 3 × forward multiply-accumulates × images a second / multiply-accumulates a second of torch.mm",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": command_without_places("benchmarks/throughput.py", given),
        "commit": commit(),
        "machine": machine_facts(),
        "fingerprint": {**take_fingerprint(sha256), "threads": given.threads},
        "data": what,
        "ratios": {name: ratios(network) for name, network in networks.items()},
        "networks": networks,
    }


def ratios(network: dict[str, Any]) -> dict[str, float | None]:
    """Return how many times longer than ours each contender takes, and our share of the matrix-product rate; None where unknown."""
    rows = network["contenders"]
    ours = rows.get(OURS, {}).get("median")
    result: dict[str, float | None] = {}
    for name in CONTENDERS[1:]:
        theirs = rows.get(name, {}).get("median")
        result[name] = round(theirs / ours, 3) if theirs and ours else None
    share = rows.get(OURS, {}).get("matrix_share")
    return {**result, "matrix_rate": share}


def table(document: dict[str, Any]) -> str:
    """Return the figures for people."""
    lines = [f"{document['machine']['cpu']}, {document['fingerprint']['threads']} threads, {document['data']}"]
    for name, network in document["networks"].items():
        lines += [
            "",
            f"{name}, batch {network['batch']}, {network['multiply_accumulates']:,} multiply-accumulates forward an image; "
            f"{network['rounds']} rounds of {network['images']:,} images",
            f"torch.mm: {(network['matrix_rate'] or 0) / 1e9:.1f} billion multiply-accumulates a second",
            "",
            f"{'contender':<20}{'µs an image':>12}{'lowest':>10}{'highest':>10}{'ours is':>10}{'of torch.mm':>13}",
        ]
        ours = network["contenders"].get(OURS, {}).get("median")
        for contender, row in network["contenders"].items():
            if row["error"]:
                lines.append(f"{contender:<20}failed: {row['error']}")
                continue
            times = row["microseconds_per_image"]
            ratio = f"{row['median'] / ours:.2f}×" if ours else "–"
            share = f"{row['matrix_share']:.1%}" if row["matrix_share"] else "–"
            lines.append(f"{contender:<20}{row['median']:>12.1f}{min(times):>10.1f}{max(times):>10.1f}{ratio:>10}{share:>13}")
    return "\n".join(lines)


def _measure_network(name: str, plan: Plan, batch: int | None) -> dict[str, Any]:
    recipe = zoo.find(name).recipe
    size = batch or recipe.batch
    plain = Recipe(name=name, network=recipe.network, network_arguments=recipe.network_arguments, epochs=ENDLESS, batch=size)
    network = build_network(recipe, seed=0, input_shape=SHAPE, classes=10)
    work = measure_network(network, name=name, input_shape=SHAPE).multiply_accumulates
    nodes = described(network)
    shared = {"threads": plan.threads, "batch": size, "data": str(plan.data), "network": nodes}
    tasks: dict[str, tuple[str, str, dict[str, Any]]] = {
        OURS: ("torch", "ours", {**shared, "recipe": plain.model_dump()}),
        **{key: (backend, "keras_fit", {**shared, "backend": backend}) for key, backend in BACKENDS.items()},
        TUTORIAL: ("", "pytorch_tutorial", shared),
        MATRIX: ("", "matrix", shared),
    }
    # A round is an epoch, and the first ones would be those of a teacher.
    whole = recipe.varied(epochs=ENDLESS, batch=size, validation=0, watch="nothing", teacher=None)
    if OURS in plan.only and _does_more(whole, plain):
        tasks[WHOLE] = ("", "ours", {**shared, "recipe": whole.model_dump()})
    tasks = {key: task for key, task in tasks.items() if key in {*plan.only, WHOLE, MATRIX}}
    played, errors = _play(tasks, plan)
    return _network_document(name, size, work, plan, played, errors)


def _does_more(whole: Recipe, plain: Recipe) -> bool:
    words = {"name", "strategy", "epochs"}
    return whole.model_dump(exclude=words) != plain.model_dump(exclude=words)


def _play(tasks: dict[str, tuple[str, str, dict[str, Any]]], plan: Plan) -> tuple[dict[str, Contender], dict[str, str]]:
    """Start every contender, have the rounds played in turns, stop them; return them, and what went wrong by name."""
    contenders: dict[str, Contender] = {}
    errors: dict[str, str] = {}
    try:
        for name, (backend, program, task) in tasks.items():
            try:
                python = interpreter(backend, plan.cache) if program == "keras_fit" else sys.executable
                contenders[name] = start(name, python, program, task, plan.folder)
            except (CannotInstall, ContenderFailed) as error:
                errors[name] = str(error)
        for number in range(-WARM_UPS, plan.rounds):
            for name, contender in contenders.items():
                if name in errors:
                    continue
                try:
                    contender.play(counted=number >= 0)
                except ContenderFailed as error:
                    errors[name] = str(error)
            sys.stderr.write("warm-up\n" if number < 0 else f"round {number + 1} of {plan.rounds}\n")
    finally:
        for contender in contenders.values():
            contender.stop()
    return contenders, errors


def _network_document(
    name: str, batch: int, work: int, plan: Plan, played: dict[str, Contender], errors: dict[str, str]
) -> dict[str, Any]:
    rate = None
    if MATRIX in played and MATRIX not in errors:
        rate = median(products / seconds for seconds, products in played[MATRIX].rounds)
    rows: dict[str, Any] = {}
    for key in (key for key in (*CONTENDERS, WHOLE) if key in played or key in errors):
        if key in errors:
            rows[key] = {"error": errors[key], "median": None, "microseconds_per_image": [], "matrix_share": None}
            continue
        times = [1e6 * seconds / images for seconds, images in played[key].rounds]
        middle = median(times)
        rows[key] = {
            "error": None,
            "median": round(middle, 2),
            "microseconds_per_image": [round(value, 2) for value in times],
            "matrix_share": round(STEP_OVER_FORWARD * work / (middle * 1e-6) / rate, 4) if rate else None,
            "versions": played[key].versions,
        }
    return {
        "network": name,
        "batch": batch,
        "images": plan.images,
        "rounds": plan.rounds,
        "multiply_accumulates": work,
        "matrix_rate": rate,
        "matrix_rates": [products / seconds for seconds, products in played[MATRIX].rounds] if MATRIX in played else [],
        "contenders": rows,
    }


def _write_data(path: Path, count: int, data_dir: Path | None) -> tuple[str, str]:
    """Write the images that all contenders train on; return what they are, and their hash."""
    try:
        mnist = datasets.load("mnist", data_dir=data_dir, download=False)
    except InputError:
        generator = numpy.random.default_rng(0)
        images = generator.integers(0, 256, (count, 28, 28), dtype=numpy.uint8)
        labels = numpy.arange(count) % 10
        what = f"{count:,} random images of MNIST's shape (MNIST was not found)"
    else:
        if count > len(mnist.training):
            raise InputError(f"--images {count}: MNIST has {len(mnist.training):,} training images.")
        images, labels = mnist.training.images[:count, 0].numpy(), mnist.training.labels[:count].numpy()
        what = f"the first {count:,} training images of MNIST"
    numpy.savez(path, x_train=images, y_train=labels, x_test=images[:10], y_test=labels[:10])
    return what, datasets.load(str(path)).sha256


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--networks", nargs="+", metavar="NAME", help="recipes of the zoo; one-pool and accurate")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, help="contenders; all of them")
    parser.add_argument("--batch", type=int, help="images a step; the recipe's own")
    parser.add_argument("--images", type=int, help="images a round; 6400, with --short 1280")
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS, help="rounds that count, at least 5")
    parser.add_argument("--threads", type=int, default=processors(), help="of every contender; all processors")
    parser.add_argument("--short", action="store_true", help="one-pool alone, small rounds, nothing written unless --out is given")
    parser.add_argument("--out", type=Path, help="the JSON file; benchmarks/throughput-<machine>.json")
    parser.add_argument("--data-dir", type=Path, default=data_folder(), help="holds MNIST; random images where there is none")
    parser.add_argument(
        "--cache", type=Path, default=user_cache_path("budgetnet") / "benchmarks", help="where environments are kept"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
