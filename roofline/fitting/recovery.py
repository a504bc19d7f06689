"""Does a fit find what the runs were made of? Synthetic runs from known coefficients, many times.

Each draw makes losses of the same models from one law and fresh noise, fits the law's form to them
from many starts, bootstraps it, and asks of every coefficient whether the truth lies inside its
95 % interval, and whether the report calls the coefficient told (`fit.untold`). Draws, starts and
replicates are one axis of the solver.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from roofline.fitting.fit import intervals, untold
from roofline.fitting.model import LawModel
from roofline.fitting.solver import DELTA, minimise
from roofline.laws.law import Law, load_law

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray


@dataclass(frozen=True)
class Recovery:
    """What became of each coefficient over the draws.

    truth: (coefficients,); told: (draws, coefficients) bool; low, high, value: (draws,
    coefficients); truth and these on the search scales. true_values: the truth as it is written.
    """

    names: tuple[str, ...]
    true_values: tuple[float, ...]
    truth: Array
    value: Array
    low: Array
    high: Array
    told: Array

    @property
    def inside(self) -> Array:
        """Whether the truth lies in the interval, (draws, coefficients) bool."""
        return (self.low <= self.truth) & (self.truth <= self.high)

    def table(self) -> pd.DataFrame:
        """Return a row a coefficient: shares of draws inside its interval, and told."""
        import pandas as pd

        return pd.DataFrame(
            {
                "coefficient": self.names,
                "truth": self.true_values,
                "inside": self.inside.mean(axis=0),
                "told": self.told.mean(axis=0),
                "inside_where_told": [
                    inside[told].mean() if told.any() else np.nan
                    for inside, told in zip(self.inside.T, self.told.T, strict=True)
                ],
                "median_width": np.median(self.high - self.low, axis=0),
            }
        )


def codesign_runs(models: int = 170, seed: int = 0) -> tuple[Array, ...]:
    """Return the co-design law's variables of models drawn from its paper's grid, each (models,).

    The grid of arXiv 2602.10377: depth 4 to 32, width 768 to 3072, dense and four mixtures of
    experts, keys of 1 to all heads of 64; its FFN expansions, not published, .5 to 8.
    """
    experts = [(1, 1), (8, 1), (8, 2), (16, 1), (16, 2)]
    expansions = (0.5, 1, 2, 3, 4, 5.33, 8)
    grid = [
        (layers, width, r, k / e, 64 * heads)
        for layers, width, (e, k), r in itertools.product(
            range(4, 33, 4), range(768, 3073, 256), experts, expansions
        )
        for heads in (1, 2, 4, 8, width // 64)
    ]
    picked = np.random.default_rng(seed).choice(len(grid), models, replace=False)
    return tuple(np.array(grid, dtype=float)[picked].T)


def recover(
    law: Law | None = None, variables: tuple[Array, ...] | None = None, *, noise: float = 0.01,
    draws: int = 100, starts: int = 16, replicates: int = 200, delta: float = DELTA, seed: int = 0,
) -> Recovery:  # fmt: skip
    """Fit synthetic runs of a law again and again, and hold the intervals against the truth.

    law: the co-design law unless given, with the models of `codesign_runs`; noise: standard
    deviation of ln loss of one run, normal.
    """
    law = law or load_law("codesign")
    variables = variables or codesign_runs()
    model = LawModel(law, variables, {})
    truth = model.points(law.coefficients())
    random = np.random.default_rng(seed)
    runs = len(variables[0])
    measured = model(truth[None])[0] + noise * random.standard_normal((draws, runs))
    box = (model.low, model.high)

    every = np.repeat(measured, starts, axis=0)
    points = np.tile(model.starts(starts, seed), (draws, 1))
    found = minimise(model, points, *box, every, delta=delta, tolerance=1e-7)
    best = found.cost.reshape(draws, starts).argmin(axis=1) + starts * np.arange(draws)
    fits = found.points[best]

    counts = random.multinomial(runs, np.full(runs, 1 / runs), (draws, replicates))
    again = minimise(
        model, np.repeat(fits, replicates, axis=0), *box, np.repeat(measured, replicates, axis=0),
        counts.reshape(-1, runs).astype(float), delta=delta, most_steps=300, tolerance=1e-8,
    )  # fmt: skip
    drawn = again.points.reshape(draws, replicates, -1)
    low, high = intervals(model, fits, drawn.transpose(1, 0, 2), measured, delta)
    told = np.array(
        [[not why for why in untold(*ends, model)] for ends in zip(low, high, strict=True)]
    )
    values = tuple(law.coefficients()[name] for name in model.names)
    return Recovery(model.names, values, truth, fits, low, high, told)
