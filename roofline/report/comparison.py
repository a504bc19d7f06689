"""Several devices asked the same question: their fronts and their choices side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, NullFormatter

from roofline.drawing.labels import DPI
from roofline.drawing.style import BLUE, FAINT, GREEN, GREY, INK, ORANGE, STYLE
from roofline.drawing.titles import write_title
from roofline.report.points import PHASES, brief

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from roofline.report.points import Roofline
    from roofline.search.run import SweepRun

COLUMNS = (
    "loss", "loss_low", "loss_high", "tpot_s", "tpot_s_low", "tpot_s_high", "ttft_s", "energy_j",
    "memory_bytes", "parameters", "active_parameters", "weight_format", "decode_bound", "in_range",
)  # fmt: skip
"""What a comparison keeps of a member, beside its architecture in words."""

COLOURS = (ORANGE, BLUE, GREEN, "#CC79A7", "#56B4E9", "#222222")  # Okabe and Ito
BUDGETS = (0.005, 0.01, 0.02, 0.05)
"""Seconds per output token at which choices are compared: 200 to 20 tokens per second."""


def best_within(run: SweepRun, seconds: float) -> int | None:
    """Return the member of least loss whose time per output token is within a budget."""
    within = run.front["loss"].where(run.front["tpot_s"] <= seconds)
    return None if within.isna().all() else int(within.idxmin())


def comparison_table(runs: Mapping[str, SweepRun]) -> pd.DataFrame:
    """What each device should run within each budget: one row a device and budget.

    Loss in nats per token, times in seconds, sizes in bytes; a device with no member that is fast
    enough has a row of missing values. loss_low, loss_high, tpot_s_low, tpot_s_high: 90 % ends.
    """
    import pandas as pd

    rows = []
    for seconds in BUDGETS:
        for name, run in runs.items():
            row = best_within(run, seconds)
            told = {} if row is None else {n: run.front.at[row, n] for n in COLUMNS}
            shape = "" if row is None else brief(run.front.loc[row])
            rows.append({"device": name, "budget_s": seconds, **told, "architecture": shape})
    return pd.DataFrame(rows)


def fronts_table(runs: Mapping[str, SweepRun]) -> pd.DataFrame:
    """All members of all fronts, one row each: device, whether it is its knee, COLUMNS, shape."""
    import pandas as pd

    tables = [
        run.front[[*COLUMNS]].assign(
            device=name,
            knee=run.front.index == run.knee,
            architecture=[brief(row) for row in run.front.to_dict("records")],
        )
        for name, run in runs.items()
    ]
    return pd.concat(tables, ignore_index=True)


def fronts_figure(runs: Mapping[str, SweepRun]) -> Figure:
    """Draw the fronts of several devices over the same space, with their knees and intervals."""
    with mpl.style.context(["default", STYLE]):
        figure = Figure(figsize=(7.6, 5.2), dpi=DPI, layout="constrained")
        panel = figure.subplots()
        for (name, run), paint in zip(runs.items(), COLOURS, strict=False):
            _front(panel, name, run, paint)
        for seconds in BUDGETS:
            panel.axvline(seconds * 1e3, color=FAINT, lw=0.8, ls="--", zorder=0)
        panel.set_xscale("log")
        panel.set_xlabel("Time per output token (ms)")
        panel.set_ylabel(f"Loss ({next(iter(runs.values())).loss_unit})")
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.xaxis.set_minor_formatter(NullFormatter())
        ends = [run.front["tpot_s"].agg(["min", "max"]) * 1e3 for run in runs.values()]
        low, high = min(end["min"] for end in ends), max(end["max"] for end in ends)
        steps = np.outer(10.0 ** np.arange(-3, 4), [1, 2, 5]).ravel()
        panel.set_xticks(steps[(steps > low / 1.3) & (steps < high * 1.3)])
        bottom, top = panel.get_ylim()
        panel.set_ylim(bottom, top + 0.16 * (top - bottom))  # the legend stands above the fronts
        panel.legend(loc="upper right", frameon=True, framealpha=1.0, edgecolor="none")
        first = next(iter(runs.values()))
        write_title(
            figure,
            f"The least loss at each speed, on {len(runs)} devices\nSpace: {first.space_title}; "
            f"losses by: {first.law_title}; {first.asked_briefly}; star: knee, its bars and the "
            "band: nine of ten measurements; dashed: the budgets of the table",
        )
    return figure


def _front(panel: Axes, name: str, run: SweepRun, paint: str) -> None:
    front = run.front.sort_values("tpot_s")
    time = front["tpot_s"].to_numpy() * 1e3
    panel.step(time, front["loss"], where="post", color=paint, lw=1.4,
               label=f"{name}: {run.device.title} ({run.processor}, {run.runtime})")  # fmt: skip
    if np.isfinite(front["loss_low"]).all():
        panel.fill_between(
            time, front["loss_low"], front["loss_high"], color=paint, alpha=0.08, lw=0, step="post"
        )
    knee = run.front.loc[run.knee]
    at, ends = knee["tpot_s"] * 1e3, knee[["tpot_s_low", "tpot_s_high"]].to_numpy(dtype=float) * 1e3
    if np.isfinite(ends).all():
        panel.plot(ends, [knee["loss"]] * 2, color=paint, lw=1.0, marker="|", ms=6)
    panel.scatter([at], [knee["loss"]], s=130, marker="*", color=paint, edgecolors="white",
                  lw=0.8, zorder=5)  # fmt: skip


def roofs_figure(points: Mapping[str, Roofline]) -> Figure:
    """Draw one candidate as a whole, prefill and decode, under the attainable roofs of devices."""
    with mpl.style.context(["default", STYLE]):
        figure = Figure(figsize=(7.6, 5.2), dpi=DPI, layout="constrained")
        panel = figure.subplots()
        panel.set(xscale="log", yscale="log")
        whole = {name: _whole(found) for name, found in points.items()}
        spots = [x for marks in whole.values() for x, _ in marks.values()]
        ridges = [float(found.peaks["attainable_ridge"].max()) for found in points.values()]
        across = np.geomspace(min(spots) / 3, max(*spots, *ridges) * 3, 400)
        for (name, found), paint in zip(points.items(), COLOURS, strict=False):
            for kind, ink, width in (("nominal", 0.35, 0.9), ("attainable", 1.0, 1.6)):
                peak, bandwidth = found.peaks[kind].max(), found.bandwidths[kind].iloc[0]
                panel.plot(
                    across, np.minimum(peak, across * bandwidth), color=paint, alpha=ink, lw=width,
                    label=f"{name}: {found.title}" if kind == "attainable" else None,
                )  # fmt: skip
            for phase, marker in zip(PHASES, ("o", "v"), strict=True):
                panel.scatter(*whole[name][phase], color=paint, marker=marker, s=70,
                              edgecolors="white", zorder=5)  # fmt: skip
        for phase, marker in zip(PHASES, ("o", "v"), strict=True):
            panel.scatter([], [], color=GREY, marker=marker, s=50, label=f"{phase}, as a whole")
        panel.yaxis.set_major_formatter(EngFormatter(sep=""))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.set_xlabel("Operational intensity (FLOP per byte of DRAM traffic)")
        panel.set_ylabel("Attained performance (FLOP/s)")
        panel.legend(loc="upper left", labelcolor=INK)
        panel.set_ylim(top=panel.get_ylim()[1] * 12)
        panel.grid(color=FAINT, alpha=0.35, lw=0.5)
    return figure


def _whole(found: Roofline) -> dict[str, tuple[float, float]]:
    """Intensity and rate of each phase as a whole, fixed time of its passes included."""
    marks = {}
    for phase in PHASES:
        rows = found.operators[found.operators["phase"] == phase]
        time = float(rows["time"].sum()) / max(1e-9, 1.0 - found.fixed_share(phase))
        flops = float(rows["flops"].sum())
        marks[phase] = (flops / float(rows["bytes"].sum()), flops / time)
    return marks
