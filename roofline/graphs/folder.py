"""The folder of a search: its settings, its history as it goes, and its answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roofline.outputs import check_folder, write_text
from spec_files import SpecError, read_json

if TYPE_CHECKING:
    from roofline.graphs.pool import Pool
    from roofline.graphs.run import Found

SETTINGS, HISTORY, ANSWER, PICTURE = "search.json", "history.csv", "graph.json", "graph.png"


def new_folder(path: Path, settings: dict[str, Any]) -> None:
    """Make an empty folder with a search's settings; SpecError where there is something already."""
    check_folder(path, f"name another, or say --resume {path}")
    try:
        path.mkdir(parents=True, exist_ok=True)
        _write(path / SETTINGS, settings)
    except OSError as refused:
        raise SpecError(f"--out: cannot write {path}: {refused.strerror}") from None


def settings_of(path: Path) -> dict[str, Any]:
    """Settings of the search that a folder holds; SpecError where it holds none."""
    if not (path / SETTINGS).is_file():
        raise SpecError(f"--resume: {path} holds no search: it has no {SETTINGS}")
    found = read_json(path / SETTINGS)
    if not isinstance(found, dict):
        raise SpecError(f"--resume: {path / SETTINGS} holds no settings")
    return found


def write_answer(path: Path, best: Found, runner_up: Found | None, pool: Pool, title: str) -> None:
    """Write the picture and then graph.json: the best graph, with the runner-up beside it."""
    from roofline.graphs.drawing import picture

    picture(best.graph, pool, title).savefig(path / PICTURE)
    said = best.to_dict(pool)
    said["about"]["runner_up"] = None if runner_up is None else runner_up.to_dict(pool)
    _write(path / ANSWER, said)


def _write(file: Path, data: dict[str, Any]) -> None:
    write_text(file, json.dumps(data, indent=2) + "\n")
