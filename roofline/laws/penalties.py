"""What number formats and zero weights add to the loss of a trained model, nats per token.

Quantised after training: ln dNLL = intercept - per_bit b + per_ln_billion ln N_B - [grouped].
dNLL is the logarithm of the ratio of perplexities on WikiText-2, b the bits that a weight takes,
scales and zero points included (4.25 for 4 bits in groups of 128), N_B parameters in billions.

- int4*: GPTQ on LLaMA-1 and Llama-2 at 3 and 4 bits, 28 points of arXiv 2308.13137, sd .16 of the
  logarithm. Beyond the fitted 6.7B to 69B the size is held at the nearest: a small model gets no
  bonus for being small. Groups smaller than 128 count as 128.
- int8*: rounding to nearest, from the same table (one diverged point left out), sd .30. At 8 bits
  it extrapolates to 10^-5 nats, less than perplexity tables resolve.
- GGUF: the types of llama.cpp on Llama-3-8B, 2 to 8.5 bits, sd .36; b as each type has there.

All are dense models. Models trained for longer are more fragile: at Q4_K_M perplexity grows by a
factor of 1.028 for Llama-3-8B and 1.014 for Llama-2-7B.

Zero weights: pruned in training, the sparse minus the dense term of arXiv 2309.08520 (T5 on C4) at
equal dense size. 2:4: pruned in one shot without retraining, Llama-2-7B going from a perplexity of
5.12 to 10.17 by SparseGPT (Wanda: 11.02; 13B loses .09 nats less), and the same for every size.

Penalties of quantisation and of sparsity are added; their sum has no published table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from arch_space.architectures import Architectures
from arch_space.formats import FORMATS, default_embedding_format, format_code
from roofline.laws.law import Array, Limit, between
from roofline.laws.sizes import parameters
from spec_files import SpecError


@dataclass(frozen=True)
class QuantisationFit:
    """ln dNLL = intercept - per_bit b + per_ln_billion ln N_B - grouped; sd is of ln dNLL."""

    intercept: float
    per_bit: float
    per_ln_billion: float
    grouped: float
    sd: float

    def at(self, bits: float, grouped: bool = False) -> tuple[float, float, float]:
        """Return ln dNLL at a billion parameters, its slope in ln N_B, and its sd."""
        level = self.intercept - self.per_bit * bits - self.grouped * grouped
        return level, self.per_ln_billion, self.sd


GPTQ = QuantisationFit(3.46, 1.60, 0.09, 0.54, sd=0.16)
ROUNDING = QuantisationFit(5.65, 1.95, 0.0, 0.89, sd=0.30)
LLAMA_CPP = QuantisationFit(2.73, 1.24, 0.0, 0.0, sd=0.36)

FITTED_BILLIONS = (6.7, 69.0)

_FREE = (-np.inf, 0.0, 0.0)
_UNKNOWN = (np.nan, 0.0, 0.0)
_BY_FORMAT = {
    "fp32": _FREE,
    "fp16": _FREE,
    "bf16": _FREE,
    "int8": ROUNDING.at(8),
    "int8-g32": ROUNDING.at(8.25, grouped=True),
    **dict.fromkeys([f.name for f in FORMATS if f.name.startswith("int4")], GPTQ.at(4.25, True)),
    "int4-channel": GPTQ.at(4),
    "q4_0": LLAMA_CPP.at(4.64),
    "q4_k_m": LLAMA_CPP.at(4.89),
    "q5_k_m": LLAMA_CPP.at(5.70),
    "q6_k": LLAMA_CPP.at(6.56),
    "q8_0": LLAMA_CPP.at(8.50),
}
_LEVEL, _SLOPE, _SD = np.array([_BY_FORMAT.get(f.name, _UNKNOWN) for f in FORMATS]).T
_LOW_BIT = np.array([f.value_bits < 16 for f in FORMATS])
_RECIPE = np.array([format_code(default_embedding_format(f.name)) for f in FORMATS])

# arXiv 2309.08520: ((a (1 - S)^b + c) N^-d) with N the non-zero weights, S up to 87.5 %.
_A, _B, _C, _D = 16.8, 0.722, 45.0, 0.245
_MOST_SPARSE = 0.875
_TWO_FOUR = float(np.log(10.17 / 5.12))


@dataclass(frozen=True)
class Penalty:
    """Nats per token added to the loss, (N,) or (1,); sd is NaN where none is published."""

    nats: Array
    sd: Array


def penalty(arch: Architectures) -> Penalty:
    """Return what the candidates' weight format and sparsity add to the loss.

    Raises SpecError for a weight format or kind of sparsity with no published change of the loss.
    """
    if arch.ffn_sparsity.any():
        raise SpecError("ffn_sparsity: no loss law of FFN activation sparsity has been published")
    quantised = _quantisation(arch)
    if not arch.weight_sparsity.any():
        return quantised
    sparse = _sparsity(arch)
    unknown = np.where(arch.weight_sparsity > 0, np.nan, 0.0)
    return Penalty(quantised.nats + sparse, quantised.sd + unknown)


def limits(arch: Architectures) -> Iterator[Limit]:
    """Yield what the penalties leave out: formats whose effect has no published table."""
    other = np.where(arch.embedding_format != _RECIPE[arch.weight_format], arch.embedding_format, 0)
    for what, codes in (
        ("KV cache", arch.kv_format),
        ("activations", arch.activation_format),
        ("embedding", other),
    ):
        low = _LOW_BIT[codes]
        for code in np.unique(codes[low]) if low.any() else ():
            name = FORMATS[code].name
            yield Limit(codes == code, f"{what} in {name}: no published change of the loss")
    if arch.weight_sparsity.any():
        yield from between("weight sparsity", arch.weight_sparsity, (0.0, _MOST_SPARSE))


def _quantisation(arch: Architectures) -> Penalty:
    codes = arch.weight_format
    if (codes == codes[0]).all():
        codes = codes[:1]
    log = _LEVEL[codes]
    if np.isnan(log).any():
        wanted = FORMATS[codes[np.argmax(np.isnan(log))]].name
        raise SpecError(
            f"weights in {wanted}: no published change of the loss; there is one for "
            f"{', '.join(_BY_FORMAT)}"
        )
    if (slope := _SLOPE[codes]).any():
        billions = np.clip(parameters(arch) / 1e9, *FITTED_BILLIONS)
        log = log + slope * np.log(billions)
    nats = np.exp(log)
    return Penalty(nats, nats * _SD[codes])


def _sparsity(arch: Architectures) -> Array:
    kept = 1.0 - arch.weight_sparsity
    tables = np.where(arch.tied_embedding, 1.0, 2.0) * arch.vocabulary * arch.width
    dense = parameters(arch) - tables
    pruned = (_A * kept**_B + _C) * (dense * kept) ** -_D - (_A + _C) * dense**-_D
    return np.where(arch.two_four, _TWO_FOUR, pruned)
