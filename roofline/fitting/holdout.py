"""Fit on some runs, predict the others: how far a law can be trusted beyond its data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from roofline.fitting.fit import STARTS, Fit, fit
from roofline.fitting.model import load_form
from roofline.fitting.runs import Runs
from roofline.fitting.solver import DELTA
from roofline.laws.law import Law, law_from
from spec_files import SpecError

Array = np.ndarray

# Coefficients of the simpler forms.
_FLOOR = {"start": [0.1, 3.0], "bounds": [1e-3, 20.0]}
_SCALE = {"start": [1.0, 1e5], "bounds": [1e-6, 1e12]}
_POWER = {"start": [0.1, 1.0], "bounds": [1e-3, 3.0]}


@dataclass(frozen=True)
class HeldOut:
    """How one form, fitted on the rest, predicts the rows held out.

    form: in words; fitted, held: rows; coefficients: of the form; mape, bias, worst: shares of the
    measured loss over the held-out rows (bias above zero: predicted too high); mape_fitted: over
    the rest. errors: (held,), predicted / measured - 1; runs: the rows held out.
    """

    form: str
    fitted: int
    held: int
    coefficients: int
    mape_fitted: float
    errors: Array
    runs: Runs
    fit: Fit | None = None

    @property
    def mape(self) -> float:
        """Mean absolute error of the held-out rows."""
        return float(np.abs(self.errors).mean())

    @property
    def bias(self) -> float:
        """Mean error of the held-out rows; above zero where predicted too high."""
        return float(self.errors.mean())

    @property
    def worst(self) -> float:
        """Largest error of the held-out rows, with its sign."""
        return float(self.errors[np.abs(self.errors).argmax()])


def hold_out(
    form: str | Path | Law | type[Law],
    runs: Runs,
    condition: str,
    *,
    fixed: dict[str, float] | None = None,
    starts: int = STARTS,
    delta: float = DELTA,
    seed: int = 0,
    simpler: bool = True,
) -> list[HeldOut]:
    """Fit on the rows that a condition does not pick, and predict those that it does.

    condition: such as `N > 5e8`. Returns the form first, then (unless simpler is False) a constant
    and power laws of fewer variables, fitted to the same rows. Raises SpecError where the condition
    picks no row, or leaves too few.
    """
    law = load_form(form)
    held = runs.where(condition, "--holdout")
    if not held.any():
        raise SpecError(f"--holdout: {condition!r} picks none of the {len(runs)} rows")
    rest, out = runs.keep(~held), runs.keep(held)
    free = len(law.specs()) - len(fixed or {})
    if len(rest) <= free:
        raise SpecError(
            f"--holdout: {condition!r} leaves {len(rest)} of {len(runs)} rows, too few for the "
            f"{free} coefficients of form {law.form!r}"
        )
    settings: dict[str, Any] = {"starts": starts, "delta": delta, "seed": seed, "replicates": 0}
    found = [_predicted(law.form, fit(law, rest, fixed=fixed, **settings), out)]
    if not simpler:
        return found
    level = float(np.exp(np.median(np.log(rest.loss()))))
    found.append(
        HeldOut(
            "constant", len(rest), len(out), 1,
            float(np.abs(level / rest.loss() - 1).mean()), level / out.loss() - 1, out,
        )
    )  # fmt: skip
    for name, other in _simpler(law, rest, out):
        if len(rest) > len(other.specs()):
            found.append(_predicted(name, fit(other, rest, **settings), out))
    return found


def power_law(*variables: str) -> Law:
    """Return the form e + a / x^alpha + ... of some variables, to be fitted."""
    terms = [f"scale_{name} / {name}**power_{name}" for name in variables]
    constants: dict[str, Any] = {"floor": _FLOOR}
    for name in variables:
        constants |= {f"scale_{name}": _SCALE, f"power_{name}": _POWER}
    words = dict.fromkeys(("name", "title", "source", "date", "data"), "-")
    formula = " + ".join(["floor", *terms])
    data = {**words, "form": "expression", "tokens": 1.0, "formula": formula}
    return law_from(data | {"constants": constants}, "simpler form")


def _simpler(law: Law, rest: Runs, out: Runs) -> Iterator[tuple[str, Law]]:
    """Yield power laws of fewer variables than the law's, of size and tokens first."""
    own = law.variables
    sets: list[tuple[str, ...]] = [("parameters",), ("tokens",), ("parameters", "tokens")]
    sets += [(name,) for name in own]
    if {"width", "layers"} <= set(own):
        sets.append(("width", "layers"))
    coefficients = len(law.specs())
    for names in dict.fromkeys(sets):
        if 1 + 2 * len(names) >= coefficients and set(names) >= set(own):
            continue  # no simpler than the law
        if any(rest.column_of(name) is None for name in names):
            continue
        if any(np.ptp(rest.numbers(name)) == 0 for name in names):
            continue
        yield " and ".join(name.replace("_", " ") for name in names), power_law(*names)


def _predicted(name: str, fitted: Fit, out: Runs) -> HeldOut:
    errors = fitted.predict(out) / out.loss() - 1
    return HeldOut(
        name, len(fitted.runs), len(out), len(fitted.model.names), fitted.mape, errors, out, fitted
    )
