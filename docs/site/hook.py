"""Lays the site out as the repository is, so that one relative link holds in both.

A page's address is its path in the repository: README.md is the front page, docs/method.md is at
docs/method/. To the pages of docs/ come those beside it, the figures and tables of reports/, the
notebooks, and the reference, which is generated. Nothing of the reference is written by hand.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import commands
import file_formats
import notebook_pages
import python_api
from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff", "LICENSE")
FOLDERS = ("docs", "reports", "notebooks")
SHOWN = {".md", ".png", ".svg", ".csv", ".json", ".yaml", ".css", ".ipynb"}


def on_config(config: MkDocsConfig) -> None:
    """Hang the generated pages below Reference."""
    sections: list[dict[str, Any]] = config.nav
    reference = next(section["Reference"] for section in sections if "Reference" in section)
    reference += [
        {"Python": list(python_api.pages())},
        {"Command line": list(commands.pages())},
        {"Files": list(file_formats.pages())},
    ]
    reports = next(section for section in sections if "Reports" in section)
    reports["Reports"] = ["reports/README.md", *sorted(_folders_of_reports())]
    tutorial = next(section["Tutorial"] for section in sections if "Tutorial" in section)
    notebooks = next(entry for entry in tutorial if "Notebooks" in entry)
    notebooks["Notebooks"] = ["notebooks/README.md", *notebook_pages.pages()]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Take every file by its path in the repository, and make those that nobody wrote."""
    theme = [each for each in files if each.src_dir != config.docs_dir]
    ours = [
        File(path, str(ROOT), config.site_dir, config.use_directory_urls) for path in _written()
    ]
    made = [
        File.generated(config, path, content=text)
        for part in (python_api, commands, file_formats, notebook_pages)
        for path, text in part.files()
    ]
    made += [File.generated(config, path, content=text) for path, text in _listings()]
    return Files([*theme, *ours, *made])


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to a folder to its page, and links to a notebook to the page made of it."""
    here = PurePosixPath(page.file.src_uri).parent

    def lead(link: re.Match[str]) -> str:
        for path in (f"{link[1].rstrip('/')}/README.md", link[1].replace(".ipynb", ".md")):
            if files.get_file_from_path(posixpath.normpath(here / path)) is not None:
                return f"]({path})"
        return link[0]

    if page.file.src_uri == "README.md":
        page.meta["hide"] = ["navigation"]  # it stands alone
    if page.file.src_uri in notebook_pages.pages():
        return markdown
    return re.sub(r"\]\(([^)#:]+)\)", lead, markdown)


def _written() -> Iterator[str]:
    yield from (path for path in PAGES if (ROOT / path).exists())
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in SHOWN:
                yield file.relative_to(ROOT).as_posix()


def _folders_of_reports() -> Iterator[str]:
    for folder in (ROOT / "reports").iterdir():
        if folder.is_dir():
            yield f"reports/{folder.name}/README.md"


def _listings() -> Iterator[tuple[str, str]]:
    """Yield a page for each folder of reports that has none: its pictures, and its other files."""
    for page in _folders_of_reports():
        if (ROOT / page).exists():
            continue
        folder = (ROOT / page).parent
        files = sorted(file.name for file in folder.iterdir() if file.suffix in SHOWN)
        pictures = [name for name in files if name.endswith(".png")]
        lines = [f"# {folder.name.capitalize()}", ""]
        lines += [" · ".join(f"[{name}]({name})" for name in files if name not in pictures), ""]
        lines += [f"![{folder.name}: {Path(name).stem}]({name})\n" for name in pictures]
        yield page, "\n".join(lines)
