"""One thread for every test, and MNIST where it can be had: BUDGETNET_DATA, else ../shared/mnist beside the project."""

import os
from pathlib import Path

import pytest
import torch

from budgetnet import kernels
from budgetnet.browser import find_browser

BESIDE = Path(__file__).parents[2] / "shared" / "mnist"
WITHOUT = "NO MNIST: tests that need it are left out. Set BUDGETNET_DATA to a folder with MNIST's four files to run them."


BROWSER = find_browser()
WITHOUT_BROWSER = (
    "NO CHROMIUM: tests of the pages in a browser are left out. Debian: apt-get install chromium; or set BUDGETNET_BROWSER."
)


def _mnist_folder() -> Path | None:
    """Where MNIST should be. A folder that is named or lies there and is broken makes tests fail, it does not switch them off."""
    if given := os.environ.get("BUDGETNET_DATA"):
        return Path(given)
    return BESIDE if BESIDE.exists() else None


FOLDER = _mnist_folder()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "mnist: needs MNIST on this machine")
    config.addinivalue_line("markers", "browser: needs a Chromium on this machine")
    torch.set_num_threads(1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if BROWSER is None:
        left_out = [item for item in items if item.get_closest_marker("browser")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    needy = [item for item in items if item.get_closest_marker("mnist") or "mnist_folder" in getattr(item, "fixturenames", ())]
    if FOLDER is None and needy:
        config.hook.pytest_deselected(items=needy)
        items[:] = [item for item in items if item not in needy]


def pytest_report_header() -> list[str]:
    return [WITHOUT if FOLDER is None else f"MNIST: {FOLDER}", BROWSER or WITHOUT_BROWSER]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FOLDER is None:
        terminalreporter.write_line(WITHOUT, yellow=True, bold=True)
    if BROWSER is None:
        terminalreporter.write_line(WITHOUT_BROWSER, yellow=True, bold=True)


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """The folder with MNIST's files; a test that asks for it is left out where there is none."""
    assert FOLDER is not None
    return FOLDER


@pytest.fixture(scope="session")
def compiled() -> None:
    """The tests of the kernels need the kernels: this machine has a compiler, or the project is not tested."""
    assert kernels.library() is not None, "no C compiler with OpenMP: install gcc to test the kernels"
