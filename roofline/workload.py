"""What a model is asked to do: how many sequences, how long a prompt, how many tokens."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from spec_files import SpecError, did_you_mean

Array = np.ndarray
Mask = Literal["causal", "full"]
Logits = Literal["last", "all"]
SharedReads = Literal["each", "once"]
MOST = 1_000_000_000
"""Largest batch, prompt or answer: beyond any use, and short of overflow."""

Attention = Literal["fused", "unfused"]


@dataclass(frozen=True)
class Workload:
    """A prompt that is read and an answer that is written.

    batch: sequences at once; prompt: tokens of each; generate: decode steps, each one token a
    sequence. Step i (from 1) attends to prompt + i keys, its own included, as in arXiv 2602.10377
    and in llama-bench's `tg`: TTFT is the prefill, and latency is TTFT plus `generate` steps.
    mask: `causal` computes half the square of prefill attention, as flash kernels do; `full` all of
    it. logits: of the `last` prompt token, which is all that generation needs, or of `all`.
    attention: `fused` keeps the scores on chip; `unfused` writes them to memory and reads them
    back.
    """

    batch: int = 1
    prompt: int = 1024
    generate: int = 128
    mask: Mask = "causal"
    logits: Logits = "last"
    attention: Attention = "fused"

    def __post_init__(self) -> None:
        """Refuse sizes below one and words that are not options."""
        for name in ("batch", "prompt", "generate"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise SpecError(
                    f"workload {name} must be a whole number of at least 1, not {value!r}"
                )
            if value > MOST:
                raise SpecError(f"workload {name} must be at most {MOST:,}; it is larger")
        for name, options in (("mask", Mask), ("logits", Logits), ("attention", Attention)):
            value = getattr(self, name)
            if value not in get_args(options):
                hint = did_you_mean(str(value), list(get_args(options)))
                raise SpecError(f"workload {name}: unknown option {value!r}{hint}")

    def prefill(self) -> Pass:
        """Return the forward pass over the prompt."""
        return Pass(self.batch, self.prompt, self.prompt, self.mask, self.logits, self.attention)

    def decode(self, keys: Array | int) -> Pass:
        """Return the forward pass of one token a sequence that attends to `keys` tokens."""
        return Pass(self.batch, 1, keys, self.mask, "last", self.attention)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a plain dictionary."""
        return asdict(self)


@dataclass(frozen=True)
class Pass:
    """One forward pass: new tokens (queries) of each sequence over all its tokens (keys).

    Prefill, decode, a prompt read in chunks, the verification of drafted tokens and a step of
    diffusion decoding differ only in these two lengths. batch, queries, keys, shared: a number
    each, or (N,) where candidates differ. mask: `full` for all pairs of queries and keys, as in
    bidirectional attention. shared: leading keys that all sequences of the batch have in common.
    shared_reads: `each` sequence reads them for itself, as in plain kernels, or the batch does
    `once` (Hydragen, arXiv 2402.05099; cascade attention); what is computed is the same.
    """

    batch: Array | float
    queries: Array | float
    keys: Array | float
    mask: Mask = "causal"
    logits: Logits = "last"
    attention: Attention = "fused"
    shared: Array | float = 0
    shared_reads: SharedReads = "each"

    @property
    def tokens(self) -> Any:
        """New tokens in the whole batch; a number or (N,)."""
        return self.batch * self.queries

    @property
    def logit_tokens(self) -> Any:
        """Tokens whose logits are computed; a number or (N,)."""
        return self.tokens if self.logits == "all" else self.batch

    def seeing(self, keys: Array) -> Pass:
        """Return the same pass over another number of keys."""
        return replace(self, keys=keys)
