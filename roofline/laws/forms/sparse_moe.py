"""Abnar's law: parameters, tokens and how many of the experts lie idle.

    L = e + a / N^alpha + b / D^beta + c (1 - S)^lambda + d / ((1 - S)^delta N^gamma)

N is all stored parameters, S the share of the experts that a token does not meet: 0 where dense.
Held-out mixtures of S = .98 are told badly (R2 of 68 %). Source: arXiv 2501.12370, equation 6, its
lambda with the sign turned.
"""

from __future__ import annotations

from typing import ClassVar

from roofline.laws.law import Value
from roofline.laws.ranged import Exponent, Factor, Floor, RangedLaw, Scale


class SparseMoeLaw(RangedLaw):
    """Abnar et al.; the law sees 1 - S, the share that a token meets."""

    free_tokens: ClassVar[bool] = True
    mixtures: ClassVar[bool] = True
    variables: ClassVar[tuple[str, ...]] = ("parameters", "tokens", "activation")

    e: Floor
    a: Scale
    alpha: Exponent
    b: Scale
    beta: Exponent
    c: Factor
    lam: Exponent
    d: Factor
    delta: Exponent
    gamma: Exponent

    def at(self, parameters: Value, tokens: Value, activation: Value) -> Value:
        """Return the loss at the law's own variables; they broadcast."""
        size = self.a * parameters**-self.alpha + self.b * tokens**-self.beta
        idle = self.d * activation**-self.delta * parameters**-self.gamma
        return self.e + size + self.c * activation**self.lam + idle
