"""Fit the effects to measured times: robust, hierarchical, one Gauss-Newton step at a time.

The posterior mode of Student-t residuals of log time under Gaussian effects (`form.py`). Outliers
weigh little; effects that the rows do not settle stay at their prior.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix, vstack

from roofline.calibration.work import Work, log_times
from roofline.efficiency.effects import Effects
from roofline.efficiency.form import DEVICE, FORM, Level, calm, keys

Array = np.ndarray

TAIL = 4.0
"""Degrees of freedom of the residuals: published rows hold mistakes that the gates cannot see."""
SCALE = {"decode": 0.05, "prefill": 0.08}
"""Scale of the residuals of log time: what repeats of one benchmark differ by."""
STAGES: tuple[tuple[float, float | None, int], ...] = (
    (4.0, 2.0, 8),
    (2.0, 4.0, 8),
    (1.0, None, 40),
)
"""The scale is first widened by so much, and the sides of operators are joined by the norm of this
power, for so many steps. A fit that starts with narrow residuals calls rows outliers that better
effects would explain, and stays there; and the shorter side of an operator, which has no slope,
never comes to be the longer."""
PATIENCE = 3
"""Steps in a row that gain next to nothing before a fit is settled."""


OF_BANDWIDTH = ("memory", DEVICE)
"""The effect that takes up what a profile's bandwidth is wrong by."""


FIXED = 1e-6
"""The spread of effects that a fit leaves as they are."""


class Design:
    """Which effects act on which row: an index per row and level, for each quantity.

    own: only effects of the device itself may move.
    """

    def __init__(
        self,
        work: Work,
        used: Array,
        spreads: Mapping[tuple[str, Level], float],
        own: bool = False,
    ):
        self.names: list[tuple[str, tuple[str, ...], str]] = []
        chosen: list[float] = []
        self.index: dict[str, Array] = {}
        for quantity, form in FORM.items():
            parts = work.parts(quantity)
            for part in parts:
                self.index[f"{quantity}.{part}"] = np.full((len(used), len(form.levels)), -1)
            for column, (level, spread) in enumerate(form.levels.items()):
                named = {part: np.array(keys(settings, level)) for part, settings in parts.items()}
                seen = np.unique(np.concatenate([found[used] for found in named.values()]))
                start = len(self.names)
                self.names += [(quantity, level, str(key)) for key in seen]
                spread = spreads.get((quantity, level), spread)
                several = np.array([spread * calm(level, str(key)) for key in seen])
                if (quantity, level) == OF_BANDWIDTH:
                    several = np.hypot(several, _doubt(work, named["layers"], seen))
                free = "device" in level or not own
                chosen += several.tolist() if free else [FIXED] * len(seen)
                for part, found in named.items():
                    at = np.searchsorted(seen, found)
                    at = np.minimum(at, len(seen) - 1)
                    self.index[f"{quantity}.{part}"][:, column] = np.where(
                        seen[at] == found, start + at, -1
                    )
        self.precision = 1.0 / np.array(chosen) ** 2

    def eta(self, theta: Array) -> dict[str, Array]:
        """Return every quantity of every row on the scale of effects, (N,) by part."""
        padded = np.append(theta, 0.0)
        return {
            name: FORM[name.split(".")[0]].centre + padded[index].sum(axis=1)
            for name, index in self.index.items()
        }


def _doubt(work: Work, names: Array, seen: Array) -> Array:
    """How far the share of the bandwidth may lie from its family's since that is not known well.

    On the logistic scale, on which a share around one half moves twice as far as its logarithm. So
    a board that was sold with fast and with slow memory tells little of its family.
    """
    vague = np.zeros(len(seen))
    at = np.minimum(np.searchsorted(seen, names), len(seen) - 1)
    known = seen[at] == names
    np.maximum.at(vague, at[known], work.vague[known])
    return 2.0 * vague


def fit(
    work: Work,
    used: Array | None = None,
    spreads: Mapping[tuple[str, Level], float] | None = None,
    start: Effects | None = None,
    around: Effects | None = None,
) -> Effects:
    """Return the effects that explain the measured times of the used rows, (N,) booleans.

    spreads: of the effects of a quantity and level, where they are not those of the form.
    start: effects of an earlier fit to begin at. around: effects of other rows, from which those of
    the device itself may differ as devices do, and no others.
    """
    used = np.ones(len(work), dtype=bool) if used is None else used
    design = Design(work, used, spreads or {}, own=around is not None)
    theta, centre = _valued(design, start or around), _valued(design, around)
    for widened, blend, steps in STAGES if start is None else STAGES[1:]:
        theta = _settle(work, design, used, theta, centre, widened, blend, steps)
    values: dict[str, dict[Level, dict[str, float]]] = {}
    for (quantity, level, key), value in zip(design.names, theta, strict=True):
        values.setdefault(quantity, {}).setdefault(level, {})[key] = float(value)
    return Effects(values)


def _valued(design: Design, effects: Effects | None) -> Array:
    """The design's effects as fitted elsewhere, (effects,); zeros if None."""
    values = {} if effects is None else effects.values
    return np.array([values.get(q, {}).get(lv, {}).get(k, 0.0) for q, lv, k in design.names])


