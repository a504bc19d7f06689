"""The folder of a plan: its front, its inputs and answers, its figure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from spec_files import SpecError

if TYPE_CHECKING:
    from roofline.strategies.plan import Plan

FILES = ("front.csv", "plan.yaml", "front.png")


def check_folder(path: Path) -> None:
    """Refuse a folder that holds something already, and a file in its place."""
    try:
        if path.is_dir() and any(path.iterdir()):
            raise SpecError(f"--out: {path} is not empty, and nothing is overwritten; name another")
        if path.exists() and not path.is_dir():
            raise SpecError(f"--out: {path} is a file; name a folder")
    except OSError as refused:
        raise SpecError(f"--out: {path}: {refused.strerror}") from None


def write_plan(plan: Plan, path: Path, more: dict[str, Any] | None = None) -> None:
    """Write front.png, plan.yaml and, last, front.csv; more: entries of plan.yaml."""
    import yaml

    from roofline.strategies.account import to_dict
    from roofline.strategies.figures import front_figure

    try:
        path.mkdir(parents=True, exist_ok=True)
        front_figure(plan).savefig(path / "front.png", dpi=150)
        said = to_dict(plan) | (more or {})
        said.pop("front")
        text = yaml.safe_dump(said, sort_keys=False, allow_unicode=True)
        (path / "plan.yaml").write_text(text, encoding="utf-8")
        part = path / ".front.csv"
        plan.frame().to_csv(part, index=False)
        part.rename(path / "front.csv")
    except OSError as refused:
        raise SpecError(f"--out: cannot write {path}: {refused.strerror}") from None
