"""The closed forms under any number of budgets, within the ranges that a law holds in.

Let a budget's price be the nats that one part in e more of it would save. At the optimum each
variable solves one equation in the prices (`_answer`); under one budget whose depth is inside its
range these are the paper's r*, gqa* and rho*, under a latency and memory they give the rate of its
theorems. What is left is to find prices at which every budget with a price is used up.

The problem is a geometric program: loss and costs are sums of monomials with positive factors, so
both are convex in the logarithms of the variables. Hence a point that meets these conditions is the
one optimum, and the loss of the best model at a width falls and rises once as the width grows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from roofline.budgets.theory import Charge, Shape, Theory

if TYPE_CHECKING:
    from roofline.laws.forms.codesign import CodesignLaw
    from roofline.laws.law import Array

WIDTHS = 64
"""Widths looked at at once, of which the best interval is looked at again."""

_PASSES = 5
_NEWTON = 40
_SETTLE = 60
_STEP = 1e-6
_MET = 1e-9


@dataclass(frozen=True)
class Ranges:
    """Intervals (low, high) that shapes are chosen from; keys are no narrower than `least_keys`."""

    layers: tuple[float, float]
    width: tuple[float, float]
    expansion: tuple[float, float]
    activation: tuple[float, float]
    least_keys: float = 64.0

    def leanest(self) -> Shape:
        """Return the shape that takes least of every budget."""
        return Shape(
            self.layers[0],
            self.width[0],
            self.expansion[0],
            self.width[0] / self.least_keys,
            self.activation[1],
        )


class Solution(NamedTuple):
    """The best shape of each width, (W,) each; prices: nats, by budget; NaN where none is within.

    Without a price a budget is not used up.
    """

    shape: Shape
    loss: Array
    prices: dict[str, Array]

    def at(self, row: int) -> Solution:
        """Return one width's, as numbers."""
        return Solution(
            Shape(*(float(np.asarray(column)[row]) for column in self.shape)),
            self.loss[row],
            {name: price[row] for name, price in self.prices.items()},
        )


def closed_form(
    law: CodesignLaw, theory: Theory, limits: Mapping[str, float], ranges: Ranges
) -> Solution:
    """Return the best shape within all limits: numbers, NaN where no shape is within them.

    limits: by budget, in seconds and bytes. The width is found by looking at ever closer ones.
    """
    low, high = np.log(ranges.width)
    for _ in range(_PASSES):
        grid = np.linspace(low, high, WIDTHS)
        found = at_widths(law, theory, limits, ranges, np.exp(grid))
        if np.isnan(found.loss).all():
            return found.at(0)
        best = int(np.nanargmin(found.loss))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, WIDTHS - 1)]
    return found.at(best)


def at_widths(
    law: CodesignLaw,
    theory: Theory,
    limits: Mapping[str, float],
    ranges: Ranges,
    widths: Array,
) -> Solution:
    """Return the best shape of each width, (W,).

    Sets of budgets are tried from none to all: one that is used up at positive prices while the
    others are kept is the optimum's, by convexity.
    """
    count = len(widths)
    columns = np.full((len(Shape._fields), count), np.nan)
    prices = {name: np.zeros(count) for name in limits}
    open_ = np.ones(count, dtype=bool)
    for size in range(len(limits) + 1):
        for names in combinations(limits, size):
            if not open_.any():
                break
            d = widths[open_]
            found, paid, met = _binding(law, theory, limits, ranges, d, names)
            met &= theory.within(found, limits, slack=1e-7)
            rows = np.flatnonzero(open_)[met]
            columns[:, rows] = np.array([np.broadcast_to(each, d.shape)[met] for each in found])
            for name, price in zip(names, paid, strict=True):
                prices[name][rows] = price[met]
            open_[rows] = False
    shape = Shape(*columns)
    loss = np.full(count, np.nan)
    kept = ~open_
    best = Shape(*columns[:, kept])
    loss[kept] = law.at(best.layers, best.width, best.expansion, best.activation, best.cached_width)
    return Solution(shape, loss, prices)


