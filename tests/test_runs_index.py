"""Questions about runs: what a condition means, what it cannot reach, and an index that is never more than the ledger."""

import operator
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_results import made_up

from budgetnet.errors import InputError
from budgetnet.recipe import Recipe
from budgetnet.study.condition import Kind, parse_condition
from budgetnet.study.index import COLUMNS, INDEX, find_runs
from budgetnet.study.ledger import LEDGER, open_ledger
from budgetnet.study.spec import RunSpec

NAMES: dict[str, Kind] = {"parameters": "number", "accuracy": "number", "network": "text"}


def spec(number: int, seed: int = 0) -> RunSpec:
    return RunSpec(Recipe(name=f"net{number % 7}", network="code9", rate=0.001 * (number + 1)), seed)


def accuracy_of(number: int) -> float:
    return 0.99 + (number * 37 % 100) / 10_000


def fill(folder: Path, numbers: range) -> None:
    with open_ledger(folder) as ledger:
        for number in numbers:
            ledger.start(spec(number), "a test")
            if number % 10 == 3:
                ledger.fail(spec(number), "crash", "a test's")
            if number % 20 == 3:
                ledger.fail(spec(number), "hang", "again")
            elif number % 10 != 4:
                ledger.finish(spec(number), made_up(accuracy_of(number), parameters=1000 + number))


def test_a_condition_chooses_and_the_best_comes_first(tmp_path: Path) -> None:
    fill(tmp_path, range(40))
    rows = find_runs(tmp_path, where="parameters < 1_010 and accuracy >= 99.2%", sort="accuracy")
    expected = [n for n in range(10) if n not in {3, 4} and accuracy_of(n) >= 0.992]
    assert {row["parameters"] for row in rows} == {1000 + number for number in expected}
    assert [row["accuracy"] for row in rows] == sorted((row["accuracy"] for row in rows), reverse=True)
    assert [row["state"] for row in find_runs(tmp_path, where="not state = 'finished'")].count("left out") == 2
    assert len(find_runs(tmp_path, where="state = 'started'")) == 4
    assert len(find_runs(tmp_path)) == 40
    assert find_runs(tmp_path, sort="accuracy", reverse=True, most=1)[0]["accuracy"] == min(
        row["accuracy"] for row in rows_of(tmp_path)
    )
    assert find_runs(tmp_path, where="failures = 1", sort="run")[0]["state"] == "finished", (
        "a run that failed once and then went through"
    )


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return find_runs(folder, where="state = 'finished'")


def test_an_index_that_grew_is_the_index_made_anew(tmp_path: Path) -> None:
    for start in (0, 15, 16, 40):
        fill(tmp_path, range(start, 60))
        grown = find_runs(tmp_path)
    (tmp_path / INDEX).unlink()
    assert find_runs(tmp_path) == grown


