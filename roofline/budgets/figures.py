"""The region that budgets leave, over width and depth and over width and activation rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import NullFormatter, ScalarFormatter

from roofline.budgets.answer import Answer, loss_at
from roofline.budgets.case import SAID, say
from roofline.drawing.labels import DPI
from roofline.drawing.style import BLUE, FAINT, GREEN, GREY, INK, ORANGE, STYLE
from roofline.drawing.titles import write_title

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from roofline.budgets.theory import Shape
    from roofline.laws.law import Array

POINTS = 241
"""Points of a panel along each axis."""

PURPLE = "#CC79A7"  # of Okabe and Ito, as the others
COLOURS = {"ttft": BLUE, "tpot": ORANGE, "latency": ORANGE, "memory": GREEN}
_BEYOND = 1.35
_TICKS = {
    "width": (512, 768, 1024, 1536, 2048, 3072, 4096),
    "layers": (3, 4, 6, 8, 12, 16, 24, 32, 48),
    "activation": (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1),
}
_LABELS = {
    "width": "Width",
    "layers": "Depth (layers)",
    "activation": "Activation rate (active over stored experts)",
}
_SHORT = {"ttft": "TTFT", "tpot": "TPOT", "latency": "latency", "memory": "memory"}
_MARKS = {
    "closed form": ("o", 110.0, INK),
    "continuous": ("+", 60.0, INK),
    "theory": ("s", 40.0, INK),
    "ideal": ("D", 34.0, PURPLE),
    "calibrated": ("^", 44.0, PURPLE),
}
_LEGEND = {
    "closed form": "Closed form",
    "continuous": "Continuous optimum",
    "theory": "Best of the space, theory's costs",
    "ideal": "Best of the space, engine's floor",
    "calibrated": "Best of the space, calibrated engine",
}


@dataclass(frozen=True, eq=False)
class Region:
    """A cut through the shapes: all variables but two stay at the optimum.

    across, up: names of the two; x, y: (P,) their values; loss: (P, P) nats, rows along y; shares:
    (P, P) by budget, 1 on its boundary; beyond it more.
    """

    across: str
    up: str
    x: Array
    y: Array
    loss: Array
    shares: Mapping[str, Array]

    @property
    def feasible(self) -> Array:
        """Which points are within all budgets, (P, P) booleans."""
        return np.logical_and.reduce([share <= 1 for share in self.shares.values()])


def region(answer: Answer, up: str, points: int = POINTS) -> Region:
    """Compute the cut over width and `up`, `layers` or `activation`, a little past the range."""
    ranges = answer.ranges
    low, high = getattr(ranges, up)
    top = min(high * _BEYOND, 1.0) if up == "activation" else high * _BEYOND
    x = np.geomspace(ranges.width[0] / _BEYOND, ranges.width[1] * _BEYOND, points)
    y = np.geomspace(low / _BEYOND, top, points)
    best = answer.shape
    shape: Shape = best._replace(**{"width": x[None, :], up: y[:, None]})
    return Region(
        across="width",
        up=up,
        x=x,
        y=y,
        loss=np.broadcast_to(loss_at(answer.law, shape), (points, points)),
        shares={
            name: np.broadcast_to(answer.theory.share(name, shape, limit), (points, points))
            for name, limit in answer.limits.items()
        },
    )


def region_figure(answer: Answer) -> Figure:
    """Draw the region that is feasible, loss contours, each budget's boundary and the optima."""
    cuts = [region(answer, up) for up in ("layers", "activation")]
    with mpl.style.context(["default", STYLE]):
        figure = Figure(figsize=(10.4, 5.6), dpi=DPI, layout="constrained")
        panels = figure.subplots(1, 2)
        for panel, cut in zip(panels, cuts, strict=True):
            _axes(panel, cut)
            _region(panel, cut)
            _range(panel, answer, cut)
            _marks(panel, answer, cut)
            panel.set_title(_held(answer, cut), fontsize=8, color=GREY)
        write_title(figure, _title(answer))
        figure.legend(
            handles=_handles(answer), loc="outside lower left", ncols=4, handletextpad=0.5,
            columnspacing=1.4,
        )  # fmt: skip
        figure.draw_without_rendering()
        for panel, cut in zip(panels, cuts, strict=True):
            _drop_cut_off(panel)
            _name_boundaries(panel, answer, cut)
    return figure


def _axes(panel: Axes, cut: Region) -> None:
    panel.set(xscale="log", yscale="log", xlim=cut.x[[0, -1]], ylim=cut.y[[0, -1]])
    for side, name in (("x", cut.across), ("y", cut.up)):
        axis = getattr(panel, f"{side}axis")
        low, high = (cut.x if side == "x" else cut.y)[[0, -1]]
        ticks = [tick for tick in _TICKS[name] if low <= tick <= high]
        axis.set_ticks(ticks)
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
        axis.set_ticks([], minor=True)
        if name == "activation":
            axis.set_ticklabels([f"1/{round(1 / tick)}" if tick < 1 else "1" for tick in ticks])
    panel.set_xlabel(_LABELS[cut.across])
    panel.set_ylabel(_LABELS[cut.up])


