"""What several rooms' tests share."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Many processes test side by side. numpy reads this when it loads, and subprocesses inherit it:
# threads of BLAS that wait for each other's core take several times as long as one alone.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all processes of pytest-xdist; who writes there first takes a lock."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium that is on this machine; it closes with its module, for its loop bars another."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    from roofline.report.screenshots import chromium

    path = chromium()
    if path is None:
        pytest.skip("no Chromium is found: install one, or name it in $CHROMIUM")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()
