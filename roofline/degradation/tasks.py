"""What nats cost on a task: the accuracy above chance decays with the loss that was added.

    (accuracy - chance) / (accuracy before - chance) = exp(-kappa dNLL)

Llama-3-8B quantised to weights alone, arXiv 2404.14047: rows that lost up to one nat, by least
squares on the logarithm. For ARC challenge the form is poor.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import log

import numpy as np

from roofline.degradation import tables
from roofline.degradation.methods import Z90
from spec_files import SpecError, did_you_mean

Array = np.ndarray

TASKS = {
    "piqa": ("piqa", 0.5),
    "arc-easy": ("arc_e", 0.25),
    "arc-challenge": ("arc_c", 0.25),
    "hellaswag": ("hellaswag", 0.25),
    "winogrande": ("wino", 0.5),
}
"""Column of each task in the table, and the accuracy of a guess."""
_MOST = 1.0


@dataclass(frozen=True)
class Decay:
    """How one task's accuracy above chance decays.

    kappa: per nat; error: its standard error; scatter: sd of the kappa of one row; rms: of the
    share that is kept; rows: fitted.
    """

    task: str
    chance: float
    kappa: float
    error: float
    scatter: float
    rms: float
    rows: int

    def kept(self, nats: Array | float) -> Array:
        """Return the share of the accuracy above chance that is left; no more than all of it."""
        return np.minimum(np.exp(-self.kappa * np.asarray(nats)), 1.0)

    def accuracy(self, before: float, nats: Array | float) -> Array:
        """Return the accuracy after a loss of so many nats, 0 to 1."""
        return self.chance + (before - self.chance) * self.kept(nats)

    def ends(self, nats: float, low: float, high: float) -> tuple[float, float]:
        """Return the ends of 90 % of the share that is kept, (least, most).

        low, high: ends of the nats, whose error joins that of kappa in squares.
        """
        kept, steep = float(self.kept(nats)), Z90 * self.scatter
        least, most = (
            float(np.hypot(kept - self.kept(end), kept - np.exp(-max(kappa, 0.0) * max(nats, 0.0))))
            for end, kappa in ((high, self.kappa + steep), (low, self.kappa - steep))
        )
        return max(kept - least, 0.0), min(kept + most, 1.0)


@cache
def decay(task: str, guess: float = 0.0) -> Decay:
    """Return the decay of a task; SpecError names the nearest.

    guess: share that a row at or below chance is held to keep; 0 leaves such rows out.
    """
    if task not in TASKS:
        raise SpecError(f"no published decay of task {task!r}{did_you_mean(task, TASKS)}")
    column, chance = TASKS[task]
    full, *rows = tables.read("llama3_8b_ptq.csv")
    above = float(full[column]) - 100 * chance
    points = [
        (log(float(row["wiki2"]) / float(full["wiki2"])), float(row[column]) - 100 * chance)
        for row in rows
        if row["A"] == "16"
    ]
    told = [(n, max(a / above, guess)) for n, a in points if 0 < n <= _MOST]
    nats, kept = np.array([point for point in told if point[1] > 0]).T
    kappa = float(-(nats @ np.log(kept)) / (nats @ nats))
    left = np.log(kept) + kappa * nats
    error = float(np.sqrt(left @ left / (len(nats) - 1) / (nats @ nats)))
    rms = float(np.sqrt(np.mean((kept - np.exp(-kappa * nats)) ** 2)))
    scatter = float(np.sqrt(left @ left / (len(nats) - 1) / np.mean(nats**2)))
    return Decay(task, chance, kappa, error, scatter, rms, len(nats))
