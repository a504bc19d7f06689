"""What a search minimises, and what it may not exceed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from spec_files import SpecError, did_you_mean

OBJECTIVES: dict[str, str] = {
    "loss": "nats per token",
    "ttft": "s",
    "tpot": "s",
    "latency": "s",
    "energy": "J",
    "memory": "bytes",
}
"""Every objective, all to be minimised, with the SI unit that it is held in."""

DIMENSIONS = {
    "loss": "ratio",
    "ttft": "time",
    "tpot": "time",
    "latency": "time",
    "energy": "energy",
    "memory": "bytes",
}
"""The kind of quantity that each objective is."""

COLUMNS = {
    "loss": "loss",
    "ttft": "ttft_s",
    "tpot": "tpot_s",
    "latency": "latency_s",
    "energy": "energy_j",
    "memory": "memory_bytes",
}
"""The column of a front's table that holds each objective."""


@dataclass(frozen=True)
class Constraint:
    """An upper bound on an objective, in SI units: ("tpot", 0.05) is at most 50 ms a token."""

    objective: str
    limit: float

    def __post_init__(self) -> None:
        """Refuse an unknown objective and a limit that nothing, or everything, meets."""
        _known(self.objective)
        if not (math.isfinite(self.limit) and self.limit > 0):
            raise SpecError(
                f"limit on {self.objective} must be a positive number, not {self.limit}"
            )

    def __str__(self) -> str:
        return f"{self.objective} <= {self.limit:g} {OBJECTIVES[self.objective]}"


def parse_objectives(names: str | Sequence[str]) -> tuple[str, ...]:
    """Return the objectives that "loss,tpot" or a list names; SpecError names the nearest."""
    words = names.split(",") if isinstance(names, str) else names
    found = tuple(_known(word.strip().lower()) for word in words)
    if not found:
        raise SpecError(f"no objective was given; known: {', '.join(OBJECTIVES)}")
    twice = [name for i, name in enumerate(found) if name in found[:i]]
    if twice:
        raise SpecError(f"objective {twice[0]!r} is given twice")
    return found


def _known(name: str) -> str:
    if name not in OBJECTIVES:
        raise SpecError(f"unknown objective {name!r}{did_you_mean(name, OBJECTIVES)}")
    return name
