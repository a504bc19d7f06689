"""A question turned round to the hardware, as a command line or a file asks it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, SerializeAsAny, field_validator, model_validator

from arch_space.architectures import Architectures
from arch_space.library import ReferenceModel, load_model, reference_model, shipped_models
from arch_space.spaces import Space, load_space
from hardware_specs import Device
from roofline.codesign.hardware import AXES
from roofline.efficiency.calibrated import calibrated
from roofline.laws import Law, law_from, load_law
from roofline.mixes import Mix
from roofline.mixes.mix import HEAVIEST
from spec_files import (
    Spec,
    SpecError,
    did_you_mean,
    format_quantity,
    parse_quantity,
    read_yaml,
    validate_spec,
    within,
)

DIMENSIONS = {
    "ttft": "time",
    "tpot": "time",
    "latency": "time",
    "energy": "energy",
    "memory": "bytes",
}
"""The kind of quantity that each limit is."""

TIMED = ("ttft", "tpot", "latency", "energy")
"""Limits that say how fast a device must be."""

POINTS = 100
SPREAD = 10.0
"""How far the grid goes from the template, both ways, where no ends are given."""

ON_CHIP = (0.0, 4e6, 16e6, 64e6, 256e6, 1e9)


class Common(Spec):
    """What every question has: candidates, what they are asked to do, and what is good enough."""

    space: Space
    mix: Mix
    how: Literal["mean", "worst"] = "mean"
    """Whether a limit is on the mean of the mix or on its worst workload."""
    law: SerializeAsAny[Law]
    limits: dict[str, str | float]
    """Largest values, with their units."""
    loss: float | None = Field(None, gt=0)
    """Largest loss that is good enough."""
    ideal: bool = False
    in_range_only: bool = False

    @field_validator("law", mode="before")
    @classmethod
    def _read_law(cls, given: Any) -> Law:
        return given if isinstance(given, Law) else law_from(given, "law")

    @model_validator(mode="after")
    def _check_common(self) -> Self:
        self.values()
        if self.loss is not None and not math.isfinite(self.loss):
            raise SpecError(f"a loss of {self.loss} is no aim", at=("loss",))
        return self

    def values(self) -> dict[str, float]:
        """Return the limits in SI units, in the order of `DIMENSIONS`."""
        return read_limits(self.limits)

    def calibrated(self, device: Device, processor: str | None, runtime: str | None) -> Device:
        """Return a device with the efficiencies that candidates are judged by."""
        return calibrated(device, processor, runtime)

    def to_yaml(self) -> str:
        """Return the text of a file that reads back equal."""
        import yaml

        data: dict[str, Any] = {"question": type(self).__name__.lower()}
        data |= self.model_dump(mode="json", by_alias=True, exclude_none=True)
        data["space"] = yaml.safe_load(self.space.to_yaml())
        for name in ("device", "devices"):
            if name in data:
                given = getattr(self, name)
                data[name] = (
                    [yaml.safe_load(each.to_yaml()) for each in given]
                    if name == "devices"
                    else yaml.safe_load(given.to_yaml())
                )
        if data.get("model") is not None:
            data["model"] = self.model.model_dump(  # type: ignore[attr-defined]
                mode="json", exclude_defaults=True
            )
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)


class Inverse(Common):
    """What must a device be, for a loss and a time?"""

    device: Device
    """The template, whose efficiencies are kept and whose numbers are scaled."""
    processor: str | None = None
    runtime: str | None = None
    model: ReferenceModel | None = None
    """A model whose loss is good enough, and which is asked about too."""
    formats: dict[str, str] = Field({})
    """Number formats that the model is held in, by column, as the space is."""
    points: int = Field(POINTS, ge=2, le=2000)
    """Of the grid, along each axis."""
    spans: dict[str, tuple[str | float, str | float]] = Field({})
    """Ends of the sweep along an axis, where it is not a tenth to ten times the template."""
    on_chip: tuple[str | float, ...] = ON_CHIP
    """Sizes of on-chip memory that are tried."""
    on_chip_bandwidth: str | float | None = None
    """Of a level that the template lacks."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.loss is None) == (self.model is None):
            raise SpecError("needs either a loss or a model whose loss is good enough")
        if not set(self.values()) & set(TIMED):
            raise SpecError(
                "no limit says how fast: limit at least one of " + ", ".join(TIMED), at=("limits",)
            )
        _check_processor(self.device, self.processor)
        for name in self.spans:
            if name not in ("bandwidth", "peak", "capacity", "power"):
                hint = did_you_mean(name, AXES)
                raise SpecError(f"nothing to sweep named {name!r}{hint}", at=("spans", name))
            self.span(name, 1.0)
        self.sizes()
        return self

    @property
    def model_name(self) -> str:
        """Name of the model; empty where a loss is asked for."""
        return "" if self.model is None else self.model.name

    def known_model(self) -> Architectures | None:
        """Return the model in the formats of the question; None where there is none."""
        if self.model is None:
            return None
        words = {key.removesuffix("_format"): word for key, word in self.formats.items()}
        return self.model.architectures().with_formats(
            words.get("weight"), words.get("embedding"), words.get("kv"), words.get("activation")
        )

    def span(self, name: str, own: float) -> tuple[float, float]:
        """Return both ends of an axis in SI units; own: the template's value.

        Raises SpecError for a range that does not rise from above zero.
        """
        if name not in self.spans:
            return own / SPREAD, own * SPREAD
        with within("spans", name):
            low, high = (_value(end, AXES[name]) for end in self.spans[name])
            if not 0 < low < high:
                ends = " to ".join(format_quantity(end, AXES[name]) for end in (low, high))
                raise SpecError(f"{ends} is no range: it must rise from above zero")
        return low, high

    def sizes(self) -> np.ndarray:
        """Return the sizes of on-chip memory in bytes, (sizes,), ascending."""
        with within("on_chip"):
            return np.unique([_value(size, "bytes") for size in self.on_chip])


