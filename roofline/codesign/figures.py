"""What hardware buys, drawn: contours over bandwidth and peak, lines along each axis, watts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from roofline.codesign.hardware import SAID
from roofline.codesign.inverse import Answer
from roofline.codesign.library import Found
from roofline.codesign.margins import UNITS, margins
from roofline.codesign.question import DIMENSIONS
from roofline.drawing.labels import DPI, name_point, place_labels
from roofline.drawing.style import BLUE, FAINT, GREEN, GREY, INK, ORANGE, STYLE
from roofline.drawing.titles import write_title
from roofline.report.points import SHORT, limits, percent
from spec_files import format_quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from roofline.codesign.fleet import FleetAnswer

Array = np.ndarray

_KINDS = {"phone": "o", "jetson": "s", "sbc": "^"}
_SHOWN = 25


def contours_figure(answer: Answer, library: Sequence[Found] | None = None) -> Figure:
    """Draw the least loss within the limits, and the least time at the loss, over the hardware.

    Left: contours of loss, the target's in orange, that of the named model alone in green, devices
    of the library by their nominal numbers. Right: contours of the tightest limit's time.
    """
    with mpl.style.context(["default", STYLE]):
        figure = Figure(figsize=(10.4, 5.4), dpi=DPI, layout="constrained")
        left, right = figure.subplots(1, 2, sharex=True, sharey=True)
        for panel in (left, right):
            _axes(panel, answer)
        _losses(left, answer)
        _times(right, answer)
        left.set_ylabel(f"Peak in {answer.template.number_format}, dense")
        own = answer.template.hardware
        for panel in (left, right):
            panel.scatter(
                [own.bandwidth], [own.peak], s=150, marker="*", color=INK, ec="white", lw=0.7,
                zorder=6,
            )  # fmt: skip
        labels = _devices(left, answer, library)
        labels.append(name_point(left, "template", (own.bandwidth, own.peak), INK))
        template = name_point(right, "template", (own.bandwidth, own.peak), INK)
        write_title(figure, _title(answer))
        figure.legend(handles=_handles(answer, library), loc="outside lower left", ncols=4)
        figure.draw_without_rendering()
        place_labels(left, labels, drop=True)
        place_labels(right, [template])
    return figure


def _axes(panel: Axes, answer: Answer) -> None:
    own, plan = answer.template.hardware, answer.plan
    x, y = plan.bandwidth * own.bandwidth, plan.peak * own.peak
    panel.set(xscale="log", yscale="log", xlim=x[[0, -1]], ylim=y[[0, -1]])
    for axis, unit in ((panel.xaxis, "B/s"), (panel.yaxis, "FLOP/s")):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(EngFormatter(unit, places=0))
        axis.set_minor_formatter(NullFormatter())
    panel.tick_params(axis="x", labelsize=7.5)
    panel.tick_params(axis="y", labelsize=7.5)
    panel.set_xlabel("DRAM bandwidth, nominal")


def _losses(panel: Axes, answer: Answer) -> None:
    """Contours of the least loss that keeps the limits."""
    own, plan = answer.template.hardware, answer.plan
    x, y = plan.bandwidth * own.bandwidth, plan.peak * own.peak
    grid = answer.survey.tables["grid"]
    loss = np.where(grid.known, grid.value, np.nan).T
    _none_here(panel, x, y, ~grid.known.T)
    panel.set_title("Least loss within the limits (nats per token)", fontsize=9)
    if not grid.known.any():
        return
    low, high = np.nanmin(loss), np.nanquantile(loss, 0.97)
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if (high - low) / s <= 11)
    levels = np.arange(np.ceil(low / step) * step, high + step, step)
    if len(levels):
        lines = panel.contour(x, y, loss, levels=levels, colors=[FAINT], linewidths=0.8, zorder=2)
        _label(panel, lines, "%.2f", GREY)
    best = answer.survey.tables["quickest"]
    if best.known.any() and best.value.min() < 1:
        across, up = plan.coarse
        share = np.minimum(np.where(best.known, best.value, np.inf), 1e3).T
        where = across * own.bandwidth, up * own.peak
        panel.contourf(*where, share, levels=[0, 1], colors=[ORANGE], alpha=0.07, zorder=0)
        if share.max() > 1:
            panel.contour(*where, share, levels=[1], colors=[ORANGE], linewidths=1.8, zorder=4)
    if answer.own is not None:
        alone = answer.own.tables["grid"].known.T.astype(float)
        if 0 < alone.mean() < 1:
            panel.contour(
                x, y, alone, levels=[0.5], colors=[GREEN], linewidths=1.6,
                linestyles=[(0, (4, 2))], zorder=4,
            )  # fmt: skip


def _label(panel: Axes, lines: Any, words: Any, colour: str) -> None:
    """Write on contours, every other where they are many, what they are of: once, and apart."""
    some = lines.levels[:: 2 if len(lines.levels) > 6 else 1]
    found = panel.clabel(lines, some, fontsize=6.5, colors=[colour], fmt=words, inline=False)
    figure = panel.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    frame, said = panel.get_window_extent(), set()
    taken: list[Bbox] = []
    # Where the labels of steep contours would stand in each other, those farther right are apart.
    for text in sorted(found or (), key=lambda each: -each.get_position()[0]):
        text.set_path_effects([withStroke(linewidth=3.0, foreground="white")])
        box = text.get_window_extent().padded(3)
        inside = frame.contains(*box.min) and frame.contains(*box.max)
        if text.get_text() in said or not inside or any(box.overlaps(other) for other in taken):
            text.remove()
        else:
            said.add(text.get_text())
            taken.append(box)


def _none_here(panel: Axes, x: Array, y: Array, nothing: Array) -> None:
    if nothing.any():
        panel.contourf(
            x, y, nothing.astype(float), levels=[0.5, 1.5], colors=[GREY], alpha=0.16, zorder=0
        )


def _times(panel: Axes, answer: Answer) -> None:
    """Contours of the least time of a candidate that is good enough."""
    own, plan = answer.template.hardware, answer.plan
    across, up = plan.coarse
    x, y = across * own.bandwidth, up * own.peak
    best = answer.survey.tables["quickest"]
    limits = {name: limit for name, limit in plan.limits.items() if name != "memory"}
    share = np.where(best.known, best.value, np.nan).T
    if len(limits) == 1:
        ((name, limit),) = limits.items()
        title = f"Least {_TITLES[name]} at a loss of {answer.loss:.3f} or less"
        kind = DIMENSIONS[name]
    else:
        limit, kind = 1.0, ""
        title = f"Least time at a loss of {answer.loss:.3f} or less, in multiples of its limit"
    panel.set_title(title, fontsize=9)
    if not best.known.any():
        return
    values = share * limit
    low, high = np.nanmin(values), np.nanmax(values)
    ladder = np.ravel([[base * 10.0**e for base in (1, 2, 5)] for e in range(-9, 7)])
    levels = [level for level in np.sort(ladder) if low < level < high]

    def say(value: float) -> str:
        return format_quantity(value, kind, digits=2) if kind else f"{value:g} ×"

    others = [level for level in levels if not np.isclose(level, limit)]
    for at, paint, width in ((others, BLUE, 0.9), ([limit], ORANGE, 1.8)):
        within = [level for level in at if low < level < high]
        if within:
            lines = panel.contour(
                x, y, values, levels=within, colors=[paint], linewidths=width, zorder=2
            )
            _label(panel, lines, say, paint)


_TITLES = {
    "ttft": "time to first token",
    "tpot": "time per output token",
    "latency": "latency",
    "energy": "energy",
}


def _devices(panel: Axes, answer: Answer, library: Sequence[Found] | None) -> list[Any]:
    """Mark the library's devices that state a peak in the template's format; return labels."""
    from hardware_specs import load_device

    (left, right), (low, high) = panel.get_xlim(), panel.get_ylim()
    labels = []
    for each in library or ():
        device = load_device(each.device)
        peaks = device.processor().peaks
        figure = peaks.get(answer.template.number_format)  # type: ignore[call-overload]
        x = device.memory.dram.bandwidth.value
        if figure is None or not (left < x < right and low < figure.value < high):
            continue
        if device.name == answer.template.device.name:
            continue
        panel.scatter(
            [x], [figure.value], s=13, marker=_KINDS.get(device.kind, "D"), zorder=5,
            facecolors=INK if each.meets else "white", edgecolors=INK, lw=0.7,
        )  # fmt: skip
        if device.kind in _KINDS:
            labels.append(name_point(panel, device.name, (x, figure.value), GREY, size=6))
    return labels


def _handles(answer: Answer, library: Sequence[Found] | None) -> list[Any]:
    def mark(marker: str, face: str, label: str) -> Line2D:
        return Line2D([], [], ls="", marker=marker, mfc=face, mec=INK, ms=4.5, mew=0.8, label=label)

    handles: list[Any] = [
        Line2D([], [], color=ORANGE, lw=1.8, label=f"Loss of {answer.loss:.3f} within the limits")
    ]
    if answer.own is not None and answer.model is not None:
        name = answer.model.names[0]
        handles.append(
            Line2D([], [], color=GREEN, lw=1.6, ls=(0, (4, 2)), label=f"{name} within the limits")
        )
    handles.append(mpl.patches.Patch(fc=GREY, alpha=0.2, label="No candidate within the limits"))
    if library:
        handles += [
            mark("o", INK, "Phone that meets it"),
            mark("o", "white", "Phone that does not"),
            mark("s", INK, "Jetson"),
            mark("^", INK, "Board"),
            mark("D", INK, "Other"),
        ]
    return handles


def _title(answer: Answer) -> str:
    question, template = answer.question, answer.template
    parts = [
        f"Losses by: {question.law.title}",
        f"space: {question.space.title or question.space.name}",
        f"workloads: {question.mix.describe()}",
        f"basis: {answer.basis}",
        "devices by their nominal numbers, filled if their own estimate meets it",
    ]
    within = ", ".join(limits(question.values()))
    head = f"Hardware like {template.device.title} ({template.processor}); {within}"
    return f"{head}\n{'; '.join(parts)}"


def lines_figure(answer: Answer) -> Figure:
    """Draw the least loss along each axis of the hardware, and the slope at the template."""
    shown = [axis for axis in UNITS if np.isfinite(answer.line(axis)["loss"].astype(float)).any()]
    worth = {margin.axis: margin for margin in margins(answer)}
    with mpl.style.context(["default", STYLE]):
        figure = Figure(figsize=(2.6 * max(len(shown), 2), 3.9), dpi=DPI, layout="constrained")
        panels = np.ravel(figure.subplots(1, max(len(shown), 2), sharey=True))
        for panel in panels[len(shown) :]:
            panel.remove()
        for panel, axis in zip(panels, shown, strict=False):
            unit, size = UNITS[axis]
            table = answer.line(axis)
            at = table["value"].to_numpy() / size
            loss = table["loss"].to_numpy(dtype=float)
            if axis == "on_chip":
                panel.set_xscale("symlog", linthresh=max(1.0, float(at[at > 0].min(initial=1.0))))
                panel.plot(at, loss, color=BLUE, lw=1.0, marker="o", ms=3)
            else:
                panel.set_xscale("log")
                panel.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
                panel.step(at, loss, where="post", color=BLUE, lw=1.2)
            panel.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
            panel.xaxis.set_minor_formatter(NullFormatter())
            panel.axhline(answer.loss, color=ORANGE, lw=1.0, ls=(0, (4, 2)))
            if axis in worth:
                _tangent(panel, worth[axis].value / size, worth[axis].loss, worth[axis].slope)
            panel.set_title(SAID[axis][0].upper() + SAID[axis][1:], fontsize=9)
            panel.set_xlabel(unit)
            panel.grid(color=FAINT, alpha=0.35, lw=0.5)
        panels[0].set_ylabel("Least loss within the limits (nats per token)")
        own = answer.template.device.title
        write_title(
            figure,
            f"What one more buys: {own}, one number moved at a time\n"
            "Star: the template; line through it: the slope nearby; dashed: the loss asked for",
        )
    return figure


def _tangent(panel: Axes, value: float, loss: float, slope: float) -> None:
    panel.scatter([value], [loss], s=110, marker="*", color=INK, ec="white", lw=0.6, zorder=5)
    if slope == slope and value > 0:
        x = value * np.geomspace(0.8, 1.25, 21)
        panel.plot(x, loss + slope * value * np.log(x / value), color=INK, lw=1.4, zorder=4)


def devices_figure(library: Sequence[Found], title: str) -> Figure | None:
    """Draw the stated power of the devices that meet the question, the least first."""
    stated = [each for each in library if each.meets and each.watts == each.watts][:_SHOWN]
    if not stated:
        return None
    with mpl.style.context(["default", STYLE]):
        figure = Figure(figsize=(7.6, 1.5 + 0.22 * len(stated)), dpi=DPI, layout="constrained")
        panel = figure.subplots()
        rows = np.arange(len(stated))
        scopes = dict.fromkeys(each.scope for each in stated)
        paints = dict(zip(scopes, (BLUE, ORANGE, GREEN, GREY, INK, FAINT), strict=False))
        panel.barh(
            rows, [e.watts for e in stated], color=[paints[e.scope] for e in stated], height=0.7
        )
        panel.set_yticks(rows, [each.device for each in stated], fontsize=7.5)
        panel.set_xlabel("Stated power (W)")
        for row, each in zip(rows, stated, strict=True):
            limit = SHORT.get(each.tight, each.tight)
            words = f"{each.watts:.4g} W; {percent(each.excess)} of its limit on {limit}"
            panel.annotate(
                words, (each.watts, row), xytext=(4, 0), textcoords="offset points", va="center",
                fontsize=7, color=GREY,
            )  # fmt: skip
        panel.set_xlim(0, 1.4 * max(each.watts for each in stated))
        handles = [
            mpl.patches.Patch(fc=paint, label=f"power of the {scope.replace('-', ' ')}")
            for scope, paint in paints.items()
        ]
        figure.legend(handles=handles, loc="outside lower left", ncols=3)
        panel.set_ylim(len(stated) - 0.4, -0.6)
        write_title(figure, title)
    return figure


def fleet_figure(answer: FleetAnswer) -> Figure:
    """Draw, for each device, the share of its limits and the loss of every choice."""
    choices = list(answer.choices.values())
    devices = [device.name for device in answer.question.devices]
    with mpl.style.context(["default", STYLE]):
        figure = Figure(figsize=(7.6, 4.6), dpi=DPI, layout="constrained")
        panel = figure.subplots()
        paints = dict(zip(devices, (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", GREY), strict=False))
        marks = dict(zip([c.name for c in choices], ("*", "P"), strict=False))
        labels = []
        for choice in choices:
            inside = [d for d in devices if np.isfinite(choice.shares[d])]
            if len(inside) > 1:
                ends = [choice.shares[d] for d in inside]
                panel.plot([min(ends), max(ends)], [choice.loss] * 2, color=FAINT, lw=0.9, zorder=1)
            for device in inside:
                own = device == choice.name
                panel.scatter(
                    [choice.shares[device]], [choice.loss], zorder=3, lw=1.1,
                    s=110 if choice.name in marks and choice.name not in devices else 34,
                    marker=marks[choice.name] if choice.name not in devices else "o",
                    facecolors=paints.get(device, INK) if own or choice.name not in devices
                    else "white", edgecolors=paints.get(device, INK),
                )  # fmt: skip
            at = (max(choice.shares[d] for d in inside), choice.loss)
            words = choice.name if choice.name not in devices else f"{choice.name}'s own"
            labels.append(name_point(panel, words, at, INK, size=7))
        panel.axvline(1.0, color=ORANGE, lw=1.0, ls=(0, (4, 2)))
        panel.set(
            xscale="log", xlabel="Share of the tightest limit", ylabel="Loss (nats per token)"
        )
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.margins(0.12)
        panel.grid(color=FAINT, alpha=0.35, lw=0.5)
        handles = [
            Line2D([], [], ls="", marker="o", color=paint, ms=5, label=f"on {device}")
            for device, paint in paints.items()
        ]
        figure.legend(handles=handles, loc="outside lower left", ncols=min(4, len(handles)))
        question = answer.question
        write_title(
            figure,
            f"One architecture for {', '.join(devices)}\n"
            f"Workloads: {question.mix.describe()}; losses by: {question.law.title}; star: best "
            "worst case; plus: best weighted mean; circles: each device's own best, filled on "
            "itself",
        )
        figure.draw_without_rendering()
        place_labels(panel, labels)
    return figure
