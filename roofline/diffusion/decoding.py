"""Block-wise decoding of a masked diffusion language model, and how many passes it takes.

The text starts masked. Blocks are filled from left to right; each forward pass sees the whole text
in both directions, draws a token for every masked position, and commits those that a rule lets
through (`roofline.diffusion.rules`). The number of forward passes is what decoding costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from spec_files import SpecError

if TYPE_CHECKING:
    from roofline.diffusion.rules import Rule

Array = np.ndarray

MASK = -1
"""What stands in a text for a token that is not decided."""


class MaskedModel(Protocol):
    """A model that says what may stand in masked positions."""

    def logits(self, tokens: Array) -> Array:
        """Return logits of every position, given the tokens that are not masked.

        tokens: (B, N) whole numbers, MASK where masked, prompt first. Returns (B, N, V); what it
        says of positions that are not masked is not looked at.
        """
        ...


@dataclass(frozen=True, eq=False)
class Decoded:
    """Texts without masks. tokens: (B, N), prompt first; passes: (B,), forward passes of each."""

    tokens: Array
    passes: Array


def passes_each(model: MaskedModel) -> int:
    """Forward passes behind one call of `logits`: 1, or what a composed model says of itself."""
    return int(getattr(model, "passes", 1))


def check_block(length: int, block: int) -> None:
    """Refuse lengths and blocks that decoding cannot lay out."""
    for name, value in (("length", length), ("block", block)):
        if isinstance(value, bool) or value != int(value) or value < 1:
            raise SpecError(f"{name}: read {value!r}; write a whole number of at least 1")
    if length % block:
        near = [n for n in range(1, length + 1) if length % n == 0]
        best = min(near, key=lambda n: abs(n - block))
        raise SpecError(
            f"block: read {block}, which does not divide the {length} tokens to generate; "
            f"nearest that does is {best}"
        )


def masked_texts(prompts: Array, length: int) -> Array:
    """Return prompts (B, P), each followed by `length` masked positions."""
    prompts = np.atleast_2d(prompts)
    return np.concatenate([prompts, np.full((len(prompts), length), MASK)], axis=1)


def decode(
    model: MaskedModel,
    tokens: Array,
    length: int,
    *,
    block: int,
    rule: Rule,
    temperature: float = 0.0,
    random: np.random.Generator | None = None,
) -> Decoded:
    """Fill the masked positions of B texts, block by block.

    tokens: (B, N), of which the last `length` are to be generated; those that are not masked stay
    as they are, and a block without masks costs no pass. temperature: of the draw, as in LLaDA's
    code: the token that maximises logits + temperature x Gumbel noise; at 0 the most probable one.
    Confidence and entropy are those of the model's own distribution, at temperature 1. random: the
    source of the noise; needed where the temperature is not 0.
    Texts advance independently: a batch takes the passes that each text would take alone.
    Raises SpecError where the block does not divide the length or the temperature is negative.
    """
    check_block(length, block)
    if not 0.0 <= temperature < np.inf:
        raise SpecError(f"temperature: read {temperature!r}; write 0 or more")
    if temperature and random is None:
        raise SpecError("a temperature above 0 needs a source of noise: give random")
    tokens = np.array(tokens, dtype=np.int64)
    start = tokens.shape[1] - length
    if (tokens[:, :start] == MASK).any():
        raise SpecError("the prompt has masked positions; only the text after it may")
    text = tokens[:, start:]  # a view: what is committed here stands in `tokens`
    passes = np.zeros(len(tokens), dtype=np.int64)
    cost = passes_each(model)
    inside = np.arange(block)
    while True:
        open_blocks = (text == MASK).reshape(len(text), -1, block).any(axis=2)
        rows = np.flatnonzero(open_blocks.any(axis=1))
        if not len(rows):
            return Decoded(tokens, passes)
        passes[rows] += cost
        columns = open_blocks[rows].argmax(axis=1)[:, None] * block + inside
        said = np.asarray(model.logits(tokens[rows]), dtype=float)[:, start:]
        said = np.take_along_axis(said, columns[:, :, None], axis=1)
        drawn, chosen, entropy = _draw(said, temperature, random)
        masked = np.take_along_axis(text[rows], columns, axis=1) == MASK
        row, column = np.nonzero(rule.commits(chosen, entropy, masked))
        text[rows[row], columns[row, column]] = drawn[row, column]


def _draw(
    logits: Array, temperature: float, random: np.random.Generator | None
) -> tuple[Array, Array, Array]:
    """Tokens drawn, their probability, and the entropy in nats of each position, all (B, T)."""
    top = logits.max(axis=2, keepdims=True)
    weights = np.exp(logits - top)
    total = weights.sum(axis=2, keepdims=True)
    probabilities = weights / total
    with np.errstate(invalid="ignore"):  # a token of probability 0 has logit -inf
        surprise = np.where(probabilities > 0, probabilities * (top - logits + np.log(total)), 0.0)
    entropy = surprise.sum(axis=2)
    noisy = logits
    if temperature and random is not None:
        noisy = logits + temperature * random.gumbel(size=logits.shape)
    drawn = noisy.argmax(axis=2)
    chosen = np.take_along_axis(probabilities, drawn[:, :, None], axis=2)[:, :, 0]
    return drawn, chosen, entropy
