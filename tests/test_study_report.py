"""The report of a study: the same numbers as the document, whole by itself, whatever names people give and however much there is."""

import json
import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image
from small_results import made_up

from budgetnet.browser import opened_browser
from budgetnet.contract import load_contract
from budgetnet.errors import InputError
from budgetnet.recipe import Recipe
from budgetnet.study.arms import Arm, Study
from budgetnet.study.ledger import open_ledger
from budgetnet.study.page import MARKER
from budgetnet.study.report import FILES, write_study_report
from budgetnet.study.results import study_document

HOSTILE = '<script>alert("x")</script> | `a` *b* [c](javascript:d)'


def arm(number: int, label: str, watch: str = "test") -> Arm:
    return Arm(
        label, Recipe.model_validate({"name": f"net{number}", "network": "code9", "rate": 0.001 * (number + 1), "watch": watch})
    )


def study_of(labels: list[str], seeds: int, watch: str = "test", **given: Any) -> Study:
    arms = tuple(arm(number, label, watch) for number, label in enumerate(labels))
    pairs = tuple((other, 0) for other in range(1, len(arms)))
    words: dict[str, Any] = {"title": "A question", "question": "", "pairs": pairs, **given}
    return Study(name="question", arms=arms, seeds=tuple(range(seeds)), contract=load_contract("code9"), threads=1, **words)


def write(folder: Path, study: Study, *, lose: int = 0, spread: float = 0.0006, threads: int = 1) -> tuple[dict[str, Any], Path]:
    """Fill a ledger with made-up results, each recipe 0.05 points better than the one before; return document and README."""
    random = numpy.random.default_rng(5)
    with open_ledger(folder) as ledger:
        for spec in study.specs():
            place = [one.recipe for one in study.arms].index(spec.recipe)
            if place == len(study.arms) - 1 and spec.seed < lose:
                ledger.fail(spec, "crash", "a test's")
                ledger.fail(spec, "hang", "again")
                continue
            final = round(min(1.0, 0.993 + 0.0005 * place + random.normal(0, spread)), 4)
            by_epoch = (final - 0.01, final - 0.001, final) if spec.recipe.watch == "test" else ()
            ledger.finish(
                spec, made_up(final, parameters=9_000 + 500 * place, by_epoch=by_epoch, threads=threads if spec.seed else 1)
            )
        document = {**study_document(study, ledger), "command": "budgetnet study one two"}
        return document, write_study_report(study, document, ledger, folder / study.name)


def test_the_report_is_whole_and_says_what_the_document_says(tmp_path: Path) -> None:
    document, readme = write(tmp_path, study_of(["plain", "better"], 8))
    assert {path.name for path in readme.parent.iterdir()} == FILES - {"study.html"}
    text = readme.read_text(encoding="utf-8")
    assert text.startswith(MARKER)
    (comparison,) = document["comparisons"]
    assert comparison["sentence"].removeprefix("no difference") in text
    for recipe in document["recipes"]:
        assert f"| {recipe['recipe']} | 8 | {recipe['mean'] * 100:.2f} %" in text
    assert (
        json.loads((readme.parent / "study.json").read_text(encoding="utf-8"))["recipes"][0]["finals"]
        == document["recipes"][0]["finals"]
    )
    for name in re.findall(r'<img src="([^"]+)"', text):
        with Image.open(readme.parent / name) as picture:
            assert picture.width > 1000
            assert len(picture.convert("RGB").getcolors(2**24) or []) > 20, "an empty picture"


