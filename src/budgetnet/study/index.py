"""An index over the ledger, so that a question about thousands of runs takes milliseconds: `runs.sqlite` beside it.

It holds nothing that the ledger does not say. It takes up the lines that came since it was last used; where it is missing, damaged, of
another version, or does not fit the ledger, it is made anew. No torch; about 5,000 lines a second.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from budgetnet.errors import InputError, did_you_mean
from budgetnet.journal import read_journal, sum_of
from budgetnet.study.condition import Kind, parse_condition
from budgetnet.study.entries import Failed, Finished, Result, Started
from budgetnet.study.ledger import LEDGER, TRIES, parse_line

INDEX = "runs.sqlite"
VERSION = 1
COLUMNS: dict[str, Kind] = {
    "run": "text",
    "recipe": "text",
    "network": "text",
    "data": "text",
    "seed": "number",
    "state": "text",
    "accuracy": "number",
    "best": "number",
    "last5": "number",
    "loss": "number",
    "parameters": "number",
    "trainable": "number",
    "non_trainable": "number",
    "with_hidden": "number",
    "non_zero": "number",
    "multiply_accumulates": "number",
    "epochs": "number",
    "batch": "number",
    "optimizer": "text",
    "rate": "number",
    "schedule": "text",
    "settings": "text",
    "seconds": "number",
    "attempts": "number",
    "failures": "number",
    "reason": "text",
    "finished_at": "text",
}
"""What a question can name: a run's name, what its recipe says, what it came to. `parameters` is the total."""
HIGHEST_FIRST = frozenset({"accuracy", "best", "last5"})


def find_runs(
    folder: Path, *, where: str | None = None, sort: str | None = None, reverse: bool = False, most: int | None = None
) -> list[dict[str, Any]]:
    """Return the runs that meet a condition, a row for each. Raises `InputError` for a question that cannot be read.

    Accuracies are sorted from the highest, everything else from the lowest; a run without a value comes last.
    """
    values: list[float | str] = []
    sql = f"SELECT {', '.join(_quoted(COLUMNS))} FROM runs"  # noqa: S608 - names from the table above
    if where is not None:
        condition = parse_condition(where, COLUMNS)
        sql += f" WHERE {condition.sql}"
        values += condition.values
    column = sort or "run"
    if column not in COLUMNS:
        raise InputError(f"--sort: runs have no {column!r}.{did_you_mean(column, COLUMNS)}")
    falling = (column in HIGHEST_FIRST) != reverse
    sql += f' ORDER BY "{column}" IS NULL, "{column}" {"DESC" if falling else "ASC"}, "run"'
    if most is not None:
        sql += " LIMIT ?"
        values.append(most)
    with open_index(folder) as connection:
        return [dict(zip(COLUMNS, row, strict=True)) for row in connection.execute(sql, values)]


@contextlib.contextmanager
def open_index(folder: Path) -> Iterator[sqlite3.Connection]:
    """Yield the index of a folder, brought up to its ledger."""
    ledger = folder / LEDGER
    if not ledger.exists():
        raise InputError(
            f"{folder}: holds no ledger of studies ({LEDGER}); name the folder that `budgetnet study` wrote, with --out."
        )
    try:
        connection = _brought_up(folder / INDEX, ledger)
    except sqlite3.DatabaseError:
        # Whatever lies there is no truth: away with it.
        connection = _anew(folder / INDEX, ledger)
    with contextlib.closing(connection):
        yield connection


def _anew(path: Path, ledger: Path) -> sqlite3.Connection:
    try:
        for litter in path.parent.glob(f"{INDEX}*"):
            litter.unlink()
        return _brought_up(path, ledger)
    except (OSError, sqlite3.DatabaseError):
        # A folder that cannot be written to can still be asked.
        connection = sqlite3.connect(":memory:")
        _create(connection)
        _take_up(connection, ledger, 0)
        return connection


def _brought_up(path: Path, ledger: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30)
    try:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            start = _known_up_to(connection, ledger)
            if start is None:
                _create(connection)
            _take_up(connection, ledger, start or 0)
    except BaseException:
        connection.close()
        raise
    return connection


