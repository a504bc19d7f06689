"""Notebooks as pages, with the outputs that they are stored with."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from nbconvert import MarkdownExporter
from plotly import io as plotly_io
from plotly.offline import get_plotlyjs

FOLDER = Path(__file__).parents[2] / "notebooks"
_PLOTLY = "application/vnd.plotly.v1+json"


def pages() -> list[str]:
    """Return the pages, in order."""
    return [f"notebooks/{path.stem}.md" for path in sorted(FOLDER.glob("*.ipynb"))]


def files() -> Iterator[tuple[str, str | bytes]]:
    """Yield each page with its pictures, and the script that draws what can be moved."""
    for page in pages():
        body, pictures = _page(Path(page).stem)
        yield page, body
        for name, data in pictures.items():
            yield f"notebooks/{name}", data
    yield "notebooks/plotly.min.js", get_plotlyjs()


@cache
def _page(stem: str) -> tuple[str, dict[str, bytes]]:
    notebook = nbformat.read(FOLDER / f"{stem}.ipynb", as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if _PLOTLY in output.get("data", {}):
                output.data = {"text/html": _drawn(output.data[_PLOTLY])}
    resources = {"unique_key": stem, "output_files_dir": f"{stem}_files"}
    body, found = MarkdownExporter().from_notebook_node(notebook, resources)
    body = body.replace('<table border="1" class="dataframe">', "<table>")  # in the site's style
    return f"{body}\n\n[This notebook]({stem}.ipynb), to run.\n", found["outputs"]


def _drawn(figure: dict[str, Any]) -> str:
    """Return a figure that moves, by the script that lies beside the pages."""
    body = plotly_io.to_html(
        {"data": figure["data"], "layout": figure["layout"]},
        include_plotlyjs=False,
        full_html=False,
        validate=False,
    )
    return f'<script src="../plotly.min.js"></script>\n{body}'
