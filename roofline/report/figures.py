"""Figures for a paper: a front with known models beside it, a candidate under its roofs.

Drawn without pyplot, so that no display and no state is needed; the caller saves what is returned.
Colours are those of Okabe and Ito, told apart by every common form of colour vision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnchoredText
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

from roofline.drawing.labels import DPI, name_point, place_labels
from roofline.drawing.style import BLUE, FAINT, GREEN, GREY, INK, ORANGE, STYLE
from roofline.drawing.titles import write_title
from roofline.report.points import PHASES, Axis, Roofline, axis, brief, limits, percent
from spec_files import format_quantity

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from roofline.search.run import SweepRun

Array = np.ndarray

FRONT, BEYOND_WORDS = "Front", "beyond the law's data"
BEYOND = f"{FRONT}, {BEYOND_WORDS}"
UNNAMED = "_nolegend_"  # matplotlib's word for what a legend leaves out
FAINTEST = 0.25  # opacity of a member that no draw has on the front
PHASE_COLOURS = dict(zip(PHASES, (BLUE, ORANGE), strict=True))


def front_figure(run: SweepRun) -> Figure:
    """Draw a run's front with the known models that fit the device placed on it.

    Two objectives make one panel, a third is its colour; with more, the first is drawn against
    each of the others. Members beyond the law's data are diamonds, and picks and known models
    beyond it hollow; what a limit forbids is shaded. The view is the front's: how many known models
    lie outside it is said above each panel.
    """
    names = list(dict.fromkeys((*run.objectives, "tpot", "loss")))
    y, *across = [
        axis(name, run.front, run.loss_unit) for name in names[: max(2, len(run.objectives))]
    ]
    colour = across.pop() if len(across) == 2 else None
    columns = min(len(across), 3)
    rows = -(-len(across) // columns)
    size = (6.6, 5.2) if len(across) == 1 else (3.6 * columns, 3.4 * rows + 0.8)
    with mpl.style.context(["default", STYLE]):
        figure = Figure(figsize=size, dpi=DPI, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
        panels = list(grid.flat[: len(across)])
        for unused in grid.flat[len(across) :]:
            unused.remove()
        for panel, x in zip(panels, across, strict=True):
            _frame(panel, run, x, y)
            _members(panel, run, x, y, colour)
            _known_models(panel, run, x, y)
            _picks(panel, run, x, y)
            panel.set_xlabel(x.label)
        for panel in grid[:, 0]:
            panel.set_ylabel(y.label)
        write_title(figure, _front_title(run))
        _legend_below(figure, panels, GREY if colour else BLUE)
        figure.draw_without_rendering()
        if len(panels) == 1:
            _name_front(panels[0], run, across[0], y)
    return figure


def candidate_title(run: SweepRun, row: int) -> str:
    """Say which member of a run's front a figure shows, what it runs on, and any extrapolation."""
    member = run.front.iloc[row]
    role = {run.runner_up: " (runner-up)", run.knee: " (knee)"}.get(row, "")
    beyond = "" if member["in_range"] else f"; {BEYOND_WORDS}: {member['out_of_range']}"
    where = f"on {run.device.title} ({run.processor}); basis: {run.basis}"
    return f"Member {row}{role}: {brief(member)}\n{where}{beyond}"


def _front_title(run: SweepRun) -> str:
    """Say what ran where, over which space, by which law and under which limits."""
    parts = [
        f"Space: {run.space_title}",
        f"losses by: {run.law_title}",
        run.asked_briefly,
    ]
    if run.constraints:
        parts.append(", ".join(limits(run.constraints, run.loss_unit)))
    parts.append(f"basis: {run.basis}")
    if run.intervals or np.isfinite(run.front["loss_low"]).any():
        shown = "bars and band" if len(run.objectives) == 2 else "bars"
        parts.append(f"{shown}: nine of ten measurements")
    most = percent(float(run.front["p_front"].max()))
    parts.append(f"opacity: share of draws on the front, up to {most}")
    under = f", {run.runtime}" if run.runtime else ""
    return f"{run.device.title} ({run.processor}{under})\n{'; '.join(parts)}"


