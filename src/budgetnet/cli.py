"""The command line: parse, call, print. Each command imports what it needs when it runs; nothing is decided here.

Wrong input is one sentence on stderr and exit code 2. `--json` gives a command's result on stdout, alone. Commands that judge exit
with 0 (met), 1 (broken) or 3 (unproven).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from budgetnet.errors import Diverged, InputError
from budgetnet.version import __version__

EXIT_CODES = {"met": 0, "broken": 1, "unproven": 3}
WRONG_INPUT = 2

app = typer.Typer(
    name="budgetnet",
    help="Train, check, compare and hand in image classifiers that must fit a contract.",
    epilog="Start with: budgetnet quickstart",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # formatted help would cost half of the time that --help may take
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, alone on stdout.")]
ContractName = Annotated[str, typer.Option("--contract", "-c", help="A preset (see `budgetnet contracts`) or a TOML file.")]
DataFolder = Annotated[
    Path | None, typer.Option("--data-dir", envvar="BUDGETNET_DATA", show_envvar=True, help="Folder that holds the data sets.")
]
Threads = Annotated[int | None, typer.Option("--threads", help="Processor threads; all where it is not given.")]
Target = Annotated[str, typer.Argument(help="A name of the zoo, or path/to/file.py:Class.")]
RunPath = Annotated[Path, typer.Argument(help="A run directory.")]
Input = Annotated[str, typer.Option("--input", help="Channels, height and width of an image.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"budgetnet {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Train, check, compare and hand in image classifiers that must fit a contract."""


@app.command()
def quickstart(data_dir: DataFolder = None, threads: Threads = None, as_json: Json = False) -> None:
    """Train, judge and report, here and now.

    Takes the quickest shipped recipe, on MNIST where MNIST can be had, on the embedded digits otherwise.
    """
    from budgetnet import quickstart as quick
    from budgetnet.presenting import progress

    result = quick.quickstart(data_dir=data_dir, threads=threads, progress=progress(as_json))
    _print(as_json, result, quick.closing_words(result))


@app.command("list")
def list_networks(as_json: Json = False) -> None:
    """Show the zoo with counts and claims."""
    from budgetnet import listing

    rows = listing.zoo_rows()
    _print(as_json, rows, None if as_json else listing.zoo_table(rows))


@app.command()
def summary(target: Target, input_shape: Input = "1x28x28", as_json: Json = False) -> None:
    """Print a network's layer table.

    First as Keras prints it, then with what each layer sees and costs, and the four parameter counts.
    """
    from budgetnet.checking import network_facts
    from budgetnet.summary import layer_table, wide_table

    facts = network_facts(target, input_shape)
    _print(as_json, facts.model_dump(mode="json"), f"{layer_table(facts)}\n\n{wide_table(facts)}")


@app.command()
def check(target: Target, contract: ContractName = "code9", input_shape: Input = "1x28x28", as_json: Json = False) -> None:
    """Judge an untrained network.

    Its static clauses, with epochs and accuracy unproven. Exit code 0: met, 1: broken, 3: unproven, 2: wrong input.
    """
    from budgetnet.checking import network_facts
    from budgetnet.contract import judge as hold_against
    from budgetnet.contract import load_contract
    from budgetnet.facts import Facts
    from budgetnet.presenting import verdict_document, verdict_text

    rules = load_contract(contract)
    facts = Facts(network=network_facts(target, input_shape))
    verdict = hold_against(facts, rules)
    _print(as_json, verdict_document(target, verdict, facts), verdict_text(target, verdict, facts))
    raise typer.Exit(EXIT_CODES[verdict.verdict])


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
    _print(as_json, verdict_document(str(run), verdict, facts), verdict_text(str(run), verdict, facts))
    raise typer.Exit(EXIT_CODES[verdict.verdict])


@app.command()
def train(
    target: Annotated[str | None, typer.Argument(help="A name of the zoo, or path/to/file.py:Class.")] = None,
    data: Annotated[str | None, typer.Option("--data", help="mnist, fashion-mnist, kmnist, digits, an .npz or a folder.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Decides every random number.")] = 0,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Passes over the training images.")] = None,
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
    _print(as_json, run_document(run, rules), run_text(run, rules))


@app.command()
def evaluate(run: RunPath, data_dir: DataFolder = None, as_json: Json = False) -> None:
    """Print [loss, accuracy] of a finished run.

    The test split is sent through its network again, one pass an image.
    """
    from budgetnet.rundir import open_run
    from budgetnet.trained import evaluate_run

    result = evaluate_run(open_run(run), data_dir=data_dir)
    document = {"loss": result.loss, "accuracy": result.accuracy, "images": result.images, "correct": result.correct}
    _print(as_json, document, str([result.loss, result.accuracy]))


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
    _print(as_json, {"report": str(readme)}, f"Written: {readme}")


@app.command()
def contracts(
    name: Annotated[str | None, typer.Argument(help="A preset or a TOML file, to see its clauses.")] = None, as_json: Json = False
) -> None:
    """Show the contracts, or one of them."""
    from budgetnet import listing

    if name is None:
        rows = listing.contract_rows()
        _print(as_json, rows, None if as_json else listing.contract_table(rows))
    else:
        document = listing.contract_document(name)
        _print(as_json, document, json.dumps(document, indent=2, ensure_ascii=False))


@app.command()
def data(
    name: Annotated[str | None, typer.Argument(help="A data set to load and verify.")] = None,
    data_dir: DataFolder = None,
    as_json: Json = False,
) -> None:
    """Show the data sets, or verify one.

    Naming one loads it, from a folder, the cache or a mirror.
    """
    from budgetnet import listing

    if name is None:
        rows = listing.data_rows()
        _print(as_json, rows, None if as_json else listing.data_table(rows))
    else:
        document = listing.data_document(name, data_dir)
        _print(as_json, document, "\n".join(f"{key}: {value}" for key, value in document.items()))


@app.command()
def record(
    runs: Annotated[list[Path], typer.Argument(help="Finished runs of one recipe, one for each seed.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the record, records/NAME.")],
    contract: ContractName = "code9",
    commit: Annotated[str | None, typer.Option("--commit", help="Commit that the runs were made with.")] = None,
    as_json: Json = False,
) -> None:
    """Gather finished runs into a record.

    Raw values for each seed, mean and interval, and the command that makes it again.
    """
    from budgetnet.record import write_record

    path, document = write_record(runs, out, contract=contract, commit=commit)
    _print(as_json, document, f"Written: {path}")


def _refuse_beside_resume(**given: Any) -> None:
    for name, value in given.items():
        if value:
            word = "a network" if name == "target" else f"--{name}"
            raise InputError(f"--resume goes on with a run as it was started; {word} cannot be given beside it.")


def _print(as_json: bool, document: Any, text: str | None) -> None:
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False, default=str) if as_json else text)


def _stop(code: int, sentence: str) -> NoReturn:
    sys.stdout.flush()
    typer.echo(f"budgetnet: {sentence}", err=True)
    raise SystemExit(code)


def main() -> None:
    """Run the command line; errors become one sentence and an exit code."""
    from budgetnet.interruption import Interrupted

    try:
        app()
    except InputError as error:
        _stop(WRONG_INPUT, str(error))
    except Diverged as error:
        _stop(1, str(error))
    except Interrupted as error:
        _stop(128 + error.signal, f"{error}; the state is saved. Go on with: budgetnet train --resume {error.path}")
    except KeyboardInterrupt:
        _stop(130, "stopped.")
    except BrokenPipeError:
        # Whoever read the output closed it; a second complaint at exit would only confuse.
        sys.stderr.close()
        raise SystemExit(1) from None
