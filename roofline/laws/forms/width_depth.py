"""Width, depth and tokens, each with a power of its own.

    L = E + A / d^alpha + B / l^beta + C / D^gamma

Beside the laws of size alone it tells wide from deep at equal size. No paper prints it: it is what
the runs of arXiv 2501.18107 are fitted best by.
"""

from __future__ import annotations

from typing import ClassVar

from roofline.laws.law import Value
from roofline.laws.ranged import Exponent, Factor, Floor, RangedLaw, Scale


class WidthDepthLaw(RangedLaw):
    """Powers of the hidden size, of the layers and of the training tokens."""

    free_tokens: ClassVar[bool] = True
    variables: ClassVar[tuple[str, ...]] = ("width", "layers", "tokens")

    e: Floor
    a: Scale
    alpha: Exponent
    b: Factor
    beta: Exponent
    c: Scale
    gamma: Exponent

    def at(self, width: Value, layers: Value, tokens: Value) -> Value:
        """Return the loss at the law's own variables; they broadcast."""
        shape = self.a * width**-self.alpha + self.b * layers**-self.beta
        return self.e + shape + self.c * tokens**-self.gamma
