"""From an empty folder to an opened report: a clone, and the README's own command.

    python benchmarks/first_report.py [--check]

Clones this repository as it is committed, runs the block of its README that is marked main-job
(an environment, the installation with its dependencies from the package index, a sweep of eleven
million candidates), and opens the report in a headless Chromium until its plot is drawn. Prints the
seconds of each; with --check the exit status is 1 where they are more than 180 together.
"""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
MOST = 180.0


def opened(page: Path) -> None:
    """Open a report, wait for its front to be drawn, and fail on an error or a request."""
    from playwright.sync_api import sync_playwright

    from roofline.report.screenshots import chromium

    wrong: list[str] = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        tab = browser.new_page()
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("request", lambda asked: asked.url.startswith("http") and wrong.append(asked.url))
        tab.goto(page.as_uri())
        tab.wait_for_selector("svg circle, svg path", state="attached")
        assert "train" in tab.inner_text("h1").lower(), tab.inner_text("h1")
        browser.close()
    assert not wrong, wrong


def main() -> int:
    readme = (ROOT / "README.md").read_text()
    block = re.search(r"<!-- ci: main-job -->\n```bash\n(.*?)```", readme, flags=re.DOTALL)
    assert block is not None
    parts = [part.strip() for part in block[1].strip().split("&&")]
    with tempfile.TemporaryDirectory() as empty:
        clone = Path(empty) / "roofline"
        clone.mkdir()
        spent = {}
        for part in [f"git clone -q '{ROOT}' .", *parts]:
            start = time.perf_counter()
            done = subprocess.run(part, shell=True, cwd=clone, capture_output=True, text=True)
            assert done.returncode == 0, f"{part}\n{done.stderr}"
            spent[part.removesuffix(f" -q '{ROOT}' .")] = time.perf_counter() - start
        start = time.perf_counter()
        opened(next(clone.glob("sweep-*/report.html")))
        spent["open report.html"] = time.perf_counter() - start
    for name, seconds in spent.items():
        print(f"{seconds:7.1f} s  {name}")
    whole = sum(spent.values())
    print(f"{whole:7.1f} s  together, of at most {MOST:.0f}")
    return int("--check" in sys.argv and whole > MOST)


if __name__ == "__main__":
    sys.exit(main())
