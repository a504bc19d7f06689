"""The front of a plan, coloured by strategy, in the house's style."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from roofline.drawing.labels import DPI, name_point, place_labels
from roofline.drawing.style import FAINT, GREY, INK, STYLE
from roofline.drawing.titles import write_title
from roofline.strategies.plan import DIMENSIONS, LIMITS
from spec_files import format_quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

    from roofline.strategies.plan import Pick, Plan

Array = np.ndarray

# Okabe and Ito, in an order that keeps neighbours apart; then shapes.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222")
MARKERS = ("o", "s", "^", "D", "v", "P")
NAMED = 12  # options of a front that are named, evenly along it
_UNITS = {"latency": "Latency (s)", "energy": "Energy (J)"}


def marks(names: list[str]) -> dict[str, tuple[str, str]]:
    """Return colour and marker of every strategy, the same for the same list."""
    return {
        name: (COLOURS[i % len(COLOURS)], MARKERS[(i // len(COLOURS)) % len(MARKERS)])
        for i, name in enumerate(names)
    }


def front_figure(plan: Plan) -> Figure:
    """Draw accuracy against latency or energy: the front by strategy, all else that fits behind.

    Bars are where nine of ten reports of what a model reaches with one answer would put the option.
    """
    from roofline.strategies.forms import strategies

    costs = getattr(plan.options.cost, LIMITS[plan.axis])
    front = np.array(plan.front).reshape(-1, 2)
    on_it = set(plan.options.strategy[front[:, 1]])
    look = marks([name for name in strategies() if name in on_it])
    with mpl.style.context(["default", STYLE]):
        figure = Figure(figsize=(7.0, 5.2), dpi=DPI, layout="constrained")
        panel = figure.subplots()
        rest = np.argwhere(plan.fits & ~np.isnan(costs))
        panel.scatter(
            costs[tuple(rest.T)], 100 * plan.options.accuracy[tuple(rest.T)], s=3, color=FAINT,
            alpha=0.35, lw=0, zorder=1, rasterized=True, label="Other options within the limits",
        )  # fmt: skip
        x, y = costs[tuple(front.T)], 100 * plan.options.accuracy[tuple(front.T)]
        panel.step(x, y, where="post", color=GREY, lw=0.8, zorder=2)
        low, high = (100 * getattr(plan.options, n)[tuple(front.T)] for n in ("low", "high"))
        panel.vlines(x, low, high, color=GREY, lw=0.6, alpha=0.5, zorder=2)
        used = plan.options.strategy[front[:, 1]]
        for name, (colour, marker) in look.items():
            here = used == name
            if here.any():
                panel.scatter(
                    x[here], y[here], s=24, color=colour, marker=marker, zorder=3,
                    edgecolors="white", linewidths=0.5, label=strategies()[name].title,
                )  # fmt: skip
        panel.set(xscale="log", xlabel=_UNITS[plan.axis], ylabel=f"{plan.task.title} (% right)")
        panel.set_xlim(x.min() * 0.93, x.max() * 1.25)
        panel.set_ylim(max(0.0, low.min() - 3), min(100.0, high.max() + 3))
        close = x.max() < 4 * x.min()
        panel.xaxis.set_major_locator(
            LogLocator(subs=range(1, 10) if close else (1, 1.5, 2, 3, 5, 7))
        )
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter(NullFormatter())
        write_title(figure, _title(plan))
        figure.legend(loc="outside lower left", ncols=3, handletextpad=0.3, columnspacing=1.2)
        figure.draw_without_rendering()
        labels = [_label(panel, plan, pick, x[i], y[i]) for i, pick in _shown(plan)]
        place_labels(panel, labels, drop=True)
    return figure


def _shown(plan: Plan) -> list[tuple[int, Pick]]:
    """Options to name: the first of each model and format on the front, and the best."""
    seen: set[tuple[str, str]] = set()
    found = []
    for i, (r, t) in enumerate(plan.front):
        what = (str(plan.options.models[r]), str(plan.options.formats[r]))
        if what not in seen or (r, t) == plan.best:
            seen.add(what)
            found.append((i, (r, t)))
    step = max(1, -(-len(found) // NAMED))
    return found[::-1][::step]


def _label(panel: Axes, plan: Plan, pick: Pick, x: float, y: float) -> Annotation:
    r, t = pick
    o = plan.options
    times = f" × {o.samples[t]}" if o.samples[t] > 1 else ""
    return name_point(panel, f"{o.models[r]} {o.formats[r]}{times}", (x, y), INK, size=7)


def _title(plan: Plan) -> str:
    limits = ", ".join(
        f"{name} ≤ {format_quantity(most, DIMENSIONS[name])}" for name, most in plan.limits.items()
    )
    under = f", {plan.runtime}" if plan.runtime else ""
    parts = [
        f"{plan.options.count:,} options",
        f"prompt {plan.task.prompt}, answer {plan.task.answer} tokens",
        limits,
        f"basis: {plan.basis}",
        "bars: nine of ten reports of pass@1",
    ]
    return f"{plan.device.title}{under}: {plan.task.title}\n{'; '.join(parts)}"
