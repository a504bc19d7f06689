"""Rules that listen to a verifier: the best score of all samples, and scores added up by answer.

Both choose the answer of the highest score, and differ in what an answer of i samples scores: the
largest of i scores, or the sum of i weights. With W(t) the distribution of a right answer's score
over m samples, and Q_i(t) the probability that a wrong answer of i samples scores less than t, a
right answer is chosen with probability E_t of [x^n] (sum_i a_i Q_i(t) x^i)^V over the same at Q = 1
(`roofline.strategies.selection` says where that comes from).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from roofline.strategies.selection import any_right, circle, frozen, negative_binomial, plurality
from roofline.strategies.verifier import Verifier

Array = np.ndarray

MOST = 512
"""Most samples that a verifier chooses from here."""
_CELLS = 256
"""Cells of the scores' range, within each of which a wrong score is compared with the middle."""
_SHARED = 12
"""Gauss-Hermite nodes of what samples of one answer have in common."""
_STEPS = 64
"""Steps of a weight from 0 to 1, where sums of weights are worked out on a grid."""
_GRID = 4096
"""Most points of that grid."""


@lru_cache(maxsize=512)
def best_score(k: int, concentration: float, options: int, verifier: Verifier) -> Array:
    """Return the row of best-of-N: the sample of the highest score is the answer; (k + 1,).

    At a quality of one half the choice is random, m / k; at one it is `any_right`. Where samples of
    one answer share none of their scores, wrong answers' spread does not matter.
    """
    d, rho = verifier.distance, verifier.shared
    if verifier.quality >= 1.0:
        return frozen(any_right(k))
    if d == 0.0 and rho == 0.0:
        return frozen(np.arange(k + 1) / max(k, 1))
    edges = np.linspace(-7.0, d + 7.0, _CELLS + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    count = np.arange(k + 1)
    right = np.diff(_largest(edges - d, count, rho), axis=0)
    wrong = _largest(middle, count, rho)
    if rho == 0.0:  # all n wrong scores are apart, whatever answers they are of
        row = np.einsum("tm,tm->m", right, wrong[:, ::-1])
    else:
        row = _row(k, right, wrong, concentration, options)
    row[0] = 0.0
    return frozen(np.clip(row, 0.0, 1.0))


@lru_cache(maxsize=512)
def weighted_vote(k: int, concentration: float, options: int, verifier: Verifier) -> Array:
    """Return the row of weighted best-of-N: scores are added up by distinct answer; (k + 1,).

    A score counts as the probability of being right that it says (`Verifier.weight`). Sums are on
    a grid of 1/64 (coarser above 64 samples); the error is below half a point, held by simulation.
    At a quality of one half all weights are equal: `plurality`.
    """
    d = verifier.distance
    if verifier.quality >= 1.0:
        return frozen(any_right(k))
    if d == 0.0 or k <= 1:
        return plurality(k, concentration, options)
    right, wrong = _sums(k, verifier)
    row = _row(k, right, wrong, concentration, options)
    row[0] = 0.0
    return frozen(np.clip(row, 0.0, 1.0))


def _largest(at: Array, count: Array, rho: float) -> Array:
    """Probability that the largest of i standard scores of one answer is below, (t, counts)."""
    from scipy.special import log_ndtr

    if rho == 0.0:
        return np.exp(log_ndtr(at)[:, None] * count)
    nodes, weights = np.polynomial.hermite_e.hermegauss(_SHARED * 4)
    weights = weights / weights.sum()
    if rho == 1.0:
        return np.where(count == 0, 1.0, np.exp(log_ndtr(at))[:, None])
    own = log_ndtr((at[:, None] - rho**0.5 * nodes) / (1 - rho) ** 0.5)
    return np.einsum("tzi,z->ti", np.exp(own[:, :, None] * count), weights)


def _row(k: int, right: Array, wrong: Array, c: float, options: int) -> Array:
    """Join both sides: right (t, k + 1) masses W, wrong (t, k + 1) probabilities Q; (k + 1,)."""
    from scipy.fft import irfft, rfft

    row = np.zeros(k + 1)
    total = c * options
    count = np.arange(k + 1)
    high = k
    while high >= 0:  # by octave of n, each on a circle of its own: sizes differ by many decades
        low = high // 2 + 1 if high else 0
        length, ratio = circle(np.array(high), total, options * high)
        options_of = negative_binomial(count[: high + 1], c, ratio)
        powers = rfft(options_of * wrong[:, : high + 1], length, axis=1) ** options
        n = np.arange(low, high + 1)
        share = irfft(powers, length, axis=1)[:, n] / negative_binomial(n, total, ratio)
        row[k - n] = np.einsum("tn,tn->n", share, right[:, k - n])
        high = low - 1
    return row


def _sums(k: int, verifier: Verifier) -> tuple[Array, Array]:
    """Weights added up: masses of a right answer's sum by cell, and Q_i at the cells' middles."""
    from scipy.fft import irfft, next_fast_len, rfft

    d, rho = verifier.distance, verifier.shared
    steps = max(8, min(_STEPS, _GRID // k))
    points = k * steps + 1
    if rho == 0.0:
        shared, chance = np.zeros(1), np.ones(1)
    else:
        shared, chance = np.polynomial.hermite_e.hermegauss(_SHARED)
        chance = chance / chance.sum()
    quantile = (np.arange(4096) + 0.5) / 4096
    from scipy.special import ndtri

    own = ndtri(quantile)
    length = int(next_fast_len(points, real=True))
    every = max(1, points // (4 * _CELLS))
    edges = np.append(np.arange(0, points, every), points)
    masses = np.zeros((2, k + 1, points))
    for side, mean in enumerate((d, 0.0)):
        noise = rho**0.5 * shared[:, None] + (1 - rho) ** 0.5 * own
        one = np.array([_spread(verifier.weight(mean + row), steps) for row in noise])
        transform = rfft(one, length, axis=1)
        power = np.ones_like(transform)
        for i in range(k + 1):
            masses[side, i] = chance @ irfft(power, length, axis=1)[:, :points]
            power = power * transform
    right = np.add.reduceat(masses[0], edges[:-1], axis=1).T
    below = np.concatenate([np.zeros((k + 1, 1)), np.cumsum(masses[1], axis=1)], axis=1)
    wrong = ((below[:, edges[:-1]] + below[:, edges[1:]]) / 2).T
    wrong[:, 0] = 1.0  # an answer that nobody gave never wins
    return right, np.clip(wrong, 0.0, 1.0)


def _spread(weights: Array, steps: int) -> Array:
    """Masses of equally likely weights on the grid 0, 1/steps, ..., 1, their mean kept."""
    at = np.clip(weights * steps, 0.0, steps)
    floor = np.minimum(at.astype(int), steps - 1)
    share = at - floor
    mass = np.bincount(floor, 1 - share, steps + 1) + np.bincount(floor + 1, share, steps + 1)
    return mass / mass.sum()
