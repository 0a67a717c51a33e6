"""The page to draw on, served and as one file, in a real Chromium; and what its server refuses."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import torch
import varied_networks as varied
from exported import digits_run, shaken, subject_of
from pictures import STROKES, drawn
from starlette.testclient import TestClient
from test_photos import HOSTILE, encoded
from torch import nn

from budgetnet import datasets, zoo
from budgetnet.browser import Page, opened_browser
from budgetnet.demo import Shown, shipped, write_page
from budgetnet.demo.application import application
from budgetnet.errors import InputError
from budgetnet.export import export, html_page
from budgetnet.photos import LARGEST_FILE
from budgetnet.rundir import open_run

ADDRESS = "http://127.0.0.1"
TEST = datasets.load("digits").test


@pytest.fixture(scope="module")
def demo() -> Shown:
    return shipped()


@pytest.fixture(scope="module")
def client(demo: Shown) -> TestClient:
    return TestClient(application(demo), base_url=ADDRESS)


def strokes_of(page: Page, digit: int) -> None:
    """Draw a digit on the paper with the mouse."""
    box = "document.getElementById('paper').getBoundingClientRect()"
    left, top, side = (page.evaluate(f"{box}.{name}") for name in ("left", "top", "width"))
    for stroke in STROKES[digit]:
        page.draw([(left + x * side / 100, top + y * side / 100) for x, y in stroke])


def answer_of(page: Page) -> str:
    return str(page.evaluate("document.getElementById('answer').textContent"))


@pytest.mark.browser
def test_the_page_reads_what_is_drawn_from_a_file_and_asks_nothing_of_anyone(demo: Shown, tmp_path: Path) -> None:
    path = tmp_path / "demo.html"
    write_page(demo, path)
    with opened_browser() as page:
        page.screen(390, 844, phone=True, dark=True)
        page.open(path.as_uri())
        read = []
        for digit in range(10):
            page.evaluate("document.getElementById('clear').click()")
            page.wait_for("document.getElementById('answer').textContent === '–'")
            strokes_of(page, digit)
            page.wait_for("document.getElementById('answer').textContent !== '–'")
            page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            read.append(answer_of(page))
        right = sum(said == str(digit) for digit, said in enumerate(read))
        assert right >= 9, read
        shares = page.evaluate("[...document.querySelectorAll('.share')].map((cell) => parseFloat(cell.textContent))")
        assert len(shares) == 10
        assert sum(shares) == pytest.approx(100, abs=0.6)
        lit = "[...document.querySelectorAll('#layers canvas')].length"
        assert page.evaluate(lit) > 50
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, "the page must not scroll sideways on a phone"
        assert page.requests == [path.as_uri()]
        assert page.complaints == []


@pytest.mark.browser
def test_the_page_is_drawn_on_by_keyboard_alone(demo: Shown, tmp_path: Path) -> None:
    path = tmp_path / "demo.html"
    write_page(demo, path)
    with opened_browser() as page:
        page.open(path.as_uri())
        page.evaluate("document.getElementById('paper').focus()")
        for key in ["ArrowUp"] * 8 + [" "] + ["ArrowDown"] * 16 + [" "]:
            page.key(key)
        page.wait_for("document.getElementById('answer').textContent !== '–'")
        assert answer_of(page) == "1"
        page.key("Escape")
        page.wait_for("document.getElementById('answer').textContent === '–'")


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "plain": varied.Plain,
    "edged": varied.Edged,
    **{name: zoo.find(name).build for name in ("small", "separable-gap", "accurate")},
}


@pytest.mark.browser
@pytest.mark.parametrize("name", NETWORKS)
def test_the_page_computes_every_operation_as_torch_does(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    subject = subject_of(shaken(NETWORKS[name]()), name)
    with html_page.opened(html_page.write(subject, tmp_path), subject) as page:
        answers = page.answers(TEST.images[:100].numpy())
    assert numpy.abs(answers - subject.probabilities[:100]).max() < 1e-4
    assert (answers.argmax(1) == subject.probabilities[:100].argmax(1)).all()


@pytest.mark.browser
def test_an_exported_page_was_asked_for_every_test_image(tmp_path: Path) -> None:
    run = digits_run("tiny", 2)
    (row,) = export(run, ["html"], out=tmp_path)
    assert (row["changed"], row["images"]) == (0, len(TEST))
    assert row["accuracy"] == open_run(run).evaluation()["accuracy"]
    assert "Chrom" in row["runtime"]
    assert {path.name for path in tmp_path.iterdir()} == {"tiny.html", "exports.json"}


@pytest.mark.browser
def test_the_command_serves_the_page_on_this_machine_alone_until_it_is_stopped() -> None:
    command = [sys.executable, "-m", "budgetnet", "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            address = program.stdout.readline().split()[2]
            assert address.startswith("http://127.0.0.1:")
            with opened_browser() as page:
                page.screen(1100, 800)
                page.open(address)
                strokes_of(page, 7)
                page.wait_for("document.getElementById('answer').textContent === '7'")
                assert all(asked.startswith(address) for asked in page.requests)
                assert page.complaints == []
        finally:
            program.send_signal(signal.SIGINT)
            program.wait(30)


def test_where_no_browser_is_the_export_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUDGETNET_BROWSER", "/no/browser")
    with pytest.raises(InputError, match="apt-get install chromium"):
        export(digits_run("tiny", 2), ["html"], out=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_served_answers_are_the_network_s_and_each_value_can_be_asked_for(demo: Shown, client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "http://" not in page.text.replace("http://www.w3.org", "")
    assert "https://" not in page.text
    last = demo.graph.answer
    shape = demo.graph.shapes[last]
    for image in TEST.images[:20].numpy():
        numbers = numpy.frombuffer(client.post(f"/ask?values={last}", content=image.tobytes()).content, "<f4")
        assert len(numbers) == 10 + int(numpy.prod(shape))
        assert numbers[:10].sum() == pytest.approx(1, abs=1e-5)
        assert numbers[:10].argmax() == numbers[10:].argmax()


def test_wrong_questions_are_answered_in_a_sentence(client: TestClient) -> None:
    assert "784 bytes" in client.post("/ask", content=b"123").text
    assert client.post("/ask", content=bytes(785)).status_code == 400
    assert client.post("/ask?values=x", content=bytes(784)).status_code == 400
    assert client.post("/ask?values=99999", content=bytes(784)).status_code == 400
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400


def test_an_uploaded_picture_becomes_what_the_network_sees(client: TestClient) -> None:
    found = client.post("/picture", content=encoded(drawn(3), "JPEG")).json()
    assert len(found["pixels"]) == 784
    assert found["doubts"] == []
    numbers = numpy.frombuffer(client.post("/ask", content=bytes(found["pixels"])).content, "<f4")
    assert numbers.argmax() == 3


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_uploads_are_refused_in_a_sentence(kind: str, client: TestClient) -> None:
    make, words = HOSTILE[kind]
    refused = client.post("/picture", content=make())
    assert refused.status_code == 400
    assert words in refused.text


def test_an_upload_past_the_bound_is_refused(client: TestClient) -> None:
    refused = client.post("/picture", content=bytes(LARGEST_FILE + 1))
    assert refused.status_code == 413
    assert "MiB" in refused.text


def test_a_page_never_overwrites_and_takes_a_name_that_looks_like_markup(demo: Shown, tmp_path: Path) -> None:
    sly = Shown("</script><script>alert(1)</script>", "<b>words</b>", tuple("<>&'\"abcde"), demo.graph)
    write_page(sly, tmp_path / "sly.html")
    text = (tmp_path / "sly.html").read_text()
    assert "<script>alert" not in text
    assert "<b>" not in text
    packed = text.split('id="network">')[1].split("</script>")[0]
    assert json.loads(packed)["classes"] == list(sly.classes)
    with pytest.raises(InputError, match="is there already"):
        write_page(demo, tmp_path / "sly.html")
