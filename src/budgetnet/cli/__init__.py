"""The command line: parse, call, print. Each command imports what it needs when it runs; nothing is decided here.

Wrong input is one sentence on stderr and exit code 2. `--json` gives a command's result on stdout, alone. The files of this
folder each hold a family of commands.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated, NoReturn

import typer

from budgetnet.cli import auditing, grading, networks, options, reproducing, runs, shelves, studies, uses
from budgetnet.cli.options import app
from budgetnet.errors import Diverged, InputError
from budgetnet.interruption import Interrupted
from budgetnet.version import __version__

__all__ = ["app", "auditing", "grading", "main", "networks", "reproducing", "runs", "shelves", "studies", "uses"]

WRONG_INPUT = 2
UNEXPECTED = 70
"""As sysexits.h has it: none of the codes that mean a verdict."""
TRACEBACK = "BUDGETNET_TRACEBACK"
"""The environment variable that shows where an unexpected error comes from."""


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"budgetnet {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Train, check, compare and hand in image classifiers that must fit a contract."""


def _stop(code: int, sentence: str) -> NoReturn:
    sys.stdout.flush()
    typer.echo(f"budgetnet: {sentence}", err=True)
    raise SystemExit(code)


def main() -> None:
    """Run the command line; errors become one sentence and an exit code."""
    options.claim_stdout("--json" in sys.argv)
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
        raise SystemExit(128 + signal.SIGPIPE) from None
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        words = (str(error).strip().splitlines() or ["no words"])[0]
        _stop(UNEXPECTED, f"unexpected {type(error).__name__}: {words} (a fault of the program; set {TRACEBACK}=1 to see where)")
