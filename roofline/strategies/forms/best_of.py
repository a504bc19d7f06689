"""N answers, of which a verifier chooses: the best one, or the answer with most weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from roofline.strategies.strategy import Settings, Strategy, judging, sampling, splits
from roofline.strategies.tournament import best_score, weighted_vote

if TYPE_CHECKING:
    from roofline.strategies.population import Population
    from roofline.strategies.schedule import Stage
    from roofline.strategies.task import Task
    from roofline.strategies.verifier import Verifier

Array = np.ndarray


class BestOf(Strategy):
    """Best-of-N; weighted: scores are added up by distinct answer before the best is taken."""

    source = "arXiv 2408.03314"
    verified = True

    def __init__(self, weighted: bool) -> None:
        self.name = "weighted" if weighted else "best-of-n"
        self.title = "Best-of-N, weighted by answer" if weighted else "Best-of-N"
        self.counted = weighted
        self._rule = weighted_vote if weighted else best_score

    def settings(self, most: int) -> Settings:
        """Two answers or more, in waves."""
        return splits(most)

    def schedule(self, settings: Settings, task: Task) -> tuple[Stage, ...]:
        """Read once, write N answers, have every one read by the verifier."""
        sizes = settings.samples, settings.waves
        return sampling(task, *sizes) + judging(task, *sizes)

    def accuracy(
        self, settings: Settings, people: Population, verifier: Verifier | None, task: Task
    ) -> Array:
        """By the verifier's quality, (S, M)."""
        assert verifier is not None
        c, v = people.concentration, people.options
        return people.by_samples(settings.samples, lambda k: self._rule(k, c, v, verifier))


STRATEGIES = (BestOf(weighted=False), BestOf(weighted=True))
