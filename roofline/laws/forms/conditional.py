"""The conditional law: what a shape costs beside the best shape of the same size and data.

    L / L_best = f(x) g(r) / (f and g at their least),
    f = a0 + a1 ln x + a2 / x,  x = d / sqrt(N without embeddings)
    g = b0 + b1 ln r + b2 / r,  r = parameters of the MLPs / of attention

f is least at x = a2 / a1 and g at r = b2 / b1: the best shape has 1. The coefficients move with
size: the law holds within about three times the size that it was fitted on.
Source: arXiv 2510.18245.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from arch_space.architectures import Architectures
from roofline.laws.law import Coefficient, Limit, Value
from roofline.laws.ranged import RangedLaw

Constant = Annotated[float, Field(gt=0)]
"""Only ratios to it are seen: it is printed, and no fit could tell it."""
Term = Annotated[float, Coefficient((1e-3, 1.0), (1e-6, 1e2))]


class ConditionalLaw(RangedLaw):
    """A ratio to the optimum: it ranks shapes of one size, and says nothing of sizes or tokens."""

    unit: ClassVar[str] = "ratio to the optimum"
    variables: ClassVar[tuple[str, ...]] = ("width", "matrix_parameters", "mlp_attention_ratio")

    a0: Constant = 1.0
    a1: Term
    a2: Term
    b0: Constant = 1.0
    b1: Term
    b2: Term

    def at(self, width: Value, parameters: Value, mlp_attention_ratio: Value) -> Value:
        """Return the loss over the optimum's, at the law's own variables; they broadcast."""
        spread = _over_least(width * parameters**-0.5, self.a0, self.a1, self.a2)
        return spread * _over_least(mlp_attention_ratio, self.b0, self.b1, self.b2)

    def limits(self, arch: Architectures) -> Iterator[Limit]:
        """Yield the edges of what the runs span, and layers that no run had."""
        yield from super().limits(arch)
        yield Limit(arch.mamba_layers + arch.delta_layers > 0, "recurrent layers")
        yield Limit(arch.convolution_layers > 0, "convolution layers")
        yield Limit(arch.kv_rank > 0, "latent attention (MLA)")


def _over_least(x: Any, constant: Any, slope: Any, pole: Any) -> Any:
    """constant + slope ln x + pole / x, over its least value, which it has at pole / slope."""
    least = constant + slope * np.log(pole / slope) + slope
    return (constant + slope * np.log(x) + pole / x) / least
