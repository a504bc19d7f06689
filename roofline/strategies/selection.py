"""Which of k answers is given: the probability of a right one, by how many of the k are right.

A rule is a row s of k + 1 numbers: s[m] is the probability that a right answer is chosen where m of
k samples are right. The accuracy of a strategy is the mean of s over the distribution of m, which
the difficulty of the questions decides; s itself depends on how wrong answers spread and on the
verifier alone, so that one row serves all models and all bins of difficulty.

Wrong answers fall on V options whose shares are Dirichlet(c, ..., c). Given their number n, the
counts are Dirichlet-multinomial, which is that of V independent negative binomials conditioned on
their sum: so what is asked of all options at once is a coefficient of the V-th power of one
polynomial. Powers are taken by FFT, on a circle small enough that the coefficients that wrap around
are below 1e-13 of those sought. Every row is exact up to that, unless it says otherwise.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

Array = np.ndarray

_EXACT = 320
"""Most samples for which a plurality is worked out at every number of right answers."""
_NODES = 240
"""Numbers of right answers at which it is worked out for more samples."""
WRAPPED = 1e-13
"""Largest share of a coefficient that wraps around onto the one sought."""


def any_right(k: int) -> Array:
    """Return the row of an oracle: right wherever one answer is; (k + 1,)."""
    row = np.ones(k + 1)
    row[0] = 0.0
    return row


@lru_cache(maxsize=512)
def plurality(k: int, concentration: float, options: int) -> Array:
    """Return the row of a majority vote, ties broken at random; (k + 1,).

    concentration, options: c and V of the wrong answers. Above 320 samples, interpolated between
    about 200 numbers of right answers; the error is below 1e-4.
    """
    row = np.zeros(k + 1)
    row[k // 2 + 1 :] = 1.0  # more than all others together
    first = max(1, -(-k // (options + 1)))  # fewer is never the most
    if k == 0 or first > k // 2:
        row[k // 2 + 1 :] = 1.0 if k else 0.0
        return frozen(row)
    asked = np.arange(first, k // 2 + 1)
    if k <= _EXACT:
        row[asked] = _plurality_at(asked, k, concentration, options)
    else:
        from scipy.interpolate import PchipInterpolator

        spaced = [space(first, k // 2, _NODES // 2) for space in (np.linspace, np.geomspace)]
        nodes = np.unique(np.concatenate(spaced).round().astype(int))
        at = _plurality_at(nodes, k, concentration, options)
        row[asked] = PchipInterpolator(nodes, at)(asked)
    return frozen(row)


def _plurality_at(right: Array, k: int, c: float, options: int) -> Array:
    """Probability that `right` of k answers are the most frequent, (rows,).

    With F the polynomial of options of fewer than m answers and a of exactly m, a tie of t others
    is won with 1 / (1 + t): the sum over t is ((F + a)^(V+1) - F^(V+1)) / ((V + 1) a), written
    without the division as a sum of products.
    """
    from scipy.fft import irfft, rfft

    wrong = (k - right)[:, None]
    most = int(right.max())
    length, radius = circle(wrong, c * options, options * most)
    counts = np.arange(most + 1)
    options_of = negative_binomial(counts, c, radius)
    below = rfft(np.where(counts < right[:, None], options_of, 0.0), length, axis=1)
    upto = rfft(np.where(counts <= right[:, None], options_of, 0.0), length, axis=1)
    total, power = np.ones_like(below), np.ones_like(below)
    for _ in range(options):
        power *= below
        total *= upto
        total += power
    found = np.take_along_axis(irfft(total, length, axis=1), wrong, axis=1)
    return np.clip(
        (found / (options + 1) / negative_binomial(wrong, c * options, radius))[:, 0], 0.0, 1.0
    )


def circle(wrong: Array, total: float, degree: int) -> tuple[int, Array]:
    """Length of the FFT and ratio of the negative binomials, to read coefficients at `wrong`.

    Their mean is `wrong` in all, which leaves most digits, or less where the transform is shorter
    than the degree of the power and more would wrap around.
    """
    from scipy.fft import next_fast_len

    most = int(np.max(wrong))
    length = int(next_fast_len(max(min(degree, max(4 * most, 64)), most) + 1, real=True))
    ratio = (wrong + 0.1) / (wrong + 0.1 + total)
    return length, ratio if length > degree else np.minimum(ratio, WRAPPED ** (1.0 / length))


def negative_binomial(count: Array, shape: float, ratio: Array) -> Array:
    """Negative binomial probabilities of shape c and ratio r, broadcast."""
    from scipy.special import gammaln

    ways = gammaln(shape + count) - gammaln(shape) - gammaln(count + 1.0)
    return np.exp(ways + count * np.log(ratio) + shape * np.log1p(-ratio))


def frozen(row: Array) -> Array:
    """Return a row that is kept for the next caller, and so is not to be written to."""
    row.flags.writeable = False
    return row
