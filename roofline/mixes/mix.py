"""A mix: several workloads and how often each is asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from roofline.workload import Workload
from spec_files import Spec, SpecError, find_spec, read_yaml, validate_spec

FOLDER = Path(__file__).parent
_SINGLE = "workload"
HEAVIEST = 1e9
"""The largest weight: sums of weights stay numbers."""


class Part(Spec):
    """One workload of a mix, and its share of the requests."""

    name: str = Field(min_length=1)
    """What tables call it."""
    batch: int = Workload.batch
    """Sequences at once."""
    prompt: int
    """Tokens read."""
    generate: int
    """Tokens written."""
    weight: float = 1.0
    """Requests of this kind, in any unit that all of the mix share."""
    source: str = ""
    """Where the lengths come from."""
    date: str = ""
    """Of the source."""

    @field_validator("date", mode="before")
    @classmethod
    def _as_text(cls, date: object) -> str:
        return str(date)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not 0 < self.weight <= HEAVIEST:
            raise SpecError(
                f"{self.weight:g} is no weight: it must be a positive number, {HEAVIEST:g} at most",
                at=("weight",),
            )
        self.workload()
        return self

    def workload(self) -> Workload:
        """Return the workload that the engine takes."""
        return Workload(self.batch, self.prompt, self.generate)


class Mix(Spec):
    """Workloads with weights, of which an objective is the weighted mean, or the worst."""

    name: str
    """What commands and tables call it; the file's name where not given."""
    title: str = ""
    """In words."""
    note: str = ""
    """What was assumed beyond the sources."""
    weights: str = ""
    """Where the weights come from."""
    workloads: tuple[Part, ...]
    """One or more."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.workloads:
            raise SpecError("has no workload", at=("workloads",))
        names = [part.name for part in self.workloads]
        twice = [name for i, name in enumerate(names) if name in names[:i]]
        if twice:
            raise SpecError(f"workload {twice[0]!r} is given twice", at=("workloads",))
        return self

    @property
    def shares(self) -> tuple[float, ...]:
        """Weight of each workload, one in all."""
        whole = sum(part.weight for part in self.workloads)
        return tuple(part.weight / whole for part in self.workloads)

    def describe(self) -> str:
        """Say what is in the mix: lengths of prompt and answer, and shares."""
        if len(self.workloads) == 1 and self.name == _SINGLE:
            (part,) = self.workloads
            return f"{part.prompt:,} tokens read, {part.generate:,} written, batch {part.batch}"
        parts = []
        for part, share in zip(self.workloads, self.shares, strict=True):
            many = f"{part.batch} x " if part.batch > 1 else ""
            portion = f" ({share:.0%})" if len(self.workloads) > 1 else ""
            parts.append(f"{part.name} {many}{part.prompt:,}+{part.generate:,}{portion}")
        return ", ".join(parts)

    @classmethod
    def single(cls, batch: int, prompt: int, generate: int) -> Self:
        """Return the mix of one workload."""
        part = {"name": _SINGLE, "batch": batch, "prompt": prompt, "generate": generate}
        return validate_spec({"name": _SINGLE, "workloads": [part]}, cls, _SINGLE)

    @classmethod
    def join(cls, mixes: Sequence[Mix], weights: Sequence[float]) -> Mix:
        """Return several mixes as one, each with its weight whatever it is made of."""
        if len(mixes) == 1:
            return mixes[0]
        parts = [
            part.model_dump() | {"name": f"{mix.name}/{part.name}", "weight": weight * share}
            for mix, weight in zip(mixes, weights, strict=True)
            for part, share in zip(mix.workloads, mix.shares, strict=True)
        ]
        said = {
            "name": "+".join(mix.name for mix in mixes),
            "title": "; ".join(mix.title for mix in mixes if mix.title),
            "note": " ".join(dict.fromkeys(mix.note for mix in mixes if mix.note)),
            "weights": "as asked for between mixes, as published within",
        }
        return validate_spec(said | {"workloads": parts}, Mix, "mix")


def shipped_mixes() -> list[str]:
    """Return the names of the mixes that come with the package."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def load_mix(names: str | Path) -> Mix:
    """Return the mix that a name, a path, or several with weights stand for.

    "chat"; "my-mix.yaml"; "chat,summarise"; "chat=3,summarise=1".
    Raises SpecError for an unknown name, which says the nearest, and for weights that are none.
    """
    if isinstance(names, Path) or Path(names).is_file():
        return _load(names)
    words = [word.strip() for word in names.split(",")]
    mixes, weights = [], []
    for word in words:
        name, equals, text = word.partition("=")
        mixes.append(_load(name.strip()))
        weights.append(_weight(word, text) if equals else 1.0)
    found = [mix.name for mix in mixes]
    twice = [name for i, name in enumerate(found) if name in found[:i]]
    if twice:
        raise SpecError(f"mix {twice[0]!r} is given twice")
    return Mix.join(mixes, weights)


def _load(name_or_path: str | Path) -> Mix:
    path = find_spec(name_or_path, FOLDER, "mix")
    data, lines = read_yaml(path)
    named: Any = {"name": path.stem} | data if isinstance(data, dict) else data
    return validate_spec(named, Mix, str(path), lines)


def _weight(word: str, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 < weight <= HEAVIEST:
        raise SpecError(
            f"mix {word!r}: read {text!r} where a positive weight belongs, as in chat=3"
        )
    return weight
