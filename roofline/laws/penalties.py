"""What number formats and zero weights add to the loss of a trained model, nats per token.

Formats stand on one scale: what each does to Llama-3-8B, a dense model trained on 15T tokens, as
ln(perplexity / perplexity at 16 bits) on WikiText-2, the same for every candidate. Models that are
smaller or trained for longer are more fragile, those trained for less are tougher: Llama-2-7B loses
half as much (.0141 at Q4_K_M and .0253 at 4 bits in groups of 128, for .0278 and .0635 here). What
a method does to a given model is `roofline.degradation`'s, whose tables and fits are read here.

- GGUF types: measured; llama.cpp's `perplexity` README, revision f364eb6f (April 2024). Without an
  importance matrix where that was measured, and else (the IQ types, Q2_K_S) with one. Embedding
  and head are quantised too, as each recipe has it.
- int4-g128, int4-channel and int3-g128, int3-channel: GPTQ, measured; arXiv 2404.14047 (Huang et
  al., April 2024), which prints one decimal. At 4 bits AWQ reads .079 and .152 there; rounding to
  nearest five times as much as GPTQ.
- Other groups of 3 and 4 bits: from those of 128 by the slope of the GPTQ fit in stored bits
  (LLaMA-1 and Llama-2, 28 points of arXiv 2308.13137, August 2023), none worse than no groups. The
  2-bit rows of groups of 64 agree (a change of ln dNLL by -.31, sd .14, where it says -.25).
- int2-g128, int2-g64: EfficientQAT, which trains the quantised model (arXiv 2407.11062, July 2024);
  models that GPTQ takes to 2 bits are ruins.
- int8-g32: the blocks of Q8_0. int8, int8-g128: a scale per channel or group, from Q8_0 by the fit
  of rounding to nearest in the same table. The rows of arXiv 2404.14047 at 8 bits (6.1, 6.1 and 6.2
  for 6.1) hold it but resolve no more than their rounding, which is its sd.
- Activations in int8: SmoothQuant with 8-bit weights in arXiv 2404.14047, 6.3 for 6.1. What int8
  weights add by themselves is in it and is counted once. With 4 bits the table shows a ruin.

sd: the error of the table, and how far models differ in what a format costs them beside a factor
that all formats share: GPTQ .17 of the value (its fit), GGUF .12 (Q4_0 to Q6_K on Llama-2-70B and
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
from math import exp, hypot

import numpy as np

from arch_space.architectures import Architectures
from arch_space.formats import FORMATS, bits_per_element, default_embedding_format, format_code
from roofline.degradation import gguf, methods, tables
from roofline.laws.law import Array, Limit
from roofline.laws.sizes import parameters
from spec_files import SpecError

GPTQ = methods.published("gptq")
ROUNDING = methods.published("rtn")


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


def _gptq(bits: int, group: str) -> Change:
    """A row of arXiv 2404.14047."""
    return Change(*tables.llama_3_8b("gptq", bits, 16, group), GPTQ.sd)


def _bits(name: str) -> float:
    """Bits that a weight takes in rows of 4096, scales and zero points included."""
    return float(bits_per_element(np.array([format_code(name)]), np.array([4096.0]))[0])


def _group(name: str, halvings: int) -> Change:
    """3 or 4 bits in other groups than those of 128, or with other metadata."""
    base, channel = (CHANGES_OF_128[name[:4]], CHANGES_OF_CHANNELS[name[:4]])
    finer = exp(methods.regrouped(GPTQ, _bits(name) - _bits(f"{name[:4]}-g128")))
    change = base.times(finer, spread=methods.halving("gptq")[1] * abs(halvings))
    return change if change.nats < channel.nats else channel


def _trained(group: int) -> Change:
    """2 bits: EfficientQAT on Llama-3-8B."""
    (row,) = (
        row
        for row in tables.weight_only()
        if (row.method, row.model, row.bits, row.group) == ("efficientqat", "llama-3-8b", 2, group)
    )
    return Change(row.nats, row.error, methods.fitted("efficientqat").sd)


def _eight_bits(group: int) -> Change:
    """8 bits in groups, 0 for none."""
    return Change(
        methods.eight_bits(group).nats,
        error=tables.llama_3_8b("gptq", 8, 16)[1],
        spread=ROUNDING.sd,
    )


FREE = Change(0.0, 0.0, 0.0)
GGUF = {name: Change(row.nats, row.error, gguf.spread()) for name, row in gguf.types().items()}
CHANGES_OF_128 = {"int4": _gptq(4, "128"), "int3": _gptq(3, "128")}
CHANGES_OF_CHANNELS = {"int4": _gptq(4, "-"), "int3": _gptq(3, "-")}
W8A8 = Change(*tables.llama_3_8b("smoothquant", 8, 8), 0.0)
INT8 = _eight_bits(0)

CHANGES = {
    "fp32": FREE,
    "fp16": FREE,
    "bf16": FREE,
    "int8": INT8,
    "int8-g128": _eight_bits(128),
    "int8-g32": GGUF["q8_0"],
    "int4": CHANGES_OF_128["int4"],
    "int4-g256": _group("int4-g256", -1),
    "int4-g128": CHANGES_OF_128["int4"],
    "int4-g64": _group("int4-g64", 1),
    "int4-g32": _group("int4-g32", 2),
    "int4-g128-sym": _group("int4-g128-sym", 0),
    "int4-g32-sym": _group("int4-g32-sym", 2),
    "int4-channel": CHANGES_OF_CHANNELS["int4"],
    "int3-g128": CHANGES_OF_128["int3"],
    "int3-g64": _group("int3-g64", 1),
    "int3-g32": _group("int3-g32", 2),
    "int3-channel": CHANGES_OF_CHANNELS["int3"],
    "int2-g128": _trained(128),
    "int2-g64": _trained(64),
    **GGUF,
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
(_TWO_FOUR,) = (
    row.nats
    for row in tables.pruned()
    if (row.method, row.pattern, row.model) == ("sparsegpt", "2:4", "llama-2-7b")
)


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
