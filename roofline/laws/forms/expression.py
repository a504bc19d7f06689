"""A formula of one's own, written in the YAML file.

    form: expression
    formula: e + a / parameters**alpha + b / tokens**beta
    constants:
      e: {start: [0.1, 3], bounds: [0.001, 10]}
      a: {start: [1, 1e5], bounds: [1e-4, 1e9]}
      ...

Names that are not constants are variables of `roofline.laws.variables`. The text is walked by
simpleeval over a fixed list of operators and functions; nothing in it is run as Python.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from arch_space.architectures import Architectures
from roofline.laws.formula import FUNCTIONS, Formula
from roofline.laws.law import Array, Coefficient, Interval, Law, Limit, Value, between
from roofline.laws.variables import VARIABLES, spoken, variable
from spec_files import SpecError, within
from spec_files.model import Spec

_OF_MIXTURES = {"activation", "active_parameters", "expansion_rate", "experts", "sparsity"}
"""Variables by which a formula tells a mixture of experts from a dense model."""


class Constant(Spec):
    """One coefficient of a formula: its value once fitted, and how a fit searches it."""

    value: float | None = None
    start: Interval
    """Where starts of a fit are drawn from."""
    bounds: Interval
    """Where a fit keeps it."""
    log: bool = True
    """Searched on the logarithmic scale, as a positive coefficient is."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        (low, high), (least, most) = self.start, self.bounds
        if not least <= low < high <= most:
            raise SpecError(
                f"start {low:g} to {high:g} does not lie within bounds {least:g} to {most:g}"
            )
        if self.log and least <= 0:
            raise SpecError(
                f"bounds from {least:g} cannot be searched on the log scale: log: false"
            )
        if self.value is not None and not least <= self.value <= most:
            raise SpecError(f"value {self.value:g} lies outside bounds {least:g} to {most:g}")
        return self


class ExpressionLaw(Law):
    """A formula in the file, over variables and constants by name.

    Inside the fitted data means: every variable within the range that the runs span, and dense
    where no variable of the formula tells a mixture of experts from a dense model.
    """

    formula: str
    constants: dict[str, Constant] = Field(min_length=1)
    range: Mapping[str, Interval] = Field(default_factory=dict)
    """What the fitted runs span, by variable."""

    @cached_property
    def _parsed(self) -> Formula:
        return Formula(self.formula, "")

    @property
    def variables(self) -> tuple[str, ...]:  # type: ignore[override]  # of the file, not the class
        """Names in the formula that are not constants, in the order of the text."""
        return tuple(name for name in self._parsed.names if name not in self.constants)

    @property
    def free_tokens(self) -> bool:  # type: ignore[override]
        """Whether training tokens are in the formula."""
        return "tokens" in self.variables

    @model_validator(mode="after")
    def _names_known(self) -> Self:
        for name in self.constants:
            with within("constants", name):
                if not name.isidentifier() or name in FUNCTIONS or name in VARIABLES:
                    raise SpecError(f"{name!r} is a variable, a function or not a name")
        with within("formula"):
            self._parsed.check((*self.constants, *VARIABLES))
            if not self.variables:
                raise SpecError(f"{self.formula!r} has no variable in it")
        for name in self.constants:
            if name not in self._parsed.names:
                raise SpecError(f"{name!r} is not in the formula", ("constants", name))
        for name in self.range:
            if name not in self.variables:
                raise SpecError(f"{name!r} is not a variable of the formula", ("range", name))
        return self

    def specs(self) -> dict[str, Coefficient]:
        """Return what a fit needs to know of each constant, by name."""
        return {
            name: Coefficient(each.start, each.bounds, each.log)
            for name, each in self.constants.items()
        }

    def coefficients(self) -> dict[str, float]:
        """Return the fitted numbers by name; SpecError where the formula was not fitted yet."""
        found = {name: each.value for name, each in self.constants.items()}
        for name, value in found.items():
            if value is None:
                raise SpecError(
                    f"law {self.name!r}: constant {name!r} has no value: not fitted yet"
                )
        return {name: value for name, value in found.items() if value is not None}

    def with_coefficients(self, values: Mapping[str, Value]) -> Self:
        """Return the law with other constants, arrays allowed; nothing is checked."""
        changed = {
            name: self.constants[name].model_copy(update={"value": value})
            for name, value in values.items()
        }
        return self.model_copy(update={"constants": self.constants | changed})

    def at(self, *variables: Value) -> Value:
        """Return the formula at its variables; they broadcast."""
        named: dict[str, Any] = dict(zip(self.variables, variables, strict=True))
        values = named | self.coefficients()
        try:
            return self._parsed(values)
        except SpecError as fault:
            raise SpecError(f"law {self.name!r}: {fault}") from None

    def loss(self, arch: Architectures) -> Array:
        """Return the loss, (N,); SpecError where the formula gives a candidate no finite one."""
        found = super().loss(arch)
        if not np.isfinite(found).all():
            row = int(np.argwhere(~np.isfinite(found))[0][-1])
            who = arch.names[row] if arch.names else f"candidate {row}"
            raise SpecError(f"law {self.name!r}: its formula gives {who} no finite loss")
        return found

    def limits(self, arch: Architectures) -> Iterator[Limit]:
        """Yield the edges of what the runs span."""
        for name in self.variables:
            if name not in self.range:
                yield Limit(np.ones(1, dtype=bool), f"no range is stated for {name}")
                continue
            value = variable(name, arch, self.tokens)
            yield from between(spoken(name), value, self.range[name])
        if not _OF_MIXTURES & set(self.variables):
            yield Limit(arch.experts > 1, "mixture of experts")
