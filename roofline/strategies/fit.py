"""Fitting a difficulty to curves of accuracy against samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np

from roofline.strategies.difficulty import (
    CONCENTRATION,
    WRONG_ANSWERS,
    Difficulty,
    Kind,
    coverage,
    right_counts,
)
from roofline.strategies.selection import plurality
from spec_files import SpecError, did_you_mean

Array = np.ndarray
KINDS = get_args(Kind)
_NARROWEST, _WIDEST = 1e-3, 1e5  # what alpha, beta and c are sought between


def fit_difficulty(
    k: Array | Sequence[float],
    accuracy: Array | Sequence[float],
    kind: str | Sequence[str] = "coverage",
    wrong_answers: int = WRONG_ANSWERS,
    **about: Any,
) -> Difficulty:
    """Fit alpha and beta, and c where there are votes beside a coverage, by least squares.

    k, accuracy: (points,), samples a question and shares of one. kind: of all points, or of each.
    wrong_answers: V, which is not fitted: c and V trade off. Votes alone do not settle three
    numbers: c is then that of Llama-3-8B-Instruct on MATH. Standard errors are those of least
    squares about the found curve. Raises SpecError for points that say too little.
    """
    from scipy.optimize import least_squares

    samples, accuracies, kinds = _points(k, accuracy, kind)
    covered, votes = kinds == "coverage", kinds == "majority"
    beside = bool(covered.sum() >= 2 and votes.sum() >= 2)
    if len(np.unique(samples)) < 2 or len(samples) < 3:
        raise SpecError(
            f"{len(samples)} points at {len(np.unique(samples))} numbers of samples do not settle "
            "a difficulty: at least three points, at two numbers of samples, are needed"
        )

    if np.ptp(accuracies) == 0:
        raise SpecError(
            f"accuracy is {accuracies[0]:g} at every number of samples: a flat curve does not "
            "settle a difficulty"
        )

    def residuals(logs: Array) -> Array:
        alpha, beta = np.exp(logs[:2])
        c = float(np.exp(logs[2])) if beside else CONCENTRATION
        found = np.empty(len(samples))
        found[covered] = coverage(alpha, beta, samples[covered])
        found[votes] = [
            right_counts(alpha, beta, n) @ plurality(n, round(c, 6), wrong_answers)
            for n in samples[votes].astype(int)
        ]
        return found - accuracies

    first = float(np.clip(accuracies[np.argmin(samples)], 0.01, 0.99))
    start = np.log([0.4, 0.4 * (1 - first) / first] + [CONCENTRATION] * beside)
    ends = tuple(np.full(len(start), np.log(end)) for end in (_NARROWEST, _WIDEST))
    found = least_squares(residuals, np.clip(start, *ends), bounds=ends, diff_step=1e-4)
    values = np.exp(found.x)
    errors = values * _errors(found.jac, found.fun)
    names = ["alpha", "beta", "concentration"][: len(values)]
    at_an_end = [n for n, x in zip(names, found.x, strict=True) if np.isclose(x, ends).any()]
    if at_an_end:
        raise SpecError(
            f"the points do not settle {at_an_end[0]}: it runs to the end of its range; "
            "is the curve flat, or not a share of one?"
        )
    off = np.abs(found.fun)
    fitted: dict[str, Any] = dict(zip(names, map(float, values), strict=True))
    return Difficulty(
        **fitted,
        wrong_answers=wrong_answers,
        wrong_fitted=beside,
        samples=(int(samples.min()), int(samples.max())),
        mean_error={name: float(off[kinds == name].mean()) for name in KINDS if name in kinds},
        errors=dict(zip(names, map(float, errors), strict=True)),
        **about,
    )


def _errors(jacobian: Array, residuals: Array) -> Array:
    """Standard errors of the logarithms, (parameters,); NaN-free: infinite where unsettled."""
    free = max(1, len(residuals) - jacobian.shape[1])
    spread = np.linalg.pinv(jacobian.T @ jacobian) * float(residuals @ residuals) / free
    return np.sqrt(np.diag(spread))


def _points(
    k: Array | Sequence[float], accuracy: Array | Sequence[float], kind: str | Sequence[str]
) -> tuple[Array, Array, Array]:
    """Columns of the same length, checked."""
    samples, accuracies = np.atleast_1d(np.asarray(k, float)), np.atleast_1d(accuracy).astype(float)
    kinds = np.full(samples.shape, kind) if isinstance(kind, str) else np.asarray(kind)
    if not samples.shape == accuracies.shape == kinds.shape or samples.ndim != 1:
        raise SpecError("samples, accuracies and kinds of a curve are columns of the same length")
    for name in np.unique(kinds):
        if name not in KINDS:
            raise SpecError(f"kind of a curve: read {str(name)!r}{did_you_mean(str(name), KINDS)}")
    bad = ~((samples >= 1) & (samples == np.floor(samples)))
    if bad.any():
        raise SpecError(f"samples: read {samples[bad][0]:g}; write whole numbers of at least 1")
    bad = ~((accuracies >= 0) & (accuracies <= 1))
    if bad.any():
        raise SpecError(f"accuracy: read {accuracies[bad][0]:g}; write a share from 0 to 1")
    return samples, accuracies, kinds
