"""Loss laws: how good a candidate would be, were it trained.

A law joins by one module here (its form), one YAML file (its coefficients) and one test.
"""

from roofline.laws.law import Law, law_from, law_names, load_law
from roofline.laws.penalties import penalty
from roofline.laws.prediction import Loss, out_of_range_reasons, predict

__all__ = [
    "Law",
    "Loss",
    "law_from",
    "law_names",
    "load_law",
    "out_of_range_reasons",
    "penalty",
    "predict",
]
