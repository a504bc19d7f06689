"""Fronts to move about in: a plotly figure with a slider for the budget and one for the format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from roofline.report.points import Axis, axis, brief
from roofline.search.run import SweepRun
from spec_files import SpecError

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222")
_POINT = {"marker_size": 6, "unselected_marker_opacity": 0.15}
_STAR = {
    "marker_size": 16, "marker_symbol": "star", "marker_line": {"color": "white", "width": 1},
    "unselected_marker_opacity": 0,
}  # fmt: skip
TICKS = np.outer(10.0 ** np.arange(-9, 10), [1, 2, 5]).ravel().tolist()
BUDGETS = 16
"""Steps of the slider, even in their logarithm from the least cost of any member to the most."""


def best_within(run: SweepRun, budget: float) -> int | None:
    """Return the row of the member of least loss whose cost keeps a budget; None for none.

    budget: of the first objective that is not the loss, in SI units.
    """
    cost, loss = (run.front[name].to_numpy(dtype=float) for name in (_cost(run).column, "loss"))
    allowed = np.flatnonzero(cost <= budget)
    return int(allowed[np.argmin(loss[allowed])]) if len(allowed) else None


def budgets_of(runs: Mapping[str, SweepRun]) -> np.ndarray:
    """Return the budgets of the slider in SI units, rounded up to two digits, ascending."""
    cost = np.concatenate([_costs(run, _cost(run)) for run in runs.values()])
    ends = (float(np.nanmin(cost)), float(np.nanmax(cost)))
    # Rounded up: the least and the largest keep a member within them.
    step = 10.0 ** (np.floor(np.log10(spaced := np.geomspace(*ends, BUDGETS))) - 1)
    return np.unique(np.ceil(spaced / step * (1 - 1e-12)) * step)


def explorer_figure(runs: SweepRun | Mapping[str, SweepRun]) -> go.Figure:
    """Draw fronts of loss against the first other objective, with sliders for budget and format.

    runs: one sweep, or several by the name of what tells them apart, such as a number format. The
    budget's slider leaves bright what keeps it, stars the best of each front, and says it in the
    title; the other slider shows one front alone. Both work in a page of its own
    (`figure.write_html`), without Python. Raises SpecError where the sweeps do not compare.
    """
    import plotly.graph_objects as go

    named = {"front": runs} if isinstance(runs, SweepRun) else dict(runs)
    _check(named)
    everyone = list(named.values())
    together = pd.concat([run.front for run in everyone], ignore_index=True)
    x, y = (
        axis(name, together, everyone[0].loss_unit)
        for name in (_cost(everyone[0]).objective, "loss")
    )
    figure = go.Figure()
    for star in (False, True):
        for (name, run), colour in zip(named.items(), _colours(len(named)), strict=True):
            figure.add_scatter(
                x=_numbers(run, x), y=_numbers(run, y), mode="markers", name=name,
                legendgroup=name, showlegend=not star, **(_STAR if star else _POINT),
                marker_color=colour, **({"hoverinfo": "skip"} if star else _hover(run, x, y)),
            )  # fmt: skip
    budgets = budgets_of(named)
    start = len(budgets) // 2
    steps = [_step(named, float(budget), x, y) for budget in budgets]
    figure.update_layout(
        template="plotly_white", height=640, margin={"t": 60 + 16 * len(named), "b": 240},
        xaxis={"title": x.label, **({"type": "log", "tickvals": TICKS} if x.log else {})},
        yaxis={"title": y.label},
        legend={"title": "weights"} if len(named) > 1 else {},
        sliders=[
            {"active": start, "steps": steps, "y": -0.18, "pad": {"t": 0},
             "currentvalue": {"prefix": f"Budget of {x.title.lower()}: "}},
            {"active": 0, "steps": _shows(list(named)), "y": -0.5, "pad": {"t": 0},
             "currentvalue": {"prefix": "Shown: "}},
        ][: 2 if len(named) > 1 else 1],
    )  # fmt: skip
    _apply(figure, steps[start])
    return figure


def _cost(run: SweepRun) -> Axis:
    """What the loss is drawn against."""
    others = [name for name in run.objectives if name != "loss"]
    if "loss" not in run.objectives or not others:
        raise SpecError("an explorer needs a sweep whose objectives are loss and a cost")
    return axis(others[0], run.front, run.loss_unit)


def _check(runs: Mapping[str, SweepRun]) -> None:
    """Refuse sweeps of which no common picture is true."""
    if not runs:
        raise SpecError("no sweep was given to explore")
    for said, what in (
        ("laws", {run.sweep.law.name for run in runs.values()}),
        ("objectives", {run.objectives for run in runs.values()}),
        ("devices", {run.device.name for run in runs.values()}),
    ):
        if len(what) > 1:
            raise SpecError(f"these sweeps do not compare: their {said} differ")


def _colours(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]


def _costs(run: SweepRun, shown: Axis) -> np.ndarray:
    return run.front[shown.column].to_numpy(dtype=float)


def _numbers(run: SweepRun, shown: Axis) -> np.ndarray:
    """In single precision: more than a picture shows, and half of the page's size."""
    return (_costs(run, shown) / shown.scale).astype(np.float32)


def _hover(run: SweepRun, x: Axis, y: Axis) -> dict[str, Any]:
    """What a member says of itself: its shape, and what the axes say already."""
    seen = f"{y.title} %{{y:.4g}} {y.unit}, {x.title.lower()} %{{x:.3g}} {x.unit}"
    shapes = [brief(row) for row in run.front.to_dict("records")]
    return {"text": shapes, "hovertemplate": f"%{{text}}<br>{seen}<extra></extra>"}


def _step(runs: Mapping[str, SweepRun], budget: float, x: Axis, y: Axis) -> dict[str, Any]:
    """Return the slider's step of one budget: what is bright, the stars, the line, the words."""
    within: list[list[int]] = []
    stars: list[list[int]] = []
    words = [f"<b>Within {x.say(budget)}</b>"]
    for name, run in runs.items():
        within.append(np.flatnonzero(_costs(run, x) <= budget).tolist())
        best = best_within(run, budget)
        stars.append([] if best is None else [best])
        row = None if best is None else run.front.iloc[best]
        said = "nothing" if row is None else f"{y.say(row[y.column])}, {brief(row)}"
        words.append(f"{name}: {said}")
    data = {"selectedpoints": [*within, *stars]}
    line = {
        "type": "line", "x0": budget / x.scale, "x1": budget / x.scale, "yref": "paper", "y0": 0,
        "y1": 1, "line": {"color": "#6B6B6B", "dash": "dot"},
    }  # fmt: skip
    title = {"text": "<br>".join(words), "font": {"size": 12}}
    return {
        "label": x.say(budget),
        "method": "update",
        "args": [data, {"shapes": [line], "title": title}],
    }


def _shows(names: list[str]) -> list[dict[str, Any]]:
    """Return the steps of the slider that shows one front alone, all of them first."""
    every = {"label": "all", "method": "restyle", "args": ["visible", [True] * 2 * len(names)]}
    alone = [
        {"label": name, "method": "restyle", "args": ["visible", [n == name for n in names] * 2]}
        for name in names
    ]
    return [every, *alone]


def _apply(figure: go.Figure, step: dict[str, Any]) -> None:
    """Draw the figure as a step of the slider leaves it."""
    data, layout = step["args"]
    for trace, points in zip(figure.data, data["selectedpoints"], strict=True):
        trace.update(selectedpoints=points)
    figure.update_layout(**layout)
