"""Tables of the best that was seen so far: a value to be minimised, and whose it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray

NOBODY = np.iinfo(np.int64).max
"""Index of no candidate."""


@dataclass(frozen=True, eq=False)
class Best:
    """The least value at each place of a table, and the candidate that has it.

    value: inf where no candidate is known. index: NOBODY there. Of equal values the lower index
    wins, so that the order in which candidates are seen does not matter.
    """

    value: Array
    index: Array

    @classmethod
    def none(cls, *shape: int) -> Best:
        """Return a table in which nothing was seen."""
        return cls(np.full(shape, np.inf), np.full(shape, NOBODY, dtype=np.int64))

    def copy(self) -> Best:
        """Return a table that can be written to."""
        return Best(self.value.copy(), self.index.copy())

    def better(self, other: Best) -> Best:
        """Return the better of two at each place."""
        wins = (other.value < self.value) | (
            (other.value == self.value) & (other.index < self.index)
        )
        return Best(
            np.where(wins, other.value, self.value), np.where(wins, other.index, self.index)
        )

    def offer(self, place: Any, value: Any, index: Any) -> None:
        """Write a value where it is better than what stands there."""
        held, holder = self.value[place], self.index[place]
        wins = (value < held) | ((value == held) & (index < holder))
        self.value[place] = np.where(wins, value, held)
        self.index[place] = np.where(wins, index, holder)

    @property
    def known(self) -> Array:
        """Where some candidate is."""
        return np.asarray(self.index != NOBODY)


def staircase(need: Array, value: Array, index: Array, at: Array) -> Best:
    """Return, for each supply, the least value among the candidates that need no more.

    need, value, index: (N,); at: (P,) supplies.
    """
    found = Best.none(len(at))
    finite = np.isfinite(need)
    need, value, index = need[finite], value[finite], index[finite]
    if not len(need):
        return found
    by_value = np.lexsort((index, value))
    rank = np.empty(len(need), dtype=np.int64)
    rank[by_value] = np.arange(len(need))
    order = np.argsort(need, kind="stable")
    least = np.minimum.accumulate(rank[order])
    reach = np.searchsorted(need[order], at, side="right") - 1
    some = reach >= 0
    winner = by_value[least[reach[some]]]
    found.value[some], found.index[some] = value[winner], index[winner]
    return found
