"""`html`: one self-contained page to draw on, its inference in plain JavaScript, verified in a real Chromium.

Every test image goes through the page's own inference, in the browser, before the page is written. Needs Chromium, nothing else; costs
a minute or two for MNIST.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy

from budgetnet.browser import BrowserError, Page, opened_browser
from budgetnet.errors import InputError
from budgetnet.export.page import page
from budgetnet.export.runtime import BATCH, SINGLE_IMAGES, Seconds, Written
from budgetnet.export.subject import Pixels, Probabilities, Subject
from budgetnet.graph import folded

NAME = "html"
FLOAT = True
EXTRA = None
WORDS = "one self-contained page to draw on, inference in plain JavaScript"


def files(subject: Subject) -> tuple[str, ...]:
    """Return the name of the page."""
    return (f"{subject.stem}.html",)


def write(subject: Subject, folder: Path) -> Written:
    """Write the page. Raises `InputError` for colour images, and operations that no graph holds."""
    path = folder / files(subject)[0]
    right = float((subject.probabilities.argmax(1) == subject.test_labels).mean())
    words = (
        f"The network {subject.name} was trained on {subject.dataset.name} and has {right * 100:.2f} % of its "
        f"{len(subject.test_labels):,} test images right. Everything here is computed in this page."
    )
    graph = folded(subject.graph)
    path.write_text(page(graph, name=subject.name, words=words, classes=subject.dataset.class_names), encoding="utf-8")
    return Written((path,))


class Opened:
    """The page in a browser."""

    def __init__(self, browser: Page, classes: int) -> None:
        self.browser, self.classes = browser, classes
        product = browser.send("Browser.getVersion")["product"]
        self.name = f"JavaScript in {product.replace('/', ' ').replace('Headless', '')}"

    def answers(self, images: Pixels) -> Probabilities:
        """Return the probabilities of images (N, C, H, W)."""
        return numpy.concatenate([self._ask(images[start : start + BATCH])[0] for start in range(0, len(images), BATCH)])

    def seconds(self, images: Pixels) -> Seconds:
        """Return how long answers take inside the page: one image costs what one of many costs."""
        few = images[:SINGLE_IMAGES]
        spent = self._ask(few)[1] / len(few)
        return Seconds(spent, spent)

    def _ask(self, images: Pixels) -> tuple[Probabilities, float]:
        content = base64.b64encode(images.tobytes()).decode()
        try:
            result = self.browser.evaluate(f"window.budgetnet.answers({content!r})")
        except BrowserError as error:
            raise InputError(f"html: the page fails in the browser: {str(error).splitlines()[0]}. Nothing was written.") from None
        return numpy.frombuffer(base64.b64decode(result["probabilities"]), "<f4").reshape(-1, self.classes), float(
            result["seconds"]
        )


@contextmanager
def opened(written: Written, subject: Subject) -> Iterator[Opened]:
    """Open the page in a Chromium."""
    with opened_browser() as browser:
        browser.open(written.files[0].resolve().as_uri())
        if browser.complaints:
            raise InputError(f"html: the page fails in the browser: {browser.complaints[0].splitlines()[0]}. Nothing was written.")
        yield Opened(browser, len(subject.dataset.class_names))
