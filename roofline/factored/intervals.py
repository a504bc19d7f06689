"""Interval arithmetic: from bounds of its inputs to bounds of a function, for many boxes at once.

Every rule is the function's range over all inputs within their bounds, so what comes out contains
every value that can occur; where one input occurs twice in a formula it may contain more. Bounds
are arrays that broadcast against each other. Booleans are 0 and 1. A bound that is NaN says that
anything may be, NaN included; one that is infinite, that it may be what infinities lead to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray
Bounds = tuple[Any, Any]
Rule = Callable[..., Bounds]


def _rising(function: Callable[[Any], Any]) -> Rule:
    return lambda a: (function(a[0]), function(a[1]))


def _rising_in_both(function: Callable[[Any, Any], Any]) -> Rule:
    return lambda a, b: (function(a[0], b[0]), function(a[1], b[1]))


def _of_corners(function: Callable[[Any, Any], Any]) -> Rule:
    """Monotone in each input by itself: the extremes are at corners. NaN at one says nothing."""

    def rule(a: Bounds, b: Bounds) -> Bounds:
        corners = [function(x, y) for x in a for y in b]
        low = np.minimum(np.minimum(corners[0], corners[1]), np.minimum(corners[2], corners[3]))
        high = np.maximum(np.maximum(corners[0], corners[1]), np.maximum(corners[2], corners[3]))
        return low, high

    return rule


def _multiply(a: Bounds, b: Bounds) -> Bounds:
    if np.all(np.greater_equal(a[0], 0)) and np.all(np.greater_equal(b[0], 0)):
        return np.multiply(a[0], b[0]), np.multiply(a[1], b[1])
    return _of_corners(np.multiply)(a, b)


def _divide(a: Bounds, b: Bounds) -> Bounds:
    if np.all(np.greater_equal(a[0], 0)) and np.all(np.greater(b[0], 0)):
        return np.true_divide(a[0], b[1]), np.true_divide(a[1], b[0])
    low, high = _of_corners(np.true_divide)(a, b)
    around = np.logical_and(np.less_equal(b[0], 0), np.greater_equal(b[1], 0))
    if not np.any(around):
        return low, high
    # What is divided by nought is infinite or NaN.
    return np.where(around, np.nan, low), np.where(around, np.nan, high)


def _power(a: Bounds, b: Bounds) -> Bounds:
    """Of a base that is nowhere negative; of others only even powers are told."""
    if np.all(np.greater_equal(a[0], 1)) and np.all(np.greater_equal(b[0], 0)):
        return np.power(a[0], b[0]), np.power(a[1], b[1])
    low, high = _of_corners(np.power)(a, b)
    # A base of one and an exponent of nought are turning points of neither: corners suffice.
    wild = np.less(a[0], 0)
    if not np.any(wild):
        return low, high
    even = np.logical_and(np.equal(b[0], b[1]), np.equal(np.mod(b[0], 2), 0))
    even = np.logical_and(even, np.greater_equal(b[0], 0))
    most = np.maximum(np.abs(a[0]), np.abs(a[1]))
    least = _absolute(a)[0]
    bottom = np.where(even, np.power(least, b[0]), np.nan)
    top = np.where(even, np.power(most, b[1]), np.nan)
    return np.where(wild, bottom, low), np.where(wild, top, high)


def _absolute(a: Bounds) -> Bounds:
    most = np.maximum(np.abs(a[0]), np.abs(a[1]))
    within = np.logical_and(np.less_equal(a[0], 0), np.greater_equal(a[1], 0))
    return np.where(within, 0.0, np.minimum(np.abs(a[0]), np.abs(a[1]))), most


def _equal(a: Bounds, b: Bounds) -> Bounds:
    point = (np.equal(a[0], a[1])) & (np.equal(b[0], b[1])) & np.equal(a[0], b[0])
    return 1.0 * point, _unless(np.greater(a[0], b[1]) | np.greater(b[0], a[1]))


def _unless(ruled_out: Any) -> Any:
    """Whether something may be, where comparisons with NaN, being false, rule nothing out."""
    return 1.0 - 1.0 * ruled_out


def _where(c: Bounds, yes: Bounds, no: Bounds) -> Bounds:
    always, ever = np.greater(c[0], 0), np.greater(c[1], 0)
    low = np.where(always, yes[0], np.where(ever, np.minimum(yes[0], no[0]), no[0]))
    high = np.where(always, yes[1], np.where(ever, np.maximum(yes[1], no[1]), no[1]))
    return low, high


def _not(bounds: Bounds) -> Bounds:
    return 1.0 - bounds[1], 1.0 - bounds[0]


def _unknown(a: Bounds) -> Bounds:
    """Whether it is NaN, which it may be where a bound is not finite."""
    finite = np.isfinite(a[0]) & np.isfinite(a[1])
    return 0.0 * finite, 1.0 * ~finite


def looked_up(row: Array, place: Bounds) -> Bounds:
    """Bounds of what stands in a row between two places."""
    ends = (np.asarray(p, dtype=float) for p in place)
    known = (np.where(np.isnan(p), whole, p) for p, whole in zip(ends, (0, np.inf), strict=True))
    first, last = (np.clip(p, 0, len(row) - 1) for p in known)
    first, last = np.ceil(first).astype(int), np.floor(last).astype(int)
    steps = np.arange(len(row))
    inside = (steps >= first[..., None]) & (steps <= last[..., None])
    low = np.where(inside, row, np.inf).min(axis=-1)
    return low, np.where(inside, row, -np.inf).max(axis=-1)


RULES: dict[str, Rule] = {
    "add": _rising_in_both(np.add),
    "subtract": lambda a, b: (np.subtract(a[0], b[1]), np.subtract(a[1], b[0])),
    "multiply": _multiply,
    "divide": _divide,
    "power": _power,
    "float_power": _power,
    "maximum": _rising_in_both(np.maximum),
    "minimum": _rising_in_both(np.minimum),
    "negative": lambda a: (np.negative(a[1]), np.negative(a[0])),
    "positive": lambda a: a,
    "absolute": _absolute,
    "square": lambda a: _power(a, (2.0, 2.0)),
    "sqrt": _rising(np.sqrt),
    "exp": _rising(np.exp),
    "exp2": _rising(np.exp2),
    "expm1": _rising(np.expm1),
    "log": _rising(np.log),
    "log2": _rising(np.log2),
    "log10": _rising(np.log10),
    "log1p": _rising(np.log1p),
    "tanh": _rising(np.tanh),
    "floor": _rising(np.floor),
    "ceil": _rising(np.ceil),
    "rint": _rising(np.rint),
    "reciprocal": lambda a: _divide((1.0, 1.0), a),
    "less": lambda a, b: (1.0 * np.less(a[1], b[0]), _unless(a[0] >= b[1])),
    "less_equal": lambda a, b: (1.0 * np.less_equal(a[1], b[0]), _unless(a[0] > b[1])),
    "greater": lambda a, b: (1.0 * np.greater(a[0], b[1]), _unless(a[1] <= b[0])),
    "greater_equal": lambda a, b: (1.0 * np.greater_equal(a[0], b[1]), _unless(a[1] < b[0])),
    "equal": _equal,
    "not_equal": lambda a, b: _not(_equal(a, b)),
    "logical_and": _rising_in_both(np.minimum),
    "logical_or": _rising_in_both(np.maximum),
    "bitwise_and": _rising_in_both(np.minimum),
    "bitwise_or": _rising_in_both(np.maximum),
    "logical_not": _not,
    "invert": _not,
    "isnan": _unknown,
    "isfinite": lambda a: (1.0 * np.isfinite(a[0]) * np.isfinite(a[1]), np.ones(np.shape(a[0]))),
    "where": _where,
}
"""By name of the numpy function, whose inputs and value are numbers; the bit-wise ones are of
booleans."""
