"""What the commands share: the application, the options that several take, exit codes, and the printing of a result."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

EXIT_CODES = {"met": 0, "broken": 1, "unproven": 3}
"""Of the commands that judge; wrong input is 2."""

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


class _Results:
    """Where results go: stdout, which may be hidden from everything else."""

    stream: TextIO | None = None


def claim_stdout(for_results: bool) -> None:
    """Keep stdout for `show` alone: what a user's network prints then goes to stderr."""
    _Results.stream = sys.stdout if for_results else None
    if for_results:
        sys.stdout = sys.stderr


def show(as_json: bool, document: Any, text: str | None) -> None:
    """Print a command's result: as JSON, alone on stdout, or as text."""
    content = json.dumps(document, indent=2, ensure_ascii=False, default=str, allow_nan=False) if as_json else text
    typer.echo(content, file=_Results.stream)
