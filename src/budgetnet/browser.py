"""A Chromium that is asked over a pipe: pages opened, scripts run, keys and pointers moved, pictures taken, requests counted.

Speaks the DevTools protocol over two file descriptors (`--remote-debugging-pipe`): no port, no driver, no package. The browser has a
profile of its own that is thrown away, and reaches no name beyond this machine. Starting costs one or two seconds. Linux and macOS.
Source: the DevTools protocol's documentation.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from budgetnet.errors import InputError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
VARIABLE = "BUDGETNET_BROWSER"
"""The environment variable that names a browser where none of `NAMES` is on the path."""
LONGEST = 300.0
"""Seconds that one answer may take."""
FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


class BrowserError(Exception):
    """The browser ended, did not answer, or a script in it failed."""


def find_browser() -> str | None:
    """Return the path of a Chromium on this machine, None where there is none."""
    named = os.environ.get(VARIABLE)
    return shutil.which(named) if named else next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One page of a running browser."""

    def __init__(self, reading: int, writing: int) -> None:
        self.reading, self.writing = reading, writing
        self.number = 0
        self.rest = b""
        self.session: str | None = None
        self.requests: list[str] = []
        """The address of everything that was asked for."""
        self.loaded = 0
        self.complaints: list[str] = []
        """Errors that scripts of the page threw, or that it logged."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result. Raises `BrowserError` where it fails or is not answered."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        content = json.dumps(message).encode() + b"\0"
        while content:
            content = content[os.write(self.writing, content) :]
        deadline = time.monotonic() + LONGEST
        while True:
            answer = self._read(deadline, method)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error'].get('message')}")
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, address: str) -> None:
        """Open an address and wait until it is loaded."""
        loaded = self.loaded
        self.send("Page.navigate", url=address)
        deadline = time.monotonic() + LONGEST
        while self.loaded == loaded:
            self._read(deadline, address)

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression in the page, awaited where it is a promise."""
        result = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise BrowserError(str(details.get("exception", {}).get("description", details.get("text"))))
        return result["result"].get("value")

    def wait_for(self, script: str) -> Any:
        """Wait until an expression is true, and return it."""
        deadline = time.monotonic() + LONGEST
        while time.monotonic() < deadline:
            value = self.evaluate(script)
            if value:
                return value
            time.sleep(0.05)
        raise BrowserError(f"never came true: {script}")

    def screen(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        """Set the page's size in points, and its colours."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone
        )
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def picture(self) -> bytes:
        """Return the whole page as PNG."""
        return base64.b64decode(self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"])

    def draw(self, points: list[tuple[float, float]]) -> None:
        """Press the mouse at the first point, move through the others, and let go; in points of the page."""
        for place, (x, y) in enumerate(points):
            kind = "mouseMoved" if place else "mousePressed"
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=0 if place else 1)
        x, y = points[-1]
        self.send("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, button="left", buttons=0, clickCount=1)

    def key(self, key: str) -> None:
        """Press and release a key, named as JavaScript names it."""
        text = {"text": key} if len(key) == 1 else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key)

    def _read(self, deadline: float, what: str) -> dict[str, Any]:
        while b"\0" not in self.rest:
            if not select.select([self.reading], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise BrowserError(f"no answer to {what} within {LONGEST:.0f} seconds")
            part = os.read(self.reading, 1 << 20)
            if not part:
                raise BrowserError(f"the browser ended during {what}")
            self.rest += part
        content, _, self.rest = self.rest.partition(b"\0")
        message: dict[str, Any] = json.loads(content)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, method: str | None, parameters: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self.loaded += 1
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(parameters["exceptionDetails"].get("exception", {}).get("description")))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.complaints.append(parameters["entry"]["text"])


@contextmanager
def opened_browser() -> Iterator[Page]:
    """Start a browser with one empty page; it and its profile are gone afterwards. Raises `InputError` where none is here."""
    program = find_browser()
    if program is None:
        raise InputError(
            f"No Chromium is here ({', '.join(NAMES)}). Install one (Debian: apt-get install chromium), or set {VARIABLE}."
        )
    with tempfile.TemporaryDirectory(prefix="budgetnet-browser-", ignore_cleanup_errors=True) as profile:
        process, reading, writing = _started(program, profile)
        try:
            yield Page(reading, writing)
        finally:
            os.close(writing)
            os.close(reading)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)


def _started(program: str, profile: str) -> tuple[int, int, int]:
    """Start the program as the head of a group of its own, with 3 to read commands from and 4 to answer to."""
    commands, writing = os.pipe()
    reading, answers = os.pipe()
    # Out of the way of 3 and 4, which the browser wants.
    far = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 16) for number in (commands, answers)]
    os.close(commands)
    os.close(answers)
    # As root, Chromium starts only without its sandbox; the pages are this program's own.
    flags = [*FLAGS, f"--user-data-dir={profile}", *(["--no-sandbox"] if os.geteuid() == 0 else []), "about:blank"]
    quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    joined = [(os.POSIX_SPAWN_DUP2, far[0], 3), (os.POSIX_SPAWN_DUP2, far[1], 4)]
    process = os.posix_spawn(program, [program, *flags], dict(os.environ), file_actions=[*quiet, *joined], setpgroup=0)
    for number in far:
        os.close(number)
    return process, reading, writing
