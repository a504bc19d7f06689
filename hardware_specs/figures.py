"""A number of a data sheet: its value in SI units, how it was obtained, and who says so."""

from typing import Any, ClassVar, Literal

from pydantic import (
    GetJsonSchemaHandler,
    SerializationInfo,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema

from spec_files import SpecError, format_quantity, parse_quantity
from spec_files.model import Spec
from spec_files.quantities import quantity_schema

Basis = Literal["nominal", "measured", "derived", "fitted", "prior", "lower-bound"]
Scope = Literal["rail", "module", "board", "package", "wall", "whole-device"]


class Figure(Spec):
    """A number with its basis, source and, where known, the interval that it lies in."""

    dimension: ClassVar[str] = "ratio"
    zero_allowed: ClassVar[bool] = False

    value: float
    """The number, with its unit."""
    low: float | None = None
    """Lower end of the interval; quartiles where the value is a median."""
    high: float | None = None
    """Upper end of the interval."""
    basis: Basis
    """nominal: the maker says so; measured; derived: arithmetic on either; fitted: a calibration;
    prior: typical of the class; lower-bound: a rate that was reached, where no peak is published.
    """
    source: str
    """A key of the profile's `sources`."""
    note: str | None = None
    """What a reader must know to use the number."""

    @field_validator("value", "low", "high", mode="before")
    @classmethod
    def _to_si(cls, written: object) -> float | None:
        return None if written is None else parse_quantity(written, cls.dimension)

    @model_validator(mode="after")
    def _is_possible(self) -> "Figure":
        if self.value == 0 and not self.zero_allowed:
            raise SpecError("0 is not possible here; it must be greater than zero", at=("value",))
        if self.low is not None and self.low > self.value:
            raise SpecError(f"low {self._say(self.low)} is above {self._say(self.value)}", ("low",))
        if self.high is not None and self.high < self.value:
            raise SpecError(
                f"high {self._say(self.high)} is below {self._say(self.value)}", ("high",)
            )
        return self

    @field_serializer("value", "low", "high", when_used="json")
    def _with_unit(self, number: float | None, info: SerializationInfo) -> float | str | None:
        if number is None or self.dimension == "ratio":
            return number
        return format_quantity(number, self.dimension, digits=None)

    def __str__(self) -> str:
        return f"{self._say(self.value)} ({self.basis})"

    def _say(self, number: float) -> str:
        return format_quantity(number, self.dimension)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        reference = handler(core_schema)
        fields = handler.resolve_ref_schema(reference)["properties"]
        for name in ("value", "low", "high"):
            kept = {key: fields[name][key] for key in ("description",) if key in fields[name]}
            fields[name] = quantity_schema(cls.dimension) | kept
        return reference


class Ratio(Figure):
    """A plain number or a percentage."""


class Share(Figure):
    """A fraction of something, above 0 and at most 1."""

    @model_validator(mode="after")
    def _at_most_one(self) -> "Share":
        for end in ("value", "high"):
            number = getattr(self, end)
            if number is not None and number > 1:
                raise SpecError(f"{number:g} is more than 1, the whole of the peak", at=(end,))
        return self


class Bytes(Figure):
    """A size in memory."""

    dimension = "bytes"


class Bandwidth(Figure):
    """Bytes per second."""

    dimension = "bandwidth"


class Work(Figure):
    """Floating-point (or integer) operations; a multiply-add is two."""

    dimension = "flops"
    zero_allowed = True


class Duration(Figure):
    """Seconds; zero is allowed."""

    dimension = "time"
    zero_allowed = True


class Peak(Figure):
    """Dense peak in one number format, operations per second; a multiply-add is two."""

    dimension = "compute"

    density: Literal["dense"]
    """Always dense: what a data sheet gives for 2:4 sparse weights is twice the dense rate."""

    @field_validator("density", mode="before")
    @classmethod
    def _refuse_sparse(cls, density: object) -> object:
        if density == "sparse":
            raise SpecError(
                "a sparse peak does not hold for dense work: give the dense peak, half of it for "
                "2:4, and put the speed-up into structured_sparsity"
            )
        return density


class Measured(Figure):
    """A figure of power or energy, which means nothing without the point it was measured at."""

    scope: Scope
    """What the meter saw: the GPU's rail, the module, the board, the package, the wall socket, or
    the whole device from its battery. Never compare or add figures of two scopes."""


class Power(Measured):
    """Watts."""

    dimension = "power"


class EnergyPerByte(Measured):
    """Joules per byte moved, everything that ran meanwhile included."""

    dimension = "energy_per_byte"


class EnergyPerFlop(Measured):
    """Joules per operation, everything that ran meanwhile included."""

    dimension = "energy_per_flop"
