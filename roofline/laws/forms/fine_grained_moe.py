"""Krajewski's law of fine-grained mixtures of experts: the finer the experts, the better.

    L = c + (g / G^gamma + a) / N^alpha + b / D^beta

N is all stored parameters without embeddings, the idle experts among them, and G the granularity:
how many experts one of the usual width is cut into. Held in its runs, and so among its limits: the
expansion rate, 64 times as many parameters in the FFNs as a token meets. A dense model is outside.
Source: arXiv 2402.07871, equation 9.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from arch_space.architectures import Architectures
from roofline.laws.law import Limit, Value
from roofline.laws.ranged import Exponent, Factor, Floor, RangedLaw, Scale


class FineGrainedMoeLaw(RangedLaw):
    """Krajewski et al. (Ludziejewski et al. in print), for one expansion rate."""

    free_tokens: ClassVar[bool] = True
    mixtures: ClassVar[bool] = True
    variables: ClassVar[tuple[str, ...]] = ("matrix_parameters", "tokens", "granularity")

    c: Floor
    a: Scale
    alpha: Exponent
    b: Scale
    beta: Exponent
    g: Factor
    gamma: Exponent

    def at(self, parameters: Value, tokens: Value, granularity: Value) -> Value:
        """Return the loss at the law's own variables; they broadcast."""
        size = (self.g * granularity**-self.gamma + self.a) * parameters**-self.alpha
        return self.c + size + self.b * tokens**-self.beta

    def limits(self, arch: Architectures) -> Iterator[Limit]:
        """Yield the edges of what the runs span, and dense models."""
        yield from super().limits(arch)
        yield Limit(arch.experts == 1, "dense model")
