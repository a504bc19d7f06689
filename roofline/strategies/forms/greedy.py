"""One answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from roofline.strategies.strategy import Settings, Strategy, sampling

if TYPE_CHECKING:
    from roofline.strategies.population import Population
    from roofline.strategies.schedule import Stage
    from roofline.strategies.task import Task
    from roofline.strategies.verifier import Verifier

Array = np.ndarray


class Greedy(Strategy):
    """The most likely token at every step."""

    name = "greedy"
    title = "One answer"
    source = "pass@1"
    assumes = "greedy decoding is right as often as one sample"

    def settings(self, most: int) -> Settings:
        """Return the one there is."""
        return Settings.of([(1, 1)])

    def schedule(self, settings: Settings, task: Task) -> tuple[Stage, ...]:
        """Read, then write."""
        return sampling(task, settings.samples, settings.waves)

    def accuracy(
        self, settings: Settings, people: Population, verifier: Verifier | None, task: Task
    ) -> Array:
        """Mean success of one sample, (1, M)."""
        return people.by_samples(settings.samples, lambda k: np.arange(k + 1) / k)


STRATEGIES = (Greedy(),)