@pytest.mark.parametrize("damage", ["garbage", "other version", "other ledger", "torn ledger"])
def test_an_index_that_does_not_fit_is_made_anew(tmp_path: Path, damage: str) -> None:
    fill(tmp_path, range(12))
    before = find_runs(tmp_path)
    if damage == "garbage":
        (tmp_path / INDEX).write_bytes(b"no database at all" * 500)
    elif damage == "other version":
        with sqlite3.connect(tmp_path / INDEX) as connection:
            connection.execute("PRAGMA user_version = 77")
        connection.close()
    elif damage == "other ledger":
        (tmp_path / LEDGER).unlink()
        fill(tmp_path, range(30, 33))
        before = []
    else:
        content = (tmp_path / LEDGER).read_bytes()
        (tmp_path / LEDGER).write_bytes(content[: len(content) // 2])
    after = find_runs(tmp_path)
    if damage in {"garbage", "other version"}:
        assert after == before
    elif damage == "other ledger":
        assert {row["rate"] for row in after} == {0.031, 0.032, 0.033}
    else:
        assert 0 < len(after) < len(before)


def test_an_index_that_cannot_be_written_is_no_hindrance(tmp_path: Path) -> None:
    fill(tmp_path, range(5))
    (tmp_path / INDEX).mkdir()
    assert len(find_runs(tmp_path)) == 5


HOSTILE = [
    "1=1; DROP TABLE runs",
    "run = 'x'; DELETE FROM runs",
    "run = '' OR 1=1 --",
    "run IN (SELECT run FROM runs)",
    "parameters < 5 UNION SELECT name FROM sqlite_master",
    "load_extension('x') = 1",
    "run LIKE '%'",
    "run = char(39)",
    "parameters < 5 /* */",
    "rowid = 1",
    'reached.sum = "x"',
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_condition_reaches_nothing_but_the_columns(tmp_path: Path, text: str) -> None:
    fill(tmp_path, range(3))
    with pytest.raises(InputError, match="--where"):
        find_runs(tmp_path, where=text)
    assert len(find_runs(tmp_path)) == 3


def test_quotes_in_a_value_stay_in_the_value(tmp_path: Path) -> None:
    fill(tmp_path, range(3))
    assert find_runs(tmp_path, where="""run = "' OR 1=1 --" """) == []
    assert find_runs(tmp_path, where="""network != "x'; DROP TABLE runs; --" """) != []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("parameter < 5", "Did you mean 'parameters'"),
        ("parameters < ", "at the end"),
        ("parameters", "is expected at the end"),
        ("(parameters < 5", "«)» is expected"),
        ("parameters < 5 accuracy > 1", "«and», «or» or the end"),
        ("parameters < 'many'", "a number is compared with a text"),
        ("network = code9", "Words go in quotes: 'code9'"),
        ("parameters < 5 & accuracy", "cannot be read"),
        ("(" * 200 + "parameters < 5" + ")" * 200, "too deep"),
        ("not " * 150 + "parameters < 5", "too deep"),
        ("x" * 2000, "up to 1,000 letters"),
    ],
)
def test_a_condition_that_cannot_be_read_is_told_where(text: str, words: str) -> None:
    with pytest.raises(InputError) as told:
        parse_condition(text, NAMES)
    assert words in str(told.value)


def test_sorting_by_no_column_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, range(1))
    with pytest.raises(InputError, match="Did you mean 'accuracy'"):
        find_runs(tmp_path, sort="accuracies")
    with pytest.raises(InputError, match="holds no ledger"):
        find_runs(tmp_path / "elsewhere")


SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}
Meaning = Callable[[dict[str, Any]], bool]
Tree = tuple[str, Meaning]


def compared(name: str, sign: str, value: float | str) -> Tree:
    said = f"'{value}'" if isinstance(value, str) else repr(value)
    return f"{name} {sign} {said}", lambda row: SIGNS[sign](row[name], value)


LEAVES = st.one_of(
    st.builds(
        compared, st.sampled_from(["parameters", "accuracy"]), st.sampled_from(sorted(SIGNS)), st.sampled_from([0, 1, 2.5, -1])
    ),
    st.builds(compared, st.just("network"), st.sampled_from(["=", "!="]), st.sampled_from(["a", "b c", "or"])),
)
TREES = st.recursive(
    LEAVES,
    lambda tree: st.one_of(
        st.tuples(tree, tree).map(lambda two: (f"({two[0][0]} and {two[1][0]})", lambda row: two[0][1](row) and two[1][1](row))),
        st.tuples(tree, tree).map(lambda two: (f"({two[0][0]} OR {two[1][0]})", lambda row: two[0][1](row) or two[1][1](row))),
        tree.map(lambda one: (f"not {one[0]}", lambda row: not one[1](row))),
    ),
    max_leaves=6,
)


@given(TREES)
@settings(max_examples=150)
def test_a_condition_means_what_it_says(tree: Tree) -> None:
    text, meaning = tree
    rows = [{"parameters": p, "accuracy": a, "network": n} for p in (0, 1, 2.5) for a in (-1, 1) for n in ("a", "b c", "or")]
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE runs (parameters REAL, accuracy REAL, network TEXT)")
    connection.executemany("INSERT INTO runs VALUES (:parameters, :accuracy, :network)", rows)
    condition = parse_condition(text, NAMES)
    found = connection.execute(f"SELECT parameters, accuracy, network FROM runs WHERE {condition.sql}", condition.values).fetchall()  # noqa: S608
    connection.close()
    assert [tuple(row.values()) for row in rows if meaning(row)] == found


def test_and_binds_before_or() -> None:
    sql = parse_condition("parameters = 1 or parameters = 2 and accuracy = 3", NAMES).sql
    assert sql == '(("parameters" = ?) OR ("parameters" = ? AND "accuracy" = ?))'


def test_every_column_can_be_asked_for(tmp_path: Path) -> None:
    fill(tmp_path, range(2))
    for column, kind in COLUMNS.items():
        find_runs(tmp_path, where=f"{column} > {'0' if kind == 'number' else repr('')}", sort=column)
