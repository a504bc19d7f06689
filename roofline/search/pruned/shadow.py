"""What a front dominates, to look up for many points at once and never too much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray

CLOSE = 1e-12
"""Share by which values must differ to be told apart, unless they are equal to the last bit."""
_CELLS = 2**20


@dataclass(frozen=True, eq=False)
class Shadow:
    """The points that a front (F, k) dominates.

    levels: some values of the front in each objective but the last, ascending. least: by the
    places of those levels, the least last objective of the members that are nowhere above them.
    With two objectives all values are levels and nothing is missed; with more, levels are so many
    that their product stays small, and what is barely dominated may be missed.
    """

    levels: tuple[Array, ...]
    least: Array

    @classmethod
    def of(cls, front: Array) -> Shadow:
        """Return the shadow of a front without NaN."""
        k = front.shape[1]
        if k == 1:
            return cls((), np.asarray(front.min(initial=np.inf)))
        most = len(front) if k == 2 else max(2, int(_CELLS ** (1 / (k - 1))))
        levels = tuple(_levels(front[:, axis], most) for axis in range(k - 1))
        least = np.full([len(at) + 1 for at in levels], np.inf)
        # A member counts from the first level that is not below it.
        place = tuple(np.searchsorted(at, front[:, axis]) for axis, at in enumerate(levels))
        np.minimum.at(least, tuple(p + 1 for p in place), front[:, -1])
        for axis in range(k - 1):
            np.minimum.accumulate(least, axis=axis, out=least)
        return cls(levels, least)

    def hides(self, points: Array) -> Array:
        """Return which points (N, k) a member of the front dominates beyond doubt, (N,).

        Never one that is equal to a member, nor one with a NaN.
        """
        last = points[:, -1]
        below = last - CLOSE * np.abs(last)
        if not self.levels:
            return np.asarray(self.least < below)
        clear, reached = [], []
        for axis, at in enumerate(self.levels):
            value = points[:, axis]
            before = np.searchsorted(at, value - CLOSE * np.abs(value))
            upto = np.searchsorted(at, value, side="right")
            equal = (upto > 0) & (at[np.maximum(upto - 1, 0)] == value) if len(at) else False
            clear.append(before)
            reached.append(np.where(equal, upto, before))
        least = self.least[tuple(clear)]
        hidden = (least < below) | (least == last) & np.isfinite(last)
        hidden |= self.least[tuple(reached)] < below
        return np.asarray(hidden & ~np.isnan(points).any(axis=1))


def _levels(values: Array, most: int) -> Array:
    values = np.unique(values)
    if len(values) <= most:
        return values
    return np.asarray(values[np.unique(np.linspace(0, len(values) - 1, most).astype(int))])
