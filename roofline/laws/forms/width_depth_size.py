"""Gemstones: width, depth, parameters and tokens, each with a power of its own.

    L = E + A / d^alpha + B / l^beta + C / N^gamma + F / D^delta

Source: arXiv 2502.06857.
"""

from __future__ import annotations

from typing import ClassVar

from roofline.laws.law import Value
from roofline.laws.ranged import Exponent, Factor, Floor, RangedLaw, Scale


class WidthDepthSizeLaw(RangedLaw):
    """McLeish et al.; N is every stored parameter, embedding and head of their own included."""

    free_tokens: ClassVar[bool] = True
    variables: ClassVar[tuple[str, ...]] = ("width", "layers", "parameters", "tokens")

    e: Floor
    a: Factor
    alpha: Exponent
    b: Factor
    beta: Exponent
    c: Scale
    gamma: Exponent
    f: Scale
    delta: Exponent

    def at(self, width: Value, layers: Value, parameters: Value, tokens: Value) -> Value:
        """Return the loss at the law's own variables; they broadcast."""
        shape = self.a * width**-self.alpha + self.b * layers**-self.beta
        size = self.c * parameters**-self.gamma + self.f * tokens**-self.delta
        return self.e + shape + size
