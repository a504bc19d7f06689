"""Break-even of diffusion with autoregression as a figure, and what was published as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from roofline.drawing.labels import DPI
from roofline.drawing.style import FAINT, GREY, INK, STYLE
from roofline.drawing.titles import write_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.contour import QuadContourSet

    from roofline.diffusion.intensity import Map

Array = np.ndarray

LEVELS = (1.0, 1.25, 2.0, 3.25, 5.0, 8.0, 12.0, 20.0, 32.0)
"""Tokens per pass of the contours; 3.25 is what confidence .9 commits (arXiv 2505.22618)."""
MARKED = 3.25
_TITLES = {
    "none": "No cache: all positions, every pass",
    "prefix": "Prefix cache: the block and what follows",
    "dual": "Dual cache: the block alone",
}
_TICKS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)


def break_even_figure(maps: Sequence[Map], devices: Mapping[str, float], model: str) -> Figure:
    """Draw one panel a cache: break-even tokens per pass over device intensity and context.

    devices: FLOP per byte of known ones, drawn as lines. Grey: not even a whole block a pass is
    enough.
    """
    with mpl.style.context(["default", STYLE]):
        figure = Figure(figsize=(11.0, 4.6), dpi=DPI, layout="constrained")
        panels = figure.subplots(1, len(maps), sharey=True)
        for panel, each in zip(panels, maps, strict=True):
            drawn = _panel(panel, each)
            _devices(panel, each, devices)
            panel.set_title(_TITLES[each.cache], fontsize=9, pad=48 if devices else 6)
        panels[0].set_ylabel("Prompt (tokens)")
        bar = figure.colorbar(drawn, ax=list(panels), pad=0.01, spacing="uniform")
        bar.ax.invert_yaxis()
        bar.set_ticks(list(drawn.levels), labels=[f"{maps[0].block / x:g}" for x in drawn.levels])
        bar.set_label("Break-even tokens per pass")
        write_title(
            figure,
            "Tokens that a pass must commit for diffusion to be as fast as token by token\n"
            f"{model}, 16 bits, batch 1, {maps[0].generate} tokens in blocks of {maps[0].block}; "
            "no overheads; grey: never; dashed: what confidence .9 commits",
        )
    return figure


def _panel(panel: Axes, each: Map) -> QuadContourSet:
    panel.set(xscale="log", yscale="log", facecolor="#DDDDDD")
    # Passes a block are smooth where tokens a pass grow without bound: contours are of those.
    passes = np.minimum(each.passes, each.block)
    levels = [each.block / tokens for tokens in LEVELS if tokens <= each.block][::-1]
    colours = mpl.colormaps["YlGnBu"](np.linspace(1.0, 0.0, len(levels) - 1))
    drawn = panel.contourf(
        each.intensity, each.context, passes, levels=levels, colors=colours, extend="neither"
    )
    panel.contour(
        each.intensity, each.context, passes, levels=[each.block / MARKED], colors=[INK],
        linewidths=1.2, linestyles="--",
    )  # fmt: skip
    panel.set_xlabel("Device: peak over bandwidth (FLOP per byte)")
    for axis, values in ((panel.xaxis, each.intensity), (panel.yaxis, each.context)):
        axis.set_ticks([t for t in _TICKS if values.min() <= t <= values.max()][::2])
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    return drawn


def _devices(panel: Axes, each: Map, devices: Mapping[str, float]) -> None:
    for name, intensity in devices.items():
        if each.intensity.min() <= intensity <= each.intensity.max():
            panel.axvline(intensity, color=GREY, lw=0.7)
            panel.annotate(
                name, (intensity, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3),
                textcoords="offset points", rotation=90, fontsize=6.5, color=INK, ha="center",
            )  # fmt: skip
    panel.tick_params(which="minor", color=FAINT)


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table as lines of Markdown."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]
