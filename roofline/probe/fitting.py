"""From samples to the two numbers of an efficiency: what large operations reach, and a half size.

An efficiency e that falls with size s as e s / (s + half) makes a time linear: t = (s + half) / r,
where r is the rate of large operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

Array = np.ndarray
Group: TypeAlias = tuple[Sequence[float], Sequence[float]]
"""Sizes and seconds of operations that share a rate."""


def fit_half_size(groups: Sequence[Group], peaks: Sequence[float]) -> tuple[float, list[float]]:
    """Return one half size for all groups, and a rate for each, at most its peak.

    Least squares of the logarithm of the time, so that every size counts alike. Given the half
    size, a group's best rate is a mean, or the peak where that is less; the half size itself is
    looked for on a grid: none, and steps of 2 % from a hundredth of the smallest operation to ten
    times the largest.
    """
    sizes = [np.asarray(s, dtype=float) for s, _ in groups]
    times = [np.log(np.asarray(t, dtype=float)) for _, t in groups]
    least = min(s.min() for s in sizes) / 100
    most = 10 * max(s.max() for s in sizes)
    halves = np.concatenate(([0.0], np.geomspace(least, most, int(np.log(most / least) / 0.02))))
    errors = np.zeros(len(halves))
    for size, time, peak in zip(sizes, times, peaks, strict=True):
        gaps = np.log(size[None, :] + halves[:, None]) - time[None, :]
        reached = np.minimum(gaps.mean(axis=1, keepdims=True), np.log(peak))
        errors += ((gaps - reached) ** 2).sum(axis=1)
    half = float(halves[int(np.argmin(errors))])
    return half, [min(rate(g, half), peak) for g, peak in zip(groups, peaks, strict=True)]


def rate(group: Group, half: float = 0.0) -> float:
    """Return the rate of large operations, given the half size: the geometric mean over sizes."""
    size, time = (np.asarray(column, dtype=float) for column in group)
    return float(np.exp(np.mean(np.log((size + half) / time))))


def spread(group: Group, half: float, fitted: float) -> tuple[float, float]:
    """Return the quartiles, over sizes, of the rate that each size alone would give."""
    size, time = (np.asarray(column, dtype=float) for column in group)
    low, high = np.quantile((size + half) / time, (0.25, 0.75))
    return min(float(low), fitted), max(float(high), fitted)


def fit_line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Return slope and value at 0 of the line through the points, neither of them negative.

    Theil and Sen's: the median of the slopes between all pairs, deaf to a point that went wrong.
    """
    a, b = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    first, second = np.triu_indices(len(a), 1)
    slope = max(float(np.median((b[second] - b[first]) / (a[second] - a[first]))), 0.0)
    return slope, max(float(np.median(b - slope * a)), 0.0)
