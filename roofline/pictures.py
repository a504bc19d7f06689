"""A picture of any result: `plot` for a page, `explore` to move about in."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from spec_files import SpecError

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.figure import Figure

    from roofline.search.run import SweepRun


def plot(result: Any, **options: Any) -> Figure:
    """Draw a result as a matplotlib figure, which notebooks show and `savefig` saves.

    result: a sweep's run (its front), operators under a roof, a fit (its residuals; held= rows that
    it predicted), the answer of a hardware question (contours; lines=True: along each axis) or of
    a fleet, a plan of strategies. Raises SpecError for anything else.
    """
    from roofline.codesign.fleet import FleetAnswer
    from roofline.codesign.inverse import Answer
    from roofline.fitting import Fit
    from roofline.report.points import Roofline
    from roofline.search.run import SweepRun
    from roofline.strategies.plan import Plan

    _show_figures()
    if isinstance(result, SweepRun):
        from roofline.report.figures import front_figure

        return front_figure(result, **options)
    if isinstance(result, Roofline):
        from roofline.report.figures import roofline_figure

        return roofline_figure(result, **options)
    if isinstance(result, Answer):
        from roofline.codesign.figures import contours_figure, lines_figure

        return lines_figure(result) if options.pop("lines", False) else contours_figure(result)
    if isinstance(result, FleetAnswer):
        from roofline.codesign.figures import fleet_figure

        return fleet_figure(result)
    if isinstance(result, Plan):
        from roofline.strategies.figures import front_figure as plan_figure

        return plan_figure(result)
    if isinstance(result, Fit):
        from roofline.fitting.report import residual_figure

        return residual_figure(result, **options)
    raise SpecError(
        f"no picture is known of {type(result).__name__}: plot draws sweeps, rooflines, fits, "
        "plans, and answers of hardware questions"
    )


def explore(runs: SweepRun | Mapping[str, SweepRun]) -> go.Figure:
    """Draw fronts as a plotly figure with sliders for the budget and the number format.

    runs: sweeps of one device by the name of what tells them apart, such as their number format;
    see `roofline.report.explorer`.
    """
    from roofline.report.explorer import explorer_figure

    return explorer_figure(runs)


def _show_figures() -> None:
    """Tell a notebook how a figure looks: those made without pyplot it would show as words."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is not None:
        tools = import_module("IPython.core.pylabtools")
        tools.select_figure_formats(shell, {"png"}, bbox_inches=None)
