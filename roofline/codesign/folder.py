"""The folder of an answer: made beside its place and moved there whole, or not at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roofline.outputs import FIGURE_DPI, whole_folder, write_text

if TYPE_CHECKING:
    from roofline.codesign.fleet import FleetAnswer
    from roofline.codesign.inverse import Answer
    from roofline.codesign.library import Found

QUESTION = "codesign.yaml"


def write_answer(answer: Answer, library: Sequence[Found] | None, path: Path) -> list[str]:
    """Write an inverse answer: the question, tables and figures; return the files' names."""
    from roofline.codesign.account import sentences, to_dict
    from roofline.codesign.figures import contours_figure, devices_figure, lines_figure
    from roofline.codesign.library import library_table

    with whole_folder(path) as folder:
        import pandas as pd

        said = to_dict(answer, library)
        write_text(folder / QUESTION, answer.question.to_yaml())
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
        write_text(folder / "codesign.json", json.dumps(said, indent=2) + "\n")

    return sorted(file.name for file in path.iterdir())


def write_fleet(answer: FleetAnswer, path: Path) -> list[str]:
    """Write a fleet's answer: the question, a table and a figure; return the files' names."""
    from roofline.codesign.account import fleet_dict, fleet_sentences
    from roofline.codesign.figures import fleet_figure

    with whole_folder(path) as folder:
        said = fleet_dict(answer)
        write_text(folder / QUESTION, answer.question.to_yaml())
        if answer.choices:
            answer.to_frame().to_csv(folder / "fleet.csv", index=False, float_format="%.10g")
            _figure(fleet_figure(answer), folder / "fleet.png")
        said["sentences"] = fleet_sentences(answer)
        write_text(folder / "codesign.json", json.dumps(said, indent=2) + "\n")

    return sorted(file.name for file in path.iterdir())


def _figure(figure: Any, file: Path) -> None:
    figure.savefig(file, dpi=FIGURE_DPI)
