"""What a method of quantising weights costs a model, with an interval and what it rests on.

RTN, GPTQ and AWQ hold at 3 and 4 bits: at 2 their models are ruins (perplexities of 9.5 to 10^5).
OmniQuant and EfficientQAT, which train, hold from 2 to 4. At 8 bits no table resolves what any
method loses; there all are charged what Q8_0 was measured to lose, carried to the group by RTN's
fit. Lines are fitted on whole channels and groups of 128; other groups follow from those of 128 by
the bits that they store, which 2-bit rows of groups of 64 bear out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import exp, hypot, log

import numpy as np

from roofline.degradation import tables
from roofline.degradation.fits import Fit, fit
from spec_files import SpecError, did_you_mean

Z90 = 1.6448536269514722
"""Nine of ten draws of a normal distribution lie within so many standard deviations."""

METHODS = {
    "rtn": "rounding to nearest",
    "gptq": "GPTQ, arXiv 2210.17323",
    "awq": "AWQ, arXiv 2306.00978",
    "omniquant": "OmniQuant, arXiv 2308.13137",
    "efficientqat": "EfficientQAT, arXiv 2407.11062",
}
BITS = {
    "rtn": (3, 4, 8), "gptq": (3, 4, 8), "awq": (3, 4, 8), "omniquant": (2, 3, 4, 8),
    "efficientqat": (2, 3, 4),
}  # fmt: skip
"""Widths that each method's tables say something of."""
GROUPS = (0, 128)
"""Groups that lines are fitted on: a whole channel, and 128."""
_LINE = {"rtn": (3, 4), "gptq": (3, 4), "awq": (3, 4), "omniquant": (2, 4), "efficientqat": (2, 4)}
_FIRST = "omniquant_weight_only_ppl.csv"


@dataclass(frozen=True)
class Change:
    """Nats that a step adds to a model's loss.

    nats: the median. spread: sd of ln nats. notes: what the tables do not vouch for.
    """

    nats: float
    spread: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def low(self) -> float:
        """One draw in twenty lies below."""
        return self.nats * exp(-Z90 * self.spread)

    @property
    def high(self) -> float:
        """One draw in twenty lies above."""
        return self.nats * exp(Z90 * self.spread)


FREE = Change(0.0)


def _rows(method: str, bits: tuple[int, int]) -> list[tables.Row]:
    least, most = bits
    return [r for r in tables.weight_only() if r.method == method and least <= r.bits <= most]


def _lined(method: str, bits: tuple[int, int]) -> list[tables.Row]:
    return [row for row in _rows(method, bits) if row.group in GROUPS]


@cache
def published(method: str) -> Fit:
    """Return the line over LLaMA-1 and Llama-2 at 3 and 4 bits (arXiv 2308.13137), without tokens.

    28 rows of GPTQ and OmniQuant, 27 of RTN (one is a ruin), 24 of AWQ.
    """
    rows = [row for row in _lined(method, (3, 4)) if row.table == _FIRST]
    return fit(method, rows, without=("tokens",))


@cache
def fitted(method: str) -> Fit:
    """Return the line over all rows of a method, training tokens among its terms.

    Llama-3 tells the exponent of the tokens; OmniQuant, which has no row of it, borrows GPTQ's.
    """
    if method not in METHODS:
        raise SpecError(f"unknown method {method!r}{did_you_mean(method, METHODS)}")
    lender = fitted("gptq") if method == "omniquant" else None
    return fit(method, _lined(method, _LINE[method]), tokens=lender)


