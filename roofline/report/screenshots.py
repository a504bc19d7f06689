"""Pictures of the page as a browser shows it, where there is a browser."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

VIEWPORTS = {"desktop": (1280, 900), "phone": (390, 844)}
"""Width and height, in pixels of CSS, of what the page is shown on."""

COLOURS = 256  # of a picture that is kept: enough for this page, at a third of the size

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def chromium() -> str | None:
    """Return the path of a Chromium: $CHROMIUM, one of the system's, or playwright's own."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found:
        return found
    with sync_playwright() as driver:
        own = driver.chromium.executable_path
    return own if Path(own).exists() else None


def take_screenshots(page: Path, folder: Path) -> list[Path]:
    """Write page-desktop.png and page-phone.png, light and whole, into a folder.

    Returns what was written: nothing where playwright or a Chromium is missing.
    """
    path = chromium()
    if path is None:
        return []
    from PIL import Image
    from playwright.sync_api import sync_playwright

    written = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for name, (width, height) in VIEWPORTS.items():
            tab = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme="light"
            )
            tab.goto(page.resolve().as_uri())
            tab.wait_for_selector("#front .main-svg")
            file = folder / f"page-{name}.png"
            tab.screenshot(path=file, full_page=True)
            Image.open(file).convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(
                file, optimize=True
            )
            written.append(file)
        browser.close()
    return written
