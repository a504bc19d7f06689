"""Fits of public runs whose outcome is known, and whether ours come to the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from roofline.fitting.datasets import load_dataset
from roofline.fitting.fit import REPLICATES, Fit, fit
from roofline.fitting.holdout import HeldOut, hold_out
from roofline.fitting.runs import Runs
from roofline.laws.formula import Formula
from roofline.laws.law import Law, law_from
from spec_files import read_yaml, validate_spec
from spec_files.model import Spec

if TYPE_CHECKING:
    import pandas as pd

FILE = Path(__file__).with_name("references.yaml")


class HoldOut(Spec):
    """Rows to predict, and how well that should go, in percent as written."""

    condition: str
    mape: str | None = None
    simpler: Mapping[str, str] = Field(default_factory=dict)
    """Form in words -> its error on the same rows."""
    errors: tuple[str, str] | None = None
    """Ends of the errors of the single rows, with their signs."""


class Reference(Spec):
    """One fit: of which rows, of what form, and what it should come to."""

    dataset: str
    formula: str
    constants: dict[str, Any]
    where: str | None = None
    rows: str = ""
    """What `where` picks, in words."""
    best_of: tuple[str, ...] = ()
    fit: str | None = None
    """Rows that are fitted; by default all."""
    law: str | None = None
    """Name under which the fit is shipped."""
    title: str = "-"
    source: str = "-"
    derived: Mapping[str, str] = Field(default_factory=dict)
    published: Mapping[str, str] = Field(default_factory=dict)
    """Coefficients, and what is derived from them, as written."""
    mape: str | None = None
    holdout: HoldOut | None = None
    note: str = ""
    """Why a number differs, where one does."""


@dataclass(frozen=True)
class Row:
    """One number beside the published one; agrees: whether ours rounds to it as written."""

    fit: str
    quantity: str
    ours: float
    published: str

    @property
    def agrees(self) -> bool:
        """Whether ours lies within half of the last digit that was published."""
        return abs(self.ours - float(self.published)) <= 0.5000001 * _last_digit(self.published)


@dataclass(frozen=True)
class Reproduced:
    """A reference with its fit and its rows."""

    name: str
    reference: Reference
    fit: Fit
    held: tuple[HeldOut, ...]
    rows: tuple[Row, ...]


def references() -> dict[str, Reference]:
    """Return every reference fit, by name."""
    data, _ = read_yaml(FILE)
    assert isinstance(data, dict)
    return {
        name: validate_spec(fields, Reference, f"{FILE}: {name}", {})
        for name, fields in data.items()
    }


def reproduce(
    tell: Callable[[str, int, int | None], None] = lambda step, done, total: None,
    replicates: int = REPLICATES,
    only: tuple[str, ...] = (),
) -> Iterator[Reproduced]:
    """Fit every reference again; intervals only of those that are shipped.

    Raises SpecError where the data are not at hand.
    """
    known = references()
    for done, (name, reference) in enumerate(known.items()):
        if only and name not in only:
            continue
        tell(name, done, len(known))
        yield _reproduced(name, reference, replicates)


def table(found: list[Reproduced]) -> pd.DataFrame:
    """Return ours beside the published numbers, a row a number."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "fit": row.fit,
                "quantity": row.quantity,
                "ours": row.ours,
                "published": row.published,
                "agrees": row.agrees,
                "note": "" if row.agrees else each.reference.note,
            }
            for each in found
            for row in each.rows
        ]
    )


def runs_of(reference: Reference) -> Runs:
    """Return the rows of a reference, those held out included."""
    runs = load_dataset(reference.dataset)
    if reference.where is not None:
        runs = runs.keep(runs.where(reference.where), reference.rows)
    if reference.best_of:
        runs = runs.best_of(reference.best_of)
    return runs


def form_of(reference: Reference) -> Law:
    """Return the form of a reference, to be fitted."""
    words = dict.fromkeys(("name", "title", "source", "date", "data"), "-")
    fields = {"formula": reference.formula, "constants": reference.constants}
    return law_from({**words, "form": "expression", "tokens": 1.0, **fields}, str(FILE))


def _reproduced(name: str, reference: Reference, replicates: int) -> Reproduced:
    law, runs = form_of(reference), runs_of(reference)
    fitted = runs if reference.fit is None else runs.keep(runs.where(reference.fit), reference.fit)
    found = fit(law, fitted, replicates=replicates if reference.law else 0)
    held: list[HeldOut] = []
    if reference.holdout is not None:
        simpler = bool(reference.holdout.simpler)
        held = hold_out(law, runs, reference.holdout.condition, simpler=simpler)
    rows = tuple(_rows(name, reference, found, held))
    return Reproduced(name, reference, found, tuple(held), rows)


def _rows(name: str, reference: Reference, found: Fit, held: list[HeldOut]) -> Iterator[Row]:
    values: dict[str, float] = found.law.coefficients()
    values = values | {
        what: float(Formula(text, what)(values)) for what, text in reference.derived.items()
    }
    for what, published in reference.published.items():
        yield Row(name, what, values[what], published)
    if reference.mape is not None:
        yield Row(name, "MAPE, %", 100 * found.mape, reference.mape)
    expected = reference.holdout
    if expected is None:
        return
    where = f"held out, {expected.condition}"
    by_form = {each.form: each for each in held}
    if expected.mape is not None:
        yield Row(name, f"MAPE, %, {where}", 100 * held[0].mape, expected.mape)
    for form, published in expected.simpler.items():
        ours = 100 * by_form[form].mape
        yield Row(name, f"MAPE, %, {where}, {form} only", ours, published)
    if expected.errors is not None:
        ends = 100 * np.array([held[0].errors.max(), held[0].errors.min()])
        for end, ours, published in zip(("highest", "lowest"), ends, expected.errors, strict=True):
            yield Row(name, f"{end} error, %, {where}", float(ours), published)


def _last_digit(written: str) -> float:
    """What one of the last digit of a written number is worth."""
    exponent = Decimal(written).as_tuple().exponent
    assert isinstance(exponent, int)
    return float(10.0**exponent)
