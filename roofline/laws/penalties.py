"""What number formats and zero weights add to the loss of a trained model, nats per token.

Formats stand on one scale: what each does to Llama-3-8B, a dense model trained on 15T tokens, as
ln(perplexity / perplexity at 16 bits) on WikiText-2, the same for every candidate. Models that are
smaller or trained for longer are more fragile, those trained for less are tougher: Llama-2-7B loses
half as much (.0141 at Q4_K_M and .0253 at 4 bits in groups of 128, for .0278 and .0635 here).

- GGUF types: measured, without an importance matrix; llama.cpp's `perplexity` README, revision
  f364eb6f (April 2024). Embedding and head are quantised too, as each recipe has it.
- int4-g128 and int4-channel: GPTQ, measured; arXiv 2404.14047 (Huang et al., April 2024), which
  prints one decimal. AWQ reads .079 and .152 there; rounding to nearest five times as much as GPTQ.
- Other groups of 4 bits: from int4-g128 by the slope of the GPTQ fit in stored bits (LLaMA-1 and
  Llama-2, 28 points of arXiv 2308.13137, August 2023). It was fitted on groups of 128 and none; the
  2-bit rows of groups of 64 agree (a change of ln dNLL by -.31, sd .14, where it says -.25).
- int8-g32: the blocks of Q8_0. int8: a scale per channel, from Q8_0 by the fit of rounding to
  nearest in the same table. The rows of arXiv 2404.14047 at 8 bits (6.1, 6.1 and 6.2 for 6.1) hold
  it but resolve no more than their rounding, which is its sd.
- Activations in int8: SmoothQuant with 8-bit weights in arXiv 2404.14047, 6.3 for 6.1. What int8
  weights add by themselves is in it and is counted once. With 4 bits the table shows a ruin.

sd: the error of the table, and how far models differ in what a format costs them beside a factor
that all formats share: GPTQ .16 of the value (its fit), GGUF .12 (Q4_0 to Q6_K on Llama-2-70B and
Q4_K_M, Q6_K on Llama-2-7B against Llama-3-8B). The shared factor, 2 and more, is not in it.

Zero weights: pruned in training, the sparse minus the dense term of arXiv 2309.08520 (September
2023, T5 on C4) at equal dense size. 2:4: pruned in one shot without retraining, Llama-2-7B going
from a perplexity of 5.12 to 10.17 by SparseGPT (Wanda: 11.02; 13B loses .09 nats less; arXiv
2306.11695, June 2023), and the same for every size. Neither is on the scale of the formats.

Penalties of weights, activations and sparsity are added; where no table shows the sum, `limits`
says so. A law whose formula sees one of these columns itself names it in `covers`: nothing is added
for it then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, hypot, log, sqrt

import numpy as np

from arch_space.architectures import Architectures
from arch_space.formats import FORMATS, bits_per_element, default_embedding_format, format_code
from roofline.laws.law import Array, Limit
from roofline.laws.sizes import parameters
from spec_files import SpecError


@dataclass(frozen=True)
class QuantisationFit:
    """How dNLL changes with the format: ln dNLL = ... - per_bit b - grouped; sd is of ln dNLL."""

    per_bit: float
    grouped: float
    sd: float


GPTQ = QuantisationFit(1.60, 0.54, sd=0.16)
ROUNDING = QuantisationFit(1.95, 0.89, sd=0.30)


@dataclass(frozen=True)
class Change:
    """What a format adds to the loss of Llama-3-8B.

    error: sd of the table, nats; spread: sd of ln nats from one model to the next.
    """

    nats: float
    error: float
    spread: float

    @property
    def sd(self) -> float:
        """Standard deviation, nats."""
        return hypot(self.error, self.spread * self.nats)

    def times(self, factor: float, spread: float) -> Change:
        """Return the change of a format that loses so many times as much."""
        return Change(self.nats * factor, self.error * factor, hypot(self.spread, spread))


def _llama_cpp(perplexity: float, error: float) -> Change:
    """A row of the README: perplexity, and the error of its difference to 16 bits (6.231636)."""
    return Change(log(perplexity / 6.231636), error / perplexity, spread=0.12)


def _one_decimal(perplexity: float, spread: float = 0.0) -> Change:
    """A row of arXiv 2404.14047, where 16 bits read 6.1 (6.14 in arXiv 2407.11062)."""
    rounding = 0.1 / sqrt(12)
    error = hypot(rounding / perplexity, rounding / 6.1)
    return Change(log(perplexity / 6.1), error, spread)


def _bits(name: str) -> float:
    """Bits that a weight takes in rows of 4096, scales and zero points included."""
    return float(bits_per_element(np.array([format_code(name)]), np.array([4096.0]))[0])


def _group(name: str, halvings: int) -> Change:
    """4 bits in other groups than those of 128, or with other metadata."""
    finer = exp(-GPTQ.per_bit * (_bits(name) - _bits("int4-g128")))
    return INT4_G128.times(finer, spread=0.14 * halvings)


FREE = Change(0.0, 0.0, 0.0)
Q8_0 = _llama_cpp(6.234284, 0.001006)
INT4_G128 = _one_decimal(6.5, GPTQ.sd)
W8A8 = _one_decimal(6.3)
INT8 = Change(
    Q8_0.nats * exp(ROUNDING.per_bit * (_bits("q8_0") - _bits("int8")) + ROUNDING.grouped),
    error=_one_decimal(6.1).error,
    spread=ROUNDING.sd,
)

CHANGES = {
    "fp32": FREE,
    "fp16": FREE,
    "bf16": FREE,
    "int8": INT8,
    "int8-g32": Q8_0,
    "int4": INT4_G128,
    "int4-g128": INT4_G128,
    "int4-g64": _group("int4-g64", 1),
    "int4-g32": _group("int4-g32", 2),
    "int4-g128-sym": _group("int4-g128-sym", 0),
    "int4-g32-sym": _group("int4-g32-sym", 2),
    "int4-channel": _one_decimal(7.0, GPTQ.sd),
    "q4_0": _llama_cpp(6.700147, 0.007951),
    "q4_k_m": _llama_cpp(6.407115, 0.004620),
    "q5_k_m": _llama_cpp(6.288607, 0.002598),
    "q6_k": _llama_cpp(6.253382, 0.001852),
    "q8_0": Q8_0,
}
"""What weights in each format add, activations at 16 bits."""

_WIDE = np.array([format_code("fp16")])
_NARROW = np.array([f.value_bits < 16 for f in FORMATS])
_EIGHT = np.array([f.arithmetic == "int8" for f in FORMATS])
_RUIN = np.array([f.value_bits <= 4 for f in FORMATS])
_RECIPE = np.array([format_code(default_embedding_format(f.name)) for f in FORMATS])


def _changes(eight: bool) -> tuple[Array, Array]:
    """Nats and sd by format of the weights, (formats,), NaN where unknown; eight: activations."""
    found = []
    for f in FORMATS:
        change = CHANGES.get(f.name, Change(np.nan, 0.0, 0.0))
        nats, sd = change.nats, change.sd
        if eight and f.name == "int8":
            nats, sd = W8A8.nats, W8A8.sd
        elif eight:
            nats, sd = nats + W8A8.nats - INT8.nats, hypot(sd, W8A8.sd)
        found.append((nats, sd))
    nats_of, sd_of = np.array(found).T
    return nats_of, sd_of


_WIDE_ACTIVATIONS, _EIGHT_BIT_ACTIVATIONS = _changes(False), _changes(True)

# arXiv 2309.08520: ((a (1 - S)^b + c) N^-d) with N the non-zero weights, S up to 87.5 %.
_A, _B, _C, _D = 16.8, 0.722, 45.0, 0.245
_MOST_SPARSE = 0.875
_TWO_FOUR = log(10.17 / 5.12)


@dataclass(frozen=True)
class Penalty:
    """Nats per token added to the loss, (N,) or (1,); sd is NaN where none is published."""

    nats: Array
    sd: Array


def penalty(arch: Architectures, covered: frozenset[str] = frozenset()) -> Penalty:
    """Return what the candidates' number formats and sparsity add to the loss.

    covered: columns whose effect the law holds itself, for which nothing is added.
    Raises SpecError for a weight format or kind of sparsity with no published change of the loss,
    and for activations of 4 bits.
    """
    if arch.ffn_sparsity.any() and "ffn_sparsity" not in covered:
        raise SpecError("ffn_sparsity: no loss law of FFN activation sparsity has been published")
    quantised = _quantisation(arch, covered)
    if "weight_sparsity" in covered or not arch.weight_sparsity.any():
        return quantised
    sparse = _sparsity(arch)
    unknown = np.where(arch.weight_sparsity > 0, np.nan, 0.0)
    return Penalty(quantised.nats + sparse, quantised.sd + unknown)


def limits(arch: Architectures, covered: frozenset[str] = frozenset()) -> Iterator[Limit]:
    """Yield what the penalties leave out, or put together from tables of different models."""
    weights, activations = arch.weight_format, arch.activation_format
    other = np.where(arch.embedding_format != _RECIPE[weights], arch.embedding_format, 0)
    for column, what, codes, low in (
        ("kv_format", "KV cache", arch.kv_format, _NARROW),
        ("activation_format", "activations", activations, _NARROW & ~_EIGHT),
        ("embedding_format", "embedding", other, _NARROW),
    ):
        if column in covered:
            continue
        for code in np.unique(np.asarray(codes)[low[codes]]) if low[codes].any() else ():
            name = FORMATS[code].name
            yield Limit(codes == code, f"{what} in {name}: no published change of the loss")
    if "activation_format" not in covered and (eight := _EIGHT[activations]).any():
        alone = eight & ~_EIGHT[weights]
        yield Limit(alone, "int8 activations without int8 weights: their sum has no table")
    share = arch.weight_sparsity
    if not share.any():
        return
    pruned, two_four = share > 0, arch.two_four > 0
    if "weight_sparsity" not in covered:
        yield Limit(
            pruned & ~two_four,
            "weight sparsity {}: the law's weights were dense; penalty of pruning in training, T5",
            share,
        )
        yield Limit(
            pruned & two_four,
            "2:4 sparsity: the law's weights were dense; penalty of one-shot pruning, Llama-2-7B",
        )
        yield Limit(share > _MOST_SPARSE, f"weight sparsity {{}} above {_MOST_SPARSE:g}", share)
    elif "two_four" not in covered:
        yield Limit(pruned & two_four, "2:4 sparsity: the law's sparse weights had no pattern")
    if not {"weight_sparsity", "weight_format"} <= covered:
        both = pruned & _NARROW[weights]
        yield Limit(both, "weights both sparse and quantised: their sum has no table")


def _quantisation(arch: Architectures, covered: frozenset[str]) -> Penalty:
    weights, activations = (
        _WIDE if column in covered else _shortened(getattr(arch, column))
        for column in ("weight_format", "activation_format")
    )
    if _RUIN[activations].any():
        name = FORMATS[activations[np.argmax(_RUIN[activations])]].name
        raise SpecError(
            f"activations in {name}: with 4-bit weights they take Llama-3-8B from a perplexity of "
            "6.1 to 4300 (SmoothQuant W4A4, arXiv 2404.14047)"
        )
    nats, sd = (column[weights] for column in _WIDE_ACTIVATIONS)
    if np.isnan(nats).any():
        wanted = FORMATS[weights[np.argmax(np.isnan(nats))]].name
        raise SpecError(
            f"weights in {wanted}: no published change of the loss; there is one for "
            f"{', '.join(CHANGES)}"
        )
    if (eight := _EIGHT[activations]).any():
        more, less_sure = (column[weights] for column in _EIGHT_BIT_ACTIVATIONS)
        nats, sd = np.where(eight, more, nats), np.where(eight, less_sure, sd)
    return Penalty(nats, sd)


def _shortened(codes: Array) -> Array:
    """One code where all candidates have the same."""
    return codes if len(codes) == 1 or (codes != codes[0]).any() else codes[:1]


def _sparsity(arch: Architectures) -> Array:
    kept = 1.0 - arch.weight_sparsity
    tables = np.where(arch.tied_embedding, 1.0, 2.0) * arch.vocabulary * arch.width
    dense = parameters(arch) - tables
    pruned = (_A * kept**_B + _C) * (dense * kept) ** -_D - (_A + _C) * dense**-_D
    return np.where(arch.two_four, _TWO_FOUR, pruned)
