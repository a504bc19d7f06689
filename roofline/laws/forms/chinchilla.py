"""The Chinchilla law: loss from parameters and training tokens alone.

    L = E + A / N^alpha + B / D^beta

It does not see shape: two candidates of equal size get equal losses.
Source: arXiv 2203.15556, approach 3, and its replication, arXiv 2404.10102.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np

from arch_space.architectures import Architectures
from roofline.laws.law import Coefficient, Interval, Law, Limit, Value, between
from roofline.laws.sizes import parameters
from spec_files.model import Spec


class Range(Spec):
    """Intervals that the fitted runs span."""

    parameters: Interval
    tokens: Interval


class ChinchillaLaw(Law):
    """Approach 3 of Hoffmann et al.; N is every stored parameter, embeddings included."""

    free_tokens: ClassVar[bool] = True
    variables: ClassVar[tuple[str, ...]] = ("parameters", "tokens")

    e: Annotated[float, Coefficient((0.1, 3.0), (1e-3, 10.0))]
    a: Annotated[float, Coefficient((1.0, 1e5), (1e-4, 1e9))]
    b: Annotated[float, Coefficient((1.0, 1e5), (1e-4, 1e12))]
    alpha: Annotated[float, Coefficient((0.1, 1.0), (1e-3, 3.0))]
    beta: Annotated[float, Coefficient((0.1, 1.0), (1e-3, 3.0))]
    range: Range

    def at(self, parameters: Value, tokens: Value) -> Value:
        """Return the loss at the law's own variables; they broadcast."""
        return self.e + self.a * parameters**-self.alpha + self.b * tokens**-self.beta

    def limits(self, arch: Architectures) -> Iterator[Limit]:
        """Yield the edges of the fitted sizes and tokens; no run was a mixture of experts.

        Sparse weights, which no run had either, are among `penalties.limits`.
        """
        yield from between("parameters", parameters(arch), self.range.parameters)
        yield from between("training tokens", np.array([self.tokens]), self.range.tokens)
        yield Limit(arch.experts > 1, "mixture of experts")
