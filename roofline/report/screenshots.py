"""Pictures of the page as a browser shows it, where there is a browser."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

VIEWPORTS = {"desktop": (1280, 900), "phone": (390, 844)}
"""Width and height, in pixels of CSS, of what the page is shown on."""

SCHEMES = ("light", "dark")
FOLDED = {"desktop": 2000, "phone": 1500}
"""Pixels after which a picture goes on in its next column."""
GAP = 24  # pixels between columns
MEMBERS = 260  # pixels that are shown of the table of members, where the picture ends
COLOURS = 128  # of a picture that is kept: enough for this page, at a third of the size

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
    """Write page-desktop.png, page-phone.png and the same in the dark into a folder.

    Each shows the page from its top to the table of members; in the dark another member than the
    knee is chosen, by keyboard. Returns what was written: nothing where playwright or a Chromium
    is missing.
    """
    path = chromium()
    if path is None:
        return []
    from playwright.sync_api import sync_playwright

    written = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for name, (width, height) in VIEWPORTS.items():
            for scheme in SCHEMES:
                tab = browser.new_page(
                    viewport={"width": width, "height": height}, color_scheme=scheme
                )
                tab.goto(page.resolve().as_uri())
                tab.wait_for_selector("#front .main-svg")
                if scheme == "dark":
                    tab.focus("#front")
                    for _ in range(5):
                        tab.keyboard.press("ArrowRight")
                file = folder / f"page-{name}{'-dark' if scheme == 'dark' else ''}.png"
                _picture(tab, FOLDED[name]).save(file, optimize=True)
                written.append(file)
                tab.close()
        browser.close()
    return written


def _picture(tab: Any, fold: int) -> Image:
    """Take a page from its top into its table of members, folded into columns."""
    from io import BytesIO

    from PIL import Image

    whole = Image.open(BytesIO(tab.screenshot(full_page=True))).convert("RGB")
    end = tab.evaluate("document.getElementById('members').getBoundingClientRect().top + scrollY")
    tall = min(whole.height, round(end) + MEMBERS)
    columns = -(-tall // fold)
    fold = -(-tall // columns)
    wide = columns * whole.width + (columns - 1) * GAP
    sheet = Image.new("RGB", (wide, fold), whole.getpixel((0, 0)))
    for column in range(columns):
        part = whole.crop((0, column * fold, whole.width, min((column + 1) * fold, tall)))
        sheet.paste(part, (column * (whole.width + GAP), 0))
    return sheet.quantize(COLOURS, Image.Quantize.MAXCOVERAGE)
