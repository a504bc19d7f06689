"""What pruning in one shot costs a model, without retraining: Llama-2 by arXiv 2306.11695.

    ln dNLL = method + pattern + slope(pattern) ln N

One line a pattern, SparseGPT and Wanda sharing its slope and standing a constant apart; magnitude
pruning, which ruins small models, has lines of its own. Nothing tells how the tokens matter.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from roofline.degradation import tables
from roofline.degradation.methods import Change
from spec_files import SpecError, did_you_mean

Array = np.ndarray

METHODS = ("wanda", "sparsegpt", "magnitude")
PATTERNS = ("0.5", "4:8", "2:4")


def _columns(method: str, pattern: str, parameters: float) -> Array:
    at = np.array([pattern == each for each in PATTERNS], dtype=float)
    return np.concatenate([at, at * np.log(parameters), [float(method == "sparsegpt")]])


@cache
def _lines(magnitude: bool) -> tuple[Array, Array, float, int]:
    rows = [row for row in tables.pruned() if (row.method == "magnitude") == magnitude]
    design = np.array([_columns(row.method, row.pattern, row.parameters) for row in rows])
    design = design[:, :-1] if magnitude else design
    target = np.log([row.nats for row in rows])
    inverse = np.linalg.inv(design.T @ design)
    found = inverse @ design.T @ target
    left = target - design @ found
    sd = float(np.sqrt(left @ left / (len(rows) - design.shape[1])))
    return found, sd**2 * inverse, sd, len(rows)


def pruned(method: str, pattern: str, parameters: float) -> Change:
    """Return what a pattern of zeros costs a model; parameters: 10^9.

    Raises SpecError for a method or pattern that the table does not have.
    """
    if method not in METHODS:
        raise SpecError(f"unknown method of pruning {method!r}{did_you_mean(method, METHODS)}")
    if pattern not in PATTERNS:
        raise SpecError(
            f"no published loss of the pattern {pattern!r}; known: {', '.join(PATTERNS)}"
        )
    found, covariance, sd, _ = _lines(method == "magnitude")
    columns = _columns(method, pattern, parameters)[: len(found)]
    spread = float(np.sqrt(sd**2 + columns @ covariance @ columns))
    notes = ["pruning was measured on Llama-2 only: trained for longer, a model loses more"]
    if not 6.7 <= parameters <= 69:
        notes.append(f"{parameters:.3g}B parameters outside 6.74B to 69B")
    return Change(float(np.exp(columns @ found)), spread, tuple(notes))


def sd(method: str) -> tuple[float, int]:
    """Return the sd of ln dNLL around a method's lines, and how many rows there are."""
    *_, spread, rows = _lines(method == "magnitude")
    return spread, rows
