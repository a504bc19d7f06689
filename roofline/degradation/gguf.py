"""What llama.cpp's types cost a model: as measured on Llama-3-8B, carried to other models.

    ln dNLL(type, model) = ln dNLL(type, Llama-3-8B) + size ln(N / 8.03) + tokens ln(D / 15)

The two exponents are those of Llama-2-7B and Llama-2-70B beside Llama-3-8B, type by type; Q8_0 is
left out of them, being lost in its own error. Beside it stands the line over bits a weight, which
is far coarser: types of the same size differ by half and more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import hypot, log

import numpy as np

from roofline.degradation import tables
from roofline.degradation.methods import Change
from spec_files import SpecError, did_you_mean

_BASE = "llama-3-8b"


@dataclass(frozen=True, eq=False)
class Carried:
    """From Llama-3-8B to another model.

    size, tokens: exponents; covariance: of the two, (2, 2); sd: of ln dNLL of one type on one model
    around them; pairs: types measured on both.
    """

    size: float
    tokens: float
    covariance: np.ndarray
    sd: float
    pairs: int

    def to(self, parameters: float, tokens: float) -> tuple[float, float]:
        """Return ln of the factor to a model, and its sd; 10^9 parameters, 10^12 tokens."""
        base = tables.model(_BASE)
        step = np.array([log(parameters / base.parameters), log(tokens / base.tokens)])
        at_home = 0.0 if not step.any() else self.sd
        own = float(step @ self.covariance @ step)
        return float(step @ [self.size, self.tokens]), hypot(at_home, own**0.5)


def types(imatrix: bool = False) -> dict[str, tables.Gguf]:
    """Return the rows of Llama-3-8B by type: without importance matrix where there is one."""
    rows = [row for row in tables.gguf() if row.model == _BASE]
    found = {row.name: row for row in rows if row.imatrix != imatrix}
    return found | {row.name: row for row in rows if row.imatrix == imatrix}


@cache
def carried() -> Carried:
    """Fit the two exponents."""
    base, known = tables.model(_BASE), types()
    rows = [row for row in tables.gguf() if row.model != _BASE and row.name != "q8_0"]
    models = [tables.model(row.model) for row in rows]
    design = np.array(
        [[log(m.parameters / base.parameters), log(m.tokens / base.tokens)] for m in models]
    )
    target = np.array([log(row.nats / known[row.name].nats) for row in rows])
    inverse = np.linalg.inv(design.T @ design)
    size, tokens = inverse @ design.T @ target
    left = target - design @ [size, tokens]
    sd = float(np.sqrt(left @ left / (len(rows) - 2)))
    return Carried(float(size), float(tokens), sd**2 * inverse, sd, len(rows))


def gguf(
    name: str, parameters: float, tokens: float | None = None, imatrix: bool = False
) -> Change:
    """Return what a type costs a model.

    imatrix: made with an importance matrix. parameters: 10^9; tokens: 10^12, None where unknown.
    Raises SpecError for a type without a row.
    """
    known = types(imatrix)
    if name not in known:
        raise SpecError(f"llama.cpp publishes no loss of type {name!r}{did_you_mean(name, known)}")
    row = known[name]
    if imatrix and not row.imatrix:
        raise SpecError(f"{name} was not measured with an importance matrix; nearest is {name!r}")
    notes = [] if row.imatrix == imatrix else [f"{name} was measured with an importance matrix"]
    if tokens is None:
        notes.append("training tokens unknown: taken as Llama-3-8B's 15T")
        tokens = tables.model(_BASE).tokens
    if not 6.7 <= parameters <= 70.6:
        notes.append(f"{parameters:.3g}B parameters outside 6.74B to 70.6B")
    if not 2 <= tokens <= 15:
        notes.append(f"{tokens:.3g}T tokens outside 2T to 15T")
    factor, sd = carried().to(parameters, tokens)
    return Change(row.nats * float(np.exp(factor)), hypot(sd, row.error / row.nats), tuple(notes))


@cache
def line() -> tuple[float, float, float, int]:
    """Fit ln dNLL = constant + slope bits over all types of Llama-3-8B.

    Returns constant, slope, sd and rows. Bits a weight are those of Llama-3.1-8B's files, and of
    the file's size where that page leaves a type out.
    """
    sizes = tables.bits_per_weight()
    (full,) = (
        float(row["size_GiB"])
        for row in tables.read("llamacpp_llama3_8b_ppl_kld.csv")
        if row["quant"] == "f16"
    )
    by_size = {
        row["quant"].lower(): 16 * float(row["size_GiB"]) / full
        for row in tables.read("llamacpp_llama3_8b_ppl_kld.csv")
    }
    rows = [row for row in tables.gguf() if row.model == _BASE]
    bits = np.array([sizes.get(row.name, by_size[row.name]) for row in rows])
    target = np.log([row.nats for row in rows])
    slope, constant = np.polyfit(bits, target, 1)
    left = target - constant - slope * bits
    return float(constant), float(slope), float(left.std(ddof=2)), len(rows)


@cache
def spread() -> float:
    """Return the sd of ln dNLL of a type around the factor that all types share, on a model.

    Q4_0, Q4_K_M, Q5_K_M and Q6_K on Llama-2-70B, Q4_K_M and Q6_K on Llama-2-7B.
    """
    known, left, models = types(), [], ("llama-2-70b", "llama-2-7b")
    usual = {"q4_0", "q4_k_m", "q5_k_m", "q6_k"}
    for model in models:
        ratio = np.array(
            [
                log(known[row.name].nats / row.nats)
                for row in tables.gguf()
                if row.model == model and row.name in usual
            ]
        )
        left.append(ratio - ratio.mean())
    joined = np.concatenate(left)
    return float(np.sqrt(joined @ joined / (len(joined) - len(models))))


def divergence() -> list[tuple[tables.Gguf, float]]:
    """Return the rows that have a Kullback-Leibler divergence, with dNLL over it.

    The two are the same but for the model's own error: dNLL averages ln(p / q) over the tokens of
    the text, the divergence over what the model at 16 bits holds likely.
    """
    return [(row, row.nats / row.divergence) for row in tables.gguf() if row.divergence > 0]