def uncertainty(
    work: Work,
    effects: Effects,
    settings: Mapping[str, Array],
    used: Array | None = None,
    own: bool = False,
) -> dict[str, tuple[float, float]]:
    """Return the spread of each quantity under one setting: after the fit, and before any row.

    Standard deviations on the scale of effects, by the curvature at the mode. settings: words of
    one case, each (1,). used: which rows count, (N,) booleans, by default all. own: of a fit around
    other effects, in which those of the device alone may move.
    """
    used = np.ones(len(work), dtype=bool) if used is None else used
    design = Design(work, np.ones(len(work), dtype=bool), {}, own)
    at_name = {name: n for n, name in enumerate(design.names)}
    theta = _valued(design, effects)
    eta, blocks, weights = design.eta(theta), [], []
    for phase, measured in work.measured.items():
        at = np.flatnonzero(used & np.isfinite(measured))
        log_time, slopes = log_times(work, phase, {k: v[at] for k, v in eta.items()}, at)
        error = (measured[at] - log_time) / SCALE[phase]
        weights.append((TAIL + 1) / (TAIL + error**2) / SCALE[phase] ** 2)
        blocks.append(jacobian(design, slopes, at))
    slope, spread = vstack(blocks).tocsr(), 1.0 / design.precision
    reach = slope.multiply(spread[None, :]).tocsr()
    gram = (reach @ slope.T).toarray()
    gram[np.diag_indices(len(gram))] += 1.0 / np.concatenate(weights)
    factor = cho_factor(gram)
    found = {}
    for quantity, form in FORM.items():
        before, acting = 0.0, np.zeros(len(design.names))
        for level, sd in form.levels.items():
            key = keys(settings, level)[0]
            place = at_name.get((quantity, level, key))
            if place is None:
                before += 0.0 if own and "device" not in level else (sd * calm(level, key)) ** 2
            else:
                before += float(spread[place])
                acting[place] = 1.0
        seen = reach @ acting
        known = float(seen @ cho_solve(factor, seen))
        found[quantity] = (float(np.sqrt(max(before - known, 1e-6))), float(np.sqrt(before)))
    return found


def _settle(
    work: Work,
    design: Design,
    used: Array,
    theta: Array,
    centre: Array,
    widened: float,
    blend: float | None,
    steps: int,
) -> Array:
    """Return the effects at the mode, or after so many steps towards it."""
    scale = {phase: widened * each for phase, each in SCALE.items()}
    rows = {
        phase: np.flatnonzero(used & np.isfinite(measured))
        for phase, measured in work.measured.items()
    }

    def residuals(theta: Array) -> dict[str, tuple[Array, dict[str, Array]]]:
        eta = design.eta(theta)
        found = {}
        for phase, at in rows.items():
            one = {name: values[at] for name, values in eta.items()}
            log_time, slopes = log_times(work, phase, one, at, blend)
            found[phase] = (work.measured[phase][at] - log_time, slopes)
        return found

    def loss(found: dict[str, tuple[Array, dict[str, Array]]], theta: Array) -> float:
        misfit = sum(
            float(((TAIL + 1) / 2 * np.log1p((e / scale[phase]) ** 2 / TAIL)).sum())
            for phase, (e, _) in found.items()
        )
        return misfit + 0.5 * float(design.precision @ (theta - centre) ** 2)

    now = residuals(theta)
    before = loss(now, theta)
    damping, calm_steps = 1.0, 0
    for _ in range(steps):
        error = np.concatenate([now[phase][0] for phase in rows])
        scales = np.concatenate([np.full(len(rows[phase]), scale[phase]) for phase in rows])
        weight = (TAIL + 1) / (TAIL + (error / scales) ** 2) / scales**2
        slopes = vstack([jacobian(design, now[phase][1], at) for phase, at in rows.items()])
        while True:
            # The damped step, solved in the space of rows, of which there are fewer than effects.
            spread = 1.0 / (design.precision + damping)
            back = -spread * design.precision * (theta - centre)
            reach = slopes.multiply(spread[None, :]).tocsr()
            gram = (reach @ slopes.T).toarray()
            gram[np.diag_indices(len(gram))] += 1.0 / weight
            step = back + reach.T @ cho_solve(cho_factor(gram), error - slopes @ back)
            then = residuals(theta + step)
            after = loss(then, theta + step)
            if after < before or damping > 1e5:
                break
            damping *= 5.0
        settled = before - after < 3e-4 * abs(before)
        theta, now, before, damping = theta + step, then, after, max(damping / 5.0, 1e-3)
        calm_steps = calm_steps + 1 if settled else 0
        if calm_steps == PATIENCE:
            break
    return theta


def jacobian(design: Design, slopes: dict[str, Array], at: Array) -> csr_matrix:
    """Return the slope of the log time of each row `at` by each effect."""
    row, column, value = [], [], []
    for name, slope in slopes.items():
        index = design.index[name][at]
        acts = index >= 0
        row.append(np.nonzero(acts)[0])
        column.append(index[acts])
        value.append(np.broadcast_to(slope[:, None], index.shape)[acts])
    shape = (len(at), len(design.names))
    return csr_matrix(
        (np.concatenate(value), (np.concatenate(row), np.concatenate(column))), shape=shape
    )
