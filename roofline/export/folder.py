"""The folder that a training team gets: configurations, plan, ladder, and what checks it later."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from roofline.export.text import plan_text
from roofline.fitting.law_file import to_yaml
from roofline.outputs import whole_folder, write_text

if TYPE_CHECKING:
    from roofline.export.front import Front
    from roofline.export.plan import Plan
    from roofline.laws import Law

LADDER = "ladder.csv"


def write_plan(folder: Path, plan: Plan, files: Mapping[str, str], law: Law, front: Front) -> None:
    """Write everything, whole or not at all.

    model/ and ladder/: configurations; plan.md, plan.yaml; ladder.csv, to be filled in; law.yaml
    and the front as they were, by which `roofline fit --ladder` judges later.
    Raises SpecError for a folder that is not empty or cannot be written.
    """
    import yaml

    texts = dict(files)
    texts["plan.md"] = plan_text(plan)
    data = plan.model_dump(mode="json", exclude_none=True)
    texts["plan.yaml"] = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
    texts[plan.laws] = to_yaml(law)
    texts[plan.front] = front.table.to_csv(index=False)
    if plan.ladder:
        texts[LADDER] = ladder_text(plan)
    with whole_folder(folder) as draft:
        for name, text in texts.items():
            file = draft / name
            file.parent.mkdir(parents=True, exist_ok=True)
            write_text(file, text)


def ladder_text(plan: Plan) -> str:
    """Return ladder.csv, whose last column is the team's."""
    lines = [
        "rung,parameters,active_parameters,tokens,expected_loss,expected_low,expected_high,loss"
    ]
    for each in plan.ladder:
        ends = ["" if e is None else f"{e:.5f}" for e in (each.loss.low, each.loss.high)]
        lines.append(
            f"{each.name},{each.parameters},{each.active_parameters},{each.tokens:.0f},"
            f"{each.loss.value:.5f},{','.join(ends)},"
        )
    return "\n".join(lines) + "\n"