def _members(panel: Axes, run: SweepRun, x: Axis, y: Axis, colour: Axis | None) -> None:
    """Draw the members of a front: circles, and hollow diamonds for those beyond the law's data."""
    front, place = run.front, _placer(x, y)
    if len(run.objectives) == 2:
        steps = place(front.sort_values(x.column))
        panel.step(*steps, where="post", color=FAINT, lw=1, zorder=1)
        _band(panel, front, x, y)
    paint = to_rgba_array([BLUE] * len(front))
    if colour is not None:
        values = front[colour.column].to_numpy(dtype=float) / colour.scale
        norm = LogNorm if colour.log else Normalize
        scale = ScalarMappable(norm(np.nanmin(values), np.nanmax(values)), "cividis")
        paint = scale.to_rgba(values)
        bar = panel.figure.colorbar(scale, ax=panel, pad=0.02, aspect=30, label=colour.label)
        bar.outline.set_visible(False)
        if colour.log:
            bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            bar.ax.yaxis.set_major_formatter("{x:g}")
            bar.ax.yaxis.set_minor_formatter(NullFormatter())
    share = front["p_front"].to_numpy(dtype=float)
    paint[:, 3] = FAINTEST + (1 - FAINTEST) * share / max(float(share.max()), 1e-12)
    inside = front["in_range"].to_numpy(dtype=bool)
    covered = np.isin(np.arange(len(front)), [row for row, *_ in _picked(run)])
    for rows, marker, label in ((inside, "o", FRONT), (~inside, "D", BEYOND)):
        if rows.any():
            panel.scatter(
                *place(front[rows]), s=12, marker=marker, lw=0.8, edgecolors=paint[rows],
                facecolors=paint[rows] if marker == "o" else "white",
                label=label if (rows & ~covered).any() else UNNAMED, zorder=2,
            )  # fmt: skip


def _band(panel: Axes, front: pd.DataFrame, x: Axis, y: Axis) -> None:
    """Shade where nine of ten runs of the members would end, where an axis is of losses."""
    if "loss" not in (x.objective, y.objective):
        return
    upright = y.objective == "loss"
    along, loss = (x, y) if upright else (y, x)
    rows = front.sort_values(along.column)
    at = rows[along.column].to_numpy(dtype=float) / along.scale
    ends = (rows[f"loss_{end}"].to_numpy(dtype=float) / loss.scale for end in ("low", "high"))
    shade = panel.fill_between if upright else panel.fill_betweenx
    shade(at, *ends, color=BLUE, alpha=0.1, lw=0, zorder=0.5, label=UNNAMED)


def _known_models(panel: Axes, run: SweepRun, x: Axis, y: Axis) -> None:
    """Draw the known models that are within the view, and count the others."""
    models, outside = _in_view(panel, run, x, y)
    formats = models["weight_format"].unique()
    known = f"Known models in {formats[0]}" if len(formats) == 1 else "Known models"
    inside = models["in_range"].to_numpy(dtype=bool)
    for rows, label, face in ((inside, known, INK), (~inside, f"{known}, {BEYOND_WORDS}", "white")):
        if rows.any():
            panel.scatter(
                *_placer(x, y)(models[rows]), s=22, marker="s", facecolors=face, edgecolors=INK,
                lw=0.9, label=label, zorder=3, clip_on=False,
            )  # fmt: skip
    if outside:
        words = f"{outside} known model{'s' if outside > 1 else ''} beyond the view"
        panel.set_title(words, loc="right", fontsize=7.5, color=GREY, pad=3)


def _in_view(panel: Axes, run: SweepRun, x: Axis, y: Axis) -> tuple[pd.DataFrame, int]:
    """Return the known models that fit the device and the view, and how many fit only the first."""
    models = run.references[run.references["fits"].astype(bool)]
    at = np.column_stack(_placer(x, y)(models))
    low, high = np.transpose([panel.get_xlim(), panel.get_ylim()])
    shown = ((low <= at) & (at <= high)).all(axis=1)
    return models[shown], int((~shown & np.isfinite(at).all(axis=1)).sum())


