"""dVoting (arXiv 2602.12153) and its rivals: several texts of one diffusion model, and one vote.

dVoting stops sampling as soon as the answers agree, and from the fourth sample on decodes anew only
what earlier samples did not agree on. Its rivals are a plain majority vote, HEX (arXiv 2510.05040)
and RFG (arXiv 2509.25604). All of them count forward passes alike, so that benefit per cost
compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from roofline.diffusion.decoding import (
    MASK,
    MaskedModel,
    check_block,
    decode,
    masked_texts,
    passes_each,
)
from roofline.diffusion.rules import EntropyBelow, FixedTokens, Rule
from spec_files import SpecError

Array = np.ndarray

NO_ANSWER = -1
"""What a reader of answers says of a text that holds none."""

Reader = Callable[[Array], Array]
"""From texts (B, L), the prompt left out, to answers (B,): whole numbers, or NO_ANSWER."""

FRESH = 3
"""Samples that start fully masked."""


@dataclass(frozen=True, eq=False)
class Voted:
    """What a vote said and what it took, for B questions.

    answers: (B,), NO_ANSWER where no sample held one. samples: (B,), texts written. ballots:
    (B, most), the answer of each sample, NO_ANSWER also where none was written. each: (B, most),
    forward passes of each sample. kept: (B, most), share of the positions that a sample took over
    undecoded; NaN where none was written.
    """

    answers: Array
    samples: Array
    ballots: Array
    each: Array
    kept: Array

    @property
    def passes(self) -> Array:
        """Forward passes a question took, (B,)."""
        return self.each.sum(axis=1)


def tally(ballots: Array) -> tuple[Array, Array, Array]:
    """Return leading answer, its votes, and valid votes, each (B,).

    ballots: (B, S) answers, NO_ANSWER where there is none. Of answers with equal votes the one that
    was given first leads; NO_ANSWER where no vote is valid.
    """
    valid = ballots != NO_ANSWER
    same = (ballots[:, :, None] == ballots[:, None, :]) & valid[:, :, None]
    votes = same.sum(axis=2)
    first = votes.argmax(axis=1)
    rows = np.arange(len(ballots))
    top = votes[rows, first]
    return np.where(top > 0, ballots[rows, first], NO_ANSWER), top, valid.sum(axis=1)


def stops(top: Array | int, valid: Array | int, most: int) -> Array:
    """Whether dVoting stops: a majority of all it may draw, or all valid answers are one.

    top: votes of the leading answer; valid: valid answers so far; most: samples at most. With 5,
    two samples that agree, or any answer with three votes.
    """
    half = most // 2
    return np.asarray(
        (np.asarray(top) > half) | (np.equal(top, valid) & np.greater_equal(top, half))
    )


def agreed(texts: Array, remasked: float = 0.25) -> Array:
    """Positions that the next sample keeps, (B, L): where all samples have the same token.

    texts: (B, S, L). remasked: the last share of a text is never kept, whatever the samples say;
    it holds the answer.
    """
    length = texts.shape[2]
    same = (texts == texts[:, :1]).all(axis=1)
    same[:, length - round(remasked * length) :] = False
    return same


def dvoting(
    model: MaskedModel,
    prompts: Array,
    length: int,
    answer: Reader,
    *,
    most: int = 5,
    block: int = 16,
    rule: Rule | None = None,
    temperature: float = 0.6,
    remasked: float = 0.25,
    seed: int = 0,
) -> Voted:
    """Vote as dVoting does, on B questions at once.

    prompts: (B, P). length: tokens of a text; answer: reads it. most: samples at most. rule:
    entropy below 0.3 nats if None. remasked: last share of the text that every sample decodes.
    Before sample 3 and each later one, questions whose answers agree stop (`stops`). Samples 1 to 3
    start fully masked; a later one keeps the tokens on which all earlier ones agree (`agreed`).
    """
    if isinstance(most, bool) or most != int(most) or most < 1:
        raise SpecError(f"most samples: read {most!r}; write a whole number of at least 1")
    if not 0.0 <= remasked <= 1.0:
        raise SpecError(f"remasked share: read {remasked!r}; write one from 0 to 1")
    check_block(length, block)
    prompts = np.atleast_2d(prompts)
    random = np.random.default_rng(seed)
    rule = EntropyBelow() if rule is None else rule
    count = len(prompts)
    texts = np.full((count, most, length), MASK)
    found = _nothing(count, most)
    for i in range(most):
        going = np.arange(count)
        if i >= 2:
            _, top, valid = tally(found["ballots"][:, :i])
            going = going[(found["samples"] == i) & ~stops(top, valid, most)]
        if not len(going):
            break
        begun = masked_texts(prompts[going], length)
        if i >= FRESH:
            keep = agreed(texts[going, :i], remasked)
            begun[:, -length:] = np.where(keep, texts[going, 0], MASK)
        found["kept"][going, i] = (begun[:, -length:] != MASK).mean(axis=1)
        made = decode(
            model,
            begun,
            length,
            block=block,
            rule=rule,
            temperature=temperature,
            random=random,
        )
        texts[going, i] = made.tokens[:, -length:]
        found["ballots"][going, i] = answer(texts[going, i])
        found["each"][going, i] = made.passes
        found["samples"][going] += 1
    return Voted(answers=tally(found["ballots"])[0], **found)


def _nothing(count: int, most: int) -> dict[str, Any]:
    return {
        "samples": np.zeros(count, dtype=np.int64),
        "ballots": np.full((count, most), NO_ANSWER),
        "each": np.zeros((count, most), dtype=np.int64),
        "kept": np.full((count, most), np.nan),
    }


def majority_vote(
    model: MaskedModel,
    prompts: Array,
    length: int,
    answer: Reader,
    *,
    samples: int = 5,
    tokens: int = 2,
    blocks: Sequence[int] = (16,),
    temperature: float = 0.6,
    seed: int = 0,
) -> Voted:
    """Write `samples` whole texts with each block size, and let them vote.

    tokens: per pass; with 2 a text takes length / 2 passes, so that five take 2.5 lengths.
    """
    prompts = np.atleast_2d(prompts)
    random = np.random.default_rng(seed)
    drawn = len(blocks) * samples
    found = _nothing(len(prompts), drawn)
    found["kept"][:] = 0.0
    for i in range(drawn):
        made = decode(
            model,
            masked_texts(prompts, length),
            length,
            block=blocks[i // samples],
            rule=FixedTokens(tokens),
            temperature=temperature,
            random=random,
        )
        found["ballots"][:, i] = answer(made.tokens[:, -length:])
        found["each"][:, i] = made.passes
        found["samples"] += 1
    return Voted(answers=tally(found["ballots"])[0], **found)


def hex_vote(
    model: MaskedModel,
    prompts: Array,
    length: int,
    answer: Reader,
    *,
    blocks: Sequence[int] = (8, 16, 32, 64, 128),
    seeds: int = 5,
    temperature: float = 0.6,
    seed: int = 0,
) -> Voted:
    """HEX (arXiv 2510.05040): a majority vote over block sizes as well as seeds.

    Five block sizes and five seeds at length / 2 passes take 12.5 lengths. Of answers with equal
    votes that of the smaller block leads, if `blocks` begin with it.
    """
    return majority_vote(
        model,
        prompts,
        length,
        answer,
        samples=seeds,
        blocks=blocks,
        temperature=temperature,
        seed=seed,
    )


@dataclass(frozen=True, eq=False)
class Guided:
    """RFG (arXiv 2509.25604): a model steered away from a weaker one, without a reward model.

    Its log-probabilities are (1 + weight) log p(model) - weight log p(reference). Each pass is one
    of either model, so a text of L passes takes 2 L.
    """

    model: MaskedModel
    reference: MaskedModel
    weight: float = 1.0

    @property
    def passes(self) -> int:
        """Forward passes behind one call."""
        return passes_each(self.model) + passes_each(self.reference)

    def logits(self, tokens: Array) -> Array:
        """Return guided log-probabilities up to a constant, (B, N, V)."""
        better, worse = (_log_softmax(m.logits(tokens)) for m in (self.model, self.reference))
        # What the model rules out stays out, whatever the reference thinks of it.
        return np.where(
            np.isfinite(better),
            (1.0 + self.weight) * better - self.weight * np.maximum(worse, -700.0),
            -np.inf,
        )


def _log_softmax(logits: Array) -> Array:
    logits = np.asarray(logits, dtype=float)
    top = logits.max(axis=-1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(axis=-1, keepdims=True))