def _region(panel: Axes, cut: Region) -> None:
    """Shade what is feasible, draw where each budget is used up, and contours of the loss."""
    panel.contourf(
        cut.x, cut.y, cut.feasible.astype(float), levels=[0.5, 1.5], colors=[BLUE], alpha=0.10,
        zorder=0,
    )  # fmt: skip
    inside = cut.loss[cut.feasible] if cut.feasible.any() else cut.loss
    lines = panel.contour(
        cut.x, cut.y, cut.loss, levels=_levels(inside, cut.loss), colors=[FAINT], linewidths=0.7,
        zorder=1,
    )  # fmt: skip
    panel.clabel(lines, fontsize=6.5, colors=[GREY], fmt="%.2f", inline_spacing=2)
    for name, share in cut.shares.items():
        if share.min() < 1 < share.max():
            panel.contour(
                cut.x, cut.y, share, levels=[1.0], colors=[COLOURS[name]], linewidths=1.6, zorder=2
            )


def _levels(inside: Array, whole: Array) -> Array:
    """Contours at round losses, closer together where losses are low."""
    low, high = float(whole.min()), float(np.quantile(np.r_[inside, whole.ravel()], 0.98))
    fine = np.arange(np.ceil(low / 0.02) * 0.02, low + 0.1, 0.02)
    middle = np.arange(np.ceil((low + 0.1) / 0.05) * 0.05, min(high, low + 0.3), 0.05)
    coarse = np.arange(np.ceil((low + 0.3) / 0.2) * 0.2, high, 0.2)
    return np.unique(np.round(np.r_[fine, middle, coarse], 4))


def _range(panel: Axes, answer: Answer, cut: Region) -> None:
    """Mark the range of the law's data."""
    (left, right), (low, high) = answer.ranges.width, getattr(answer.ranges, cut.up)
    panel.add_patch(
        Rectangle(
            (left, low), right - left, high - low, fill=False, ec=GREY, lw=1.0, ls=(0, (4, 3)),
            zorder=3,
        )
    )  # fmt: skip


def _marks(panel: Axes, answer: Answer, cut: Region) -> None:
    """Mark the optima; the space's have their own values of what the cut holds fixed."""
    for way, shape in _found(answer):
        marker, size, colour = _MARKS[way]
        x, y = getattr(shape, cut.across), getattr(shape, cut.up)
        hollow = {"facecolors": "none", "edgecolors": colour}
        paint: dict[str, Any] = {"color": colour} if marker == "+" else hollow
        panel.scatter([x], [y], s=size, marker=marker, lw=1.3, zorder=6, clip_on=False, **paint)


def _found(answer: Answer) -> list[tuple[str, Shape]]:
    found = [] if answer.closed is None else [("closed form", answer.closed.shape)]
    found.append(("continuous", answer.shape))
    return found + [(way, each.shape) for way, each in answer.candidates.items() if each]


def _drop_cut_off(panel: Axes) -> None:
    """Take away the contours' labels that the frame would cut."""
    frame = panel.get_window_extent()
    for text in list(panel.texts):
        box = text.get_window_extent()
        if not (frame.contains(*box.min) and frame.contains(*box.max)):
            text.remove()


def _name_boundaries(panel: Axes, answer: Answer, cut: Region) -> None:
    """Write along each boundary whose it is."""
    paths = {name: _boundary(panel, cut, share) for name, share in cut.shares.items()}
    marks = [
        panel.transData.transform((getattr(shape, cut.across), getattr(shape, cut.up)))
        for _, shape in _found(answer)
    ]
    contours = list(panel.texts)
    outline = _outline(panel, answer, cut)
    taken = [np.array(marks)]
    for name, path in paths.items():
        words = f"{_SHORT[name]} {say(name, answer.limits[name])}"
        others = [each for key, each in paths.items() if key != name and len(each)]
        place = _place(panel, path, 4.6 * len(words) * DPI / 72, taken, [outline, *others])
        if place is None:
            continue
        centre, angle, box = place
        taken.append(box)
        x, y = panel.transData.inverted().transform(centre)
        panel.text(
            x, y, words, color=COLOURS[name],
            fontsize=7.5, rotation=float(np.degrees(angle)), rotation_mode="anchor", ha="center",
            va="center_baseline", zorder=7,
            bbox={"fc": "white", "ec": "none", "alpha": 0.75, "pad": 0.6},
        ).set_in_layout(False)  # fmt: skip
    for text in contours:
        around = text.get_window_extent().padded(4)
        if any(around.contains(*point) for line in taken[1:] for point in line):
            text.remove()


