"""Kill a study of `digits` with SIGKILL at random moments, start it again, and see that each run is there once.

    python scripts/kill_study.py --kills 200

Seeds are added whenever the study gets complete before its next kill. At the end it is left to finish, and everything is held against
everything: a finished line for each run and no more, run directories that are whole, and the bits of runs that nobody killed.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from budgetnet import rundir, training
from budgetnet.durable import sha256
from budgetnet.journal import read_journal
from budgetnet.study.ledger import LEDGER, RUNS, read_histories

NETWORK = """
from torch import nn
class Small(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, width, 5, 2), nn.ReLU(), nn.BatchNorm2d(width), nn.Conv2d(width, 10, 5, 2))
    def forward(self, images):
        return self.layers(images).mean((2, 3))
"""
COMPARED = 4
"""Runs that are trained once more, undisturbed."""
STUDY = """
data = "digits"
epochs = 3
[[recipes]]
name = "narrow"
network = "small.py:Small"
[[recipes]]
name = "wide"
network = "small.py:Small"
set = { "network.width" = 8 }
[set]
validation = 0
watch = "nothing"
"""


def main() -> None:
    """Kill, start again, and check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--longest", type=float, default=9.0, help="seconds before a kill, at most")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    out = given.out or Path(tempfile.mkdtemp(prefix="budgetnet-kills-"))
    out.mkdir(parents=True, exist_ok=True)
    (out / "small.py").write_text(NETWORK, encoding="utf-8")
    (out / "study.toml").write_text(STUDY, encoding="utf-8")
    seeds = kill(out, given.kills, given.longest, given.jobs, random.Random(given.seed))  # noqa: S311 - moments, no secrets
    if start(out, seeds, given.jobs).wait() != 0:
        sys.exit("The study did not get complete.")
    print(f"{given.kills} kills; {check(out, seeds)}")


def start(out: Path, seeds: int, jobs: int) -> subprocess.Popen[bytes]:
    """Start the study, or go on with it."""
    words = [
        "study",
        str(out / "study.toml"),
        "--seeds",
        str(seeds),
        "--jobs",
        str(jobs),
        "--nice",
        "0",
        "--out",
        str(out / "studies"),
    ]
    return subprocess.Popen([sys.executable, "-m", "budgetnet", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill(out: Path, kills: int, longest: float, jobs: int, moments: random.Random) -> int:
    """Kill the study so often; return the seeds that it has in the end."""
    seeds, killed = 2, 0
    while killed < kills:
        process = start(out, seeds, jobs)
        try:
            process.wait(timeout=moments.uniform(0.0, longest))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
            print(f"kill {killed}: {len(read_journal(out / 'studies' / LEDGER).texts)} lines in the ledger", flush=True)
        else:
            if process.returncode != 0:
                sys.exit(f"The study ended with exit code {process.returncode}.")
            seeds += 2
    return seeds


def check(out: Path, seeds: int) -> str:
    """Return in words what was found; exit where it is not as it must be."""
    folder = out / "studies"
    histories = read_histories(folder)
    lines = [json.loads(text) for text in read_journal(folder / LEDGER).texts]
    finished = Counter(line["key"] for line in lines if line["event"] == "finished")
    started = sum(line["event"] == "started" for line in lines)
    problems = [f"{key} has {number} results" for key, number in finished.items() if number != 1]
    if len(finished) != 2 * seeds or len(histories.runs) != 2 * seeds:
        problems.append(f"{len(finished)} results and {len(histories.runs)} runs where {2 * seeds} are asked for")
    if any(line["event"] == "failed" for line in lines):
        problems.append("a kill was taken for a failure")
    folders = {path.name for path in (folder / RUNS).iterdir()}
    if folders != set(finished):
        problems.append(f"run directories that the ledger does not know, or lacks: {sorted(folders ^ set(finished))}")
    begun = time.monotonic()
    for place, (key, history) in enumerate(sorted(histories.runs.items())):
        run = rundir.open_run(folder / RUNS / key)
        run.verify()
        if history.result is None or history.result.weights_sha256 != sha256(run.read(rundir.WEIGHTS)):
            problems.append(f"{key}: the ledger and the run differ")
        elif place % max(1, len(histories.runs) // COMPARED) == 0:
            again = training.train(run.recipe(), seed=history.seed or 0, threads=1, out=out / "again" / f"{place}-{begun}")
            if sha256(again.read(rundir.WEIGHTS)) != history.result.weights_sha256:
                problems.append(f"{key}: other bits than the same run undisturbed")
    if problems:
        sys.exit("\n".join(problems))
    return f"{2 * seeds} runs, begun or gone on with {started} times; each has one result, the bits of undisturbed runs"


if __name__ == "__main__":
    main()
