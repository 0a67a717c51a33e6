"""Commands about runs: quickstart, train, judge, evaluate, report, record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from budgetnet.cli.options import EXIT_CODES, ContractName, DataFolder, Json, RunPath, Threads, app, show
from budgetnet.errors import InputError


@app.command()
def quickstart(data_dir: DataFolder = None, threads: Threads = None, as_json: Json = False) -> None:
    """Train, judge and report, here and now.

    Takes the quickest shipped recipe, on MNIST where MNIST can be had, on the embedded digits otherwise.
    """
    from budgetnet import quickstart as quick
    from budgetnet.presenting import progress

    result = quick.quickstart(data_dir=data_dir, threads=threads, progress=progress(as_json))
    show(as_json, result, quick.closing_words(result))


@app.command()
def train(
    target: Annotated[str | None, typer.Argument(help="A name of the zoo, or path/to/file.py:Class.")] = None,
    data: Annotated[str | None, typer.Option("--data", help="mnist, fashion-mnist, kmnist, digits, an .npz or a folder.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Decides every random number.")] = 0,
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="Passes over the training images; those of a teacher come before.")
    ] = None,
    threads: Threads = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="field=value of the recipe; may be repeated.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Run directory; runs/NAME-DATA-seedN where it is not given.")] = None,
    resume: Annotated[Path | None, typer.Option("--resume", help="Go on with this interrupted run.")] = None,
    previous: Annotated[bool, typer.Option("--previous", help="With --resume: take the checkpoint before the newest.")] = False,
    contract: ContractName = "code9",
    data_dir: DataFolder = None,
    checkpoint_seconds: Annotated[float, typer.Option(help="Seconds between checkpoints inside an epoch.")] = 20.0,
    as_json: Json = False,
) -> None:
    """Train a network, and judge it.

    The log has the form of the published hand-ins. Ctrl-C at any moment; --resume goes on to the same bits.
    """
    from budgetnet.contract import load_contract
    from budgetnet.presenting import progress, run_document, run_text

    rules = load_contract(contract)
    if resume is None and target is None:
        raise InputError("Name a network to train (`budgetnet list` shows the zoo), or a run to go on with: --resume DIR.")
    if resume is not None:
        _refuse_beside_resume(target=target, data=data, epochs=epochs, settings=settings, out=out)
    elif previous:
        raise InputError("--previous goes with --resume.")
    from budgetnet import training

    shared: dict[str, Any] = {
        "threads": threads,
        "data_dir": data_dir,
        "checkpoint_seconds": checkpoint_seconds,
        "progress": progress(as_json),
    }
    if resume is not None:
        run = training.resume(resume, previous=previous, **shared)
    else:
        run = training.train(str(target), data=data, seed=seed, epochs=epochs, settings=settings, out=out, **shared)
    show(as_json, run_document(run, rules), run_text(run, rules))


@app.command()
def judge(
    run: RunPath,
    contract: ContractName = "code9",
    again: Annotated[bool, typer.Option("--again", help="Measure everything anew from the weights and the test split.")] = False,
    data_dir: DataFolder = None,
    as_json: Json = False,
) -> None:
    """Hold a run against a contract.

    Exit code 0: met, 1: broken, 3: unproven, 2: wrong input.
    """
    from budgetnet.contract import judge as hold_against
    from budgetnet.contract import load_contract
    from budgetnet.presenting import verdict_document, verdict_text
    from budgetnet.rundir import open_run

    rules = load_contract(contract)
    directory = open_run(run)
    if directory.finished:
        directory.verify()
    facts = directory.facts()
    if again:
        from budgetnet.trained import measure_again

        facts = measure_again(directory, data_dir=data_dir)
    verdict = hold_against(facts, rules)
    show(as_json, verdict_document(str(run), verdict, facts), verdict_text(str(run), verdict, facts))
    raise typer.Exit(EXIT_CODES[verdict.verdict])


@app.command()
def evaluate(run: RunPath, data_dir: DataFolder = None, as_json: Json = False) -> None:
    """Print [loss, accuracy] of a finished run.

    The test split is sent through its network again, one pass an image.
    """
    from budgetnet.rundir import open_run
    from budgetnet.trained import evaluate_run

    result = evaluate_run(open_run(run), data_dir=data_dir)
    document = {"loss": result.loss, "accuracy": result.accuracy, "images": result.images, "correct": result.correct}
    show(as_json, document, str([result.loss, result.accuracy]))


@app.command()
def report(
    run: RunPath,
    contract: ContractName = "code9",
    strategy: Annotated[Path | None, typer.Option("--strategy", help="Your own words, a Markdown file.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder; report/ in the run where it is not given.")] = None,
    as_json: Json = False,
) -> None:
    """Write the hand-in: a README with pictures.

    Verdict, logs, evaluation, layer table, strategy, curves, confusion and mistakes, from the run directory alone.
    """
    from budgetnet.report import write_report

    readme = write_report(run, contract=contract, strategy=strategy, out=out)
    show(as_json, {"report": str(readme)}, f"Written: {readme}")


@app.command()
def record(
    runs: Annotated[list[Path], typer.Argument(help="Finished runs of one recipe, one for each seed.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder; records/DATE-NAME where it is not given.")] = None,
    contract: ContractName = "code9",
    commit: Annotated[
        list[str] | None, typer.Option("--commit", help="Commit that the runs were made with; where they differ, one for each run.")
    ] = None,
    frozen: Annotated[
        str | None, typer.Option("--frozen", help="Commit that froze the recipe, before the test split was read.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Gather finished runs into a record.

    A line for each seed, mean and interval, the probability of meeting the contract, and the command that makes it again.
    """
    from budgetnet.record import write_record
    from budgetnet.record_text import record_text

    path, document = write_record(runs, out, contract=contract, commits=commit or [], frozen=frozen)
    show(as_json, document, record_text(path, document))


def _refuse_beside_resume(**given: Any) -> None:
    for name, value in given.items():
        if value:
            word = "a network" if name == "target" else f"--{name}"
            raise InputError(f"--resume goes on with a run as it was started; {word} cannot be given beside it.")
