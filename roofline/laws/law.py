"""What a loss law is, and how one is found by its name.

A law is a form (one module of this folder, one subclass of `Law`) and coefficients (a YAML file
whose `form` names the module). A new fit of a known form is a YAML file and nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import ClassVar

import numpy as np
from pydantic import Field

from arch_space.architectures import Architectures
from spec_files import SpecError, did_you_mean, find_spec, read_yaml, validate_spec
from spec_files.model import Spec

Array = np.ndarray
Value = float | Array
Interval = tuple[float, float]

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Limit:
    """One edge of the data behind a law: which candidates lie beyond it, and how to say so.

    outside: (N,) or (1,) bool; reason: a sentence part, `{}` where the value belongs;
    value: (N,) or (1,), formatted with `:g`.
    """

    outside: Array
    reason: str
    value: Array | None = None

    def tell(self, row: int) -> str:
        """Return the reason for one candidate."""
        if self.value is None:
            return self.reason
        return self.reason.format(f"{self.value[row if len(self.value) > 1 else 0]:.6g}")


def between(what: str, value: Array, interval: Interval) -> Iterator[Limit]:
    """Yield the two limits of an interval; NaN lies outside."""
    low, high = interval
    yield Limit(~(value >= low), f"{what} {{}} below {low:g}", value)
    yield Limit(value > high, f"{what} {{}} above {high:g}", value)


def inside(limits: Iterable[Limit], candidates: int) -> Array:
    """Return whether each candidate lies within every limit, (N,) bool."""
    outside = np.zeros(candidates, dtype=bool)
    for limit in limits:
        outside |= limit.outside
    return ~outside


def reasons(limits: Iterable[Limit], candidates: int) -> list[str]:
    """Return for each candidate the limits it crosses, in words; '' where it crosses none."""
    told: list[list[str]] = [[] for _ in range(candidates)]
    for limit in limits:
        for row in np.flatnonzero(np.broadcast_to(limit.outside, (candidates,))):
            told[row].append(limit.tell(int(row)))
    return ["; ".join(each) for each in told]


class Law(Spec, ABC):
    """A published fit: from a table of candidates to the loss each would reach after training.

    Losses are nats per token of the law's own data: those of two laws are never to be subtracted.
    """

    free_tokens: ClassVar[bool] = False  # whether the law can be asked about other token counts

    name: str
    form: str
    """Module of `roofline.laws` that holds the formula."""
    title: str
    source: str
    date: str
    data: str
    """What the law was fitted on."""
    tokens: float = Field(gt=0)
    """Training tokens that the losses belong to."""
    sd: float | None = Field(default=None, ge=0)
    """Error of a predicted difference between two candidates, nats; None where not measured."""

    @abstractmethod
    def loss(self, arch: Architectures) -> Array:
        """Return nats per token, (N,), before compression."""

    @abstractmethod
    def limits(self, arch: Architectures) -> Iterable[Limit]:
        """Yield every edge of the data that the law was fitted on."""

    def in_range(self, arch: Architectures) -> Array:
        """Return whether each candidate lies within the fitted data, (N,) bool."""
        return inside(self.limits(arch), len(arch))

    def out_of_range_reasons(self, arch: Architectures) -> list[str]:
        """Say for each candidate what puts it outside the fitted data; '' where nothing does."""
        return reasons(self.limits(arch), len(arch))

    def at_tokens(self, tokens: float) -> Law:
        """Return the law for another number of training tokens, if its form has one."""
        if not self.free_tokens and tokens != self.tokens:
            raise SpecError(f"law {self.name!r} holds for {self.tokens:g} training tokens only")
        return validate_spec(self.model_dump() | {"tokens": tokens}, type(self), self.name)


def law_names() -> list[str]:
    """Return the names of the shipped laws, in alphabetical order."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def load_law(name: str | Path, tokens: float | None = None) -> Law:
    """Return a law by its shipped name, or from the YAML file that a path leads to.

    tokens: training tokens, for the laws that are a function of them.
    Raises SpecError for an unknown name (with the nearest), form or coefficient.
    """
    path = find_spec(name, FOLDER, "law")
    data, lines = read_yaml(path)
    if isinstance(data, dict):
        data = {"name": path.stem} | data
    law = law_from(data, str(path), lines)
    return law if tokens is None else law.at_tokens(tokens)


def law_from(
    data: object, where: str, lines: dict[tuple[str | int, ...], int] | None = None
) -> Law:
    """Return the law that a mapping of its fields describes; `where` names it in errors.

    Raises SpecError for an unknown form or coefficient.
    """
    forms = _forms()
    form = data.get("form") if isinstance(data, dict) else None
    if form not in forms:
        raise SpecError(f"{where}: unknown form of law {form!r}{did_you_mean(str(form), forms)}.")
    return validate_spec(data, forms[form], where, lines)


def _forms() -> dict[str, type[Law]]:
    """Every subclass of Law in this folder, by the name of its module."""
    for module in iter_modules([str(FOLDER)]):
        import_module(f"{__package__}.{module.name}")
    return {form.__module__.rpartition(".")[2]: form for form in Law.__subclasses__()}
