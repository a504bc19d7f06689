"""Bian's law: the loss of size and tokens, raised by how wide a model is for its depth.

    L = (E + A / N^alpha + B / D^beta) (1 + epsilon (d / l)^gamma)

As arXiv 2501.18107 prints it.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from roofline.laws.law import Coefficient, Value
from roofline.laws.ranged import Exponent, Floor, RangedLaw, Scale


class AspectLaw(RangedLaw):
    """Bian et al.; N is every stored parameter, d / l the width over the layers."""

    free_tokens: ClassVar[bool] = True
    variables: ClassVar[tuple[str, ...]] = ("parameters", "tokens", "width", "layers")

    e: Floor
    a: Scale
    alpha: Exponent
    b: Scale
    beta: Exponent
    epsilon: Annotated[float, Coefficient((1e-4, 0.1), (1e-9, 1e2))]
    gamma: Annotated[float, Coefficient((0.1, 2.0), (1e-3, 4.0))]

    def at(self, parameters: Value, tokens: Value, width: Value, layers: Value) -> Value:
        """Return the loss at the law's own variables; they broadcast."""
        square = self.e + self.a * parameters**-self.alpha + self.b * tokens**-self.beta
        return square * (1.0 + self.epsilon * (width / layers) ** self.gamma)