def _picked(run: SweepRun) -> Iterable[tuple[int, str, str, bool]]:
    """Yield row, name, colour and whether the law's data hold it, of each pick."""
    for row, name, paint in ((run.knee, "Knee", ORANGE), (run.runner_up, "Runner-up", GREEN)):
        if row is not None:
            inside = bool(run.front["in_range"].iloc[row])
            yield row, name if inside else f"{name}, {BEYOND_WORDS}", paint, inside


def _picks(panel: Axes, run: SweepRun, x: Axis, y: Axis) -> None:
    """Mark the member that is recommended, and the next one; hollow beyond the law's data."""
    for row, label, paint, inside in _picked(run):
        # The knee stands over the runner-up, of which something is seen where they coincide.
        marker, size, order = ("*", 150, 5.0) if row == run.knee else ("^", 75, 4.5)
        panel.scatter(
            *_placer(x, y)(run.front.iloc[[row]]), s=size, marker=marker, label=label, zorder=order,
            facecolors=paint if inside else "white", edgecolors="white" if inside else paint,
            lw=0.8 if inside else 1.2,
        )  # fmt: skip
    _bars(panel, run, x, y)


def _bars(panel: Axes, run: SweepRun, x: Axis, y: Axis) -> None:
    """Draw the interval that nine of ten measurements of the knee would lie in."""
    knee = run.front.iloc[run.knee]
    for side, shown in (("x", x), ("y", y)):
        low, high = (knee.get(f"{shown.column}_{end}", np.nan) for end in ("low", "high"))
        if low < high:
            ends = {"x": [float(knee[x.column]) / x.scale] * 2}
            ends["y"] = [float(knee[y.column]) / y.scale] * 2
            ends[side] = [low / shown.scale, high / shown.scale]
            cap = "|" if side == "x" else "_"
            panel.plot(
                ends["x"], ends["y"], color=ORANGE, lw=1.0, marker=cap, ms=5, zorder=4,
                label=UNNAMED,
            )  # fmt: skip


def _name_front(panel: Axes, run: SweepRun, x: Axis, y: Axis) -> None:
    """Name the picks, and as many of the known models as there is room for."""
    place = _placer(x, y)
    picks = [
        name_point(panel, label, np.ravel(place(run.front.iloc[[row]])), paint)
        for row, label, paint, _ in _picked(run)
    ]
    place_labels(panel, picks)
    models, _ = _in_view(panel, run, x, y)
    names = [
        name_point(panel, name, at, INK, size=7)
        for name, *at in zip(models["name"], *place(models), strict=True)
    ]
    place_labels(panel, names, drop=True)


def _legend_below(figure: Figure, panels: list[Axes], colour: str) -> None:
    """Draw one legend for all panels, each kind of mark once."""
    marks: dict[str, Artist] = {}
    for panel in panels:
        handles, labels = panel.get_legend_handles_labels()
        marks |= dict(zip(labels, handles, strict=True))
    for label, marker, face in ((FRONT, "o", colour), (BEYOND, "D", "white")):
        if label in marks:
            marks[label] = Line2D([], [], marker=marker, ls="", ms=4, mfc=face, mec=colour)
    wide = sum(sorted(map(len, marks))[-3:]) > 95  # letters that a row of the figure holds
    figure.legend(
        marks.values(), marks.keys(), loc="outside lower left", ncols=2 if wide else 3,
        handletextpad=0.3, columnspacing=1.2,
    )  # fmt: skip


def _placer(x: Axis, y: Axis) -> Callable[[pd.DataFrame], tuple[Array, Array]]:
    """Return a function from a table to its coordinates in the units of two axes."""

    def place(table: pd.DataFrame) -> tuple[Array, Array]:
        return (
            table[x.column].to_numpy(dtype=float) / x.scale,
            table[y.column].to_numpy(dtype=float) / y.scale,
        )

    return place


