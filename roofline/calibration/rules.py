"""What the calibration is compared with: simpler rules, fitted to the same rows.

A rule of thumb that needs no fit, and two-term fits of each group of rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import least_squares

from roofline.calibration.work import Work
from roofline.efficiency.form import keys

Array = np.ndarray

THUMB = 0.55
"""Share of the bandwidth that decoding is said to reach."""
GROUPS = ((), ("type", "kind"), ("type", "kind", "runtime"), ("type", "kind", "runtime", "device"))
"""From all rows to one device under one runtime; each group is inside the one before."""
PULL = 0.3
"""Spread of a group's parameters around those of the group it is inside, on logarithms."""
NOISE = 0.1
_FIRST = np.array([np.log(1e-3), np.log(0.6)])


def rule_of_thumb(work: Work) -> dict[str, Array]:
    """Return log seconds by phase, (N,): weight bytes at 0.55 of the bandwidth; no prefill."""
    weights = work.demand["decode"].weights.sum(axis=1)
    return {
        "decode": np.log(weights / (THUMB * work.bandwidth)),
        "prefill": np.full(len(work), np.nan),
    }


def two_terms(work: Work, used: Array) -> dict[str, Array]:
    """Return log seconds by phase, (N,), as fitted to the used rows.

    decode: a + bytes / (b x bandwidth) for each group; prefill: one share of the peak a group.
    Groups are shrunk towards the one they are inside; a row without its group takes the next.
    """
    return {"decode": _decode(work, used), "prefill": _prefill(work, used)}


def _members(work: Work, level: tuple[str, ...]) -> Array:
    if not level:
        return np.zeros(len(work), dtype=int)
    words: dict[str, Any] = dict(work.settings)
    return np.unique(np.array(keys(words, level), dtype=str), return_inverse=True)[1]


def _decode(work: Work, used: Array) -> Array:
    demand, measured = work.demand["decode"], work.measured["decode"]
    ideal = (demand.weights + demand.cache).sum(axis=1) / work.bandwidth
    used = used & np.isfinite(measured)
    found = np.tile(_FIRST, (len(work), 1))

    def log_time(parameters: Array, floor: Array) -> Array:
        return np.log(np.exp(parameters[0]) + floor * np.exp(-parameters[1]))

    for level in GROUPS:
        spread = PULL if level else 3.0
        member = _members(work, level)
        for group in np.unique(member[used]):
            inside = member == group
            at = np.flatnonzero(inside & used)
            above = found[at[0]].copy()

            def misfit(p: Array, at: Array = at, above: Array = above) -> Array:
                error = (measured[at] - log_time(p, ideal[at])) / NOISE
                return np.concatenate([error, (p - above) / spread])  # noqa: B023

            found[inside] = least_squares(misfit, above, loss="soft_l1", max_nfev=50).x
    return log_time(found.T, ideal)


def _prefill(work: Work, used: Array) -> Array:
    measured = work.measured["prefill"]
    ideal = np.log((work.demand["prefill"].flops / work.peak).sum(axis=1))
    used = used & np.isfinite(measured)
    slack = np.zeros(len(work))
    spread, noise = 0.5, 0.3
    for level in GROUPS:
        member = _members(work, level)
        for group in np.unique(member[used]):
            inside = member == group
            errors = (measured - ideal - slack)[inside & used]
            pull = (noise / spread) ** 2 if level else 0.0
            slack[inside] += np.median(errors) * len(errors) / (len(errors) + pull)
    return ideal + slack
