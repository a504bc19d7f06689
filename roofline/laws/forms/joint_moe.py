"""The joint law of dense models and mixtures: active parameters, tokens, experts.

    L = a E'^delta N^(alpha + gamma ln E') + b E'^omega D^(beta + zeta ln E') + c
    1 / E' = 1 / (E - 1 + 1 / (1 / e_start - 1 / e_max)) + 1 / e_max

N is the parameters that a token meets, embeddings included; E the experts that each of them was
picked from. Dense models are in the fit: E = 1, where E' is e_start.
Source: arXiv 2502.05172, equation 6; E' of arXiv 2202.01169.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np

from roofline.laws.law import Coefficient, Value
from roofline.laws.ranged import Floor, RangedLaw, Scale, Slope

Start = Annotated[float, Coefficient((1.01, 5.0), (1.0001, 20.0))]
Most = Annotated[float, Coefficient((50.0, 1000.0), (25.0, 1e6))]


class JointMoeLaw(RangedLaw):
    """Ludziejewski et al.; of several active experts each counts as one of its own group."""

    free_tokens: ClassVar[bool] = True
    mixtures: ClassVar[bool] = True
    variables: ClassVar[tuple[str, ...]] = ("active_parameters", "tokens", "expansion_rate")

    a: Scale
    alpha: Slope
    delta: Slope
    gamma: Slope
    b: Scale
    beta: Slope
    omega: Slope
    zeta: Slope
    e_start: Start
    e_max: Most
    c: Floor

    def at(self, parameters: Value, tokens: Value, experts: Value) -> Value:
        """Return the loss at the law's own variables; they broadcast."""
        offset = 1.0 / (1.0 / self.e_start - 1.0 / self.e_max)
        met = -np.log(1.0 / (experts - 1.0 + offset) + 1.0 / self.e_max)
        size = np.exp(self.delta * met + (self.alpha + self.gamma * met) * np.log(parameters))
        data = np.exp(self.omega * met + (self.beta + self.zeta * met) * np.log(tokens))
        return self.a * size + self.b * data + self.c
