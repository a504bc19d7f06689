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

from roofline.codesign.best import Best
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
        rows, known = _kept(
            rows, known, value[rows] <= found.value[tile].max(initial=-np.inf)
        )
        if not len(rows):
            return
        inside = known.excess(bandwidth[across.stop - 1], peak[up.stop - 1]) <= 1
        rows, known = _kept(rows, known, inside)
        if not len(rows):
            return
        single = across.stop - across.start == up.stop - up.start == 1
        first = (
            0
            if single
            else _first(known.excess(bandwidth[across.start], peak[up.start]) <= 1)
        )
        if first is not None:
            found.offer(tile, float(value[rows[first]]), int(index[rows[first]]))
            # No other than the lower ones can win anywhere inside, and none are left here.
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
        least = known.excess(bandwidth[across.stop - 1], peak[up.stop - 1])
        single = across.stop - across.start == up.stop - up.start == 1
        if single:
            row = int(np.lexsort((index[rows], least))[0])
            found.offer(tile, float(least[row]), int(index[rows[row]]))
            return
        most = known.excess(bandwidth[across.start], peak[up.start])
        # Somewhere inside no more than this is needed: by one of these, or by an earlier one.
        bound = min(float(most.min()), float(found.value[tile].max()))
        rows, known = _kept(rows, known, least <= bound)
        if len(rows):
            for half in _halves(tile):
                search(rows, known, half)

    whole = (slice(0, len(bandwidth)), slice(0, len(peak)))
    if len(judge):
        search(np.arange(len(judge)), judge, whole)
    return found


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
