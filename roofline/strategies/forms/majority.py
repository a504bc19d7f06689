"""N answers, of which the most frequent is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from roofline.strategies.selection import plurality
from roofline.strategies.strategy import Settings, Strategy, sampling, splits

if TYPE_CHECKING:
    from roofline.strategies.population import Population
    from roofline.strategies.schedule import Stage
    from roofline.strategies.task import Task
    from roofline.strategies.verifier import Verifier

Array = np.ndarray


class Majority(Strategy):
    """Majority vote, also called self-consistency."""

    name = "majority"
    title = "Majority vote"
    source = "arXiv 2203.11171"
    counted = True

    def settings(self, most: int) -> Settings:
        """Three answers or more, in waves: of two, none has a majority."""
        return splits(most, least=3)

    def schedule(self, settings: Settings, task: Task) -> tuple[Stage, ...]:
        """Read once, write N answers."""
        return sampling(task, settings.samples, settings.waves)

    def accuracy(
        self, settings: Settings, people: Population, verifier: Verifier | None, task: Task
    ) -> Array:
        """Exact in the model of difficulty, (S, M)."""
        c, v = people.concentration, people.options
        return people.by_samples(settings.samples, lambda k: plurality(k, c, v))


STRATEGIES = (Majority(),)
