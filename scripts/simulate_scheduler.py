"""What a study of 10,000 runs costs the one process that conducts it, and how many nodes that process can feed.

    python scripts/simulate_scheduler.py

First the real loop, ledger, index and statistics go through 10,000 runs that end at once (each hands back one real run of `digits`);
this measures what a run costs the conductor. Then a discrete-event simulation lets clusters of growing size, with failures and lost nodes,
wait for a conductor that takes that long. One run is trained; it takes some minutes, most of them the disk's.
"""

from __future__ import annotations

import argparse
import heapq
import random
import tempfile
import time
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Self

from budgetnet import training
from budgetnet.contract import load_contract
from budgetnet.recipe import Recipe
from budgetnet.rundir import RunDirectory
from budgetnet.study.arms import Arm, Study
from budgetnet.study.conducting import conduct
from budgetnet.study.executors import RunFailed, Standing
from budgetnet.study.executors.cluster import put_in_place
from budgetnet.study.executors.node import gather
from budgetnet.study.index import find_runs
from budgetnet.study.ledger import LEDGER, open_ledger, read_histories
from budgetnet.study.results import study_document
from budgetnet.study.showing import Silent
from budgetnet.study.spec import RunSpec

RUN_MINUTES = 10.0
"""Of a published network on MNIST, one thread; runs differ by a fifth."""
FAILING = 0.01
LOST_A_DAY = 0.05
"""Share of nodes that are lost in a day, with the run that they were at."""


class AtOnce:
    """An executor whose runs end at once, in the same directory; one in a hundred fails its first time."""

    name = "a simulation"
    slots = 256

    def __init__(self, run: RunDirectory, copies: Path) -> None:
        self.files = gather(run.path)
        self.run = run
        self.copies = copies
        self.failed: set[str] = set()
        self.moments = random.Random(0)  # noqa: S311

    def __enter__(self) -> Self:
        """Nothing."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing."""

    def submit(self, spec: RunSpec) -> Future[RunDirectory]:
        """Bring back a run directory, as an executor of a cluster does, or fail."""
        future: Future[RunDirectory] = Future()
        if spec.key not in self.failed and self.moments.random() < FAILING:
            self.failed.add(spec.key)
            future.set_exception(RunFailed("crash", "one in a hundred"))
        else:
            put_in_place(self.copies / f"run{spec.seed % self.slots}", self.files)
            future.set_result(self.run)
        return future

    def standings(self) -> dict[str, Standing]:
        """None is under way."""
        return {}

    def stop(self) -> None:
        """Nothing."""


def main() -> None:
    """Measure, then simulate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="budgetnet-simulation-") as folder:
        a_run = measure(Path(folder), given.runs)
    print(f"\n{'nodes':>7} {'conductor busy':>15} {'nodes busy':>11} {'whole study':>12}")
    for nodes in (10, 100, 1_000, 2_000, 5_000, 10_000, 50_000):
        busy, used, hours = simulate(nodes, max(given.runs, 5 * nodes), a_run)
        print(f"{nodes:>7,} {busy:>14.0%} {used:>11.0%} {hours:>9.1f} h")


def measure(folder: Path, runs: int) -> float:
    """Return the seconds that a run costs the conductor."""
    recipe = Recipe(name="code9-gap", network="code9-gap", data="digits", epochs=1)
    run = training.train(recipe, out=folder / "run", threads=1)
    arms = tuple(Arm(f"rate {number}", recipe.varied(rate=0.001 * (number + 1))) for number in range(10))
    pairs = tuple((other, 0) for other in range(1, len(arms)))
    seeds = tuple(range(runs // len(arms)))
    study = Study("simulated", "A simulation", "", arms, seeds, pairs, load_contract("code9"), 1)
    out = folder / "studies"
    with open_ledger(out) as ledger:
        started = time.monotonic()
        conducted = conduct(study.specs(), ledger, AtOnce(run, folder / "copies"), Silent())
        seconds = time.monotonic() - started
    a_run = seconds / conducted.trained
    print(f"{conducted.trained:,} runs conducted in {seconds:.0f} s: {a_run * 1000:.1f} ms a run, of them the most for the disk")
    print(f"ledger: {(out / LEDGER).stat().st_size / 2**20:.0f} MiB")
    for what, work in (
        ("reading the ledger, as every start does", lambda: read_histories(out)),
        ("making the index", lambda: find_runs(out, most=1)),
        ("a question to the index", lambda: find_runs(out, where="accuracy > 0.5 and seed < 7", sort="accuracy", most=20)),
    ):
        started = time.monotonic()
        work()
        print(f"{what}: {time.monotonic() - started:.2f} s")
    histories = read_histories(out)
    started = time.monotonic()
    study_document(study, histories)
    print(f"statistics over {runs:,} runs: {time.monotonic() - started:.2f} s")
    return a_run


def simulate(nodes: int, runs: int, a_run: float) -> tuple[float, float, float]:
    """Return how busy the conductor and the nodes are, and the hours that the study takes.

    Each node takes a run, then waits for the conductor to take its result and to hand it the next: a queue with one server.
    """
    moments = random.Random(nodes)  # noqa: S311
    free_at, served, worked, left, last = 0.0, 0.0, 0.0, runs, 0.0
    ends: list[tuple[float, bool]] = []
    for _ in range(min(nodes, runs)):
        free_at += a_run / 2  # handing out costs a line of the ledger, taking back the other half
        heapq.heappush(ends, _end_of(moments, free_at))
        left -= 1
    while ends:
        at, ended_well = heapq.heappop(ends)
        if not ended_well:
            left += 1
        worked += 1
        free_at = max(free_at, at) + a_run
        served += a_run
        last = free_at
        if left > 0:
            heapq.heappush(ends, _end_of(moments, free_at))
            left -= 1
    minutes = worked * RUN_MINUTES
    return served / last, minutes * 60 / (last * min(nodes, runs)), last / 3600


def _end_of(moments: random.Random, start: float) -> tuple[float, bool]:
    seconds = RUN_MINUTES * 60 * moments.uniform(0.8, 1.2)
    lost = moments.random() < FAILING + LOST_A_DAY * seconds / 86_400
    return start + (moments.random() * seconds if lost else seconds), not lost


if __name__ == "__main__":
    main()
