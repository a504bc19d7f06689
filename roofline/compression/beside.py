"""The laws of few bits beside the tables: what each says, and by how much the tables differ."""

from __future__ import annotations

from functools import cache

from arch_space.library import load_model
from roofline.compression.subject import Subject
from roofline.degradation import tables
from roofline.laws import load_law

LAWS = ("rounding-kumar", "rounding-ouyang", "precision")
"""Rounded afterwards (arXiv 2411.04330, 2411.17691), and trained in those bits (2411.04330)."""
_MODELS = ("llama-7b", "llama-13b", "llama-33b", "llama-2-7b", "llama-2-13b", "llama-2-70b")


def laws_beside(subject: Subject, bits: float) -> dict[str, float]:
    """Return what the laws say that weights in so many bits add, nats by law."""
    size = subject.matrix_parameters
    trained = 1e12 * (subject.tokens or tables.model("L3-8B").tokens)
    found = {name: float(load_law(name).at(size, trained, bits)) for name in LAWS[:2]}
    law = load_law(LAWS[2])
    narrow, wide = (law.at(size, trained, each, 16, 16) for each in (bits, 16))
    return found | {LAWS[2]: float(narrow - wide)}


@cache
def errors() -> dict[str, tuple[float, float]]:
    """Return least and largest of measured over said, by law.

    Measured: GPTQ at 3 and 4 bits on six models of LLaMA-1 and Llama-2 and on Llama-3-8B.
    """
    supervised = load_law("supervised")
    ratios: dict[str, list[float]] = {name: [] for name in LAWS}
    for name in (*_MODELS, "llama-3-8b"):
        arch = load_model("llama-2-13b" if name == "llama-13b" else name)  # of the same shape
        subject = Subject(arch, tables.model(name).tokens, supervised)
        for row in tables.weight_only():
            if (row.method, row.model) == ("gptq", name) and row.bits in (3, 4):
                for law, said in laws_beside(subject, row.bits).items():
                    ratios[law].append(row.nats / said)
    return {law: (min(each), max(each)) for law, each in ratios.items()}
