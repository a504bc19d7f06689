"""The co-design law's uncertainty, derived from what its paper states: it publishes none.

What is known: the form, the fitted coefficients, the grid, 170 models, R2 .952 in validation. So:

- A run scatters around the law by as much as leaves R2 where it is: sd of ln loss over the grid,
  times sqrt((1 - R2) / R2).
- Coefficients have the covariance of a least-squares fit to 170 models spread evenly over the grid
  (Gauss-Newton: the inverse of J'J / scatter^2, J on the scales that a fit searches), joined with a
  prior of sd PRIOR around the published values on those scales.

The prior is for k_m, a_m and l_inf. The grid hardly tells them apart, and a normal distribution on
the log scale cannot follow the curve along which they trade: with a sd of 1 the draws' losses
would share an error of .10 nats where 170 runs leave .02. At .5 they share .03, and differences
between candidates, which decide, have within a fifth the sd that the prior of 1 gives.
"""

from __future__ import annotations

import itertools

import numpy as np

from roofline.laws.forms.codesign import CodesignLaw
from roofline.laws.law import Array, Uncertainty

MODELS = 170
R2 = 0.952
PRIOR = 0.5
STEP = 1e-4


def grid() -> tuple[Array, ...]:
    """Return the law's variables over the paper's grid, 7,000 points each.

    Layers, bounds of the width, pairs of experts and KV heads are published; widths between the
    bounds, FFN expansions and a head size of 64 are those of the space `paper-grid`.
    """
    experts = [(1, 1), (8, 1), (8, 2), (16, 1), (16, 2)]
    widths, expansions = (768, 1024, 1536, 2048, 3072), (0.5, 1, 2, 3, 4, 5.33, 8)
    rows = [
        (layers, width, r, active / total, 64 * heads)
        for layers, width, (total, active), r in itertools.product(
            range(4, 33, 4), widths, experts, expansions
        )
        for heads in (1, 2, 4, 8, width // 64)
    ]
    return tuple(np.array(rows, dtype=float).T)


def jacobian(law: CodesignLaw, variables: tuple[Array, ...]) -> Array:
    """Return d ln loss by coefficient on its search scale, (points, coefficients)."""
    mean, columns = law.coefficients(), []
    for name, spec in law.specs().items():
        ends = [
            np.log(law.with_coefficients({name: moved}).at(*variables))
            for moved in (
                mean[name] * np.exp(step) if spec.log else mean[name] + step
                for step in (STEP, -STEP)
            )
        ]
        columns.append((ends[0] - ends[1]) / (2 * STEP))
    return np.stack(columns, axis=1)


def codesign_uncertainty(law: CodesignLaw) -> Uncertainty:
    """Return the covariance of the law's coefficients and the scatter of a run."""
    points = grid()
    residual = float(np.log(law.at(*points)).std() * np.sqrt((1 - R2) / R2))
    slopes = jacobian(law, points)
    weight = MODELS / len(slopes) / residual**2
    information = weight * slopes.T @ slopes + np.eye(slopes.shape[1]) / PRIOR**2
    rows = np.linalg.inv(information)
    rows = (rows + rows.T) / 2
    return Uncertainty(
        coefficients=tuple(law.specs()),
        scale=tuple("log" if spec.log else "linear" for spec in law.specs().values()),
        covariance=tuple(tuple(float(f"{value:.6g}") for value in row) for row in rows),
        residual=float(f"{residual:.4g}"),
        basis=(
            f"derived, not published: Gauss-Newton covariance of a fit to {MODELS} models over the "
            f"paper's grid, scatter of a run from the validation R2 of {R2:g}, prior of sd "
            f"{PRIOR:g} on the logarithm of each coefficient (b1: on itself)"
        ),
    )
