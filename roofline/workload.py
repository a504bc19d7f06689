"""What a model is asked to do: how many sequences, how long a prompt, how many tokens."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from spec_files import SpecError, did_you_mean, within

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from arch_space.library import ReferenceModel

Array = np.ndarray
Mask = Literal["causal", "full"]
Logits = Literal["last", "all"]
LogitsOfPass = Literal["none", "last", "all"]
SharedReads = Literal["each", "once"]
Kernels = Literal["prompt", "step"]
MOST = 1_000_000_000
"""Largest batch, prompt or answer: beyond any use, and short of overflow."""

SIZES = {
    "batch": 1,
    "prompt": 1,
    "generate": 1,
    "cached": 0,
    "prefill_chunk": 0,
    "draft_length": 1,
}
"""Least value of each number of tokens or sequences."""

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

    cached: tokens of the prompt whose cache is kept from before, so that the prefill computes the
    others alone, over all keys. prefill_chunk: tokens per piece of a prefill in pieces, each a pass
    of its own; 0 for all at once.
    draft: a model that drafts tokens which the model then verifies (speculative decoding, arXiv
    2211.17192): a name, a file, or its cost as a share of the model's. acceptance: the probability
    that a drafted token is accepted; draft_length: tokens drafted in each round.
    """

    batch: int = 1
    prompt: int = 1024
    generate: int = 128
    mask: Mask = "causal"
    logits: Logits = "last"
    attention: Attention = "fused"
    cached: int = 0
    prefill_chunk: int = 0
    draft: str | float | ReferenceModel | None = None
    acceptance: float | None = None
    draft_length: int = 4

    def __post_init__(self) -> None:
        """Refuse sizes out of range, words that are not options, and drafts half described."""
        for name, least in SIZES.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise SpecError(
                    f"workload {name} must be a whole number of at least {least}, not {value!r}"
                )
            if value > MOST:
                raise SpecError(f"workload {name} must be at most {MOST:,}; it is larger")
        for name, options in (("mask", Mask), ("logits", Logits), ("attention", Attention)):
            value = getattr(self, name)
            if value not in get_args(options):
                hint = did_you_mean(str(value), list(get_args(options)))
                raise SpecError(f"workload {name}: unknown option {value!r}{hint}")
        if self.cached >= self.prompt:
            raise SpecError(
                f"workload cached: {self.cached} tokens are kept of a prompt of {self.prompt}; at "
                "least one must be new"
            )
        self._check_draft()

    def _check_draft(self) -> None:
        if self.draft is None:
            if self.acceptance is not None:
                raise SpecError("workload acceptance: there is no draft whose tokens are accepted")
            return
        if self.acceptance is None:
            raise SpecError(
                "workload acceptance: a draft needs it, the share of drafted tokens that the model "
                "accepts"
            )
        if _no_number(self.acceptance) or not 0 <= self.acceptance < 1:
            raise SpecError(
                f"workload acceptance must be at least 0 and below 1, not {self.acceptance!r}"
            )
        if isinstance(self.draft, (int, float)) and (
            _no_number(self.draft) or not 0 < self.draft < 1
        ):
            raise SpecError(
                "workload draft, as a share of the model, must be above 0 and below 1, not "
                f"{self.draft!r}"
            )

    @cached_property
    def draft_model(self) -> Architectures | None:
        """The model that drafts; None without one, or where the draft is a share of the model."""
        from arch_space.library import load_model

        if self.draft is None or isinstance(self.draft, (int, float)):
            return None
        if isinstance(self.draft, str):
            with within("draft"):
                return load_model(self.draft)
        return self.draft.architectures()

    @property
    def expected_tokens(self) -> float:
        """Tokens that a round of drafting and verification adds; 1 without a draft.

        (1 - a^(k+1)) / (1 - a) for acceptance a and draft length k, each token accepted
        independently of the others (arXiv 2211.17192, eq. 1).
        """
        if self.draft is None or self.acceptance is None:
            return 1.0
        a = self.acceptance
        return (1.0 - a ** (self.draft_length + 1)) / (1.0 - a)

    @property
    def rounds(self) -> float:
        """Passes over the model's weights that the answer takes: one a token, or one a round.

        With a draft an expectation: what the last round adds beyond the answer is not counted.
        """
        return max(1.0, self.generate / self.expected_tokens)

    def prefill(self) -> Pass:
        """Return the forward pass over what is new of the prompt, all at once."""
        new = self.prompt - self.cached
        return Pass(self.batch, new, self.prompt, self.mask, self.logits, self.attention)

    def pieces(self) -> list[tuple[Pass, int]]:
        """Return the passes of the prefill: each stands for so many, whose keys grow by a piece.

        The first, with the fixed time of a prompt, comes alone; so does the last, for only of the
        last token of the prompt are logits wanted, unless they are of all.
        """
        whole, size, new = self.prefill(), self.prefill_chunk, self.prompt - self.cached
        if not 0 < size < new:
            return [(whole, 1)]
        before = (new - 1) // size
        one = replace(whole, queries=size, keys=self.cached + size)
        if self.logits == "last":
            one = replace(one, logits="none")
        found = [(one, 1)]
        if before > 1:
            found.append((replace(one, keys=self.cached + 2 * size), before - 1))
        return [*found, (replace(whole, queries=new - before * size), 1)]

    def largest_pass(self) -> Pass:
        """Return the pass of the prefill with most activations: a whole piece, over all keys."""
        whole = self.prefill()
        if not 0 < self.prefill_chunk < whole.queries:
            return whole
        return replace(whole, queries=self.prefill_chunk)

    def verification(self) -> Pass:
        """Return the first pass that verifies a draft: one more token than were drafted."""
        tokens = self.draft_length + 1
        keys = self.prompt + tokens
        return Pass(self.batch, tokens, keys, self.mask, "all", self.attention, kernels="step")

    def decode(self, keys: Array | int) -> Pass:
        """Return the forward pass of one token a sequence that attends to `keys` tokens."""
        return Pass(self.batch, 1, keys, self.mask, "last", self.attention)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a plain dictionary."""
        data = asdict(self)
        if self.draft is not None and not isinstance(self.draft, (str, int, float)):
            data["draft"] = self.draft.model_dump(mode="json", exclude_defaults=True)
        return data


def _no_number(value: Any) -> bool:
    return isinstance(value, bool) or not isinstance(value, (int, float))


@dataclass(frozen=True)
class Pass:
    """One forward pass: new tokens (queries) of each sequence over all its tokens (keys).

    Prefill, decode, a prompt read in chunks, the verification of drafted tokens and a step of
    diffusion decoding differ only in these two lengths. batch, queries, keys, shared: a number
    each, or (N,) where candidates differ. mask: `full` for all pairs of queries and keys, as in
    bidirectional attention. logits: of the last token of each sequence, of all, or of none, as of a
    piece of a prompt that is not its last. shared: leading keys that all sequences of the batch
    have in common. shared_reads: `each` sequence reads them for itself, as in plain kernels, or the
    batch does `once` (Hydragen, arXiv 2402.05099; cascade attention); what is computed is the same.
    kernels: products of several queries run in those of a `prompt`, which pad to their tiles, or in
    those of a decode `step`, as the few tokens of a verification do.
    """

    batch: Array | float
    queries: Array | float
    keys: Array | float
    mask: Mask = "causal"
    logits: LogitsOfPass = "last"
    attention: Attention = "fused"
    shared: Array | float = 0
    shared_reads: SharedReads = "each"
    kernels: Kernels = "prompt"

    @property
    def tokens(self) -> Any:
        """New tokens in the whole batch; a number or (N,)."""
        return self.batch * self.queries

    @property
    def logit_tokens(self) -> Any:
        """Tokens whose logits are computed; a number or (N,)."""
        if self.logits == "none":
            return 0.0 * self.batch
        return self.tokens if self.logits == "all" else self.batch

    def seeing(self, keys: Array) -> Pass:
        """Return the same pass over another number of keys."""
        return replace(self, keys=keys)
