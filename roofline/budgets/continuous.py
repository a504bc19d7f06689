"""The best shape by a general optimiser, which knows nothing of the closed forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from roofline.budgets.prices import Ranges
from roofline.budgets.theory import Shape, Theory

if TYPE_CHECKING:
    from collections.abc import Callable

    from roofline.laws.law import Array

STARTS = 8
"""Points that the optimiser starts from, spread over the ranges."""

_STEP = 1e-6


@dataclass(frozen=True)
class Continuous:
    """What the optimiser found: the best shape and its loss, and how its starts fared.

    ended: losses that the starts ended with, ascending, those alone that stay within the limits.
    """

    shape: Shape
    loss: float
    ended: tuple[float, ...]


def continuous(
    loss: Callable[[Shape], Array],
    theory: Theory,
    limits: Mapping[str, float],
    ranges: Ranges,
    starts: int = STARTS,
) -> Continuous | None:
    """Return the shape of least loss within all limits, by SLSQP on logarithms from many starts.

    loss: of shapes, (K,) from columns of (K,). None where no start ends within the limits. Loss and
    costs of a law like the co-design law are convex in the logarithms, so all starts should end
    alike; for other laws the best of them is returned.
    """
    from scipy.optimize import minimize
    from scipy.stats import qmc

    ends = np.log(
        [
            ranges.layers,
            ranges.width,
            ranges.expansion,
            (1.0, ranges.width[1] / ranges.least_keys),
            ranges.activation,
        ]
    )
    free = ends[:, 1] > ends[:, 0]
    count = int(free.sum())
    around = np.vstack([np.zeros(count), _STEP * np.eye(count), -_STEP * np.eye(count)])

    def shapes(x: Array) -> Shape:
        columns = np.repeat(ends[:, :1], len(x), axis=1)
        columns[free] = x.T
        return Shape(*np.exp(columns))

    def slack(shape: Shape) -> Array:
        """Log of what is left of each limit, and of the keys' width over the least; (C, K)."""
        with np.errstate(divide="ignore"):
            left = [-np.log(theory.share(name, shape, limit)) for name, limit in limits.items()]
        keys = np.log(shape.cached_width / ranges.least_keys)
        return np.array([*left, keys])

    def with_slopes(function: Callable[[Shape], Array], x: Array) -> tuple[Array, Array]:
        """Values at x, and their slopes by central differences, from one call."""
        values = np.atleast_2d(function(shapes(x + around)))
        slopes = (values[:, 1 : count + 1] - values[:, count + 1 :]) / (2 * _STEP)
        return values[:, 0], slopes

    def target(x: Array) -> tuple[float, Array]:
        value, slope = with_slopes(loss, x)
        return float(value[0]), slope[0]

    within = {
        "type": "ineq",
        "fun": lambda x: with_slopes(slack, x)[0],
        "jac": lambda x: with_slopes(slack, x)[1],
    }
    low, high = ends[free].T
    spread = qmc.Sobol(count, seed=0).random(starts)
    found = []
    for start in low + spread * (high - low):
        ended = minimize(
            target,
            start,
            jac=True,
            method="SLSQP",
            bounds=list(zip(low, high, strict=True)),
            constraints=within,
            options={"ftol": 1e-13, "maxiter": 500},
        )
        point = np.clip(ended.x, low, high)
        if np.isfinite(ended.fun) and (slack(shapes(point[None]))[:, 0] > -1e-6).all():
            found.append((float(ended.fun), point))
    if not found:
        return None
    found.sort(key=lambda pair: pair[0])
    best, x = found[0]
    shape = Shape(*(float(np.asarray(column)[0]) for column in shapes(x[None])))
    return Continuous(shape, best, tuple(each for each, _ in found))
