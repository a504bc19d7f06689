"""Pareto fronts of points to be minimised: which stay, how two join, how much they cover.

Points are (N, k) floats. One point dominates another if it is nowhere worse and somewhere better.
Of equal points the first stays; a point with a NaN is unknown, so it is never on a front and
dominates nothing; infinities are the largest and smallest floats. An empty table has an empty
front.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray

_LARGEST = np.finfo(float).max
_BLOCK = 2**20  # comparisons of points made at once


def non_dominated(points: Array) -> Array:
    """Return which points no other dominates, (N,) booleans.

    Exact: O(N log N) for up to three objectives, O(N log^(k-2) N) for more (moocore's version of
    Kung, Luccio and Preparata 1975).
    """
    points = _table(points)
    rows = np.flatnonzero(~np.isnan(points).any(axis=1))
    mask = np.zeros(len(points), dtype=bool)
    if not len(rows):
        return mask
    if points.shape[1] == 1:
        mask[rows[np.argmin(points[rows, 0])]] = True
        return mask
    import moocore

    # moocore takes infinities for sentinels of its own, and then errs or crashes.
    finite = np.clip(points[rows], -_LARGEST, _LARGEST)
    mask[rows] = moocore.is_nondominated(finite, keep_weakly=False)
    return mask


def sieve(points: Array, front: Array) -> Array:
    """Return which points are left once those that a front dominates are taken out, (N,) booleans.

    Cheap, and never takes out too much: points equal to one of the front's stay. With two
    objectives it is exact, O(N log F); with more it looks at a few strong points of the front,
    O(N), and some dominated points slip through.
    """
    points, front = _table(points), _table(front)
    left: Array = ~np.isnan(points).any(axis=1)
    if not len(front):
        return left
    if points.shape[1] != 2:
        for strong in _strong(front):
            rows = np.flatnonzero(left)
            rest = points[rows]
            left[rows] = (rest < strong).any(axis=1) | (rest == strong).all(axis=1)
        return left
    x, y = front[np.lexsort((front[:, 1], front[:, 0]))].T
    least = np.minimum.accumulate(y)  # over all that lie no further right
    below, upto = (np.searchsorted(x, points[:, 0], side=side) for side in ("left", "right"))
    beaten = (below > 0) & (least[below - 1] <= points[:, 1])
    beaten |= (upto > 0) & (least[upto - 1] < points[:, 1])
    return left & ~beaten


def beaten(points: Array, front: Array) -> Array:
    """Return which points (N, k) some point of a front (F, k) dominates, (N,) booleans.

    Exact: O(N log F) for two objectives, O(N F k) in blocks for others. Points with a NaN are not
    known, and so not beaten.
    """
    points, front = _table(points), _table(front)
    known = ~np.isnan(points).any(axis=1)
    if points.shape[1] == 2:
        return known & ~sieve(points, front)
    found = np.zeros(len(points), dtype=bool)
    for start in range(0, len(points), step := max(1, _BLOCK // max(len(front), 1))):
        part = points[start : start + step, np.newaxis, :]
        worse = np.all(front <= part, axis=-1) & np.any(front < part, axis=-1)
        found[start : start + step] = worse.any(axis=1)
    return known & found


def merge(fronts: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Join fronts, each (keys, points), into one, ascending by key.

    Of equal points the one with the smallest key stays, so the order of joining does not matter.
    """
    keys = np.concatenate([keys for keys, _ in fronts])
    points = np.concatenate([_table(points) for _, points in fronts])
    order = np.argsort(keys, kind="stable")
    keep = order[non_dominated(points[order])]
    return keys[keep], points[keep]


def reference_point(*fronts: Array, margin: float = 0.1) -> Array:
    """Return the worst of every objective over fronts of (N, k), and a margin of range: (k,)."""
    points = np.concatenate([_table(front) for front in fronts])
    worst, best = points.max(axis=0), points.min(axis=0)
    spread = np.where(worst > best, worst - best, np.abs(worst) + (worst == 0))
    return np.asarray(worst + margin * spread)


def hypervolume(points: Array, reference: Array) -> float:
    """Return the volume that some points dominate within a reference point.

    Points that do not lie below the reference in every objective add nothing.
    """
    points, reference = _table(points), np.asarray(reference, dtype=float)
    points = points[(points < reference).all(axis=1)]
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(reference[0] - points.min())
    import moocore

    return float(moocore.hypervolume(points, ref=reference))


def hypervolume_ratio(points: Array, exact: Array, reference: Array | None = None) -> float:
    """Return the share of an exact front's hypervolume that some points reach.

    Both are measured from one reference, by default `reference_point` of the exact front. The share
    does not depend on the units of the objectives.
    """
    if not len(exact):
        return float("nan")
    reference = reference_point(exact) if reference is None else reference
    whole = hypervolume(exact, reference)
    return hypervolume(points, reference) / whole if whole else float("nan")


def _table(points: Array) -> Array:
    points = np.asarray(points, dtype=float)
    if points.ndim != 2:
        raise ValueError(f"points are (N, k), not {points.shape}")
    return points


def strongest(front: Array, most: int = 64) -> Array:
    """Return points of a front to hold others against, sorted by the first objective.

    Of two objectives all, since a search among them is short; of more, the strong ones and some at
    even distances.
    """
    front = _table(front)
    front = front[np.lexsort(front.T[::-1])]
    if front.shape[1] <= 2 or len(front) <= most:
        return front
    some = front[np.unique(np.linspace(0, len(front) - 1, most // 2).round().astype(int))]
    return np.concatenate([_strong(front), some])


def _strong(points: Array) -> Array:
    """A few points that are best in different mixtures of the objectives, and so dominate many."""
    finite: Array = points[np.isfinite(points).all(axis=1)]
    if len(finite) <= 32:
        return finite
    best = finite.min(axis=0)
    scaled = (finite - best) / np.maximum(finite.max(axis=0) - best, 1e-300)
    k = points.shape[1]
    mixtures = np.concatenate([np.ones((1, k)), *(1 + s * np.eye(k) for s in (3.0, 30.0))])
    return np.asarray(finite[np.unique(np.argmin(scaled @ mixtures.T, axis=0))])
