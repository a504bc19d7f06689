"""Fitting loss laws to runs: a team's own, or the public ones that are registered.

`fit` finds coefficients, intervals and what the runs cannot tell; `hold_out` says how far the law
predicts; `law_file.fitted_law` makes it a law that every command takes. `python -m
roofline.fitting` reproduces the reference fits.
"""

from roofline.fitting.datasets import datasets, load_dataset
from roofline.fitting.fit import Fit, Fitted, fit
from roofline.fitting.holdout import HeldOut, hold_out
from roofline.fitting.model import load_form
from roofline.fitting.runs import Runs, read_runs

__all__ = [
    "Fit",
    "Fitted",
    "HeldOut",
    "Runs",
    "datasets",
    "fit",
    "hold_out",
    "load_dataset",
    "load_form",
    "read_runs",
]
