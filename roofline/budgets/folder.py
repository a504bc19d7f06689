"""The folder of an answer: its figure, its numbers, and what it can be asked again from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from roofline.outputs import save_figure, whole_folder, write_text

if TYPE_CHECKING:
    from roofline.budgets.answer import Answer


def write_answer(answer: Answer, path: Path) -> None:
    """Write region.png and .svg, optima.csv, budget.yaml and budget.json."""
    import pandas as pd
    import yaml

    from roofline.budgets.account import to_dict
    from roofline.budgets.figures import region_figure

    said = to_dict(answer)
    table = [
        {key: value for key, value in row.items() if key not in ("costs", "architecture")}
        | {f"{name}_cost": value for name, value in row["costs"].items()}
        for row in said["optima"]
    ]
    case = answer.case.model_dump(exclude_none=True)
    asked = yaml.safe_dump(case, sort_keys=False, allow_unicode=True)
    with whole_folder(path) as folder:
        save_figure(region_figure(answer), folder, "region")
        write_text(folder / "optima.csv", pd.DataFrame(table).to_csv(index=False))
        write_text(folder / "budget.yaml", asked)
        write_text(folder / "budget.json", json.dumps(said, indent=2) + "\n")
