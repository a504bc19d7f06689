"""Which masked tokens of a block a pass commits: published rules, one class each.

A rule sees one block of every sequence: `chosen` (B, T), the probability that the model gives to
the token that was drawn for a position; `entropy` (B, T), in nats, of the whole distribution there;
`masked` (B, T). It answers with the positions to commit, (B, T), at least one in each row that has
a masked position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from spec_files import SpecError

Array = np.ndarray


class Rule(Protocol):
    """What decides how many tokens a pass commits."""

    def commits(self, chosen: Array, entropy: Array, masked: Array) -> Array:
        """Positions to commit, (B, T)."""
        ...


def _most_confident(chosen: Array, masked: Array) -> Array:
    """Mark the masked position of each row whose token is the most probable, (B, T)."""
    best = np.where(masked, chosen, -np.inf).argmax(axis=1)
    return masked & (np.arange(masked.shape[1]) == best[:, None])


@dataclass(frozen=True)
class EntropyBelow:
    """All masked tokens whose entropy is below a threshold in nats, or else the most confident.

    The rule of dVoting (arXiv 2602.12153), there with 0.3.
    """

    threshold: float = 0.3

    def __post_init__(self) -> None:
        """Refuse a threshold that no distribution can be below."""
        if not 0.0 < self.threshold < np.inf:
            raise SpecError(f"entropy threshold: read {self.threshold!r}; write nats above 0")

    def commits(self, chosen: Array, entropy: Array, masked: Array) -> Array:
        """Positions to commit, (B, T)."""
        return masked & (entropy < self.threshold) | _most_confident(chosen, masked)


@dataclass(frozen=True)
class ConfidenceAbove:
    """All masked tokens at least as probable as a threshold, or else the most confident.

    The rule of Fast-dLLM (arXiv 2505.22618), there with 0.9. At 1 it is one token a pass.
    """

    threshold: float = 0.9

    def __post_init__(self) -> None:
        """Refuse what is no probability."""
        check_confidence(self.threshold)

    def commits(self, chosen: Array, entropy: Array, masked: Array) -> Array:
        """Positions to commit, (B, T)."""
        return masked & (chosen >= self.threshold) | _most_confident(chosen, masked)


@dataclass(frozen=True)
class FixedTokens:
    """The same number of tokens in every pass, the most confident first, as LLaDA decodes.

    The rule of LLaDA (arXiv 2502.09992), whose steps are length / tokens.
    """

    tokens: int = 1

    def __post_init__(self) -> None:
        """Refuse less than one token, and parts of one."""
        if isinstance(self.tokens, bool) or self.tokens != int(self.tokens) or self.tokens < 1:
            raise SpecError(
                f"tokens per step: read {self.tokens!r}; a pass commits a whole number of at "
                "least 1"
            )

    def commits(self, chosen: Array, entropy: Array, masked: Array) -> Array:
        """Positions to commit, (B, T)."""
        order = np.argsort(np.where(masked, -chosen, np.inf), axis=1, kind="stable")
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(order.shape[1])[None, :], axis=1)
        return masked & (rank < self.tokens)


@dataclass(frozen=True)
class SafeTogether:
    """As many of the most confident tokens as greedy decoding may take at once.

    Fast-dLLM's factor rule (arXiv 2505.22618): n tokens, each at least as probable as 1 - e, are
    taken together while (n + 1) e <= factor. With factor 1 the most probable text of the product
    of the marginals is then the most probable text of the joint distribution.
    """

    factor: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a factor that would never allow two tokens."""
        if not 0.0 < self.factor < np.inf:
            raise SpecError(f"factor: read {self.factor!r}; write a number above 0")

    def commits(self, chosen: Array, entropy: Array, masked: Array) -> Array:
        """Positions to commit, (B, T)."""
        confidence = np.where(masked, chosen, -np.inf)
        order = np.argsort(-confidence, axis=1, kind="stable")
        fallen = np.take_along_axis(confidence, order, axis=1)
        together = np.arange(1, masked.shape[1] + 1)
        safe = parallel_equals_sequential(together, 1.0 - fallen, self.factor)
        count = np.where(safe, together, 1).max(axis=1)
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(order.shape[1])[None, :], axis=1)
        return masked & (rank < count[:, None])


def parallel_equals_sequential(
    tokens: Array | int, doubt: Array | float, factor: float = 1
) -> Array:
    """Whether greedy decoding of n tokens at once gives what one after the other would.

    doubt: e, where each token is at least as probable as 1 - e. True where (n + 1) e <= factor; the
    theorem of Fast-dLLM (arXiv 2505.22618), whose bound is factor 1.
    """
    return np.asarray((np.asarray(tokens) + 1.0) * np.asarray(doubt) <= factor)


def check_confidence(threshold: float) -> None:
    """Refuse a confidence outside (0, 1]."""
    if not 0.0 < threshold <= 1.0:
        raise SpecError(f"confidence threshold: read {threshold!r}; write one above 0 and up to 1")
