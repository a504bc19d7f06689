"""What most forms share: their data told by intervals of variables, and usual coefficients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Self

from pydantic import model_validator

from arch_space.architectures import Architectures
from roofline.laws.law import Coefficient, Interval, Law, Limit, between
from roofline.laws.variables import VARIABLES, spoken, variable
from spec_files import SpecError, did_you_mean, within

Floor = Annotated[float, Coefficient((0.1, 3.0), (1e-3, 10.0))]
"""The loss that no size and no data takes away, nats per token."""
Scale = Annotated[float, Coefficient((1.0, 1e5), (1e-4, 1e12))]
"""What a power of parameters or tokens is multiplied by."""
Factor = Annotated[float, Coefficient((0.1, 100.0), (1e-4, 1e6))]
"""What a power of a smaller quantity is multiplied by: of a width, a depth, a ratio."""
Exponent = Annotated[float, Coefficient((0.05, 1.0), (1e-3, 3.0))]
"""How fast a term falls, above zero."""
Slope = Annotated[float, Coefficient((-0.5, 0.5), (-3.0, 3.0), log=False)]
"""An exponent that may have either sign."""


class RangedLaw(Law):
    """A law whose data is told by the interval that its runs span of each variable.

    Inside the fitted data means: within all of them, and dense where no run was a mixture.
    """

    mixtures: ClassVar[bool] = False
    """Whether runs were mixtures of experts."""

    range: dict[str, Interval]
    """What the fitted runs span: each variable of the formula, and others that were held."""

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        for name, (low, high) in self.range.items():
            with within("range", name):
                if name not in VARIABLES:
                    hint = did_you_mean(name, VARIABLES)
                    raise SpecError(f"{name!r} is not a variable of laws{hint}")
                if low > high:
                    raise SpecError(f"{low:g} to {high:g} is no interval")
        for name in self.variables:
            if name not in self.range:
                raise SpecError(f"{name!r} is missing", ("range",))
        return self

    def limits(self, arch: Architectures) -> Iterator[Limit]:
        """Yield the edges of what the runs span."""
        for name, interval in self.range.items():
            yield from between(spoken(name), variable(name, arch, self.tokens), interval)
        if not self.mixtures:
            yield Limit(arch.experts > 1, "mixture of experts")
