"""What rounding the weights of a trained model to few bits adds to its loss.

    dL = k D^gamma_d / N^gamma_n exp(-P rate) / P^power

The longer a model was trained for its size, the more it loses. Two papers say so with different
falls in the bits P: exponential (power 0) and a power (rate 0). Both are of the order of magnitude
only: how measured losses of GPTQ differ stands in `trust` of each law. Tables of the method that is
meant, as `roofline.laws.penalties` has, come first. N leaves out embeddings.
Sources: arXiv 2411.04330 (equation 2), arXiv 2411.17691.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np

from arch_space.architectures import Architectures
from roofline.laws.law import Coefficient, Limit, Value
from roofline.laws.ranged import Exponent, RangedLaw


class RoundingLaw(RangedLaw):
    """Kumar et al., Ouyang et al.; the increase alone, least for a model that was hardly trained.

    A candidate of few parameters loses more by rounding than a larger one: not a law to choose a
    size by, but to say what a format costs a model that has been chosen.
    """

    free_tokens: ClassVar[bool] = True
    covers: ClassVar[frozenset[str]] = frozenset({"weight_format"})
    unit: ClassVar[str] = "nats per token that rounding adds"
    variables: ClassVar[tuple[str, ...]] = ("matrix_parameters", "tokens", "weight_bits")

    k: Annotated[float, Coefficient((1e-3, 10.0), (1e-9, 1e6))]
    gamma_d: Exponent
    gamma_n: Exponent
    rate: Annotated[float, Coefficient((0.0, 3.0), (0.0, 10.0), log=False)] = 0.0
    power: Annotated[float, Coefficient((0.0, 8.0), (0.0, 20.0), log=False)] = 0.0

    def at(self, parameters: Value, tokens: Value, bits: Value) -> Value:
        """Return nats per token at the law's own variables; they broadcast."""
        few = np.exp(-self.rate * bits) * bits**-self.power
        return self.k * tokens**self.gamma_d * parameters**-self.gamma_n * few

    def limits(self, arch: Architectures) -> Iterator[Limit]:
        """Yield the edges of what the runs span; the law itself is never inside measured data."""
        yield from super().limits(arch)
        yield Limit(np.ones(1, dtype=bool), "order of magnitude only")
