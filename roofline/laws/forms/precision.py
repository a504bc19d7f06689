"""The precision law: training in few bits leaves fewer effective parameters.

    L = E + A / N'^alpha + B / D^beta
    N' = N times 1 - exp(n - P / gamma) for the bits P of weights, of activations, of the KV cache

Of models trained in those bits, forward passes included, and not of ones rounded afterwards: for
those there is the form `rounding`. N leaves out embeddings.
Source: arXiv 2411.04330.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np

from arch_space.architectures import Architectures
from roofline.laws.law import Array, Coefficient, Value
from roofline.laws.ranged import Exponent, Floor, RangedLaw, Scale
from spec_files import SpecError

Bits = Annotated[float, Coefficient((0.5, 4.0), (0.05, 20.0))]
"""Bits that a part of the parameters takes to come back by 1 - 1/e."""
Shift = Annotated[float, Coefficient((0.0, 2.0), (-5.0, 5.0), log=False)]


class PrecisionLaw(RangedLaw):
    """Kumar et al.; it holds what the formats of weights, activations and KV cache cost."""

    free_tokens: ClassVar[bool] = True
    covers: ClassVar[frozenset[str]] = frozenset(
        {"weight_format", "activation_format", "kv_format"}
    )
    variables: ClassVar[tuple[str, ...]] = (
        "matrix_parameters", "tokens", "weight_bits", "activation_bits", "kv_bits",
    )  # fmt: skip

    e: Floor
    a: Scale
    alpha: Exponent
    b: Scale
    beta: Exponent
    gamma_weights: Bits
    shift_weights: Shift
    gamma_activations: Bits
    shift_activations: Shift
    gamma_kv: Bits
    shift_kv: Shift

    def at(
        self, parameters: Value, tokens: Value, weights: Value, activations: Value, kv: Value
    ) -> Value:
        """Return the loss at the law's own variables; they broadcast.

        NaN where bits are so few that the law leaves no parameters.
        """
        left = (
            _left(weights, self.gamma_weights, self.shift_weights)
            * _left(activations, self.gamma_activations, self.shift_activations)
            * _left(kv, self.gamma_kv, self.shift_kv)
        )
        size = self.a * parameters**-self.alpha * left**-self.alpha
        return self.e + size + self.b * tokens**-self.beta

    def loss(self, arch: Architectures) -> Array:
        """Return the loss, (N,); SpecError where bits are too few for the law to say anything."""
        found = super().loss(arch)
        if not np.isfinite(found).all():
            raise SpecError(
                f"law {self.name!r}: a model of so few bits has no effective parameters left; "
                f"its runs had {self.range['weight_bits'][0]:g} and more"
            )
        return found


def _left(bits: Any, gamma: Any, shift: Any) -> Any:
    """Share of the parameters that so many bits leave; NaN where none."""
    share = 1.0 - np.exp(shift - bits / gamma)
    return np.where(share > 0, share, np.nan)
