"""Every notebook runs from its first cell to its last, and is stored as a reader wants it."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_SECONDS = 120
MOST_BYTES = 400_000


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [out for cell in notebook.cells for out in cell.get("outputs", [])]


def test_all_are_there() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == [f"0{i}" for i in range(1, 8)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder, without a network address to reach, each cell within two minutes."""
    root = str(FOLDER.parent)
    monkeypatch.setenv("PYTHONPATH", root)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing listens there
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    stored = [sorted(out.get("data", {})) for out in outputs(notebook)]
    client = NotebookClient(
        notebook,
        timeout=MOST_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": tmp_path}},
    )
    client.execute()
    made = outputs(notebook)
    assert not [out for out in made if out.output_type == "stream" and out.name == "stderr"]
    # What a reader sees on the page is what the code makes now, in kind.
    assert [sorted(out.get("data", {})) for out in made] == stored


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_fit_to_read(path: Path) -> None:
    text = path.read_text()
    notebook = nbformat.reads(text, as_version=4)
    assert len(text.encode()) < MOST_BYTES
    assert notebook.cells[0].cell_type == "markdown"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code), "stored as it was executed"
    assert all(len(cell.source.splitlines()) <= 18 for cell in code), "short cells"
    assert any("image/png" in out.get("data", {}) for out in outputs(notebook)), "a picture"
    assert not re.search(
        r"/(tmp|home|root|work|Users)/|[A-Z]:\\\\", re.sub(r'"image/png".*', "", text)
    )
    assert not any(out.output_type == "error" for out in outputs(notebook))
