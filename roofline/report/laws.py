"""A front as each law sees it: the same members, side by side, each law in its own losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from roofline.drawing.labels import DPI
from roofline.drawing.style import BLUE, FAINT, GREEN, ORANGE, STYLE
from roofline.drawing.titles import write_title
from roofline.report.points import axis

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from roofline.laws import Law
    from roofline.search.run import SweepRun

ACROSS = 3  # panels of a row


def laws_figure(run: SweepRun) -> Figure:
    """Draw a front once for each law that was searched under, with what that law keeps of it.

    Every panel has its own axis of losses, in its own unit: those of two laws do not compare.
    """
    columns = min(len(run.laws), ACROSS)
    rows = -(-len(run.laws) // columns)
    with mpl.style.context(["default", STYLE]):
        figure = Figure(figsize=(3.7 * columns, 3.4 * rows + 1.0), dpi=DPI, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        panels = list(grid.flat)
        marks: dict[str, Artist] = {}
        for panel, law in zip(panels, run.laws, strict=False):
            _draw(panel, run, law)
            handles, labels = panel.get_legend_handles_labels()
            marks |= dict(zip(labels, handles, strict=True))
        for unused in panels[len(run.laws) :]:
            unused.remove()
        where = f"{run.device.title} ({run.processor}); space: {run.space_title}"
        write_title(figure, f"{where}\n{run.summary['survival']}")
        figure.legend(marks.values(), marks.keys(), loc="outside lower left", ncols=4)
    return figure


def _draw(panel: Axes, run: SweepRun, law: Law) -> None:
    """Draw the members at the losses that one law gives them."""
    own = law.name == run.laws[0].name
    x = axis(next((n for n in run.objectives if n != "loss"), "tpot"), run.front)
    front = run.front.assign(loss=run.front["loss" if own else f"loss_under_{law.name}"])
    y = axis("loss", front, law.unit)
    at = front[x.column].to_numpy(dtype=float) / x.scale
    loss = front["loss"].to_numpy(dtype=float)
    kept = front[f"on_front_{law.name}"].to_numpy(dtype=bool)
    survives = front["survives"].to_numpy(dtype=bool)
    groups = (
        (~kept, "Beaten under this law", FAINT, 9),
        (kept & ~survives, "Not beaten under this law", BLUE, 11),
        (survives, "Not beaten under any law", GREEN, 18),
    )
    for order, (some, label, paint, size) in enumerate(groups, 2):
        if some.any():
            panel.scatter(at[some], loss[some], s=size, color=paint, label=label, zorder=order)
    panel.scatter(
        at[[run.knee]], loss[[run.knee]], s=150, marker="*", facecolors="none",
        edgecolors=ORANGE, lw=1.2, label="Knee", zorder=6,
    )  # fmt: skip
    if x.log:
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter(NullFormatter())
    panel.set_xlabel(x.label)
    panel.set_ylabel(y.label)
    panel.set_title(f"{law.name}: {int(np.sum(kept))} of {len(kept)} not beaten")
    panel.grid(color=FAINT, alpha=0.35, lw=0.5)