def quantised(
    method: str, bits: int, group: int, parameters: float, tokens: float | None
) -> Change:
    """Return what weights in so many bits cost a model.

    group: weights that share a scale, 0 for a whole channel. parameters: 10^9; tokens: 10^12 that
    it was trained on, None where unknown: those of Llama-3-8B then.
    Raises SpecError for a method without a table, or a width that its table has no word on.
    """
    line = fitted(method)
    if bits not in BITS[method]:
        known = ", ".join(map(str, BITS[method]))
        ruin = f"; at {bits} bits its models are ruins" if bits == 2 else ""
        raise SpecError(
            f"{method} has no table at {bits} bits, only at {known}{ruin}"
            + ("; nearest is omniquant:2 or efficientqat:2" if bits == 2 else "")
        )
    trained = tokens if tokens is not None else tables.model("L3-8B").tokens
    notes = list(_told(line, parameters, trained, tokens is None))
    if bits == 8:
        change = eight_bits(group)
        factor = exp(_factor(published("rtn"), parameters) + _tokens_factor(trained))
        sd = hypot(change.spread, published("rtn").sd, *_tokens_error(trained))
        return Change(change.nats * factor, sd, ("8 bits: from Q8_0, measured", *notes))
    if not group and "grouped" not in line.terms:
        raise SpecError(f"{method} was not measured without groups; nearest is a group of 128")
    near = group if group in GROUPS else 128
    found, error = line.predict(bits, near, parameters, trained)
    nats, spread = float(np.exp(found)), float(error)
    if group != near:
        nats *= exp(regrouped(line, (16 + bits) / group - (16 + bits) / 128))
        spread = hypot(spread, halving("gptq")[1] * abs(log(group / 128, 2)))
        notes.append(f"groups of {group}: by their stored bits from those of 128")
    if group > 128 and "grouped" in line.terms:  # no group is worse than none
        nats = min(nats, float(np.exp(line.predict(bits, 0, parameters, trained)[0])))
    return Change(nats, spread, tuple(notes))


def regrouped(line: Fit, more_bits: float) -> float:
    """Return how ln dNLL moves with bits that finer groups, or other metadata, store more."""
    return line.coefficient("bits")[0] * more_bits


def _told(line: Fit, parameters: float, trained: float, assumed: bool) -> list[str]:
    """What the rows behind a line do not reach."""
    notes = []
    if assumed:
        notes.append("training tokens unknown: taken as Llama-3-8B's 15T")
    if line.borrowed:
        notes.append(f"dependence on training tokens borrowed from {line.borrowed}")
    low, high = line.spans["parameters"]
    if not 0.95 * low <= parameters <= 1.05 * high:
        notes.append(f"{parameters:.3g}B parameters outside {low:.3g}B to {high:.3g}B")
    low, high = (1.0, 15.0) if line.borrowed else line.spans["tokens"]
    if not low <= trained <= high:
        notes.append(f"{trained:.3g}T tokens outside {low:.3g}T to {high:.3g}T")
    return notes


def _factor(line: Fit, parameters: float) -> float:
    """ln of what a size costs beside Llama-3-8B's."""
    return line.coefficient("size")[0] * log(parameters / tables.model("L3-8B").parameters)


def _tokens_factor(trained: float) -> float:
    return fitted("gptq").coefficient("tokens")[0] * log(trained / tables.model("L3-8B").tokens)


def _tokens_error(trained: float) -> tuple[float]:
    error = fitted("gptq").coefficient("tokens")[1]
    return (error * log(trained / tables.model("L3-8B").tokens),)


@cache
def eight_bits(group: int) -> Change:
    """Return what 8 bits cost Llama-3-8B: Q8_0 as measured, carried to a group by RTN's fit.

    Q8_0 stores 8.5 bits in blocks of 32; a channel 8 and a scale a row of 4096.
    """
    measured = q8_0()
    if group == 32:
        return measured
    line = published("rtn")
    stored = 8 + (16 / group if group else 16 / 4096)
    more = line.coefficient("bits")[0] * (stored - 8.5)
    if not group:
        more -= line.coefficient("grouped")[0]
    return Change(measured.nats * exp(more), hypot(measured.spread, line.sd), measured.notes)


@cache
def q8_0() -> Change:
    """Return what llama.cpp's Q8_0 costs Llama-3-8B, measured."""
    (row,) = (r for r in tables.gguf() if (r.name, r.model) == ("q8_0", "llama-3-8b"))
    return Change(row.nats, row.error / row.nats)


@cache
def halving(method: str) -> tuple[float, float]:
    """Return how ln dNLL changes from groups of 128 to those of 64 at 2 bits: mean and sd."""
    two = {
        (row.model, row.group): row.nats
        for row in _rows(method, (2, 2))
        if row.model != tables.model("L3-8B").name  # to one decimal
    }
    moved = [
        log(nats / two[model, 128])
        for (model, group), nats in two.items()
        if group == 64 and (model, 128) in two
    ]
    return float(np.mean(moved)), float(np.std(moved, ddof=1))
