"""Loss laws: how good a candidate would be, were it trained.

A law joins by one module here (its form), one YAML file (its coefficients) and one test.
"""

from roofline.laws.law import Law, law_from, law_names, load_law
from roofline.laws.penalties import penalty
from roofline.laws.prediction import (
    Loss,
    Relative,
    interval,
    out_of_range_reasons,
    predict,
    relative,
)

__all__ = [
    "Law",
    "Loss",
    "Relative",
    "interval",
    "law_from",
    "law_names",
    "load_law",
    "out_of_range_reasons",
    "penalty",
    "predict",
    "relative",
]
