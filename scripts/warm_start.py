"""Test an explanation: train a finished run's network again from its final weights, with a fresh optimizer and the schedule from its start.

The published `one-pool` log opens at a training accuracy of 0.9820, so its weights had been trained before. If that explains how it
reached more than fresh weights do, a second training on top of ours must open and end where the published one does. What comes out
has twice the epochs behind it and fits no contract; it is evidence about a log, nothing else.

    python scripts/warm_start.py RUN --out records/one-pool/warm-start.json --data-dir FOLDER --threads 1
"""

import argparse
import json
from pathlib import Path

import torch

from budgetnet import datasets
from budgetnet.fit import Fit
from budgetnet.interruption import StopRequest
from budgetnet.loss import log_probability_function, training_answer_function
from budgetnet.optimizer import make_optimizer
from budgetnet.progress import KerasLines
from budgetnet.rundir import open_run
from budgetnet.state import Position
from budgetnet.trained import load_trained


def main() -> None:
    """Train again and write the log's rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()

    torch.set_num_threads(given.threads)
    run = open_run(given.run)
    recipe, seed = run.recipe(), int(run.identity()["seed"]) + 1
    dataset = datasets.load(recipe.data, data_dir=given.data_dir)
    network = load_trained(run, dataset)
    log_probabilities = log_probability_function(network, dataset.shape, len(dataset.class_names))
    fit = Fit(
        path=given.out,
        recipe=recipe,
        seed=seed,
        network=network,
        log_probabilities=log_probabilities,
        training_answers=training_answer_function(network, log_probabilities),
        optimizer=make_optimizer(recipe, network.parameters()),
        average=None,
        training=dataset.training,
        watched=dataset.test,
        classes=len(dataset.class_names),
        position=Position(),
        generator_states={},
        capture=lambda _fit: lambda: None,
        checkpoint_seconds=float("inf"),
        stop=StopRequest(),
        progress=KerasLines(),
    )
    fit.run()
    document = {
        "what": f"{recipe.name} trained a second time from the final weights of its run with seed {seed - 1}; evidence, not a record",
        "command": f"python scripts/warm_start.py {given.run} --out {given.out} --threads {given.threads}",
        "seed": seed,
        "fingerprint": run.fingerprint(),
        "log": fit.position.log,
    }
    given.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
