"""The folder of a plan: its front, its inputs and answers, its figure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from roofline.outputs import FIGURE_DPI, whole_folder, write_text

if TYPE_CHECKING:
    from roofline.strategies.plan import Plan

FILES = ("front.csv", "plan.yaml", "front.png")


def write_plan(plan: Plan, path: Path, more: dict[str, Any] | None = None) -> None:
    """Write front.png, plan.yaml and front.csv; more: entries of plan.yaml."""
    import yaml

    from roofline.strategies.account import to_dict
    from roofline.strategies.figures import front_figure

    said = to_dict(plan) | (more or {})
    said.pop("front")
    with whole_folder(path) as folder:
        front_figure(plan).savefig(folder / "front.png", dpi=FIGURE_DPI)
        text = yaml.safe_dump(said, sort_keys=False, allow_unicode=True)
        write_text(folder / "plan.yaml", text)
        plan.to_frame().to_csv(folder / "front.csv", index=False)