class Fleet(Common):
    """Which one architecture serves several devices best?"""

    devices: tuple[Device, ...]
    runtime: str | None = None
    weights: tuple[float, ...] = ()
    """Of the devices, in a weighted mean; equal where not given."""
    own_limits: dict[str, dict[str, str | float]] = Field({})
    """Limits of one device, by its name, in place of the common ones."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [device.name for device in self.devices]
        if len(names) < 2:
            raise SpecError("a fleet has at least two devices", at=("devices",))
        twice = [name for i, name in enumerate(names) if name in names[:i]]
        if twice:
            raise SpecError(f"device {twice[0]!r} is given twice", at=("devices",))
        if self.weights and len(self.weights) != len(names):
            raise SpecError(
                f"{len(self.weights)} weights for {len(names)} devices", at=("weights",)
            )
        for weight in self.weights:
            if not 0 < weight <= HEAVIEST:
                raise SpecError(
                    f"{weight:g} is no weight of a device: it must be positive, "
                    f"{HEAVIEST:g} at most",
                    at=("weights",),
                )
        for name in self.own_limits:
            if name not in names:
                hint = did_you_mean(name, names)
                raise SpecError(f"no device {name!r} in the fleet{hint}", at=("own_limits", name))
        timed = [set(self.limits_of(device)) & set(TIMED) for device in self.devices]
        if not all(timed):
            raise SpecError(
                "no limit says how fast: limit at least one of " + ", ".join(TIMED), at=("limits",)
            )
        if any(each != timed[0] for each in timed):
            raise SpecError(
                "devices are limited in different things, which do not compare: give each the same "
                "kinds of limits",
                at=("own_limits",),
            )
        return self

    def limits_of(self, device: Device) -> dict[str, float]:
        """Return the limits of one device in SI units."""
        with within("own_limits", device.name):
            own = read_limits(self.own_limits.get(device.name, {}))
        both = self.values() | own
        return {name: both[name] for name in DIMENSIONS if name in both}

    def shares(self) -> tuple[float, ...]:
        """Return the weights, one in all."""
        weights = self.weights or (1.0,) * len(self.devices)
        return tuple(weight / sum(weights) for weight in weights)


def read_limits(given: Mapping[str, str | float]) -> dict[str, float]:
    """Return limits in SI units, in the order of `DIMENSIONS`."""
    found: dict[str, float] = {}
    for name in given:
        with within("limits", name):
            if name not in DIMENSIONS:
                raise SpecError(f"no limit named {name!r}{did_you_mean(name, DIMENSIONS)}")
            found[name] = _value(given[name], DIMENSIONS[name])
            if not found[name] > 0:
                raise SpecError(f"a {name} of nothing allows no model")
    return {name: found[name] for name in DIMENSIONS if name in found}


def prepare(
    kind: type[Inverse] | type[Fleet],
    *,
    space: str | Path | Space,
    law: str | Path = "codesign",
    tokens: float | None = None,
    formats: Mapping[str, str | None] | None = None,
    model: str | Path | None = None,
    **inputs: Any,
) -> Inverse | Fleet:
    """Gather a question by name: shipped or the caller's own space, law and model.

    formats: number formats that all candidates, and the model, are held in, by column.
    """
    grid = space if isinstance(space, Space) else load_space(space)
    held = {name: word for name, word in (formats or {}).items() if word is not None}
    gathered: dict[str, Any] = {
        "space": grid.holding(held) if held else grid,
        "law": load_law(law, tokens),
    }
    if model is not None:
        gathered |= {"model": _model(model), "formats": held}
    return validate_spec(gathered | inputs, kind, "codesign")


def load_question(path: str | Path) -> Inverse | Fleet:
    """Read a file that a question was written to; SpecError where it asks none."""
    data, lines = read_yaml(path)
    kinds: dict[str, type[Inverse] | type[Fleet]] = {"inverse": Inverse, "fleet": Fleet}
    if not isinstance(data, dict) or data.get("question") not in kinds:
        asked = data.get("question") if isinstance(data, dict) else None
        hint = did_you_mean(str(asked), kinds) if asked else "; it must say inverse or fleet"
        raise SpecError(f"{path}: no question {asked!r}{hint}")
    kind = kinds[data.pop("question")]
    return validate_spec(data, kind, str(path), lines)


def _model(name_or_path: str | Path) -> ReferenceModel:
    if str(name_or_path) in shipped_models():
        return reference_model(name_or_path)
    arch = load_model(name_or_path)
    said = {"name": arch.names[0], "architecture": arch.row()}
    return validate_spec(said, ReferenceModel, str(name_or_path))


def _value(given: str | float, dimension: str) -> float:
    return parse_quantity(given, dimension) if isinstance(given, str) else float(given)


def _check_processor(device: Device, processor: str | None) -> None:
    if processor is not None and processor not in device.processors:
        hint = did_you_mean(processor, device.processors)
        raise SpecError(f"no processor {processor!r}{hint}", at=("processor",))


__all__: Sequence[str] = ["DIMENSIONS", "TIMED", "Fleet", "Inverse", "load_question", "prepare"]
