"""The folder of an answer: its figure, its numbers, and what it can be asked again from."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spec_files import SpecError

if TYPE_CHECKING:
    from roofline.budgets.answer import Answer

FIGURE_DPI = 150


def check_folder(path: Path) -> None:
    """Refuse a folder that holds something already, and a file in its place."""
    try:
        if path.is_dir():
            if any(path.iterdir()):
                raise SpecError(
                    f"--out: {path} is not empty, and nothing is overwritten; name another"
                )
        elif path.exists():
            raise SpecError(f"--out: {path} is a file; name a folder")
    except OSError as refused:
        raise SpecError(f"--out: {path}: {refused.strerror}") from None


def write_answer(answer: Answer, path: Path) -> None:
    """Write region.png and .svg, optima.csv, budget.yaml and, last, budget.json."""
    import pandas as pd
    import yaml

    from roofline.budgets.account import to_dict
    from roofline.budgets.figures import region_figure

    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as refused:
        raise SpecError(f"--out: cannot write {path}: {refused.strerror}") from None
    save_figure(region_figure(answer), path, "region")
    said = to_dict(answer)
    table = [
        {key: value for key, value in row.items() if key not in ("costs", "architecture")}
        | {f"{name}_cost": value for name, value in row["costs"].items()}
        for row in said["optima"]
    ]
    write_text(path / "optima.csv", pd.DataFrame(table).to_csv(index=False))
    case = answer.case.model_dump(exclude_none=True)
    write_text(path / "budget.yaml", yaml.safe_dump(case, sort_keys=False, allow_unicode=True))
    write_text(path / "budget.json", json.dumps(said, indent=2) + "\n")


def save_figure(figure: Any, folder: Path, name: str) -> None:
    """Save a figure as PNG and as SVG, the latter the same whenever it is drawn."""
    import matplotlib as mpl

    figure.savefig(folder / f"{name}.png", dpi=FIGURE_DPI)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "roofline"}):
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


def write_text(file: Path, text: str) -> None:
    """Write a file whole or not at all."""
    draft = file.with_name(f".{file.name}.part")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, file)