def _frame(panel: Axes, run: SweepRun, x: Axis, y: Axis) -> None:
    """Scale the axes to the front, and shade what the run's limits forbid."""
    for side, shown in (("x", x), ("y", y)):
        values = run.front[shown.column].to_numpy(dtype=float) / shown.scale
        low, high = np.nanmin(values), np.nanmax(values)
        limit = run.constraints.get(shown.objective, np.inf) / shown.scale
        if limit < 3 * high:
            high = max(high, limit)
        scale = getattr(panel, f"{side}axis")
        if shown.log:
            panel.set(**{f"{side}scale": "log"})
            margin = (high / low) ** 0.08
            low, high = low / margin, high * margin
            scale.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 1e3 else (1,)))
            scale.set_major_formatter(ScalarFormatter())
            scale.set_minor_formatter(NullFormatter())
        else:
            margin = 0.08 * (high - low) or 0.1 * high
            low, high = low - margin, high + margin
            scale.set_major_locator(MaxNLocator(6))
        panel.set(**{f"{side}lim": (low, high)})
        if limit < high:
            line, span = (
                (panel.axvline, panel.axvspan) if side == "x" else (panel.axhline, panel.axhspan)
            )
            line(limit, color=GREY, lw=1, ls="--", zorder=1, label="Limit")
            span(limit, high, color=GREY, alpha=0.12, lw=0, zorder=0)
    panel.grid(color=FAINT, alpha=0.35, lw=0.5)


def roofline_figure(points: Roofline, title: str | None = None) -> Figure:
    """Draw the operators of one candidate under the roofs of its processor.

    Faint roofs are the data sheet's, dark ones what the efficiencies leave of them; the area of a
    marker is its share of the phase's time. Operators without FLOPs or without DRAM traffic have no
    place on the axes and are listed in a corner. title: the processor's if None; see
    `candidate_title`.
    """
    table = points.operators
    placed = table[(table["flops"] > 0) & np.isfinite(table["intensity"])]
    with mpl.style.context(["default", STYLE]):
        figure = Figure(figsize=(7.2, 5.0), dpi=DPI, layout="constrained")
        panel = figure.subplots()
        panel.set(xscale="log", yscale="log")
        _roofs(panel, points, placed)
        labels = []
        for phase, colour in PHASE_COLOURS.items():
            rows = placed[placed["phase"] == phase].sort_values("share", ascending=False)
            panel.scatter(
                rows["intensity"], rows["attained"], s=_area(rows["share"]), color=colour,
                alpha=0.75, edgecolors="white", lw=0.8, zorder=3, label=phase.capitalize(),
            )  # fmt: skip
            for name, share, *at in rows[["operator", "share", "intensity", "attained"]].itertuples(
                index=False
            ):
                words = f"{name.replace('_', ' ')} {_percent(share)}"
                labels.append(name_point(panel, words, at, colour))
        panel.set_xlabel("Operational intensity (FLOP per byte of DRAM traffic)")
        panel.set_ylabel("Attained performance (FLOP/s)")
        panel.yaxis.set_major_formatter(EngFormatter())
        panel.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        write_title(figure, title or points.title)
        handles = [
            Line2D(
                [], [], marker="o", ls="", color=colour, ms=7, alpha=0.75, label=phase.capitalize()
            )
            for phase, colour in PHASE_COLOURS.items()
        ]
        handles += [
            Line2D([], [], color=INK, lw=1.3, label="Attainable roof"),
            Line2D([], [], color=FAINT, lw=1.1, label="Data-sheet roof"),
        ]
        panel.legend(handles=handles, loc="upper left")
        note = "Area of a marker: share of the phase's time"
        panel.add_artist(
            AnchoredText(
                "\n".join([*_unplaced(points), note]), loc="lower right", frameon=False, pad=0,
                prop={"size": 7.5, "color": GREY, "linespacing": 1.4, "multialignment": "right"},
            )
        )  # fmt: skip
        figure.draw_without_rendering()
        _name_roofs(panel, points)
        place_labels(panel, labels)
    return figure


