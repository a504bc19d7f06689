"""Gadre's law of over-training: parameters and tokens share one exponent.

    L = E + A / N^alpha + B / D^alpha

Along any ratio of tokens to parameters, and not the best one only, the loss above E then falls as
the same power of compute. Source: arXiv 2403.08540, equation 4 written in N and D.
"""

from __future__ import annotations

from typing import ClassVar

from roofline.laws.law import Value
from roofline.laws.ranged import Exponent, Floor, RangedLaw, Scale


class TiedLaw(RangedLaw):
    """Gadre et al.; N is every stored parameter."""

    free_tokens: ClassVar[bool] = True
    variables: ClassVar[tuple[str, ...]] = ("parameters", "tokens")

    e: Floor
    a: Scale
    b: Scale
    alpha: Exponent

    def at(self, parameters: Value, tokens: Value) -> Value:
        """Return the loss at the law's own variables; they broadcast."""
        return self.e + self.a * parameters**-self.alpha + self.b * tokens**-self.alpha
