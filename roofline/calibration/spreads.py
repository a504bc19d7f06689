"""How far effects of each level spread: the evidence of the rows, by MacKay's update.

`form.py` holds the spreads, rounded; this finds them again when rows or the form change.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import vstack

from roofline.calibration.fit import SCALE, TAIL, Design, fit, jacobian
from roofline.calibration.work import Work, log_times
from roofline.efficiency.form import FORM, Level, calm

Array = np.ndarray
Spreads = dict[tuple[str, Level], float]

BEFORE = 0.4
"""A spread that one more effect would have: what a level of which the rows say nothing keeps to."""
RANGE = (0.05, 2.0)
ROUNDS = 5


def evidence(
    work: Work, rounds: int = ROUNDS, tell: Callable[[int, int], None] | None = None
) -> Spreads:
    """Return the spread of the effects of each quantity and level that the rows speak for.

    In each round the effects are fitted under the spreads so far; a level's new variance is the sum
    of its squared effects over how many of them the rows settle. Half a step at a time.
    """
    spreads: Spreads = {(q, lv): s for q, form in FORM.items() for lv, s in form.levels.items()}
    used = np.ones(len(work), dtype=bool)
    effects = None
    for done in range(rounds):
        effects = fit(work, used, spreads, effects)
        design = Design(work, used, spreads)
        theta = np.array([effects.values[q][lv].get(k, 0.0) for q, lv, k in design.names])
        settled = 1.0 - design.precision * _variance(work, design, theta)
        members: dict[tuple[str, Level], list[int]] = {}
        for at, (quantity, level, _) in enumerate(design.names):
            members.setdefault((quantity, level), []).append(at)
        for name, ats in members.items():
            calmed = np.array([calm(design.names[at][1], design.names[at][2]) for at in ats])
            squares = float(((theta[ats] / calmed) ** 2).sum()) + BEFORE**2
            variance = squares / (max(float(settled[ats].sum()), 0.0) + 1.0)
            spreads[name] = float(np.clip(np.sqrt(spreads[name] * np.sqrt(variance)), *RANGE))
        if tell is not None:
            tell(done + 1, rounds)
    return spreads


def _variance(work: Work, design: Design, theta: Array) -> Array:
    """Variance of each effect by the curvature at the mode, (effects,)."""
    eta, blocks, weights = design.eta(theta), [], []
    for phase, measured in work.measured.items():
        at = np.flatnonzero(np.isfinite(measured))
        log_time, slopes = log_times(work, phase, {k: v[at] for k, v in eta.items()}, at)
        error = (measured[at] - log_time) / SCALE[phase]
        weights.append((TAIL + 1) / (TAIL + error**2) / SCALE[phase] ** 2)
        blocks.append(jacobian(design, slopes, at))
    before = 1.0 / design.precision
    reach = vstack(blocks).tocsr().multiply(before[None, :]).tocsr()
    gram = (reach @ vstack(blocks).T).toarray()
    gram[np.diag_indices(len(gram))] += 1.0 / np.concatenate(weights)
    seen = reach.toarray()
    return np.asarray(before - np.einsum("ij,ij->j", seen, cho_solve(cho_factor(gram), seen)))