def _roofs(panel: Axes, points: Roofline, placed: pd.DataFrame) -> None:
    """Draw the roofs over a range that holds the operators and every ridge point."""
    peaks, dram = points.peaks, points.bandwidths.iloc[0]
    ridges = peaks[["ridge", "attainable_ridge"]].to_numpy().ravel()
    spots = np.concatenate([placed["intensity"].to_numpy(), ridges])
    left, right = spots.min() / 12, spots.max() * 25
    low = np.nanmin([placed["attained"].min(), left * dram["attainable"]])
    panel.set(xlim=(left, right), ylim=(low / 2, peaks["nominal"].max() * 5))
    for kind, colour, width in (("nominal", FAINT, 1.1), ("attainable", INK, 1.3)):
        for peak in peaks[kind]:
            panel.plot([peak / dram[kind], right], [peak, peak], color=colour, lw=width, zorder=1)
        ends = np.array([left, peaks[kind].max() / dram[kind]])
        panel.plot(ends, ends * dram[kind], color=colour, lw=width, zorder=1)
    for level in points.bandwidths["nominal"].iloc[1:]:
        ends = np.array([left, max(left, peaks["nominal"].max() / level)])
        panel.plot(ends, ends * level, color=FAINT, lw=1.1, ls=":", zorder=1)


def _name_roofs(panel: Axes, points: Roofline) -> None:
    """Write each rate along its roof: what the data sheet says above, what is attainable below.

    The angle of a slope is known only once the layout is.
    """
    (left, right), (_, top) = panel.get_xlim(), panel.get_ylim()
    for peak in points.peaks.itertuples():
        nominal = format_quantity(peak.nominal, "compute")
        attainable = format_quantity(peak.attainable, "compute")
        _write(panel, f"{peak.format} {nominal}", (right, peak.nominal), GREY)
        _write(panel, f"{attainable} attainable", (right, peak.attainable), INK, below=True)
    (x0, y0), (x1, y1) = panel.transData.transform([(left, 1.0), (right, right / left)])
    angle = float(np.degrees(np.arctan2(y1 - y0, x1 - x0)))
    start = left * 1.25
    for level in points.bandwidths.itertuples():
        nominal = f"{level.level} {format_quantity(level.nominal, 'bandwidth')}"
        if start * level.nominal < top / 30:  # else there is no room to write
            _write(panel, nominal, (start, start * level.nominal), GREY, angle)
        if level.attainable < level.nominal:
            attainable = f"{format_quantity(level.attainable, 'bandwidth')} attainable"
            _write(panel, attainable, (start, start * level.attainable), INK, angle, below=True)


def _write(
    panel: Axes,
    words: str,
    at: tuple[float, float],
    colour: str,
    angle: float | None = None,
    below: bool = False,
) -> None:
    """Write beside a roof: at its right end where it is flat, from its left end where it slopes."""
    panel.annotate(
        words, at, xytext=(0, -3 if below else 3), textcoords="offset points", fontsize=7.5,
        color=colour, rotation=angle or 0.0, rotation_mode="anchor",
        ha="right" if angle is None else "left", va="top" if below else "bottom",
    ).set_in_layout(False)  # fmt: skip


def _unplaced(points: Roofline) -> list[str]:
    """Say what takes time without a place on the axes."""
    table = points.operators
    lines = []
    for words, rows in (
        ("no FLOPs", table["flops"] == 0),
        ("on chip", np.isinf(table["intensity"])),
    ):
        shares = table[rows].pivot_table("share", "operator", "phase", "sum", sort=False)
        for name, found in shares.iterrows():
            lines.append(f"{_words(name)} ({words}): {_by_phase(found.to_dict())}")
    fixed = {phase: points.fixed_share(phase) for phase in PHASES}
    if max(fixed.values()) > 1e-6:
        lines.append(f"Fixed time of each pass: {_by_phase(fixed)}")
    return lines


def _by_phase(shares: dict[Any, float]) -> str:
    return ", ".join(f"{_percent(shares[p])} of {p}" for p in PHASES if shares.get(p, 0.0) > 0)


def _words(name: Any) -> str:
    return str(name).replace("_", " ").capitalize()


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "<1%"


def _area(share: Any) -> Any:
    """Area of a marker in square points; none so small that it is lost."""
    return 14.0 + 620.0 * share
