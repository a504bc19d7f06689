"""The supervised law of the distillation paper: a sum of powers, under a power of its own.

    L = E + (A / N^alpha + B / D^beta)^gamma

N leaves out embeddings. It tells what a student would reach without a teacher; the law of the
distilled student has coefficients that could not be checked, and is left out.
Source: arXiv 2502.08606.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from roofline.laws.law import Coefficient, Value
from roofline.laws.ranged import Exponent, Floor, RangedLaw, Scale


class PoweredLaw(RangedLaw):
    """Busbridge et al., supervised training; with gamma 1 it is the form `chinchilla`."""

    free_tokens: ClassVar[bool] = True
    variables: ClassVar[tuple[str, ...]] = ("matrix_parameters", "tokens")

    e: Floor
    a: Scale
    alpha: Exponent
    b: Scale
    beta: Exponent
    gamma: Annotated[float, Coefficient((0.2, 1.0), (0.05, 3.0))]

    def at(self, parameters: Value, tokens: Value) -> Value:
        """Return the loss at the law's own variables; they broadcast."""
        both = self.a * parameters**-self.alpha + self.b * tokens**-self.beta
        return self.e + both**self.gamma