class Page(HTMLParser):
    """What a page would load, and its words."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.scripts = 0
        self.words = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script" and ("type", "application/json") not in attributes
        self.loads += [value or "" for name, value in attributes if name in {"src", "href", "action"}]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_loads_nothing_and_runs_nothing_whatever_the_names(tmp_path: Path) -> None:
    study = study_of([HOSTILE, "plain"], 3, title=HOSTILE, question=f"{HOSTILE}\n\nA second part.")
    _, readme = write(tmp_path, study)
    page = Page()
    page.feed((readme.parent / "report.html").read_text(encoding="utf-8"))
    assert page.loads
    assert all(address.startswith("data:image/png;base64,") for address in page.loads)
    assert page.scripts == 1, "the page's own"
    assert HOSTILE in page.words
    text = readme.read_text(encoding="utf-8")
    assert "<script" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ") and "alert" in line]
    assert rows
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} <= {9, 10, 11}


def test_a_difference_that_is_there_is_found_and_pictured(tmp_path: Path) -> None:
    document, _ = write(tmp_path, study_of(["plain", "b", "c", "d", "clearly better"], 8), spread=0.0003)
    last = document["comparisons"][-1]
    assert last["sentence"].startswith("clearly better is better than plain by 0.2")
    assert last["p"] >= last["p_alone"]
    assert last["interval"][0] <= 0.002 <= last["interval"][1]


def test_what_failed_is_left_out_and_said(tmp_path: Path) -> None:
    document, readme = write(tmp_path, study_of(["plain", "fragile"], 5), lose=2)
    fragile = document["recipes"][1]
    assert (fragile["n"], len(fragile["finals"]), fragile["pass_interval"] is not None) == (3, 3, True)
    assert document["comparisons"][0]["n"] == 3
    text = readme.read_text(encoding="utf-8")
    assert "fragile: 2 of 5 runs failed twice and are left out: seed 0 (hang), seed 1 (hang)" in text
    document, readme = write(tmp_path / "all", study_of(["plain", "fragile"], 2), lose=2)
    assert document["recipes"][1]["mean"] is None
    assert document["comparisons"] == []
    assert "There is nothing to compare yet." in readme.read_text(encoding="utf-8")


def test_one_seed_proves_nothing_and_says_so(tmp_path: Path) -> None:
    document, _ = write(tmp_path, study_of(["plain", "better"], 1))
    assert document["recipes"][0]["interval"] is None
    assert "cannot be compared yet" in document["comparisons"][0]["sentence"]


def test_runs_under_different_fingerprints_are_told(tmp_path: Path) -> None:
    document, _ = write(tmp_path, study_of(["plain", "better"], 3), threads=4)
    assert any("threads 1, 4" in note for note in document["notes"])


@pytest.mark.parametrize("watch", ["test", "nothing"])
def test_many_recipes_are_still_readable(tmp_path: Path, watch: str) -> None:
    labels = [f"a recipe with a rather long name, number {number}" for number in range(64)]
    document, readme = write(tmp_path, study_of(labels, 2, watch))
    assert len(document["recipes"]) == 64
    for name in ("runs.png", "trade.png", "curves.png", "differences.png"):
        with Image.open(BytesIO((readme.parent / name).read_bytes())) as picture:
            assert picture.height < 6_000
    assert ("not read" in readme.read_text(encoding="utf-8")) is (watch == "nothing")


def test_a_folder_of_someone_else_s_is_refused(tmp_path: Path) -> None:
    (tmp_path / "question").mkdir()
    (tmp_path / "question" / "thesis.md").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="no part of a report"):
        write(tmp_path, study_of(["plain", "better"], 2))
    assert (tmp_path / "question" / "thesis.md").read_text(encoding="utf-8") == "mine"


@pytest.mark.browser
def test_runs_and_curves_are_read_by_keys_in_a_browser(tmp_path: Path) -> None:
    document, readme = write(tmp_path, study_of(["plain", "better"], 3))
    with opened_browser() as browser:
        browser.screen(375, 800, dark=True, phone=True)
        browser.open((readme.parent / "report.html").as_uri())
        browser.evaluate("document.querySelector('.dots .row').focus()")
        browser.key("ArrowRight")
        said = browser.evaluate("document.querySelector('.dots .row .values').innerText")
        assert f"{min(document['recipes'][0]['finals']) * 100:.2f} %" in said
        assert said.startswith("seed ")
        browser.evaluate("document.querySelector('.plot').focus()")
        browser.key("End")
        assert f"{document['recipes'][1]['mean'] * 100:.2f} %" in browser.evaluate(
            "document.querySelector('.plot .values').innerText"
        )
        assert browser.evaluate("document.documentElement.scrollWidth") <= 375
        assert browser.complaints == []
        assert all(address.startswith(("file:", "data:")) for address in browser.requests)


def test_names_between_backticks_are_code_on_the_page(tmp_path: Path) -> None:
    _, readme = write(tmp_path, study_of(["plain"], 2, question="The network is `code9<b>`, with an odd ` in it."))
    page = (readme.parent / "report.html").read_text(encoding="utf-8")
    assert "The network is <code>code9&lt;b&gt;</code>, with an odd ` in it." in page