def _binding(
    law: CodesignLaw,
    theory: Theory,
    limits: Mapping[str, float],
    ranges: Ranges,
    d: Array,
    names: Sequence[str],
) -> tuple[Shape, Array, Array]:
    """Find prices at which the named budgets are used up, by Newton's method on their logarithms.

    Returns the shapes, prices (budgets, W) in nats, and which widths have such prices.
    """
    size = len(names)
    charges = [theory.charge(name, d) for name in names]

    def demand(tau: Array) -> tuple[Shape, Array, Array]:
        """Log of the share of each budget that is asked for at prices exp(tau) of a unit of xi."""
        shape = _answer(law, ranges, d, np.exp(tau), charges)
        used = [theory.share(name, shape, limits[name]) for name in names]
        with np.errstate(invalid="ignore", divide="ignore"):
            over = np.log(np.reshape(used, (size, len(d))))
        xis = [_xi(charge, shape) for charge in charges]
        return shape, over, np.exp(tau) * np.reshape(xis, (size, len(d)))

    tau = np.full((size, len(d)), np.log(law.a_l * law.k_l * 16**-law.a_l / max(size, 1) / 10))
    scale = np.reshape([_unit(charge, d) for charge in charges], (size, len(d)))
    tau = tau - np.log(scale)
    for _ in range(_NEWTON):
        _, over, _ = demand(tau)
        if not np.isfinite(over).all() or (abs(over) < _MET / 10).all():
            break
        slopes = np.empty((len(d), size, size))
        for j in range(size):
            moved = tau.copy()
            moved[j] += _STEP
            slopes[:, :, j] = ((demand(moved)[1] - over) / _STEP).T
        # Demand falls as prices rise; where all variables are at their ends it no longer answers.
        slopes -= 1e-9 * np.eye(size)
        step = np.linalg.solve(slopes, over.T[..., None])[..., 0].T
        tau = tau - np.clip(step, -2.0, 2.0)
    shape, over, paid = demand(tau)
    met = np.asarray((abs(over) < _MET).all(axis=0)) if size else np.ones(len(d), dtype=bool)
    return shape, paid, met


def _unit(charge: Charge, d: Array) -> Array:
    """Make prices of different budgets alike: those of latency as a whole count in seconds."""
    xi = charge.xi
    return np.broadcast_to(np.asarray(xi.ffn, dtype=float), d.shape)


def _xi(charge: Charge, shape: Shape) -> Array:
    each = charge.layer(shape) / (np.square(shape.width) * charge.unit)
    return np.asarray(each)


def _answer(
    law: CodesignLaw, ranges: Ranges, d: Array, prices: Array, charges: Sequence[Charge]
) -> Shape:
    """Return the shape of least loss at given prices of a unit of each budget's xi, (budgets, W).

    With t the prices and c, s the factors of r and 1 / gqa in each xi:
    gqa^(a_m + 1) = d^a_m sum(t s) / (a_m k_m),
    r^(a_r + 1) = a_r Dt d^-b2 / sum(t c), where c is 3 / rho for memory,
    rho^(a_rho + 1) = 3 t_memory r^(1 + a_r) d^b1 / (a_rho k_rho),
    l^a_l = a_l k_l / sum(t xi); each no further than its range.
    """
    zero = np.zeros(len(d))
    shared, ffn, stored = zero, zero, zero
    for price, charge in zip(prices, charges, strict=True):
        shared = shared + price * charge.xi.shared
        part = price * charge.xi.ffn
        if charge.per_rho:
            stored = stored + part
        else:
            ffn = ffn + part
    with np.errstate(divide="ignore", over="ignore"):
        gqa = (d**law.a_m * shared / (law.a_m * law.k_m)) ** (1 / (law.a_m + 1))
        gqa = np.clip(gqa, 1.0, d / ranges.least_keys)
        r, rho = zero + ranges.expansion[0], zero + ranges.activation[0]
        for _ in range(_SETTLE):
            last = r
            rho = (stored * r ** (1 + law.a_r) * d**law.b1 / (law.a_rho * law.k_rho)) ** (
                1 / (law.a_rho + 1)
            )
            rho = np.clip(rho, *ranges.activation)
            dt = law.k_rho * rho**law.a_rho * d ** (law.b2 - law.b1) + law.k_d
            r = (law.a_r * dt * d**-law.b2 / (ffn + stored / rho)) ** (1 / (law.a_r + 1))
            r = np.clip(r, *ranges.expansion)
            if np.allclose(r, last, rtol=1e-14, atol=0.0):
                break
        shape = Shape(zero, d, r, gqa, rho)
        total = zero
        for price, charge in zip(prices, charges, strict=True):
            total = total + price * _xi(charge, shape)
        layers = np.clip((law.a_l * law.k_l / total) ** (1 / law.a_l), *ranges.layers)
    return shape._replace(layers=layers)
