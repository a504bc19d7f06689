"""How a loss change depends on bits, group, size and tokens: a line on the logarithm.

    ln dNLL = constant + bits b + size ln N + tokens ln D + grouped [in groups]

b: stored bits of a weight, a 16-bit scale and a 16-bit zero point a group included (b = 4.25 for 4
bits in groups of 128); N: parameters, 10^9; D: training tokens, 10^12; nats on WikiText-2. Fitted
by least squares on logarithms, every row counting the same. A coefficient enters where the rows
tell it: of size and tokens the largest is `SPAN` times the smallest at least.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from roofline.degradation.tables import COLLAPSE, Row

Array = np.ndarray
Number = float | Array

TERMS = ("constant", "bits", "size", "tokens", "grouped")
SPAN = 4.0
"""Sizes, or tokens, that lie closer together than this factor do not settle an exponent."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted line; arrays are in the order of TERMS, (5,) and (5, 5), 0 where a term is out.

    covariance: of the coefficients. sd: of one row around the line, in ln dNLL, degrees of freedom
    counted; rms: without. points: rows. spans: of bits, parameters and tokens, least and largest.
    borrowed: what the tokens' exponent was taken from, where these rows do not tell it.
    """

    name: str
    coefficients: Array
    covariance: Array
    sd: float
    rms: float
    points: int
    terms: tuple[str, ...]
    spans: dict[str, tuple[float, float]]
    borrowed: str = ""

    def coefficient(self, term: str) -> tuple[float, float]:
        """Return a coefficient and its standard error."""
        at = TERMS.index(term)
        return float(self.coefficients[at]), float(np.sqrt(self.covariance[at, at]))

    def predict(
        self, bits: Number, group: Number, parameters: Number, tokens: Number
    ) -> tuple[Array, Array]:
        """Return ln dNLL and its sd for one more model; arguments broadcast.

        bits: width of a weight; group: weights that share a scale, 0 for a channel; parameters:
        10^9; tokens: 10^12.
        """
        columns = _columns(bits, group, parameters, tokens)
        found = columns @ self.coefficients
        own = np.einsum("...i,ij,...j->...", columns, self.covariance, columns)
        return found, np.sqrt(self.sd**2 + own)


def stored_bits(bits: Number, group: Number) -> Array:
    """Return bits of a weight with a 16-bit scale and zero point a group; group 0: none."""
    grouped = np.asarray(group) > 0
    return np.asarray(bits) + np.where(grouped, 32.0 / np.maximum(group, 1), 0.0)


def _columns(bits: Number, group: Number, parameters: Number, tokens: Number) -> Array:
    parts = np.broadcast_arrays(
        1.0,
        stored_bits(bits, group),
        np.log(parameters),
        np.log(tokens),
        np.asarray(group, dtype=float) > 0,
    )
    return np.stack(parts, axis=-1).astype(float)


def usable(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that a line can hold: no ruins, and no change within the printed digits."""
    return [row for row in rows if 2 * row.error < row.nats < COLLAPSE]


def fit(
    name: str,
    rows: Sequence[Row],
    without: Sequence[str] = (),
    tokens: Fit | None = None,
) -> Fit:
    """Fit the line to rows.

    without: terms to leave out besides those that the rows do not tell. tokens: a fit whose
    exponent of the tokens, with its error, is taken where these rows do not tell one.
    """
    rows = usable(rows)
    given = [np.array([getattr(row, field) for row in rows], dtype=float) for field in _FIELDS]
    bits, group, parameters, trained = given
    design = _columns(bits, group, parameters, trained)
    target = np.log([row.nats for row in rows])
    told = {
        "constant": True,
        "bits": len(np.unique(bits)) > 1,
        "size": parameters.max() >= SPAN * parameters.min(),
        "tokens": trained.max() >= SPAN * trained.min(),
        "grouped": len(np.unique(group > 0)) > 1,
    }
    terms = tuple(term for term in TERMS if told[term] and term not in without)
    coefficients, covariance = np.zeros(len(TERMS)), np.zeros((len(TERMS), len(TERMS)))
    borrowed = ""
    at = TERMS.index("tokens")
    if tokens is not None and "tokens" not in terms:
        coefficients[at] = tokens.coefficients[at]
        target = target - coefficients[at] * design[:, at]
        borrowed = tokens.name
    inside = [TERMS.index(term) for term in terms]
    some = design[:, inside]
    inverse = np.linalg.inv(some.T @ some)
    coefficients[inside] = inverse @ some.T @ target
    left = target - some @ coefficients[inside]
    sd = float(np.sqrt(left @ left / max(1, len(rows) - len(inside))))
    covariance[np.ix_(inside, inside)] = sd**2 * inverse
    if borrowed:  # an error of the exponent moves the other coefficients too
        moved = np.zeros(len(TERMS))
        moved[inside] = -inverse @ some.T @ design[:, at]
        moved[at] = 1.0
        assert tokens is not None
        covariance += tokens.covariance[at, at] * np.outer(moved, moved)
    spans = {
        name: (float(column.min()), float(column.max()))
        for name, column in zip(
            ("bits", "parameters", "tokens"), (bits, parameters, trained), strict=True
        )
    }
    rms = float(np.sqrt(np.mean(left**2)))
    return Fit(name, coefficients, covariance, sd, rms, len(rows), terms, spans, borrowed)


_FIELDS = ("bits", "group", "parameters", "tokens")
