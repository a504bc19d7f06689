"""Diffusion decoding as forward passes: which positions each computes, and how often it is made.

A pass without a cache computes the whole text, prompt and answer. With a prefix cache the passes of
a block compute it and what follows; with a dual cache the block alone. Keys and values of the rest
are kept from the block's first pass, which computes all and so refreshes them (arXiv 2505.22618).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from roofline.diffusion.decoding import check_block
from roofline.diffusion.published import tokens_at
from spec_files import SpecError, did_you_mean

Array = np.ndarray
Cache = Literal["none", "prefix", "dual"]
CACHES: tuple[Cache, ...] = get_args(Cache)


@dataclass(frozen=True, eq=False)
class Passes:
    """The forward passes of one generation.

    text: positions in all, prompt and answer, that every pass attends to. full: passes that compute
    them all. queries: (K,), positions that each of `cached` passes computes, which is how many
    there are of the kind in each of K blocks' places. Both numbers are means over generations, so
    not whole.
    """

    text: int
    full: float
    queries: Array
    cached: float

    @property
    def steps(self) -> float:
        """Forward passes in all."""
        return self.full + self.cached * len(self.queries)


@dataclass(frozen=True)
class Schedule:
    """How a diffusion model decodes.

    cache: of keys and values. block: tokens of a block. tokens_per_step: that a pass commits, on
    average. refresh: passes over a block after which the caches are computed anew; once a block if
    None.
    """

    cache: Cache = "none"
    block: int = 32
    tokens_per_step: float = 1.0
    refresh: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is no schedule."""
        if self.cache not in CACHES:
            raise SpecError(
                f"cache: unknown option {self.cache!r}{did_you_mean(str(self.cache), CACHES)}"
            )
        if isinstance(self.block, bool) or self.block != int(self.block) or self.block < 1:
            raise SpecError(f"block: read {self.block!r}; write a whole number of at least 1")
        if not self.tokens_per_step >= 1.0:
            raise SpecError(
                f"tokens per step: read {self.tokens_per_step!r}; a pass commits at least 1"
            )
        if self.tokens_per_step > self.block:
            raise SpecError(
                f"tokens per step: read {self.tokens_per_step:g}, more than the {self.block} of a "
                "block; a pass commits tokens of one block only"
            )
        if self.refresh is not None:
            if isinstance(self.refresh, bool) or self.refresh < 1:
                raise SpecError(f"refresh: read {self.refresh!r}; write at least 1 pass")
            if self.cache == "none":
                raise SpecError("refresh: there is no cache to refresh; add a prefix or dual one")

    @classmethod
    def at_confidence(
        cls, confidence: float, cache: Cache = "none", block: int = 32, refresh: int | None = None
    ) -> Schedule:
        """Return the schedule of a confidence threshold, by the published curve of tokens a step.

        That curve is of blocks of 32 tokens; a smaller block commits no more than it holds.
        """
        return cls(cache, block, min(float(tokens_at(confidence)), float(block)), refresh)

    def passes(self, prompt: int, generate: int) -> Passes:
        """Lay out the passes that read a prompt and write `generate` tokens.

        There is no prefill apart: the first pass reads the prompt.
        Raises SpecError where the block does not divide the tokens.
        """
        check_block(generate, self.block)
        if isinstance(prompt, bool) or prompt != int(prompt) or prompt < 1:
            raise SpecError(f"prompt: read {prompt!r}; write a whole number of at least 1")
        text = int(prompt + generate)
        blocks = generate // self.block
        full, cached = self.passes_a_block(self.tokens_per_step)
        if self.cache == "none":
            queries = np.zeros(0)
        elif self.cache == "prefix":
            queries = generate - self.block * np.arange(blocks, dtype=float)
        else:
            queries = np.full(blocks, float(self.block))
        return Passes(text, blocks * float(full), queries, float(cached))

    def passes_a_block(self, tokens_per_step: Array | float) -> tuple[Array, Array]:
        """Return passes over everything and passes from a cache that one block takes."""
        each = self.block / np.asarray(tokens_per_step, dtype=float)
        if self.cache == "none":
            return each, np.zeros_like(each)
        full = np.ones_like(each)
        if self.refresh is not None:
            full = np.maximum(np.ceil(each / self.refresh - 1e-9), 1.0)
        return full, each - full
