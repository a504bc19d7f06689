"""Where the labels of a figure stand: near their points, over no mark, line or other label."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.offsetbox import AnchoredText
from matplotlib.patheffects import withStroke
from matplotlib.text import Text

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

Array = np.ndarray

DPI = 100.0  # that labels are placed at; a figure may be saved at any

# Where a label may stand: directions from its point and distances in points, the preferred first.
_DIRECTIONS = np.array(
    [
        (1, 0), (0.8, 0.8), (0.8, -0.8), (0, 1), (0, -1), (-0.8, 0.8), (-0.8, -0.8), (-1, 0),
        (1, 0.4), (1, -0.4), (0.4, 1), (0.4, -1), (-0.4, 1), (-0.4, -1), (-1, 0.4), (-1, -0.4),
    ]
)  # fmt: skip
_DISTANCES = np.array([6, 10, 16, 26, 38, 52, 68])
_NEAR = 40.0  # points that a name which may be left out stands away at most
_TURNS = 4  # in which each label is placed
_LEADER = np.linspace(0, 1, 16)[:, None]  # where a leader is looked at, from its point to its label


def name_point(panel: Axes, words: str, at: Any, colour: str, size: float = 7.5) -> Annotation:
    """Name a point of a panel; `place_labels` finds where the name stands.

    White surrounds the letters, so that a line that they cross does not run through them.
    """
    label = panel.annotate(
        words, tuple(at), xytext=(0, 0), textcoords="offset points", ha="center", va="center",
        fontsize=size, color=colour, zorder=6, parse_math=False, arrowprops={"arrowstyle": "-",
        "lw": 0.5, "color": colour, "alpha": 0.6, "shrinkA": 0, "shrinkB": 2},
    )  # fmt: skip
    label.set_path_effects([withStroke(linewidth=2.2, foreground="white", alpha=0.85)])
    label.set_in_layout(False)
    return label


def place_labels(panel: Axes, labels: list[Annotation], drop: bool = False) -> None:
    """Move each label beside its point, to where it covers least. The layout must be known.

    drop: remove a label that can stand only on top of something, on another's leader, or so far
    away that its own leader runs through marks. Each is placed in turn and then again, given the
    others: O(turns x labels x places x obstacles).
    """
    fixed: list[Artist] = [text for text in panel.texts if text not in labels]
    fixed += [artist for artist in panel.artists if isinstance(artist, AnchoredText)]
    if (legend := panel.get_legend()) is not None:
        fixed.append(legend)
    still = np.array([_extent(artist) for artist in fixed]).reshape(-1, 4)
    markers, lines = _marker_boxes(panel), _line_pixels(panel)
    places = [_places(panel, label, markers, lines, drop) for label in labels]
    chosen: dict[int, int] = {}
    for _, (i, there) in product(range(_TURNS), enumerate(places)):
        chosen.pop(i, None)
        others = [(places[k], place) for k, place in chosen.items()]
        taken = np.vstack([still, *(other.boxes[place] for other, place in others)])
        leaders = np.vstack(
            [np.empty((0, 4)), *(np.tile(other.leaders[place], 2) for other, place in others)]
        )
        meets = _overlaps(there.boxes, taken).sum(axis=1) * 10
        meets += _overlaps(there.boxes, leaders).any(axis=1) + _run_through(there.leaders, taken)
        covers = there.covers + 100 * meets
        costs = covers + there.costs + 40 * _run_through(there.leaders, leaders)
        best = int(np.argmin(costs))
        if not drop or covers[best] == 0:
            chosen[i] = best
    for i, label in enumerate(labels):
        if i in chosen:
            label.set_position(tuple(places[i].shifts[chosen[i]] * 72.0 / DPI))
        else:
            label.remove()


@dataclass(frozen=True, eq=False)
class _Places:
    """Where one label may stand, in pixels: (P, ...), and what each place costs by itself.

    shifts: from the point to the label's middle. boxes: left, bottom, right, top. leaders: (P, S,
    2) points from the point to the box. covers: for standing on marks or outside; costs: the rest.
    """

    shifts: Array
    boxes: Array
    leaders: Array
    covers: Array
    costs: Array


def _places(panel: Axes, label: Annotation, markers: Array, lines: Array, drop: bool) -> _Places:
    """Return where a label may stand, given what is drawn; nearby alone if it may be dropped."""
    left, low, right, high = _extent(label)
    half = np.array([right - left, high - low]) / 2 + 1
    point = panel.transData.transform(label.xy)
    ladder = _DISTANCES[_DISTANCES <= _NEAR] if drop else _DISTANCES
    distances = np.repeat(ladder, len(_DIRECTIONS))
    shifts = np.tile(_DIRECTIONS, (len(ladder), 1)) * (half + distances[:, None] * DPI / 72.0)
    boxes = np.hstack([point + shifts - half, point + shifts + half])
    with np.errstate(divide="ignore"):  # a leader ends where it meets its label's box
        ends = np.maximum(0, 1 - (half / np.abs(shifts)).min(axis=1))
    leaders = point + _LEADER * (shifts * ends[:, None])[:, None]
    reach = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
    markers, lines = (some[_overlaps(reach, some)[0]] for some in (markers, lines))
    frame = panel.get_window_extent()
    outside = (boxes[:, :2] < frame.min).any(axis=1) | (boxes[:, 2:] > frame.max).any(axis=1)
    own = _overlaps(np.concatenate([point - 1, point + 1]), markers)[0]
    crosses = _run_through(leaders, markers[~own])
    return _Places(
        shifts=shifts,
        boxes=boxes,
        leaders=leaders,
        covers=1000 * outside + 100 * _overlaps(boxes, markers).sum(axis=1) + drop * crosses,
        costs=distances + 4 * _overlaps(boxes, lines).sum(axis=1) + 15 * crosses,
    )


def _run_through(leaders: Array, boxes: Array) -> Array:
    """Return which leaders (P, S, 2) meet any of the boxes."""
    steps = np.concatenate([leaders - 1.5, leaders + 1.5], axis=-1).reshape(-1, 4)
    met = _overlaps(steps, boxes).any(axis=1)
    return np.any(met.reshape(leaders.shape[:2]), axis=1)


def _extent(artist: Artist) -> Array:
    """Left, bottom, right and top of an artist in pixels; of a label without its leader."""
    extent = artist.get_window_extent()  # also brings a label's text to where its point is
    if isinstance(artist, Text):
        extent = Text.get_window_extent(artist)
    return np.asarray(extent.extents)


def _overlaps(some: Array, others: Array) -> Array:
    """Return which pairs of boxes (left, bottom, right, top) share area."""
    left, low, right, high = np.atleast_2d(some).T[..., None]
    meet = (others[:, 0] < right) & (others[:, 2] > left)
    return np.asarray(meet & (others[:, 1] < high) & (others[:, 3] > low))


def _marker_boxes(panel: Axes) -> Array:
    """Return the extents of all scatter markers, in whole pixels, each once."""
    boxes = [np.empty((0, 4))]
    for drawn in panel.collections:
        if not isinstance(drawn, PathCollection):
            continue
        centres = panel.transData.transform(drawn.get_offsets())
        radius = np.sqrt(drawn.get_sizes()).reshape(-1, 1) / 2 * DPI / 72
        boxes.append(np.hstack([np.floor(centres - radius), np.ceil(centres + radius)]))
    return np.unique(np.vstack(boxes), axis=0)


def _line_pixels(panel: Axes) -> Array:
    """Return points along all lines, a few pixels apart, as boxes without area."""
    pixels = [np.empty((0, 4))]
    for line in panel.lines:
        path = line.get_transform().transform(line.get_path().vertices)  # with its steps
        pixels += [_along(start, end) for start, end in pairwise(path)]
    return np.vstack(pixels)


def _along(start: Array, end: Array) -> Array:
    """Return points from one pixel to another, a few pixels apart, as boxes without area."""
    steps = int(min(np.hypot(*(end - start)) // 4 + 2, 2000))
    points = np.linspace(start, end, steps)
    return np.hstack([points, points])
