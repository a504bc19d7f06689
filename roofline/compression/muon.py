"""Muon and Adam in numpy.

Muon (Jordan et al., December 2024, kellerjordan.github.io/posts/muon) moves a weight matrix along
its momentum with all singular values brought near one. It is for the 2-D weights of hidden layers;
embeddings, norms and heads stay with Adam.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray
Weights = dict[str, Array]

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS = 5
BETA = 0.95
_TINY = 1e-7


def newton_schulz(gradient: Array, steps: int = STEPS) -> Array:
    """Bring the singular values of a matrix near one, keeping its singular vectors.

    X <- a X + (b A + c A A) X with A = X X', from X = G / ||G||_F, on the side where A is smaller.
    gradient: (rows, columns). After five steps singular values lie in about 0.7 to 1.2 where those
    of G / ||G||_F were 0.01 and more; smaller ones are on their way up.
    """
    a, b, c = COEFFICIENTS
    tall = gradient.shape[0] > gradient.shape[1]
    x = gradient.T if tall else gradient
    x = x / (np.linalg.norm(x) + _TINY)
    for _ in range(steps):
        squares = x @ x.T
        x = a * x + (b * squares + c * (squares @ squares)) @ x
    return x.T if tall else x


def newton_schulz_flops(rows: float, columns: float, steps: int = STEPS) -> float:
    """Return FLOPs of `newton_schulz`'s products: steps (4 m^2 n + 2 m^3), m the lesser side."""
    m, n = min(rows, columns), max(rows, columns)
    return steps * (4 * m**2 * n + 2 * m**3)


def scale(rows: int, columns: int) -> float:
    """Return the factor on an update: sqrt(max(1, rows / columns)), rows being the outputs."""
    return float(np.sqrt(max(1.0, rows / columns)))


@dataclass
class Muon:
    """Muon over named matrices, (outputs, inputs) each.

    rate: learning rate; beta: of the momentum; the update is Nesterov's. decay: of the weights, by
    rate x decay a step.
    """

    rate: float
    beta: float = BETA
    decay: float = 0.0
    momenta: Weights = field(default_factory=dict)

    def step(self, weights: Weights, gradients: Mapping[str, Array], share: float = 1.0) -> None:
        """Move the weights in place; share: of the learning rate, for a schedule."""
        rate = self.rate * share
        for name, gradient in gradients.items():
            momentum = self.momenta.setdefault(name, np.zeros_like(gradient))
            momentum += (1 - self.beta) * (gradient - momentum)
            ahead = gradient + self.beta * (momentum - gradient)
            update = newton_schulz(ahead) * scale(*gradient.shape)
            weights[name] *= 1 - rate * self.decay
            weights[name] -= (rate * update).astype(weights[name].dtype)

    @property
    def state_numbers(self) -> int:
        """Numbers kept between steps: one a weight."""
        return sum(momentum.size for momentum in self.momenta.values())


@dataclass
class Adam:
    """Adam (arXiv 1412.6980) over named arrays of any shape, decoupled weight decay."""

    rate: float
    betas: tuple[float, float] = (0.9, 0.95)
    decay: float = 0.0
    tiny: float = 1e-8
    first: Weights = field(default_factory=dict)
    second: Weights = field(default_factory=dict)
    done: int = 0

    def step(self, weights: Weights, gradients: Mapping[str, Array], share: float = 1.0) -> None:
        """Move the weights in place; share: of the learning rate, for a schedule."""
        self.done += 1
        rate = self.rate * share
        b1, b2 = self.betas
        for name, gradient in gradients.items():
            mean = self.first.setdefault(name, np.zeros_like(gradient))
            square = self.second.setdefault(name, np.zeros_like(gradient))
            mean += (1 - b1) * (gradient - mean)
            square += (1 - b2) * (gradient**2 - square)
            root = np.sqrt(square / (1 - b2**self.done)) + self.tiny
            weights[name] *= 1 - rate * self.decay
            weights[name] -= rate * (mean / (1 - b1**self.done)) / root

    @property
    def state_numbers(self) -> int:
        """Numbers kept between steps: two a weight."""
        return sum(mean.size for mean in self.first.values()) * 2
