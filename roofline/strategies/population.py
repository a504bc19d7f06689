"""Questions as many models meet them: all of them, or those of one bin of difficulty.

What a strategy reaches is a row over the number of right samples where samples are drawn on their
own (`selection`), and a function of the success p of a question where they are not (a search, a
chain of revisions). Both are averaged here over the Beta of every model at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from roofline.strategies.difficulty import right_counts

Array = np.ndarray

_ODDS = np.linspace(-14.0, 14.0, 113)
SUCCESS = np.concatenate([[0.0], 1.0 / (1.0 + np.exp(-_ODDS)), [1.0]])
"""Success p at which functions of it are worked out, evenly spaced in their log odds, (nodes,)."""


@dataclass(frozen=True, eq=False)
class Population:
    """Difficulties of M models on one task; alpha, beta: (M,).

    concentration, options: c and V of wrong answers, the same for all. low, high: quantiles of
    success that the questions lie between.
    """

    alpha: Array
    beta: Array
    concentration: float
    options: int
    low: float = 0.0
    high: float = 1.0
    _counts: dict[int, Array] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.alpha)

    def bins(self, count: int = 5) -> tuple[Population, ...]:
        """Return bins of equally many questions, the easiest first."""
        ends = np.linspace(0.0, 1.0, count + 1)
        return tuple(
            Population(self.alpha, self.beta, self.concentration, self.options, low, high)
            for low, high in zip(ends[-2::-1].tolist(), ends[:0:-1].tolist(), strict=True)
        )

    def choose(self, k: int, row: Array) -> Array:
        """Accuracy of a rule over the number of right ones among k samples, (M,)."""
        if k not in self._counts:
            self._counts[k] = right_counts(self.alpha, self.beta, k, self.low, self.high)
        return self._counts[k] @ row

    def by_samples(self, samples: Array, rule: Callable[[int], Array]) -> Array:
        """Accuracy of a rule at each number of samples, (S, M)."""
        distinct, which = np.unique(samples.astype(int), return_inverse=True)
        return np.array([self.choose(k, rule(k)) for k in distinct.tolist()])[which]

    def mean(self, at_success: Array) -> Array:
        """Average functions of success: (..., nodes) at `SUCCESS` give (..., M).

        Functions are taken as linear between the nodes, whose masses and means are exact.
        """
        return at_success @ self._weights.T

    @cached_property
    def _weights(self) -> Array:
        """Share of each node, (M, nodes)."""
        from scipy.special import betainc, betaincinv

        a, b = self.alpha[:, None], self.beta[:, None]
        low, high = (betaincinv(a, b, end) for end in (self.low, self.high))
        edges = np.clip(SUCCESS, low, high)
        mass = np.diff(betainc(a, b, edges), axis=1)
        first = a / (a + b) * np.diff(betainc(a + 1.0, b, edges), axis=1)
        left, right = SUCCESS[:-1], SUCCESS[1:]
        weights = np.zeros((len(self), len(SUCCESS)))
        weights[:, :-1] += (right * mass - first) / (right - left)
        weights[:, 1:] += (first - left * mass) / (right - left)
        total = weights.sum(axis=1, keepdims=True)
        sure = total <= 0.0  # all questions of the bin have one success, to the last digit
        nearest = np.argmin(np.abs(SUCCESS - betaincinv(a, b, (self.low + self.high) / 2)), axis=1)
        weights = np.where(sure, np.arange(len(SUCCESS)) == nearest[:, None], weights)
        return weights / np.where(sure, 1.0, total)
