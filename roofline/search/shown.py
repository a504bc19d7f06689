"""How a sweep looks in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roofline.html_table import html_table, spread_rows
from roofline.laws.law import format_loss
from roofline.search.objectives import COLUMNS, DIMENSIONS
from spec_files import format_quantity

if TYPE_CHECKING:
    from roofline.search.run import SweepRun

SHAPE = {
    "layers": "layers",
    "width": "width",
    "ffn_width": "FFN",
    "experts": "experts",
    "weight_format": "weights",
}


def run_html(run: SweepRun) -> str:
    """Return members evenly over the front, the picks among them, and how sure the choice is."""
    front, picks = run.front, {run.knee: "knee", run.runner_up: "runner-up"}
    names = list(dict.fromkeys((*run.objectives, "memory")))
    keep = [row for row in picks if row is not None]
    shown = spread_rows(len(front), keep)

    def say(name: str, value: float) -> str:
        if value != value:
            return "–"
        kind = DIMENSIONS[name]
        return format_loss(value) if kind == "ratio" else format_quantity(value, kind)

    rows: list[list[Any]] = []
    for row in shown:
        member = front.iloc[row]
        rows.append(
            [
                f"{row} {picks.get(row, '')}".strip(),
                *(say(name, float(member[COLUMNS[name]])) for name in names),
                f"{member['parameters'] / 1e6:,.0f} M",
                *(member[column] for column in SHAPE),
                "yes" if member["in_range"] else "no",
            ]
        )
    heads = ["member", *names, "parameters", *SHAPE.values(), "within the law's data"]
    summary = run.summary
    notes = [
        f"{summary['method']}: {summary['evaluated']:,} of {summary['space_size']:,} candidates, "
        f"{summary['feasible']:,} within memory and limits. Losses by {run.law_title} "
        f"({run.loss_unit}). {summary['decision']}",
        f"Basis: {run.basis}. to_frame() has every column, in SI units.",
    ]
    title = (
        f"{run.space_title}, on {run.device.title}: {len(front)} on the front, {len(shown)} shown"
    )
    return html_table(heads, rows, title, notes)
