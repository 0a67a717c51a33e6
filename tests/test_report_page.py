"""report.html: a page that asks nobody for anything, says what the README says, and answers pointer, finger and keys in a real browser."""

import html
import io
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from invented_run import DIGITS, EPOCHS, network_facts, write_run
from PIL import Image

from budgetnet.browser import Page, opened_browser
from budgetnet.contract import judge, load_contract
from budgetnet.errors import InputError
from budgetnet.recipe import Recipe
from budgetnet.report import write_report
from budgetnet.report.charts import Line, accuracy_chart, plain_chart
from budgetnet.report.drawings import SIDE, drawn_layers
from budgetnet.report.evidence import read_run
from budgetnet.report.html_page import html_page

HOSTILE = "</script><img src=x onerror=alert(1)>"
EXPORTED = {
    "target": "onnx",
    "runtime": "ONNX Runtime 1.30.0",
    "images": 1000,
    "changed": 3,
    "accuracy": 0.981,
    "one_image_ms": 0.25,
    "one_image_ratio": 0.5,
    "batch_ms": 0.125,
    "batch_ratio": 0.75,
    "files": {"small.onnx": {"bytes": 12345}},
}


class Read(HTMLParser):
    """What a page would load, its words, and its script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.scripts = 0
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script" and ("type", "application/json") not in attrs
        self.loads += [value or "" for name, value in attrs if name in {"src", "href", "action", "srcset", "data"}]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def page_of(run: Path) -> str:
    """Return the page alone, without the seconds that the README's pictures take."""
    evidence, rules = read_run(run), load_contract("code9")
    return html_page(evidence, rules, judge(evidence.facts, rules), None)


def report_of(run: Path, rows: object = None) -> Path:
    """Write a run's report, with a table of exports in the run where `rows` are given; return the folder."""
    if rows is not None:
        (run / "export").mkdir()
        (run / "export" / "exports.json").write_text(json.dumps({"exports": rows}), encoding="utf-8")
    return write_report(run).parent


def test_the_page_asks_for_nothing_and_foreign_words_stay_words(tmp_path: Path) -> None:
    recipe = Recipe(name="own", network="own", epochs=3, watch="nothing", strategy=f"# {HOSTILE}\n\nSecond.")
    run = write_run(tmp_path / "run", recipe=recipe, class_names=(HOSTILE, *DIGITS[1:]))
    text = page_of(run)
    page = Read(text)
    assert all(address.startswith("data:") for address in page.loads)
    assert page.scripts == 1
    assert "<img src=x" not in text
    assert any(HOSTILE in words for words in page.words)
    assert "default-src 'none'" in html.unescape(text)


def test_the_verdict_is_on_top_and_numbers_are_the_readme_s(tmp_path: Path) -> None:
    folder = report_of(write_run(tmp_path / "run"), [EXPORTED])
    words = " ".join(" ".join(Read((folder / "report.html").read_text(encoding="utf-8")).words).split())
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert 0 < words.index("The contract is broken, in 2 of 6 clauses.") < words.index("Accuracy")
    for number in ("98.18 %", "27,248", "135,200", "(None, 26, 26, 16)"):
        assert number in words
        assert number in readme
    for cell in ("3 of 1,000", "12,345", "0.25 ms, 0.50 × torch", "ONNX Runtime 1.30.0"):
        assert cell in words
        assert cell in readme


@pytest.mark.parametrize(
    "rows", [[{"target": "onnx"}], [EXPORTED | {"changed": -1}], [EXPORTED | {"accuracy": float("nan")}], "no table"]
)
def test_a_table_of_exports_that_is_none_is_refused_by_name(tmp_path: Path, rows: object) -> None:
    with pytest.raises(InputError, match=r"exports\.json"):
        report_of(write_run(tmp_path / "run"), rows)


def test_better_stands_higher_and_what_is_missing_breaks_the_line() -> None:
    chart = accuracy_chart("Accuracy", [Line("test", [0.9, None, 0.99, 0.995], 1)], 0.994)
    read = json.loads(chart["read"])["lines"][0]
    assert read["down"][0] > read["down"][2] > chart["limit"]["place"] > read["down"][3]
    assert read["down"][1] is None
    assert read["said"] == ["90.00 %", "", "99.00 %", "99.50 %"]
    assert len(re.findall("M", chart["lines"][0]["path"])) == 2
    assert accuracy_chart("Accuracy", [Line("test", [1.0], 1)], None)["lines"][0]["alone"]
    flat = plain_chart("Loss", [Line("training", [float("nan"), 0.0], 0)])
    assert json.loads(flat["read"])["lines"][0]["down"] == [None, 100.0]


