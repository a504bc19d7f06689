"""A form and a table of runs, as what the solver minimises: ln loss over search scales."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from roofline.fitting.duals import Dual
from roofline.fitting.runs import Runs
from roofline.laws.law import Law, law_forms, law_from
from spec_files import SpecError, did_you_mean, read_yaml

Array = np.ndarray
_STEP = 6e-6  # of central differences: the cube root of a float's precision


def load_form(form: str | Path | Law | type[Law]) -> Law:
    """Return a law to be fitted: its coefficients are yet to be found.

    form: a form's name, a YAML file of the expression form, a law whose form is meant, or a
    subclass of `Law` of one's own. Raises SpecError for an unknown name, with the nearest.
    """
    if isinstance(form, Law):
        return form
    if isinstance(form, type):
        return _blank(form, form.__module__.rpartition(".")[2])
    path = Path(form)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        data, lines = read_yaml(path)
        if isinstance(data, dict):
            unfitted = {"title": path.stem, "source": str(path), "date": "-", "data": "-"}
            data = {"name": path.stem, "tokens": 1.0, **unfitted, "form": "expression"} | data
        return law_from(data, str(path), lines)
    known = {name: cls for name, cls in law_forms().items() if cls.fields_fitted()}
    words = {name.replace("_", "-"): name for name in known}
    name = words.get(str(form).replace("_", "-"))
    if name is None:
        raise SpecError(
            f"unknown form of law {str(form)!r}{did_you_mean(str(form), words)}; a formula of "
            "one's own is a YAML file"
        )
    return _blank(known[name], name)


def _blank(cls: type[Law], form: str) -> Law:
    """A law of a form, before it has coefficients; nothing of it is checked."""
    middle = {
        name: float(np.sqrt(np.prod(spec.start)) if spec.log else np.mean(spec.start))
        for name, spec in cls.fields_fitted().items()
    }
    if not middle:
        raise SpecError(f"form {form!r} has no coefficients that a fit could find")
    words = dict.fromkeys(("name", "title", "source", "date", "data"), "-")
    fields: dict[str, Any] = {**words, "form": form, "tokens": 1.0, **middle}
    return cls.model_construct(**fields)


class LawModel:
    """ln loss of a law at the runs, from coefficients on their search scales.

    law: its form; fixed: coefficients that are held. Attributes: `names` of the free coefficients,
    `low`, `high` their bounds and `logs` their scales, each (coefficients,).
    """

    def __init__(self, law: Law, variables: tuple[Array, ...], fixed: Mapping[str, float]):
        specs = law.specs()
        for name, value in fixed.items():
            if name not in specs:
                raise SpecError(
                    f"--fix: form {law.form!r} has no coefficient {name!r}"
                    f"{did_you_mean(name, specs)}"
                )
            if not specs[name].bounds[0] <= value <= specs[name].bounds[1]:
                low, high = specs[name].bounds
                raise SpecError(f"--fix: {name}={value:g} lies outside {low:g} to {high:g}")
        self.law = law.with_coefficients(fixed) if fixed else law
        self.variables = variables
        self.specs = {name: spec for name, spec in specs.items() if name not in fixed}
        self.names = tuple(self.specs)
        self.logs = np.array([spec.log for spec in self.specs.values()], dtype=bool)
        self.low = self._scaled([spec.bounds[0] for spec in self.specs.values()])
        self.high = self._scaled([spec.bounds[1] for spec in self.specs.values()])
        self._differences = False  # whether the formula does what duals cannot

    @classmethod
    def of_runs(cls, law: Law, runs: Runs, fixed: Mapping[str, float] | None = None) -> LawModel:
        """Return the model of a law at a table's rows."""
        return cls(law, tuple(runs.numbers(name) for name in law.variables), fixed or {})

    def starts(self, count: int, seed: int) -> Array:
        """Return starts spread evenly over the start ranges, (count, coefficients)."""
        from scipy.stats import qmc

        low = self._scaled([spec.start[0] for spec in self.specs.values()])
        high = self._scaled([spec.start[1] for spec in self.specs.values()])
        cube = qmc.LatinHypercube(len(low), rng=np.random.default_rng(seed)).random(count)
        return low + (high - low) * cube

    def coefficients(self, points: Array) -> Array:
        """Return coefficients from points on the search scales; the last axis is coefficients."""
        with np.errstate(over="ignore"):
            return np.where(self.logs, np.exp(np.where(self.logs, points, 0.0)), points)

    def points(self, coefficients: Mapping[str, float]) -> Array:
        """Return where a law's coefficients lie on the search scales, (coefficients,)."""
        return self._scaled([coefficients[name] for name in self.names])

    def __call__(self, points: Array) -> Array:
        """Return ln loss, (fits, runs), NaN or infinite where the formula gives no loss."""
        values = self.coefficients(points)
        with np.errstate(all="ignore"):
            return self._shaped(np.log(self._loss(list(values.T[:, :, None]))), len(points))

    def slopes(self, points: Array) -> tuple[Array, Array]:
        """Return ln loss and its derivatives on the search scales, (fits, coefficients, runs)."""
        if self._differences:
            return self(points), self._by_differences(points)
        values = self.coefficients(points)
        seeds = [
            Dual(value[:, None], {i: value[:, None] if log else np.ones((len(value), 1))})
            for i, (value, log) in enumerate(zip(values.T, self.logs, strict=True))
        ]
        try:
            with np.errstate(all="ignore"):
                found = np.log(self._loss(seeds))
        except TypeError:  # a function without a rule: not worth a fault, only slower
            self._differences = True
            return self.slopes(points)
        runs = len(self.variables[0])
        slopes = np.zeros((len(points), len(self.names), runs))
        if not isinstance(found, Dual):
            return self._shaped(found, len(points)), slopes
        for name, slope in found.slopes.items():
            slopes[:, name, :] = slope
        return self._shaped(found.value, len(points)), slopes

    def _loss(self, values: list[Any]) -> Any:
        return self.law.with_coefficients(dict(zip(self.names, values, strict=True))).at(
            *self.variables
        )

    def _by_differences(self, points: Array) -> Array:
        step = _STEP * np.maximum(1.0, np.abs(points))
        sides = np.eye(points.shape[1])[None] * step[:, None, :]
        either = np.concatenate([points[:, None, :] + sides, points[:, None, :] - sides])
        found = self(either.reshape(-1, points.shape[1]))
        up, down = found.reshape(2, *points.shape, -1)
        return np.asarray((up - down) / (2 * step[:, :, None]))

    def _shaped(self, values: Array, fits: int) -> Array:
        return np.broadcast_to(values, (fits, len(self.variables[0])))

    def _scaled(self, values: list[float]) -> Array:
        found = np.array(values, dtype=float)
        return np.where(self.logs, np.log(np.where(self.logs, found, 1.0)), found)
