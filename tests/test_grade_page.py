"""The page and the table of grades: what a hand-in says must not act, and nothing may be loaded."""

import base64
import csv
import hashlib
import html
import io
import re
from html.parser import HTMLParser

import pytest

from budgetnet.contract import load_contract
from budgetnet.grade.csv_file import csv_text
from budgetnet.grade.page import Told, page
from budgetnet.grade.rows import GradedClause, GradedCounts, GradedFinding, GradedLog, Row, ranked
from budgetnet.grade.table import grades_document, grades_table

NASTY = "</td><script>alert(1)</script><img src=//x onerror=alert(2)>\"'&{{ 7*7 }}[red]x[/red]"
VOID = {"meta", "br", "img", "link", "input"}


def nasty_row(text: str = NASTY) -> Row:
    """A row in which every foreign word is `text`."""
    log = GradedLog(file=text, line=1, epochs=20, final=0.99396, best=0.995, schedule=text)
    finding = GradedFinding(source="audit", what=text, evidence=text, file=text, line=3, proof=text)
    return Row(
        hand_in=text,
        kind="folder",
        verdict="broken",
        clauses=(GradedClause(name="parameters", state="broken", measured=text, limit=text, why=text),),
        parameters=GradedCounts(total=5, trainable=4, with_hidden=6, non_zero=3),
        logs=(log,),
        log=log,
        findings=(finding,),
        open=(finding,),
        notes=(text,),
    )


class Page(HTMLParser):
    """Tags in order, and whether each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.data: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.data.append(data)


def read(rows: list[Row], left: int = 0) -> tuple[str, Page]:
    """The page of these rows, as text and parsed."""
    text = page(ranked(rows), Told(NASTY, load_contract("code9"), left, (NASTY,)))
    parsed = Page()
    parsed.feed(text)
    assert parsed.open == []
    return text, parsed


def test_nothing_that_a_hand_in_says_becomes_a_tag() -> None:
    _, clean = read([nasty_row("plain")])
    text, parsed = read([nasty_row()])
    assert parsed.tags == clean.tags
    assert {name for name, _ in parsed.attributes} == {name for name, _ in clean.attributes}
    assert parsed.tags.count("script") == 1
    assert not {"img", "link", "iframe", "object", "style "} & set(parsed.tags)
    assert "".join(parsed.data).count(NASTY) >= 10, "it is shown as it was written"
    assert "alert(1)</script>" not in text


def test_the_page_loads_nothing_and_runs_its_own_script_alone() -> None:
    text, parsed = read([nasty_row("plain")])
    assert not {"src", "href", "action", "style", "onclick"} & {name for name, _ in parsed.attributes}
    assert "://" not in text
    assert "@import" not in text
    assert "url(" not in text
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert script
    assert policy
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in html.unescape(policy[1])
    assert html.unescape(policy[1]).startswith("default-src 'none'")


def test_each_verdict_stands_with_its_reasons_to_open_in_both_colours() -> None:
    text, parsed = read([nasty_row("first"), Row(hand_in="second", kind="file", verdict="failed", problem="It hung.")], left=3)
    assert parsed.tags.count("details") == 2
    assert "It hung." in text
    assert "prefers-color-scheme: dark" in text
    assert "3 not graded yet" in text
    assert "99.39 %" in text, "what is shown is never more than what was reached"
    assert "99.40 %" not in text.split("<tbody", 1)[1]


def test_rows_are_in_order_without_a_script_and_carry_what_it_sorts_by() -> None:
    text, _ = read([nasty_row("worse"), Row(hand_in="best", kind="file", verdict="met")])
    assert text.index('data-name="best"') < text.index('data-name="worse"')
    keys = set(re.findall(r'data-key="(\w+)"', text))
    for body in re.findall(r"<tbody data-[^>]*>", text):
        assert keys == set(re.findall(r"data-(\w+)=", body))


@pytest.mark.parametrize("start", ["=cmd()", "+1", "-1", "@x", "\t=1", " =1", "\uff1d1", "  @x"])
def test_a_spreadsheet_computes_no_cell(start: str) -> None:
    table = list(csv.DictReader(io.StringIO(csv_text(ranked([nasty_row(start)]), load_contract("code9")), newline="")))
    assert len(table) == 1
    assert table[0]["hand_in"] == f"'{start}"
    assert float(table[0]["log_final"]) == 0.99396


def test_quotes_commas_and_lines_stay_in_their_cell() -> None:
    row = nasty_row('a,"b"\nc')
    table = list(csv.DictReader(io.StringIO(csv_text(ranked([row, nasty_row("d")]), load_contract("code9")), newline="")))
    assert [line["hand_in"] for line in table] == ['a,"b"\nc', "d"]


def test_the_terminal_shows_markup_as_text() -> None:
    shown = grades_table(ranked([nasty_row("[red]x[/red]:smile:")]), width=200)
    assert "[red]x[/red]:smile:" in shown
    assert "\x1b" not in shown
    assert "\x1b" in grades_table(ranked([nasty_row("plain")]), width=200, colour=True)


@pytest.mark.parametrize("width", [80, 119, 120, 250])
def test_names_are_read_whole_at_every_width(width: int) -> None:
    lines = grades_table(ranked([nasty_row("ada-lovelace"), nasty_row("grace" * 12)]), width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert any("ada-lovelace" in line and "broken" in line for line in lines)
    assert "".join(lines).count("g") >= 12, "a long name is folded, not cut"


def test_rows_as_json_carry_rank_and_reasons() -> None:
    document = grades_document(ranked([nasty_row("x")]))
    assert document[0]["rank"] == 1
    assert document[0]["clauses"][0]["why"] == "x"
    assert document[0]["findings"][0]["line"] == 3