def test_a_layer_s_field_is_drawn_in_the_image_s_own_measure() -> None:
    first, _, pooled, last, flat = drawn_layers(network_facts())
    assert first.field is not None
    assert first.field[2] == pytest.approx(3 / 28 * SIDE, abs=0.01)
    assert first.field[0] + first.field[2] / 2 == pytest.approx(SIDE / 2, abs=0.02)
    assert pooled.sheets[0][2] == pytest.approx(13 / 28 * SIDE, abs=0.01)
    assert (last.whole, first.whole, flat.field) == (True, False, None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    (folder / "report.html").write_text(page_of(write_run(folder / "run")), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def browser(folder: Path) -> Iterator[Page]:
    with opened_browser() as page:
        page.open((folder / "report.html").as_uri())
        yield page


def text_of(browser: Page, selector: str) -> str:
    return str(browser.evaluate(f"document.querySelector({selector!r}).innerText"))


@pytest.mark.browser
def test_values_are_read_under_the_pointer_and_by_keys(browser: Page) -> None:
    browser.screen(1100, 900)
    left, top, width = browser.evaluate(
        "(() => { const box = document.querySelector('.plot').getBoundingClientRect(); return [box.left, box.top, box.width]; })()"
    )
    browser.send("Input.dispatchMouseEvent", type="mouseMoved", x=left + width - 3, y=top + 40)
    assert text_of(browser, ".values").split("\n")[0] == f"Epoch {EPOCHS}"
    assert "98.18 %" in text_of(browser, ".values")
    browser.evaluate("document.querySelector('.plot').focus()")
    browser.key("ArrowLeft")
    assert text_of(browser, ".values").startswith(f"Epoch {EPOCHS - 1}")
    browser.key("Escape")
    assert browser.evaluate("document.querySelector('.values').hidden")


@pytest.mark.browser
def test_a_number_of_the_matrix_picks_and_an_image_opens_with_its_probabilities(browser: Page) -> None:
    shown = "[...document.querySelectorAll('.tile')].filter(tile => !tile.hidden).length"
    every = browser.evaluate(shown)
    count = int(text_of(browser, "button.cell"))
    browser.evaluate("document.querySelector('button.cell').click()")
    assert browser.evaluate(shown) == count < every
    browser.evaluate("document.getElementById('all').click()")
    assert browser.evaluate(shown) == every
    browser.evaluate("document.querySelectorAll('.tile')[2].click()")
    shares = [float(share) for share in re.findall(r"([\d.]+) %$", text_of(browser, ".bars"), re.MULTILINE)]
    assert len(shares) == 10
    assert sum(share for share in shares if share > 0.1) == pytest.approx(100, abs=0.3)
    title = text_of(browser, "#opened h3")
    browser.key("ArrowRight")
    assert text_of(browser, "#opened h3") != title
    browser.evaluate("document.getElementById('close').click()")
    assert not browser.evaluate("document.getElementById('opened').open")


@pytest.mark.browser
def test_it_fits_a_telephone_in_dark_and_light_and_asks_nobody(browser: Page, folder: Path) -> None:
    grounds: list[Any] = []
    for dark in (True, False):
        browser.screen(375, 800, dark=dark, phone=True)
        browser.open((folder / "report.html").as_uri())
        assert browser.evaluate("document.documentElement.scrollWidth") <= 375
        with Image.open(io.BytesIO(browser.picture())) as picture:
            grounds.append(picture.convert("L").getpixel((2, 2)))
    assert [ground < 60 for ground in grounds] == [True, False]
    assert all(address.startswith(("file:", "data:")) for address in browser.requests)
    assert browser.complaints == []


def test_the_pages_of_a_run_that_misses_nothing_and_of_many_classes(tmp_path: Path) -> None:
    perfect = write_run(tmp_path / "perfect", confusion=[[10 if row == column else 0 for column in range(10)] for row in range(10)])
    assert "No image of the test split was misclassified." in page_of(perfect)
    names = tuple(f"class number {place}" for place in range(60))
    many = page_of(write_run(tmp_path / "many", class_names=names))
    assert 'class="matrix"' not in many
