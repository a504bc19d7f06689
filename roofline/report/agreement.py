"""Predicted against measured rates of held-out rows, one panel a metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from roofline.drawing.style import GREY, STYLE
from roofline.drawing.titles import write_title

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# Okabe and Ito, without the yellow that white paper swallows.
COLOURS = {
    "phone": "#D55E00", "sbc": "#CC79A7", "jetson": "#009E73", "laptop": "#56B4E9",
    "desktop": "#0072B2", "desktop_gpu": "#E69F00", "datacentre": "#222222",
}  # fmt: skip
NAMES = {
    "phone": "Phone", "sbc": "Board", "jetson": "Jetson", "laptop": "Laptop", "desktop": "Desktop",
    "desktop_gpu": "Desktop GPU", "datacentre": "Datacentre",
}  # fmt: skip
TITLES = {"decode": "Decode", "prefill": "Prefill"}
Intervals = Mapping[str, Mapping[str, Mapping[str, tuple[float, float]]]]


def agreement_figure(held_out: pd.DataFrame, intervals: Intervals, by: str = "model") -> Figure:
    """Draw predicted against measured tokens per second of rows that no fit saw.

    held_out: as the calibration writes it; by: what was held out whole. The band is where 90 % of
    measurements of a calibrated device lie, all kinds together.
    """
    basis = "device" if by == "model" else "class"
    with mpl.style.context(["default", STYLE]):
        figure = Figure(figsize=(9.6, 5.0), dpi=150, layout="constrained")
        panels = figure.subplots(1, 2)
        for panel, metric in zip(panels, TITLES, strict=True):
            part = held_out[(held_out["held_out"] == by) & (held_out["metric"] == metric)]
            band = intervals.get(metric, {}).get(basis, {}).get("", (1.0, 1.0))
            _draw(panel, part, metric, band)
        write_title(
            figure,
            "Predicted against measured speed\nEach row is predicted by a fit that never saw its "
            f"{by}, all batches and power modes; shaded: where nine of ten measurements of a known "
            "device lie",
        )
    return figure


def _draw(panel: Axes, part: pd.DataFrame, metric: str, band: tuple[float, float]) -> None:
    values = part[["measured", "predicted"]].to_numpy()
    ends = np.array([values.min() / 1.5, values.max() * 1.5]) if len(values) else np.array([1, 10])
    # Ends are of measured over predicted time; a measured rate lies between the inverses.
    panel.fill_between(ends, ends * band[0], ends * band[1], color="#000000", alpha=0.07, lw=0)
    panel.plot(ends, ends, color=GREY, lw=0.8, zorder=1)
    counts = part["class"].value_counts()
    for kind in sorted(counts.index, key=lambda name: -counts[name]):
        rows = part[part["class"] == kind]
        error = float((rows["predicted"] / rows["measured"] - 1).abs().median())
        panel.scatter(
            rows["measured"], rows["predicted"], s=9, alpha=0.65, lw=0,
            color=COLOURS.get(kind, GREY), zorder=2,
            label=f"{NAMES.get(kind, kind)}: {len(rows)}, {error:.0%}",
        )  # fmt: skip
    panel.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal")
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axis.set_minor_formatter(NullFormatter())
    panel.set_xlabel("Measured (tokens per second)")
    panel.set_ylabel("Predicted (tokens per second)")
    total = float((part["predicted"] / part["measured"] - 1).abs().median())
    panel.set_title(f"{TITLES[metric]}: {len(part):,} rows, median error {total:.1%}")
    handles = panel.legend(
        loc="upper left", title="Class: rows, median error", title_fontsize=8,
        handletextpad=0.2, borderaxespad=0.2, markerscale=1.6, alignment="left",
    )  # fmt: skip
    for handle in handles.legend_handles:
        if handle is not None:
            handle.set_alpha(1.0)
