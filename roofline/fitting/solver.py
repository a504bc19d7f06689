"""The least Huber loss of many fits at once: damped Gauss-Newton steps inside a box.

    cost = sum over runs of weight x huber(ln predicted - ln measured)
    huber(r) = r^2 / 2 where |r| <= delta, else delta (|r| - delta / 2)

With a delta of a thousandth, below the noise of training, this is nearly the sum of absolute
errors, and neither of the usual matrices serves alone. The Hessian of the cost sees only the few
runs inside delta, and may be singular; that of reweighted least squares (weights delta / |r|)
bounds the cost from above: its steps descend, but slowly. A step solves

    (inner + share x bound + damping x diagonal of bound) step = -gradient

where share is small, and damping is the inverse radius of a trust region: raised where a step
gains less than its model said, lowered where it gains as much.

Scaling laws have long bent valleys (k / x^a + e with a small a: only k a and k + e are told). Each
step is therefore bent along the formula's own curvature, which one more evaluation tells: the
geodesic acceleration of Transtrum and Sethna (arXiv 1201.5885). Starts, and replicates of a
bootstrap, are one axis: all take their steps together, and each stops when it is done.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

Array = np.ndarray

DELTA = 1e-3
"""Where the Huber loss turns from squares to absolute values, in ln loss."""
_LONGEST = 2.0  # no coefficient moves further in a step, on its search scale
_SHARE = 1e-3  # of the bounding matrix in every step
_PROBE = 0.1  # of a step, where the curvature along it is felt
_BENT = 0.75  # acceleration over velocity beyond which a step is not to be trusted
_PATIENCE = 4  # steps of little gain after which a fit is settled
_BLOCK = 1 << 16  # predictions worked out together: they stay in a core's cache


class Model(Protocol):
    """ln of what a formula predicts of each run."""

    def __call__(self, points: Array) -> Array:
        """Return (fits, runs) from points (fits, coefficients) on their search scales."""

    def slopes(self, points: Array) -> tuple[Array, Array]:
        """Return the same and its derivatives, (fits, coefficients, runs)."""


@dataclass(frozen=True)
class Solution:
    """Where each fit ended.

    points: (fits, coefficients); cost: (fits,), infinite where the formula gave no number;
    steps: (fits,) tried; settled: (fits,) bool, whether it stopped for want of gain
    """

    points: Array
    cost: Array
    steps: Array
    settled: Array


def huber(residuals: Array, delta: float = DELTA) -> Array:
    """Return the Huber loss of each residual."""
    size = np.abs(residuals)
    return np.where(size <= delta, 0.5 * size * size, delta * (size - 0.5 * delta))


def minimise(
    model: Model,
    starts: Array,
    low: Array,
    high: Array,
    measured: Array,
    weights: Array | None = None,
    delta: float = DELTA,
    most_steps: int = 300,
    tolerance: float = 1e-9,
) -> Solution:
    """Return the least cost that each start descends to within its box.

    starts: (fits, coefficients); low, high: (coefficients,) or (fits, coefficients), equal where a
    coefficient is held; measured: ln loss, (runs,) or (fits, runs); weights: (fits, runs) or
    (1, runs), none below zero; tolerance: relative gain of the cost over a step below which, after
    a few such steps, a fit is settled. A start where the formula gives no number stays, at an
    infinite cost. Blocks of fits run on threads of their own.
    """
    shape = np.shape(starts)
    low, high = np.broadcast_to(low, shape), np.broadcast_to(high, shape)
    starts = np.clip(np.asarray(starts, dtype=float), low, high)
    runs = measured.shape[-1]
    measured = np.broadcast_to(measured, (len(starts), runs))
    weights = np.broadcast_to(1.0 if weights is None else weights, (len(starts), runs))
    block = max(1, _BLOCK // max(1, runs))

    def descend(first: int) -> tuple[Array, Array, Array, Array]:
        rows = slice(first, first + block)
        return _descend(
            model, starts[rows], low[rows], high[rows], measured[rows], weights[rows], delta,
            most_steps, tolerance,
        )  # fmt: skip

    firsts = range(0, len(starts), block)
    with ThreadPoolExecutor(min(len(firsts), os.cpu_count() or 1)) as pool:
        parts = list(pool.map(descend, firsts))
    return Solution(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _descend(
    model: Model, points: Array, low: Array, high: Array, measured: Array, weights: Array,
    delta: float, most_steps: int, tolerance: float,
) -> tuple[Array, Array, Array, Array]:  # fmt: skip
    """Walk one block of fits; those that are done leave it."""
    fits = len(points)
    points = points.copy()
    predicted, slopes = model.slopes(points)
    residuals = predicted - measured
    cost = _cost(residuals, weights, delta)
    steps = np.zeros(fits, dtype=int)
    settled = np.zeros(fits, dtype=bool)
    left = np.flatnonzero(np.isfinite(cost) & np.isfinite(slopes).all(axis=(1, 2)))
    at, r, j, c = points[left], residuals[left], slopes[left], cost[left]
    w, y, low, high = weights[left], measured[left], low[left], high[left]
    damping, still = np.full(len(left), 1e-2), np.zeros(len(left), dtype=int)
    for _ in range(most_steps):
        if not len(left):
            break
        step, gain = _step(model, j, r, r + y, w, at, low, high, damping, delta)
        tried = model(at + step) - y
        gained = c - _cost(tried, w, delta)
        better = gained > 0
        ratio = np.where(better, gained / np.maximum(gain, 1e-300), -1.0)
        damping = np.where(ratio > 0.5, damping / 5, np.where(ratio > 0.1, damping, damping * 4))
        damping = damping.clip(1e-12, 1e9)
        little = gained <= tolerance * c
        still = np.where(better & ~little, 0, still + better)
        done = (still >= _PATIENCE) | (~better & (damping > 1e8))
        if better.any():
            at[better] += step[better]
            _, j[better] = model.slopes(at[better])
            r[better], c[better] = tried[better], c[better] - gained[better]
        steps[left] += 1
        if done.any():
            settled[left[done]] = True
            points[left[done]], cost[left[done]] = at[done], c[done]
            keep = ~done
            left, at, r, j, c = left[keep], at[keep], r[keep], j[keep], c[keep]
            w, y, damping, still = w[keep], y[keep], damping[keep], still[keep]
            low, high = low[keep], high[keep]
    points[left], cost[left] = at, c
    return points, cost, steps, settled


def _cost(residuals: Array, weights: Array, delta: float) -> Array:
    """Cost of each fit, (fits,); infinite where the formula gave no number."""
    cost = (weights * huber(residuals, delta)).sum(axis=1)
    return np.where(np.isfinite(cost), cost, np.inf)


def _step(
    model: Model, slopes: Array, residuals: Array, predicted: Array, weights: Array, points: Array,
    low: Array, high: Array, damping: Array, delta: float,
) -> tuple[Array, Array]:  # fmt: skip
    """Return each fit's step, (fits, coefficients), and what its model says it gains, (fits,).

    A coefficient at its bound that the gradient pushes outwards stays there for this step.
    """
    size = np.abs(residuals)
    bound = weights * np.minimum(1.0, delta / np.maximum(size, 1e-300))
    shared = weights * (size <= delta) + _SHARE * bound
    gradient = np.einsum("kpr,kr->kp", slopes, bound * residuals)
    held = ((points <= low) & (gradient > 0)) | ((points >= high) & (gradient < 0))
    free = ~held
    gradient = gradient * free
    scaled = slopes * np.sqrt(shared)[:, None, :]
    matrix = (scaled @ scaled.transpose(0, 2, 1)) * (free[:, :, None] & free[:, None, :])
    diagonal = np.einsum("kpr,kr->kp", slopes * slopes, bound)
    diagonal = np.where(free & (diagonal > 0), diagonal, 1.0)
    scale = 1 / np.sqrt(diagonal)
    unit = matrix * scale[:, :, None] * scale[:, None, :]
    unit += np.eye(points.shape[1]) * np.where(free, damping[:, None] + 1e-13, 1.0)[:, None, :]
    inverse = np.linalg.inv(unit)

    def solved(right: Array) -> Array:
        return scale * (inverse @ (right * scale)[..., None])[..., 0]

    step = -solved(gradient)
    longest = np.abs(step).max(axis=1, keepdims=True)
    step = step * np.minimum(1.0, _LONGEST / np.maximum(longest, 1e-300))
    along = np.einsum("kpr,kp->kr", slopes, step)
    probe = model(points + _PROBE * step)
    curvature = 2 / _PROBE * ((probe - predicted) / _PROBE - along)
    curvature = np.where(np.isfinite(curvature), curvature, 0.0)
    bend = -0.5 * solved(np.einsum("kpr,kr->kp", slopes, shared * curvature) * free)
    length = np.linalg.norm(step / scale, axis=1)
    ratio = 2 * np.linalg.norm(bend / scale, axis=1) / np.maximum(length, 1e-300)
    step = step + bend * np.minimum(1.0, _BENT / np.maximum(ratio, 1e-300))[:, None]
    step = np.clip(points + step, low, high) - points
    curved = np.einsum("kp,kpq,kq->k", step, matrix, step)
    return step, np.abs(-(gradient * step).sum(axis=1) - 0.5 * curved)
