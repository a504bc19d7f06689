"""The vocabulary law: parameters outside and inside the vocabulary, and tokens.

    L = -E + A1 / N^alpha1 + A2 / V^alpha2 + B / D^beta

in millions of parameters and billions of tokens; V is the parameters of one embedding, vocabulary
times width. The loss is that of the model over a unigram model's with the same vocabulary: below
zero, and the more so the better. Where text and not tokens is given, a larger vocabulary makes
fewer of them: `tokens_of`. Source: arXiv 2407.13623, equation 8.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np

from roofline.laws.law import Coefficient, Value
from roofline.laws.ranged import Exponent, Factor, RangedLaw


class VocabularyLaw(RangedLaw):
    """Tao et al., approach 3."""

    free_tokens: ClassVar[bool] = True
    unit: ClassVar[str] = "nats per token over a unigram model"
    variables: ClassVar[tuple[str, ...]] = ("matrix_parameters", "vocabulary_parameters", "tokens")

    e: Annotated[float, Coefficient((1.0, 10.0), (1e-2, 20.0))]
    a1: Factor
    alpha1: Exponent
    a2: Factor
    alpha2: Exponent
    b: Factor
    beta: Exponent

    def at(self, parameters: Value, vocabulary: Value, tokens: Value) -> Value:
        """Return the loss at the law's own variables; they broadcast."""
        size = self.a1 * (parameters / 1e6) ** -self.alpha1
        words = self.a2 * (vocabulary / 1e6) ** -self.alpha2
        return size + words + self.b * (tokens / 1e9) ** -self.beta - self.e


def tokens_of(characters: Value, vocabulary: Value) -> Value:
    """Return how many tokens a text is with so many words, of English and byte-pair encoding.

    Source: the code of arXiv 2407.13623, fitted on vocabularies of 4,096 to 96,256 words; beyond
    200,000 a text is taken to become no shorter.
    """
    words = np.log(np.minimum(vocabulary, 200_000))
    return characters * (0.00639222 * words**2 - 0.15811069 * words + 1.20470122)
