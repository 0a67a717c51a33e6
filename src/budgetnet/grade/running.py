"""A class: its hand-ins found, graded side by side, kept in the ledger as they are done, and written as a table and a page.

One crashing, hanging or hostile hand-in costs its own row; Ctrl-C keeps what is done, and the next start goes on there. Costs about
three seconds of processor time for each hand-in, nearly all of it the check's import of torch. No torch here.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from budgetnet.contract import load_contract, preset_names
from budgetnet.durable import flush_folder, write_durably
from budgetnet.errors import InputError
from budgetnet.grade.children import PROGRAM
from budgetnet.grade.contents import contents_of
from budgetnet.grade.csv_file import csv_text
from budgetnet.grade.grading import Rules, Stopped, grade_hand_in, refused
from budgetnet.grade.handins import Class, HandIn, hand_ins_of
from budgetnet.grade.ledger import Ledger, open_ledger
from budgetnet.grade.page import Told, page
from budgetnet.grade.rows import Ranked, Row, ranked
from budgetnet.grade.showing import Showing, Silent
from budgetnet.interruption import listening
from budgetnet.version import __version__

CSV, HTML = "grades.csv", "grades.html"
TIMEOUT = 60.0
LONGEST_TIMEOUT = 86_400.0
MOST_JOBS = 256
LONGEST_NETWORK = 400
LISTENING_SECONDS = 0.2
READERS = ("torch", "keras", "onnx")
"""Libraries whose version, or absence, changes what can be checked."""


@dataclass(frozen=True)
class Graded:
    """A graded class."""

    rows: tuple[Ranked, ...]
    csv: Path
    html: Path
    skipped: int
    """How many were done before, and are unchanged."""
    left: int
    """How many were not reached."""
    signal: int | None
    """What stopped it."""


def grade_folder(
    folder: Path,
    *,
    contract: str = "code9",
    jobs: int | None = None,
    timeout: float = TIMEOUT,
    out: Path | None = None,
    again: bool = False,
    network: str | None = None,
    showing: Showing | None = None,
    program: Sequence[str] = PROGRAM,
) -> Graded:
    """Grade each hand-in of `folder` and write `grades.csv`, `grades.html` and the ledger into `out` (`FOLDER-grades` beside it).

    `jobs` hand-ins at a time (as many as there are processors), `timeout` seconds for each, `again` also those that are done,
    `network` the name (or pattern) of the network to take where a hand-in holds several. `program` is what answers `check` and `audit`.
    Raises `InputError` for what is no folder of hand-ins, no contract, or no place to write.
    """
    rules = _rules(contract, timeout, program, network)
    workers = _workers(jobs)
    target = (out if out is not None else _beside(folder)).resolve()
    hand_ins = hand_ins_of(folder, without=target)
    for name in (CSV, HTML):
        if (target / name).is_dir():
            raise InputError(f"{target / name}: is a folder; choose another --out.")
    with open_ledger(target) as ledger:
        work = _Work(hand_ins, rules, ledger, again, showing or Silent())
        signal = work.run(workers)
        rows = ranked(work.rows)
        left = len(hand_ins.hand_ins) - len(rows)
        told = Told(folder.resolve().name, rules.contract, left, hand_ins.passed_over)
        _replace(target, {CSV: csv_text(rows, rules.contract).encode(), HTML: page(rows, told).encode()})
    return Graded(tuple(rows), target / CSV, target / HTML, work.skipped, left, signal)


class _Work:
    """The hand-ins of one start, on their way to rows."""

    def __init__(self, hand_ins: Class, rules: Rules, ledger: Ledger, again: bool, showing: Showing) -> None:
        self.hand_ins = hand_ins
        self.rules = rules
        self.ledger = ledger
        self.again = again
        self.showing = showing
        self.salt = _salt(rules)
        self.rows: list[Row] = []
        self.skipped = 0

    def run(self, workers: int) -> int | None:
        """Grade all; return the signal that stopped it, None where none did."""
        todo = self.hand_ins.hand_ins
        stop = threading.Event()
        with self.showing, listening() as request, ThreadPoolExecutor(max_workers=workers) as pool:
            self.showing.begin(len(todo), self.ledger.damaged, self.hand_ins.passed_over)
            pending = {pool.submit(self._one, hand_in, stop): hand_in for hand_in in todo}
            try:
                while pending and request.signal is None:
                    done, _ = wait(pending, timeout=LISTENING_SECONDS, return_when=FIRST_COMPLETED)
                    for future in done:
                        self._take(future, pending.pop(future))
            finally:
                stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
            for future, hand_in in pending.items():
                if not future.cancelled():
                    self._take(future, hand_in)
            return request.signal

    def _one(self, hand_in: HandIn, stop: threading.Event) -> tuple[Row, bool]:
        """Return a row and whether it was known already."""
        if stop.is_set():
            raise Stopped
        if hand_in.problem:
            return refused(hand_in, hand_in.problem), False
        try:
            contents = contents_of(hand_in, self.salt)
        except InputError as error:
            return refused(hand_in, str(error)), False
        except OSError as error:
            return refused(hand_in, f"{hand_in.name}: cannot be read ({error.strerror})."), False
        known = None if self.again else self.ledger.done(contents.digest, self.rules.timeout)
        if known is not None:
            return known, True
        row = grade_hand_in(hand_in, contents, self.rules, stop)
        self.ledger.keep(row)
        return row, False

    def _take(self, future: Future[tuple[Row, bool]], hand_in: HandIn) -> None:
        try:
            row, known = future.result()
        except Stopped:
            return
        except InputError:
            raise
        except Exception as error:  # one row's accident, whatever it is, is not the class's
            row, known = refused(hand_in, f"{hand_in.name}: could not be graded ({type(error).__name__})."), False
        self.rows.append(row)
        self.skipped += known
        self.showing.row(row, known)


def _rules(contract: str, timeout: float, program: Sequence[str], network: str | None = None) -> Rules:
    if not 0 < timeout <= LONGEST_TIMEOUT:
        raise InputError(f"--timeout is a number of seconds above 0 and up to {LONGEST_TIMEOUT:,.0f} (given: {timeout:g}).")
    rules = load_contract(contract)
    # The children work in folders of their own, where a relative path would lead nowhere.
    name = contract if contract in preset_names() else str(Path(contract).resolve())
    if network is not None and (not network.strip() or len(network) > LONGEST_NETWORK):
        raise InputError(f"--network is a name, or a pattern of names with * and ?, of up to {LONGEST_NETWORK} signs.")
    return Rules(rules, name, timeout, tuple(program), network)


def _workers(jobs: int | None) -> int:
    if jobs is not None:
        if not 1 <= jobs <= MOST_JOBS:
            raise InputError(f"--jobs is a number from 1 to {MOST_JOBS} (given: {jobs}).")
        return jobs
    # A container or a `taskset` may leave fewer processors than the machine has.
    able = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return min(len(able), MOST_JOBS)


def _beside(folder: Path) -> Path:
    whole = folder.resolve()
    return whole.parent / f"{whole.name or 'hand-ins'}-grades"


def _salt(rules: Rules) -> bytes:
    """Return what a row depends on beside the hand-in: the contract, this program, and the libraries that read networks."""
    versions = [__version__]
    for library in READERS:
        try:
            versions.append(f"{library} {metadata.version(library)}")
        except metadata.PackageNotFoundError:
            versions.append(f"no {library}")
    return "\n".join([*versions, *rules.program, rules.contract.model_dump_json(), rules.network or ""]).encode()


def _replace(folder: Path, files: dict[str, bytes]) -> None:
    """Write each file beside its place, then rename it there."""
    for name, content in files.items():
        temporary = folder / f".{name}.{os.getpid()}.tmp"
        try:
            temporary.unlink(missing_ok=True)
            write_durably(temporary, content)
            temporary.replace(folder / name)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise InputError(f"{folder / name}: cannot be written ({error.strerror}); choose another --out.") from None
    flush_folder(folder)
