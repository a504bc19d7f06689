"""A question about budgets, as a file or a command line asks it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from spec_files import (
    Spec,
    SpecError,
    find_spec,
    format_quantity,
    parse_quantity,
    read_yaml,
    validate_spec,
    within,
)

EXAMPLES = Path(__file__).parent / "examples"

DIMENSIONS = {"ttft": "time", "tpot": "time", "latency": "time", "memory": "bytes"}
"""The kind of quantity that each budget is."""

SAID = {
    "ttft": "time to first token",
    "tpot": "time per output token",
    "latency": "latency",
    "memory": "memory",
}

Budget = Literal["ttft", "tpot", "latency", "memory"]


class Case(Spec):
    """Budgets of a deployment, and what they are spent on."""

    name: str = "budget"
    """What tables call it."""
    title: str = ""
    """In words."""
    source: str = ""
    """Where the budgets come from."""
    note: str = ""
    """What was assumed beyond the source."""
    device: str
    """A shipped device or the path of a profile."""
    processor: str | None = None
    """One of the device's; its main one where not given."""
    runtime: str | None = None
    """Whose kernels are predicted; the one best known there where not given."""
    prompt: int = Field(1024, ge=1)
    """Prompt tokens."""
    generate: int = Field(128, ge=1)
    """Tokens to generate."""
    weights: str = "fp16"
    """Number format of the weights."""
    kv: str = "fp16"
    """Number format of the cache."""
    activations: str | None = None
    """Number format of the activations, which decides the peak that is used."""
    law: str = "codesign"
    """Loss law, by name or path."""
    space: str = "on-device"
    """Candidates for the best point of a discrete space."""
    ideal: bool = False
    """Data-sheet rates in place of the calibrated device's."""
    budgets: dict[Budget, str | float]
    """Largest value of each, with its unit; a plain number is in seconds or bytes."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.limits()
        return self

    def limits(self) -> dict[str, float]:
        """Return the budgets in seconds and bytes, in the order of `DIMENSIONS`."""
        if not self.budgets:
            raise SpecError(
                "no budget is given: limit at least one of ttft, tpot, latency and memory",
                at=("budgets",),
            )
        given: dict[str, str | float] = {str(name): each for name, each in self.budgets.items()}
        found: dict[str, float] = {}
        for name, dimension in DIMENSIONS.items():
            if name not in given:
                continue
            with within("budgets", name):
                limit = given[name]
                value = parse_quantity(limit, dimension) if isinstance(limit, str) else limit
                if value <= 0:
                    raise SpecError(f"a {SAID[name]} of nothing allows no model")
            found[name] = value
        return found

    def changed(self, **fields: Any) -> Case:
        """Return the case with some fields replaced; SpecError where the result is none."""
        return validate_spec(self.model_dump() | fields, Case, self.name)


def examples() -> list[str]:
    """Return the names of the shipped cases."""
    return sorted(file.stem for file in EXAMPLES.glob("*.yaml"))


def load_case(name_or_path: str | Path) -> Case:
    """Return a case by the name of a shipped one or by the path of a file."""
    path = find_spec(name_or_path, EXAMPLES, "example")
    data, lines = read_yaml(path)
    if isinstance(data, dict):
        data = {"name": path.stem} | data
    return validate_spec(data, Case, str(path), lines)


def say(name: str, value: float) -> str:
    """Write an amount of a budget for people."""
    return format_quantity(value, DIMENSIONS[name], digits=4)