def _known_up_to(connection: sqlite3.Connection, ledger: Path) -> int | None:
    """Return the byte of the ledger that the index has reached; None where it is to be made anew."""
    if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        return None
    reached = connection.execute("SELECT line_start, line_end, sum FROM reached").fetchone()
    if reached is None:
        return 0
    start, end, known = reached
    with ledger.open("rb") as file:
        file.seek(start)
        line = file.read(end - start)
    try:
        fits = line.endswith(b"\n") and sum_of(json.loads(line)["row"]) == known
    except (ValueError, TypeError, KeyError):
        fits = False
    return int(end) if fits else None


def _create(connection: sqlite3.Connection) -> None:
    names = ", ".join(f'"{name}" {"REAL" if kind == "number" else "TEXT"}' for name, kind in COLUMNS.items())
    connection.execute("DROP TABLE IF EXISTS runs")
    connection.execute("DROP TABLE IF EXISTS reached")
    connection.execute(f"CREATE TABLE runs ({names}, PRIMARY KEY (run))")
    connection.execute("CREATE TABLE reached (line_start INTEGER, line_end INTEGER, sum TEXT)")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _take_up(connection: sqlite3.Connection, ledger: Path, start: int) -> None:
    reading = read_journal(ledger, start)
    for text in reading.texts:
        line = parse_line(text)
        if isinstance(line, Started):
            _set(connection, line.key, {"state": "started", "attempts": line.attempt, **_asked(line)}, unless_finished=True)
        elif isinstance(line, Finished):
            _set(connection, line.key, {"state": "finished", "finished_at": line.at, "reason": None, **_reached(line.result)})
        elif isinstance(line, Failed):
            state = "left out" if line.attempt >= TRIES else "failed"
            reason = f"{line.kind}: {line.words}"
            _set(connection, line.key, {"state": state, "failures": line.attempt, "reason": reason}, unless_finished=True)
        elif line is not None:
            _set(connection, line.key, {"state": "started", "failures": 0, "reason": None}, unless_finished=True)
    if reading.last is not None:
        connection.execute("DELETE FROM reached")
        connection.execute("INSERT INTO reached VALUES (?, ?, ?)", (reading.last.start, reading.last.end, reading.last.sum))


def _set(connection: sqlite3.Connection, key: str, values: dict[str, Any], *, unless_finished: bool = False) -> None:
    connection.execute("INSERT OR IGNORE INTO runs (run) VALUES (?)", (key,))
    if not unless_finished and connection.execute("SELECT 1 FROM runs WHERE run = ? AND state = 'finished'", (key,)).fetchone():
        return  # the first result counts, as in the ledger
    named = ", ".join(f'"{name}" = ?' for name in values)
    guard = " AND state IS NOT 'finished'" if unless_finished else ""
    connection.execute(f"UPDATE runs SET {named} WHERE run = ?{guard}", (*values.values(), key))  # noqa: S608 - names are ours


def _asked(line: Started) -> dict[str, Any]:
    recipe = line.recipe
    return {
        "recipe": recipe.name,
        "network": recipe.network,
        "data": recipe.data,
        "seed": line.seed,
        "epochs": recipe.epochs_in_all,
        "batch": recipe.batch,
        "optimizer": recipe.optimizer,
        "rate": recipe.rate,
        "schedule": recipe.schedule,
        "settings": json.dumps(recipe.network_arguments, sort_keys=True),
    }


def _reached(result: Result) -> dict[str, Any]:
    counts, training = result.facts.network.parameters, result.facts.training
    return {
        "accuracy": result.accuracy,
        "best": result.best,
        "last5": result.last5,
        "loss": training.loss if training else None,
        "parameters": counts.total,
        "trainable": counts.trainable,
        "non_trainable": counts.non_trainable,
        "with_hidden": counts.with_hidden,
        "non_zero": counts.non_zero,
        "multiply_accumulates": result.facts.network.multiply_accumulates,
        "seconds": result.seconds,
    }


def _quoted(names: dict[str, Kind]) -> list[str]:
    return [f'"{name}"' for name in names]
