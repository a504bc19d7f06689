"""Frantar's law of sparse weights: non-zero parameters, tokens and the share of zeros.

    L = (a_s (1 - S)^b_s + c_s) / N^b_n + (a_d / D)^b_d + c

N is the non-zero parameters without embeddings: at equal N a sparser model is the better one, for
it is the larger. The zeros came during training, anywhere in a matrix. Source: arXiv 2309.08520.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from arch_space.architectures import Architectures
from roofline.laws.law import Coefficient, Limit, Value
from roofline.laws.ranged import Exponent, Factor, Floor, RangedLaw


class SparseWeightsLaw(RangedLaw):
    """Frantar et al.; it holds what zero weights cost, 2:4 ones as those that lie anywhere."""

    free_tokens: ClassVar[bool] = True
    covers: ClassVar[frozenset[str]] = frozenset({"weight_sparsity", "two_four"})
    variables: ClassVar[tuple[str, ...]] = ("nonzero_parameters", "tokens", "weight_sparsity")

    a_s: Factor
    b_s: Exponent
    c_s: Factor
    b_n: Exponent
    a_d: Annotated[float, Coefficient((1e6, 1e11), (1.0, 1e15))]
    b_d: Exponent
    c: Floor

    def at(self, nonzero: Value, tokens: Value, weight_sparsity: Value) -> Value:
        """Return the loss at the law's own variables; they broadcast."""
        zeros = self.a_s * (1.0 - weight_sparsity) ** self.b_s + self.c_s
        return zeros * nonzero**-self.b_n + (self.a_d / tokens) ** self.b_d + self.c

    def limits(self, arch: Architectures) -> Iterator[Limit]:
        """Yield the edges of what the runs span, and zeros in a pattern."""
        yield from super().limits(arch)
        yield Limit(arch.two_four > 0, "2:4 sparsity: the law's zeros lay anywhere")
