"""The site builds without a warning, loads nothing from elsewhere, and its links lead somewhere.

What it says of commands, files and names is compared with the code, apart from what made it.
"""

from __future__ import annotations

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from filelock import FileLock

ROOT = Path(__file__).parent.parent
PHONE = {"width": 390, "height": 844}


class Links(HTMLParser):
    """What a page leads to, what it loads, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.leads: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        self.anchors |= {known[name] for name in ("id", "name") if name in known}
        if tag == "a" and "href" in known:
            self.leads.append(known["href"])
        if tag == "link" and known.get("rel") not in ("canonical", "next", "prev"):
            self.loads.append(known["href"])
        self.loads += [known["src"]] if "src" in known else []


@pytest.fixture(scope="module")
def site(shared: Path) -> Path:
    with FileLock(shared / "site.lock"):
        if not (shared / "site").exists():
            build(shared / "draft")
            (shared / "draft").rename(shared / "site")
    return shared / "site"


def build(folder: Path) -> None:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "NO_MKDOCS_2_WARNING": "1",
        "http_proxy": "http://127.0.0.1:9",  # nothing listens there
        "https_proxy": "http://127.0.0.1:9",
    }
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Links]:
    return {file: Links(file.read_text()) for file in site.rglob("*.html")}


def resolved(page: Path, site: Path, link: str) -> tuple[Path, str]:
    """Return the file and the anchor that a link on a page leads to."""
    parts = urlsplit(link)
    path = unquote(parts.path)
    target = site / path.lstrip("/") if path.startswith("/") else page.parent / path
    if not path:
        target = page
    target = Path(os.path.normpath(target))
    return (target / "index.html" if target.is_dir() else target), unquote(parts.fragment)


def test_every_link_leads_somewhere(site: Path, pages: dict[Path, Links]) -> None:
    lost = []
    checked = 0
    for page, links in pages.items():
        for link in links.leads + links.loads:
            if urlsplit(link).scheme:
                continue
            checked += 1
            target, anchor = resolved(page, site, link)
            known = pages.get(target)
            if not target.exists() or (anchor and known and anchor not in known.anchors):
                lost.append(f"{page.relative_to(site)}: {link}")
    assert checked > 1000
    assert not lost, "\n".join(lost)


def test_nothing_is_fetched_from_elsewhere(site: Path, pages: dict[Path, Links]) -> None:
    remote = {link for links in pages.values() for link in links.loads if urlsplit(link).netloc}
    assert not remote
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*['\"]?https?:", sheet.read_text()), sheet


def test_every_page_of_the_repository_is_on_the_site(site: Path) -> None:
    folders = ("docs", "reports", "notebooks")
    written = [file for folder in folders for file in (ROOT / folder).rglob("*.md")]
    assert len(written) > 20
    for file in written:
        path = file.relative_to(ROOT).with_suffix("")
        built = path.parent if path.name == "README" else path
        assert (site / built / "index.html").exists(), f"{file} is missing in the nav of mkdocs.yml"
    for picture in (ROOT / "reports").rglob("*.png"):
        assert (site / picture.relative_to(ROOT)).exists()


def test_every_command_and_option_has_its_place(site: Path) -> None:
    """By what --help prints, which is not where the pages come from."""
    from typer.testing import CliRunner

    from roofline.cli.app import app

    names = {each.name for each in (*app.registered_commands, *app.registered_groups)}
    assert len(names) >= 17
    for name in names:
        page = (site / "docs/reference/commands" / str(name) / "index.html").read_text()
        told = CliRunner().invoke(app, [str(name), "--help"], env={"COLUMNS": "300"}).output
        options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", told)) - {"--help"}
        assert not {option for option in options if option not in page}, name


def test_every_public_name_is_described(site: Path) -> None:
    import roofline

    page = (site / "docs/reference/python/roofline/index.html").read_text()
    for name in roofline.__all__:
        if not name.startswith("_"):
            assert re.search(rf'<a class="[^"]*" [^>]*href="[^"]*{name}"[^>]*><code>{name}<', page)


def test_every_field_of_a_device_is_described(site: Path) -> None:
    from hardware_specs import device_schema

    page = (site / "docs/reference/files/device/index.html").read_text()
    schema = device_schema()
    shapes = [schema, *schema["$defs"].values()]
    fields = {name for shape in shapes for name in shape.get("properties", {})}
    assert len(fields) > 40
    assert not {name for name in fields if f"<code>{name}</code>" not in page}


def test_every_field_of_a_file_says_what_it_holds(site: Path) -> None:
    pages = sorted((site / "docs" / "reference" / "files").glob("*/index.html"))
    assert len(pages) >= 14
    bare = set()
    for page in pages:
        title = ""
        for part in re.findall(r"<h[1-4][^>]*>.*?<|<tr>.*?</tr>", page.read_text(), re.DOTALL):
            if part.startswith("<h"):
                title = part.split(">")[1].removesuffix("<")
            cells = re.findall(r"<td[^>]*>(.*?)</td>", part, re.DOTALL)
            if len(cells) == 4 and not cells[1].strip():
                bare.add(title)
    assert not bare


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    serve = functools.partial(Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize(
    "page",
    ["", "docs/laws/", "docs/reference/commands/sweep/", "docs/peers/", "docs/howto/device/"],
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_in_a_browser(browser: Any, address: str, page: str, scheme: str) -> None:
    """On a phone: nothing is loaded from elsewhere, fails, sticks out or is too pale to read."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe")
    asked: list[str] = []
    failed: list[str] = []
    tab = browser.new_page(viewport=PHONE, color_scheme=scheme)
    tab.set_default_timeout(120_000)  # a machine may be busy
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("response", lambda answer: failed.append(answer.url) if not answer.ok else None)
    tab.on("pageerror", lambda error: failed.append(str(error)))
    tab.goto(f"{address}/{page}", wait_until="networkidle")
    tab.add_style_tag(content="* { transition: none !important }")  # colours as they end up
    width = tab.evaluate("document.documentElement.scrollWidth")
    background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    readable = {"runOnly": ["color-contrast", "link-in-text-block", "image-alt"]}
    faults = axe.Axe().run(tab, options=readable).response["violations"]
    tab.close()
    assert asked
    assert not [url for url in asked if not url.startswith((address, "data:", "blob:"))]
    assert not failed
    assert width <= PHONE["width"]
    assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 3 * 90) == (scheme == "dark")
    assert not [(fault["id"], node["html"]) for fault in faults for node in fault["nodes"]]
