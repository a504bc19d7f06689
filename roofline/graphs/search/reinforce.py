"""Plain REINFORCE over the logits of a policy, as published (arXiv 2511.00086).

Adam with a rate of 0.1, three graphs a step, ten steps; the loss is - mean(log P x utility).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from roofline.graphs.search.policy import Gradient, Policy, draw

if TYPE_CHECKING:
    from roofline.graphs.ledger import Ledger

Array = np.ndarray

BATCH = 3
RATE = 0.1


@dataclass(eq=False)
class Adam:
    """Adam (arXiv 1412.6980) over the three parts of a gradient."""

    rate: float = RATE
    decay: tuple[float, float] = (0.9, 0.999)
    small: float = 1e-8
    steps: int = 0
    mean: list[Array] = field(default_factory=list)
    square: list[Array] = field(default_factory=list)

    def step(self, gradient: Gradient) -> Gradient:
        """Return the step that descends along a gradient."""
        parts = [gradient.edges, gradient.roles, gradient.models]
        first, second = self.decay
        if not self.steps:
            self.mean = [np.zeros_like(part) for part in parts]
            self.square = [np.zeros_like(part) for part in parts]
        self.steps += 1
        self.mean = [first * m + (1 - first) * g for m, g in zip(self.mean, parts, strict=True)]
        self.square = [
            second * s + (1 - second) * g * g for s, g in zip(self.square, parts, strict=True)
        ]
        one, two = 1 - first**self.steps, 1 - second**self.steps
        return Gradient(
            *(
                -self.rate * (m / one) / (np.sqrt(s / two) + self.small)
                for m, s in zip(self.mean, self.square, strict=True)
            )
        )


def search(ledger: Ledger, seed: int) -> Policy:
    """Run REINFORCE until the ledger's evaluations are used up; return the last policy.

    A graph whose benchmark failed is worth nothing.
    """
    rng = np.random.default_rng(seed)
    policy, adam = Policy.flat(ledger.problem), Adam()
    while ledger.left:
        drawn = draw(policy, ledger.problem, min(BATCH, ledger.left), rng)
        utility = np.nan_to_num(ledger.ask(drawn.graphs), nan=0.0)
        policy = policy.moved(adam.step(loss_gradient(drawn.gradient, utility)))
    return policy


def loss_gradient(gradient: Gradient, utility: Array) -> Gradient:
    """Gradient of - mean(log P x utility), utility (G,)."""
    return gradient.weighted(-utility)