def _outline(panel: Axes, answer: Answer, cut: Region) -> Array:
    """Return points along the outline of the law's range, in pixels."""
    (left, right), (low, high) = answer.ranges.width, getattr(answer.ranges, cut.up)
    x, y = np.geomspace(left, right, 60), np.geomspace(low, high, 60)
    corners = [
        *((np.column_stack([x, np.full(60, end)])) for end in (low, high)),
        *((np.column_stack([np.full(60, end), y])) for end in (left, right)),
    ]
    return np.asarray(panel.transData.transform(np.concatenate(corners)))


def _place(
    panel: Axes, path: Array, width: float, taken: list[Array], lines: list[Array]
) -> tuple[Array, float, Array] | None:
    """Return centre, angle and middle line of a label beside a path of pixels, where most is free.

    taken: points that it may not stand on; lines: those that it had better not. None where there is
    no room within the frame.
    """
    low, high = panel.get_window_extent().get_points()
    height = 9 * DPI / 72
    best: tuple[float, Array, float, Array] | None = None
    for i in range(2, len(path) - 2, 2):
        span = path[min(i + 6, len(path) - 1)] - path[max(i - 6, 0)]
        angle = (np.arctan2(span[1], span[0]) + np.pi / 2) % np.pi - np.pi / 2
        along = np.array([np.cos(angle), np.sin(angle)])
        away = np.array([-np.sin(angle), np.cos(angle)])
        for side in (0.75, -0.75, 2.0, -2.0, 3.5, -3.5):
            centre = path[i] + side * away * height
            box = centre + np.linspace(-0.5, 0.5, 15)[:, None] * width * along
            if (box < low + height / 2).any() or (box > high - height / 2).any():
                continue
            own = path[np.hypot(*(path - centre).T) < width / 2]
            bend = float(np.abs((own - path[i]) @ away).max()) if len(own) else 0.0
            clear = min(_apart(box, points) for points in taken)
            if clear < 1.15 * height:
                continue
            near = min([clear, *(_apart(box, points) for points in lines)])
            score = min(near, 4 * height) - 3 * bend - 1.2 * height * abs(side)
            if best is None or score > best[0]:
                best = score, centre, float(angle), box
    return None if best is None else best[1:]


def _apart(some: Array, others: Array) -> float:
    """Return the least distance between two sets of points."""
    return float(np.hypot(*(some[:, None] - others).transpose(2, 0, 1)).min())


def _boundary(panel: Axes, cut: Region, share: Array) -> Array:
    """Return the longest boundary in pixels, (K, 2) at even distances; empty where none is."""
    from contourpy import contour_generator

    lines = contour_generator(cut.x, cut.y, share).lines(1.0)
    pixels = [panel.transData.transform(np.asarray(line)) for line in lines]
    if not pixels:
        return np.empty((0, 2))
    longest = max(pixels, key=lambda line: np.hypot(*np.diff(line, axis=0).T).sum())
    steps = np.r_[0, np.hypot(*np.diff(longest, axis=0).T).cumsum()]
    even = np.arange(0, steps[-1], 4.0)
    return np.column_stack([np.interp(even, steps, longest[:, i]) for i in (0, 1)])


def _handles(answer: Answer) -> list[Any]:
    found = {way for way, _ in _found(answer)}
    marks: list[Any] = [
        Line2D(
            [], [], ls="", marker=_MARKS[way][0], ms=np.sqrt(_MARKS[way][1]) * 0.8, mfc="none",
            mec=_MARKS[way][2], mew=1.3, label=label,
        )
        for way, label in _LEGEND.items()
        if way in found
    ]  # fmt: skip
    return [
        *marks,
        Patch(fc=BLUE, alpha=0.15, label="Within all budgets"),
        Line2D([], [], color=FAINT, lw=0.9, label="Loss, nats"),
        Line2D([], [], color=GREY, lw=1.0, ls=(0, (4, 3)), label="Range of the law's data"),
    ]


def _held(answer: Answer, cut: Region) -> str:
    """Say what the cut holds fixed."""
    best = answer.shape
    held = {
        "layers": f"depth {best.layers:.1f}",
        "activation": f"activation rate {best.activation:.3g}",
    }
    rest = [words for name, words in held.items() if name != cut.up]
    rest += [f"FFN ratio {best.expansion:.2f}", f"GQA ratio {best.gqa:.2f}"]
    return f"Boundaries and contours at {', '.join(rest)}"


def _title(answer: Answer) -> str:
    case = answer.case
    binding = " and ".join(SAID[name] for name in answer.binding) or "no budget"
    parts = [
        f"Losses by: {answer.law.title}",
        f"prompt {case.prompt}, {case.generate} tokens generated, weights {case.weights}",
        f"basis: {answer.theory.rates.basis}",
        "the space's optima have their own FFN and GQA ratios",
    ]
    head = f"{answer.device.title}: {case.title or 'budgets'}; {binding} binds"
    if len(answer.binding) > 1:
        head = head.removesuffix("binds") + "bind"
    return f"{head}\n{'; '.join(parts)}"
