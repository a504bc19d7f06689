"""Efficiency leverage: how much less compute a mixture needs than a dense model as good.

    1 / EL = (1 / A')^(a + d log10 C + g (log2 G)^2 + b log2 G)
    1 / A' = 1 / (A + 1 / (1 / a_start - 1 / a_max)) + 1 / a_max

A is the share of the experts that a token meets, C the training compute and G twice the width over
the width of an expert. What is to be small is the compute: `loss` is 1 / EL, the share of the
dense equivalent's compute that reaches the same loss; about 1 where dense.
Source: arXiv 2507.17702, equation 13.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np

from roofline.laws.law import Coefficient, Value
from roofline.laws.ranged import RangedLaw

Part = Annotated[float, Coefficient((-1.0, 1.0), (-10.0, 10.0), log=False)]
Start = Annotated[float, Coefficient((1e-3, 0.1), (1e-6, 0.99))]
Most = Annotated[float, Coefficient((10.0, 1e17), (1.0, 1e20))]


class EfficiencyLeverageLaw(RangedLaw):
    """Tian et al.; it compares ways to spend one compute, and says nothing of how much to spend."""

    free_tokens: ClassVar[bool] = True
    mixtures: ClassVar[bool] = True
    unit: ClassVar[str] = "compute over that of a dense model as good"
    variables: ClassVar[tuple[str, ...]] = ("activation", "double_width", "compute")

    a: Part
    d: Part
    g: Part
    b: Part
    a_start: Start
    a_max: Most

    def at(self, activation: Value, granularity: Value, compute: Value) -> Value:
        """Return 1 / EL at the law's own variables; they broadcast."""
        offset = 1.0 / (1.0 / self.a_start - 1.0 / self.a_max)
        met = 1.0 / (activation + offset) + 1.0 / self.a_max  # 1 / A'
        fine = np.log2(granularity)
        power = self.a + self.d * np.log10(compute) + (self.g * fine + self.b) * fine
        return met**power
