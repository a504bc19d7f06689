"""The best candidate at every point of a hardware grid, exactly, without judging every pair.

More bandwidth or peak never makes a candidate slower. So over a rectangle of the grid its time lies
between those at two corners: what breaks a limit at the best corner breaks it everywhere inside,
what keeps it at the worst keeps it everywhere. A rectangle in which one candidate is the answer at
both ends is done; any other is cut in two, with the candidates that can still win in it. A grid of
100 x 100 points over 10^5 candidates takes some tens of judgements a candidate, not 10^4.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from roofline.codesign.best import NOBODY, Best
from roofline.codesign.judge import Judge

Array = np.ndarray
Tile = tuple[slice, slice]


def lowest(
    judge: Judge, value: Array, index: Array, bandwidth: Array, peak: Array, best: Best
) -> Best:
    """Return the least value among the candidates that keep their limits, at each grid point.

    value, index: (N,), the values ascending. bandwidth, peak: (B,) and (P,) ascending multiples of
    the base device's. best: (B, P) what is known already, which is not changed.
    """
    found = best.copy()

    def search(rows: Array, known: Judge, tile: Tile) -> None:
        across, up = tile
        better = value[rows] <= found.value[tile].max(initial=-np.inf)
        rows, known = _kept(rows, known, better)
        if not len(rows):
            return
        inside = known.excess(bandwidth[across.stop - 1], peak[up.stop - 1]) <= 1
        rows, known = _kept(rows, known, inside)
        if not len(rows):
            return
        if len(rows) * _points(tile) <= _PAIRS:
            kept = _everywhere(known, bandwidth[across], peak[up]) <= 1
            first = rows[np.argmax(kept, axis=0)]
            least = np.where(kept.any(axis=0), value[first], np.inf)
            found.offer(tile, least, np.where(kept.any(axis=0), index[first], NOBODY))
            return
        first = _first(known.excess(bandwidth[across.start], peak[up.start]) <= 1)
        if first is not None:
            found.offer(tile, value[rows[first]], index[rows[first]])
            # No other than those before it can win anywhere inside.
            rows, known = rows[:first], known[:first]
        if len(rows):
            for half in _halves(tile):
                search(rows, known, half)

    whole = (slice(0, len(bandwidth)), slice(0, len(peak)))
    if len(judge):
        search(np.arange(len(judge)), judge, whole)
    return found


def quickest(judge: Judge, index: Array, bandwidth: Array, peak: Array, best: Best) -> Best:
    """Return the least excess of any candidate at each grid point, as `lowest` does the value."""
    found = best.copy()

    def search(rows: Array, known: Judge, tile: Tile) -> None:
        across, up = tile
        if _points(tile) > 1:
            least = known.excess(bandwidth[across.stop - 1], peak[up.stop - 1])
            most = known.excess(bandwidth[across.start], peak[up.start])
            # Nowhere inside more than this is needed: by one of these, or by an earlier one.
            bound = min(float(most.min()), float(found.value[tile].max()))
            rows, known = _kept(rows, known, least <= bound)
        if len(rows) and len(rows) * _points(tile) <= _PAIRS:
            share = _everywhere(known, bandwidth[across], peak[up])
            least = share.min(axis=0)
            holder = np.where(share == least, index[rows][:, None, None], NOBODY).min(axis=0)
            found.offer(tile, least, holder)
            return
        if len(rows):
            for half in _halves(tile):
                search(rows, known, half)

    whole = (slice(0, len(bandwidth)), slice(0, len(peak)))
    for start in range(0, len(judge), _PAIRS):  # so that one point's candidates are few enough
        rows = np.arange(start, min(start + _PAIRS, len(judge)))
        search(rows, judge[rows], whole)
    return found


_PAIRS = 2**14
"""Pairs of candidate and grid point that are judged all at once: as many as stay in cache."""


def _points(tile: Tile) -> int:
    across, up = tile
    return (across.stop - across.start) * (up.stop - up.start)


def _everywhere(judge: Judge, bandwidth: Array, peak: Array) -> Array:
    """Return the excess of each candidate at each point, (N, B, P)."""
    shape = (len(judge), len(bandwidth), len(peak))
    rows, across, up = (axis.ravel() for axis in np.indices(shape))
    return judge[rows].excess(bandwidth[across], peak[up]).reshape(shape)


def _kept(rows: Array, judge: Judge, mask: Array) -> tuple[Array, Judge]:
    """Return the rows of a mask, and their judge; copied only where some go."""
    if mask.all():
        return rows, judge
    return rows[mask], judge[mask]


def _first(mask: Array) -> int | None:
    at = int(np.argmax(mask))
    return at if mask[at] else None


def _halves(tile: Tile) -> Iterator[Tile]:
    """Cut a tile in two along its longer side."""
    across, up = tile
    wide, high = across.stop - across.start, up.stop - up.start
    if wide >= high:
        middle = across.start + wide // 2
        yield slice(middle, across.stop), up
        yield slice(across.start, middle), up
    else:
        middle = up.start + high // 2
        yield across, slice(middle, up.stop)
        yield across, slice(up.start, middle)
