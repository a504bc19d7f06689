"""The Chinchilla law: loss from parameters and training tokens alone.

    L = E + A / N^alpha + B / D^beta

It does not see shape: two candidates of equal size get equal losses. Where the tokens are fewer
than the training reads, those read again count for less and less:

    D' = U (1 + 15.39 (1 - exp(-R / 15.39))),  R = D / U - 1 times that all were read again

Sources: arXiv 2203.15556, approach 3, and its replication, arXiv 2404.10102; of the repetition
arXiv 2305.16264.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from arch_space.architectures import Architectures
from roofline.laws.law import Coefficient, Limit, Value
from roofline.laws.ranged import RangedLaw

REPETITIONS = 15.39
"""Times that tokens are read again until what they still teach has fallen to 1/e."""
_MOST_TIMES = 500  # that any run of arXiv 2305.16264 read its tokens


class ChinchillaLaw(RangedLaw):
    """Approach 3 of Hoffmann et al.; N is every stored parameter, embeddings included."""

    free_tokens: ClassVar[bool] = True
    variables: ClassVar[tuple[str, ...]] = ("parameters", "tokens")

    e: Annotated[float, Coefficient((0.1, 3.0), (1e-3, 10.0))]
    a: Annotated[float, Coefficient((1.0, 1e5), (1e-4, 1e9))]
    b: Annotated[float, Coefficient((1.0, 1e5), (1e-4, 1e12))]
    alpha: Annotated[float, Coefficient((0.1, 1.0), (1e-3, 3.0))]
    beta: Annotated[float, Coefficient((0.1, 1.0), (1e-3, 3.0))]
    unique_tokens: float | None = Field(default=None, gt=0)
    """Tokens that there are, where training may read them more than once."""

    def at(self, parameters: Value, tokens: Value) -> Value:
        """Return the loss at the law's own variables; they broadcast."""
        worth = tokens if self.unique_tokens is None else worth_of(tokens, self.unique_tokens)
        return self.e + self.a * parameters**-self.alpha + self.b * worth**-self.beta

    def limits(self, arch: Architectures) -> Iterator[Limit]:
        """Yield the edges of the fitted sizes and tokens; no run was a mixture of experts.

        Sparse weights, which no run had either, are among `penalties.limits`.
        """
        yield from super().limits(arch)
        if self.unique_tokens is not None:
            times = np.array([self.tokens / self.unique_tokens])
            yield Limit(times > _MOST_TIMES, f"tokens read {{}} times, above {_MOST_TIMES}", times)


def worth_of(tokens: Value, unique: float) -> Value:
    """Return how many new tokens a training is worth that reads `unique` ones again and again.

    tokens: read in all; as many count where `unique` is no fewer. Source: arXiv 2305.16264.
    """
    again = np.maximum(tokens / unique - 1.0, 0.0)
    worth = unique * (1.0 + REPETITIONS * (1.0 - np.exp(-again / REPETITIONS)))
    return np.where(again > 0, worth, tokens)
