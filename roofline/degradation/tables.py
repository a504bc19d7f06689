"""The published tables, as rows of one kind: what a treatment does to a model's perplexity.

Nats are ln(perplexity after / perplexity before) on WikiText-2. Where each file comes from stands
in `tables/sources.yaml`.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from spec_files import SpecError, did_you_mean

FOLDER = Path(__file__).parent / "tables"
COLLAPSE = 2.0
"""Nats beyond which a model is a ruin, and how deep a ruin says nothing of the others."""


@dataclass(frozen=True)
class Row:
    """One published change of a model's loss.

    method: of quantisation or pruning; bits: width of a weight; group: weights that share a scale,
    0 for a whole channel; parameters, tokens: of the model, 10^9 and 10^12; nats: added; error: of
    nats by the digits that are printed, its sd; table: the file.
    """

    method: str
    model: str
    bits: float
    group: int
    parameters: float
    tokens: float
    nats: float
    error: float
    table: str

    @property
    def stored(self) -> float:
        """Bits of a weight with a 16-bit scale and a 16-bit zero point a group."""
        return self.bits + (32.0 / self.group if self.group else 0.0)


@dataclass(frozen=True)
class Trained:
    """A published model: parameters (10^9) and tokens (10^12) that it was trained on."""

    name: str
    column: str
    parameters: float
    tokens: float
    source: str
    date: str


@cache
def read(name: str) -> tuple[dict[str, str], ...]:
    """Return the rows of a shipped table, as text."""
    with (FOLDER / name).open(newline="", encoding="utf-8") as file:
        return tuple(csv.DictReader(file))


@cache
def trained() -> dict[str, Trained]:
    """Return the models whose training tokens are known, by name."""
    return {
        row["name"]: Trained(
            row["name"],
            row["column"],
            float(row["parameters_b"]),
            float(row["tokens_t"]),
            row["source"],
            row["date"],
        )
        for row in read("models.csv")
    }


def model(name: str) -> Trained:
    """Return a model by its name, or the name of its column in a table."""
    for each in trained().values():
        if name and name in (each.name, each.column):
            return each
    raise SpecError(f"training of model {name!r} is not known{did_you_mean(name, trained())}")


def _step(text: str) -> float:
    """Return the least difference that a printed number shows."""
    if "e" in text:
        return 0.1 * 10.0 ** float(text.partition("e")[2])
    return 10.0 ** -len(text.partition(".")[2])


def change(after: str, before: str) -> tuple[float, float]:
    """Return nats between two printed perplexities, and their error by the digits, its sd."""
    nats = math.log(float(after) / float(before))
    errors = (_step(text) / math.sqrt(12) / float(text) for text in (after, before))
    return nats, math.hypot(*errors)


def _row(
    method: str, of: Trained, bits: float, group: int, after: str, before: str, table: str
) -> Row:
    nats, error = change(after, before)
    return Row(method, of.name, bits, group, of.parameters, of.tokens, nats, error, table)


@cache
def weight_only() -> tuple[Row, ...]:
    """RTN, GPTQ, AWQ and OmniQuant on LLaMA-1, Llama-2 and Llama-3, EfficientQAT on the latter."""
    return (*_omniquant(), *_llama_3(), *_efficientqat())


def _omniquant() -> Iterable[Row]:
    table = "omniquant_weight_only_ppl.csv"
    full, *rows = read(table)
    for row in rows:
        scheme = re.fullmatch(r"W(\d)A16(?:g(\d+))?", row["scheme"])
        assert scheme is not None, row
        for column in full:
            if column not in ("scheme", "method") and row[column] != "nan":
                width, group = float(scheme[1]), int(scheme[2] or 0)
                method, before = row["method"].lower(), full[column]
                yield _row(method, model(column), width, group, row[column], before, table)


def _llama_3() -> Iterable[Row]:
    table = "llama3_8b_ptq.csv"
    full, *rows = read(table)
    for row in rows:
        if row["A"] == "16":
            group = 0 if row["group"] == "-" else int(row["group"])
            yield _row(
                row["method"].lower(),
                model("L3-8B"),
                float(row["W"]),
                group,
                row["wiki2"],
                full["wiki2"],
                table,
            )


def _efficientqat() -> Iterable[Row]:
    """Base models: training the quantised chat model bettered it, so that nothing was lost."""
    table = "efficientqat.csv"
    rows = [row for row in read(table) if not row["model"].endswith("Instruct")]
    full = {row["model"]: row["wiki2_ppl"] for row in rows if row["scheme"] == "fp16"}
    for row in rows:
        if scheme := re.fullmatch(r"w(\d)g(\d+)", row["scheme"]):
            yield _row(
                "efficientqat",
                model(row["model"].lower()),
                float(scheme[1]),
                int(scheme[2]),
                row["wiki2_ppl"],
                full[row["model"]],
                table,
            )


def llama_3_8b(
    method: str, weights: int, activations: int, group: str = "-"
) -> tuple[float, float]:
    """Return what a row of arXiv 2404.14047 adds to Llama-3-8B, nats, and its error, the sd."""
    full, *rows = read("llama3_8b_ptq.csv")
    wanted = (method, str(weights), str(activations), group)
    for row in rows:
        if (row["method"].lower(), row["W"], row["A"], row["group"]) == wanted:
            return change(row["wiki2"], full["wiki2"])
    raise SpecError(f"arXiv 2404.14047 has no row of {method} with W{weights}A{activations}")


@dataclass(frozen=True)
class Gguf:
    """One row of llama.cpp: a type on a model.

    nats: added; error: of nats, its sd, NaN where none is printed; divergence: mean
    Kullback-Leibler divergence from 16 bits, NaN where not measured.
    """

    name: str
    model: str
    imatrix: bool
    nats: float
    error: float
    divergence: float


@cache
def gguf() -> tuple[Gguf, ...]:
    """Llama-3-8B whole, Llama-2-70B and four types on Llama-2-7B, 16 bits left out."""
    found = []
    half, *rows = read("llamacpp_llama3_8b_ppl_kld.csv")
    before = float(half["ppl"]) - float(half["dppl"])
    for row in rows:
        after = float(row["ppl"])
        name, imatrix = row["quant"].lower(), row["imatrix"]
        error = float(row["dppl_sd"]) / after
        nats, kld = math.log(after / before), float(row["kld"])
        found.append(Gguf(name, "llama-3-8b", imatrix != "none", nats, error, kld))
    for row in read("llamacpp_llama2_vs_3.csv"):
        if row["model"] == "L2-7B":
            nats = math.log(float(row["ppl_ratio"]))
            kld = float(row["mean_kld"])
            found.append(Gguf(row["quant"].lower(), "llama-2-7b", False, nats, math.nan, kld))
    seventy = read("llamacpp_llama2_70b.csv")
    (full,) = (row["ppl"] for row in seventy if row["quant"] == "fp16")
    for row in seventy:
        if row["quant"] != "fp16":
            nats, error = change(row["ppl"], full)
            found.append(Gguf(row["quant"].lower(), "llama-2-70b", False, nats, error, math.nan))
    return tuple(found)


@cache
def bits_per_weight() -> dict[str, float]:
    """Bits a weight of llama.cpp's types over a whole Llama-3.1-8B, head and tables included."""
    return {row["quant"].lower(): float(row["bpw"]) for row in read("llamacpp_llama31_8b_bpw.csv")}


@dataclass(frozen=True)
class Pruned:
    """One row of Wanda's table: a pattern of zeros that a method made, on a model of Llama-2."""

    method: str
    pattern: str
    model: str
    parameters: float
    nats: float
    error: float


@cache
def pruned() -> tuple[Pruned, ...]:
    """Magnitude, SparseGPT and Wanda: half of the weights, 4:8 and 2:4."""
    dense, *rows = read("wanda_llama2_sparsity_ppl.csv")
    found = []
    for row in rows:
        for column in sorted(row.keys() - {"pattern", "method"}):
            of = model(column)
            nats, error = change(row[column], dense[column])
            pattern = row["pattern"].replace("unstructured50", "0.5")
            found.append(Pruned(row["method"], pattern, of.name, of.parameters, nats, error))
    return tuple(sorted(found, key=lambda each: (each.pattern, each.method, each.parameters)))
