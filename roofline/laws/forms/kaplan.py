"""Kaplan's law: the first from parameters and training tokens, without a floor.

    L = [(n_c / N)^(alpha_n / alpha_d) + d_c / D]^alpha_d

N leaves out embeddings, which the law says do not matter; later work found that this, and learning
rates that decayed too late, made it favour size over data. Source: arXiv 2001.08361.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from roofline.laws.law import Coefficient, Value
from roofline.laws.ranged import Exponent, RangedLaw

Critical = Annotated[float, Coefficient((1e11, 1e16), (1e3, 1e24))]


class KaplanLaw(RangedLaw):
    """Kaplan et al., equation 1.5."""

    free_tokens: ClassVar[bool] = True
    variables: ClassVar[tuple[str, ...]] = ("matrix_parameters", "tokens")

    n_c: Critical
    d_c: Critical
    alpha_n: Exponent
    alpha_d: Exponent

    def at(self, parameters: Value, tokens: Value) -> Value:
        """Return the loss at the law's own variables; they broadcast."""
        size = (self.n_c / parameters) ** (self.alpha_n / self.alpha_d)
        return (size + self.d_c / tokens) ** self.alpha_d
