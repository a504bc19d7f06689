"""How far the fits err on rows that they did not see: larger models, a model, a method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from roofline.degradation import tables
from roofline.degradation.fits import Fit, fit, usable
from roofline.degradation.methods import GROUPS, METHODS, fitted

Array = np.ndarray

SMALL = 14.0
"""10^9 parameters: 7B and 13B lie below."""


@dataclass(frozen=True)
class Prediction:
    """A row beside what a fit without it says; ratio: predicted over measured."""

    row: tables.Row
    nats: float
    ratio: float


def predictions(line: Fit, rows: Sequence[tables.Row]) -> list[Prediction]:
    """Predict rows by a line."""
    found = []
    for row in rows:
        said = float(np.exp(line.predict(row.bits, row.group, row.parameters, row.tokens)[0]))
        found.append(Prediction(row, said, said / row.nats))
    return found


def _rows(method: str, llama_3: bool = True) -> list[tables.Row]:
    """The rows that a method's line is fitted on."""
    widths = fitted(method).spans["bits"]
    return [
        row
        for row in usable([r for r in tables.weight_only() if r.method == method])
        if row.group in GROUPS
        and widths[0] <= row.bits <= widths[1]
        and (llama_3 or row.model != "llama-3-8b")
    ]


def larger(method: str) -> tuple[Fit, list[Prediction]]:
    """Fit 7B and 13B of LLaMA-1 and Llama-2 at 3 and 4 bits, predict 30B, 65B and 70B.

    Two sizes a factor of two apart do not settle an exponent, so the line has none; with one, read
    off them all the same, GPTQ's predictions would lie a factor of two to three too low.
    """
    rows = [row for row in _rows(method, llama_3=False) if row.bits in (3, 4)]
    line = fit(method, [row for row in rows if row.parameters < SMALL], without=("tokens",))
    return line, predictions(line, [row for row in rows if row.parameters >= SMALL])


def models(method: str) -> list[Prediction]:
    """Predict each model's rows by a fit to the method's other models."""
    rows = _rows(method)
    lender = fitted("gptq") if fitted(method).borrowed else None
    found = []
    for model in dict.fromkeys(row.model for row in rows):
        line = fit(method, [row for row in rows if row.model != model], tokens=lender)
        found += predictions(line, [row for row in rows if row.model == model])
    return found


def method(held: str) -> list[Prediction]:
    """Predict a method's rows at 3 and 4 bits by one line through those of all other methods."""
    others = [row for each in METHODS if each != held for row in _rows(each) if row.bits >= 3]
    line = fit("others", others)
    return predictions(line, [row for row in _rows(held) if row.bits >= 3])


def quip() -> list[Prediction]:
    """Predict QuIP on Llama-3-8B, of which no line knows, by GPTQ's."""
    rows = [row for row in tables.weight_only() if row.method == "quip" and row.bits >= 3]
    return predictions(fitted("gptq"), rows)


def summary(found: Sequence[Prediction]) -> dict[str, float]:
    """Return rows, median and worst factor, and the share within 1.5 either way."""
    factors = np.exp(np.abs(np.log([each.ratio for each in found])))
    return {
        "rows": len(found),
        "median_factor": float(np.median(factors)),
        "worst_factor": float(factors.max()),
        "bias": float(np.exp(np.mean(np.log([each.ratio for each in found])))),
        "within_1.5": float(np.mean(factors <= 1.5)),
    }
