"""How far measurements lie from predictions: 90 % intervals out of held-out errors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from roofline.calibration.crossvalidation import PACKAGE, HeldOut
from roofline.efficiency.basis import WIDE, Ends

Array = np.ndarray
Step = tuple[float, float]
"""A share of errors beyond each end, and a stretch."""

COVERED = 0.9
"""Share of new measurements that an interval is to hold."""
TAILS = tuple(float(tail) for tail in np.geomspace(0.2, 0.01, 40))
STRETCHES = tuple(float(wide) for wide in np.geomspace(1.05, 3.0, 22))
LADDER = tuple((tail, 1.0) for tail in TAILS) + tuple((TAILS[-1], wide) for wide in STRETCHES)
"""Ever wider intervals: the share of the seen errors beyond each end, and by what the ends are then
stretched, on logarithms. Errors of one device or one model come together, so that those of a new
one lie beyond the seen more often than such a share says, and beyond all of them where few devices
were seen: the narrowest step is taken under which half of the folds covers the other half, for each
kind of device that has the rows."""
ENOUGH = 30
"""Rows of a kind from which its own share is chosen."""
HALVES = 10
"""Ways of halving the folds in which that is tried."""
POOLED = 30.0
"""Rows that all kinds together weigh beside those of one kind."""
METRICS = ("prefill", "decode", "energy")


def ends(
    errors: Array,
    everyone: Array,
    tail: float = 0.05,
    stretch: float = 1.0,
    pooled: float = POOLED,
) -> Ends:
    """Return the ends beyond each of which a share `tail` lies: of measured over predicted.

    errors: of one kind, log of measured over predicted; everyone: of all kinds, which weigh as much
    as `pooled` of them. stretch: of the logarithm of both ends. Conformal: a new row of the kind
    counts as one more beyond either end.
    """
    errors = errors[np.isfinite(errors)]
    everyone = everyone[np.isfinite(everyone)]
    if not len(everyone):
        return WIDE
    values = np.concatenate([errors, everyone])
    weights = np.concatenate([np.ones(len(errors)), np.full(len(everyone), pooled / len(everyone))])
    total = weights.sum() + len(errors) / weights.sum()
    low, high = -_upper(-values, weights, total, tail), _upper(values, weights, total, tail)
    return float(min(np.exp(stretch * low), 1.0)), float(max(np.exp(stretch * high), 1.0))


def _upper(values: Array, weights: Array, total: float, tail: float) -> float:
    """The least value beyond which no more than a share `tail` of the total weight lies."""
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / total
    at = int(np.searchsorted(share, 1.0 - tail - 1e-9))
    return float(values[order][min(at, len(values) - 1)])


def intervals(
    by_model: HeldOut, by_device: HeldOut, kinds: Array
) -> dict[str, dict[str, dict[str, Ends]]]:
    """Return the ends by metric, basis and kind of device ("" for all).

    "device": of rows whose model alone was held out; "class": whose device was; "roofline": the
    widest of any kind.
    """
    found: dict[str, dict[str, dict[str, Ends]]] = {}
    for metric in METRICS:
        found[metric] = {}
        for basis, held in (("device", by_model), ("class", by_device)):
            errors = held.errors[PACKAGE][metric]
            if basis == "device":
                errors = np.where(held.known, errors, np.nan)
            found[metric][basis] = by_kind(errors, kinds, steps_of(errors, held.fold, kinds))
        widest = [each for kinds_ends in found[metric].values() for each in kinds_ends.values()]
        found[metric]["roofline"] = {"": (min(e[0] for e in widest), max(e[1] for e in widest))}
    return found


def by_kind(errors: Array, kinds: Array, steps: Mapping[str, Step]) -> dict[str, Ends]:
    """Return the ends of each kind that has errors, and of all under ""."""
    found = {"": ends(errors[:0], errors, *steps[""])}
    for kind in np.unique(kinds[np.isfinite(errors)]):
        step = steps.get(str(kind), steps[""])
        found[str(kind)] = ends(errors[kinds == kind], errors, *step)
    return found


def steps_of(errors: Array, fold: Array, kinds: Array) -> dict[str, Step]:
    """Return by kind, "" for all, the first step of LADDER that covers COVERED of other folds."""
    chosen: dict[str, Step] = {"": LADDER[-1]}
    for step in reversed(LADDER):
        for kind, (rows, share) in nested_coverage(errors, fold, kinds, {"": step}).items():
            if kind == "" or rows >= ENOUGH:
                chosen.setdefault(kind, LADDER[-1])
                if share >= COVERED:
                    chosen[kind] = step
    return chosen


def nested_coverage(
    errors: Array, fold: Array, kinds: Array, steps: Mapping[str, Step], seed: int = 0
) -> dict[str, tuple[int, float]]:
    """Return rows and share inside by kind, "" for all: ends of half of the folds, on the other."""
    measured = np.isfinite(errors)
    folds = np.unique(fold[measured])
    if len(folds) < 2:
        return {}
    random = np.random.default_rng(seed)
    inside = np.zeros(len(errors))
    for _ in range(HALVES):
        chosen = np.isin(fold, random.permutation(folds)[: len(folds) // 2])
        for judged in (chosen, ~chosen):
            found = by_kind(errors[~judged], kinds[~judged], steps)
            low, high = np.array([found.get(str(kind), found[""]) for kind in kinds]).T
            with np.errstate(invalid="ignore"):
                inside += judged & (np.exp(errors) >= low) & (np.exp(errors) <= high)
    shares = {"": (int(measured.sum()), float(inside[measured].mean() / HALVES))}
    for kind in np.unique(kinds[measured]):
        of_kind = measured & (kinds == kind)
        shares[str(kind)] = int(of_kind.sum()), float(inside[of_kind].mean() / HALVES)
    return shares
