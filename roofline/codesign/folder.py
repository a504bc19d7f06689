"""The folder of an answer: made beside its place and moved there whole, or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spec_files import SpecError

if TYPE_CHECKING:
    from roofline.codesign.fleet import FleetAnswer
    from roofline.codesign.inverse import Answer
    from roofline.codesign.library import Found

QUESTION = "codesign.yaml"
FIGURE_DPI = 150


def check_folder(path: Path) -> None:
    """Refuse a folder that holds something already, and a file in its place."""
    try:
        if path.is_dir():
            if any(path.iterdir()):
                raise SpecError(
                    f"--out: {path} is not empty, and nothing is overwritten; name another"
                )
        elif path.exists() or path.is_symlink():
            raise SpecError(f"--out: {path} is a file; name a folder")
    except OSError as refused:
        raise SpecError(f"--out: {path}: {refused.strerror}") from None


def write_answer(answer: Answer, library: Sequence[Found] | None, path: Path) -> list[str]:
    """Write an inverse answer: the question, tables and figures; return the files' names."""
    from roofline.codesign.account import sentences, to_dict
    from roofline.codesign.figures import contours_figure, devices_figure, lines_figure
    from roofline.codesign.library import library_table

    def fill(folder: Path) -> None:
        import pandas as pd

        said = to_dict(answer, library)
        _text(folder / QUESTION, answer.question.to_yaml())
        table = answer.hardware
        table.to_csv(folder / "hardware.csv", index=False, float_format="%.10g")
        table.to_parquet(folder / "hardware.parquet", index=False)
        lines = [answer.line(axis) for axis in answer.axes()]
        if lines:
            joined = pd.concat(lines, ignore_index=True)
            joined.to_csv(folder / "lines.csv", index=False, float_format="%.10g")
            _figure(lines_figure(answer), folder / "lines.png")
        for name in ("needs", "model_needs", "margins"):
            if said[name]:
                pd.DataFrame(said[name]).to_csv(folder / f"{name}.csv", index=False)
        _figure(contours_figure(answer, library), folder / "contours.png")
        if library is not None:
            library_table(library).to_csv(folder / "devices.csv", index=False, float_format="%.8g")
            title = f"Shipped devices that reach a loss of {answer.loss:.3f} within the limits"
            figure = devices_figure(library, f"{title}, by stated power")
            if figure is not None:
                _figure(figure, folder / "devices.png")
        said["sentences"] = sentences(answer, library)
        _text(folder / "codesign.json", json.dumps(said, indent=2) + "\n")

    return _whole(path, fill)


def write_fleet(answer: FleetAnswer, path: Path) -> list[str]:
    """Write a fleet's answer: the question, a table and a figure; return the files' names."""
    from roofline.codesign.account import fleet_dict, fleet_sentences
    from roofline.codesign.figures import fleet_figure

    def fill(folder: Path) -> None:
        said = fleet_dict(answer)
        _text(folder / QUESTION, answer.question.to_yaml())
        if answer.choices:
            answer.table().to_csv(folder / "fleet.csv", index=False, float_format="%.10g")
            _figure(fleet_figure(answer), folder / "fleet.png")
        said["sentences"] = fleet_sentences(answer)
        _text(folder / "codesign.json", json.dumps(said, indent=2) + "\n")

    return _whole(path, fill)


def _whole(path: Path, fill: Callable[[Path], None]) -> list[str]:
    """Fill a folder beside its place, and move it there."""
    check_folder(path)
    made = []
    try:
        for folder in reversed([p for p in path.parents if not p.exists()]):
            folder.mkdir(exist_ok=True)
            made.append(folder)
        draft = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as refused:
        raise SpecError(f"--out: cannot write {path}: {refused.strerror}") from None
    try:
        draft.chmod(0o777 & ~_umask())
        fill(draft)
        if path.is_dir():
            path.rmdir()  # empty, as was checked
        os.replace(draft, path)
    except BaseException as failed:
        shutil.rmtree(draft, ignore_errors=True)
        for folder in reversed(made):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        if isinstance(failed, OSError):
            raise SpecError(f"--out: cannot write {path}: {failed.strerror}") from None
        raise
    return sorted(file.name for file in path.iterdir())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _text(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


def _figure(figure: Any, file: Path) -> None:
    figure.savefig(file, dpi=FIGURE_DPI)
