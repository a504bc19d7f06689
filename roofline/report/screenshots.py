"""Pictures of the page as a browser shows it, where there is a browser."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

VIEWPORTS = {"desktop": (1280, 900), "phone": (390, 844)}
"""Width and height, in pixels of CSS, of what the page is shown on."""

SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
COLUMNS = {"desktop": ["roofline-title"], "phone": ["front-title", "member-title"]}
"""Headings of the page that begin the next column of its picture."""
GAP = 24  # pixels between columns
MEMBERS = 260  # pixels that are shown of the table of members, where the picture ends
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
                    tab.evaluate("document.activeElement.blur()")
                file = folder / f"page-{name}{'-dark' if scheme == 'dark' else ''}.png"
                _picture(tab, COLUMNS[name]).save(file, optimize=True)
                written.append(file)
                tab.close()
        browser.close()
    return written


def _picture(tab: Any, headings: list[str]) -> Image:
    """Take a page from its top into its table of members, in columns that begin with headings."""
    from io import BytesIO

    from PIL import Image

    whole = Image.open(BytesIO(tab.screenshot(full_page=True))).convert("RGB")
    top = "id => Math.floor(document.getElementById(id).getBoundingClientRect().top + scrollY)"
    ends = [tab.evaluate(top, heading) for heading in [*headings, "members"]]
    ends[-1] = min(ends[-1] + MEMBERS, whole.height)
    starts = [0, *(end - GAP // 2 for end in ends[:-1])]
    wide = len(ends) * (whole.width + GAP) - GAP
    tall = max(end - start for start, end in zip(starts, ends, strict=True))
    sheet = Image.new("RGB", (wide, tall), whole.getpixel((0, 0)))
    for column, (start, end) in enumerate(zip(starts, ends, strict=True)):
        sheet.paste(whole.crop((0, start, whole.width, end)), (column * (whole.width + GAP), 0))
    return _few_colours(sheet)


def _few_colours(picture: Image) -> Image:
    """Keep the colours that most pixels have, and those of few pixels that nothing is like.

    Each is kept as it is, where methods that average would tint what is grey.
    """
    from PIL import Image

    pixels = np.asarray(picture).astype(int) @ [1 << 16, 1 << 8, 1]
    codes, at, counts = np.unique(pixels, return_inverse=True, return_counts=True)
    colours = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1)
    kept = list(np.argsort(-counts)[: COLOURS // 2])
    apart = np.abs(colours[:, None] - colours[kept]).sum(axis=2)
    for _ in range(min(COLOURS, len(codes)) - len(kept)):
        kept.append(np.argmax(apart.min(axis=1) * np.sqrt(counts)))
        apart = np.column_stack([apart, np.abs(colours - colours[kept[-1]]).sum(axis=1)])
    few = Image.fromarray(apart.argmin(axis=1).astype(np.uint8)[at].reshape(pixels.shape), "P")
    few.putpalette(colours[kept].ravel().tolist())
    return few
