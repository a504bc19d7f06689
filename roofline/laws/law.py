"""What a loss law is, and how one is found by its name.

A law is a form (one module of `forms/`, one subclass of `Law`) and coefficients (a YAML file whose
`form` names the module; the shipped ones are in `published/`). A new fit of a known form is a YAML
file and nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from itertools import dropwhile, takewhile
from pathlib import Path
from pkgutil import iter_modules
from textwrap import dedent
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from arch_space.architectures import Architectures
from roofline.laws import forms
from roofline.laws.variables import variable
from spec_files import SpecError, did_you_mean, find_spec, read_yaml, validate_spec
from spec_files.model import Spec

Array = np.ndarray
Value = float | Array
Interval = tuple[float, float]

FOLDER = Path(__file__).parent / "published"


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
    outside: Array = np.zeros(1, dtype=bool)
    for limit in limits:
        outside = outside | limit.outside
    return np.broadcast_to(~outside, (candidates,))


def reasons(limits: Iterable[Limit], candidates: int) -> list[str]:
    """Return for each candidate the limits it crosses, in words; '' where it crosses none."""
    told: list[list[str]] = [[] for _ in range(candidates)]
    for limit in limits:
        for row in np.flatnonzero(np.broadcast_to(limit.outside, (candidates,))):
            told[row].append(limit.tell(int(row)))
    return ["; ".join(each) for each in told]


@dataclass(frozen=True)
class Coefficient:
    """What a fit needs to know of a coefficient; stands beside its type: `Annotated[float, ...]`.

    start: where starts of a fit are drawn from. bounds: where it stays. log: whether both are meant
    on the logarithmic scale, on which a positive coefficient is searched.
    """

    start: tuple[float, float]
    bounds: tuple[float, float]
    log: bool = True


class Uncertainty(Spec):
    """How far the coefficients of a law, and single runs, lie from what was fitted."""

    coefficients: tuple[str, ...]
    """Names of those that the covariance is of, in its order."""
    scale: tuple[Literal["log", "linear"], ...]
    """The scale of each coefficient that its spread is stated on."""
    covariance: tuple[tuple[float, ...], ...]
    """Of the coefficients, on those scales, (p, p)."""
    residual: float = Field(ge=0)
    """Standard deviation of ln(measured loss / law) of one run."""
    basis: str
    """How it was found."""
    samples: tuple[tuple[float, ...], ...] = ()
    """Values of the coefficients on those scales that are as likely as each other, (samples, p):
    replicates of a bootstrap. Where coefficients trade along a curve, no normal distribution has
    its shape, and draws are taken from these."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        size = len(self.coefficients)
        if len(self.scale) != size or any(len(row) != size for row in self.covariance):
            raise SpecError(f"covariance and scale must be of {size} coefficients")
        if len(self.covariance) != size:
            raise SpecError(f"covariance has {len(self.covariance)} rows for {size} coefficients")
        matrix = np.array(self.covariance).reshape(size, size)
        if not np.allclose(matrix, matrix.T, rtol=1e-6, atol=1e-12):
            raise SpecError("covariance is not symmetric")
        if any(len(row) != size for row in self.samples):
            raise SpecError(f"samples must be rows of {size} coefficients")
        return self

    def draw(self, centre: Array, count: int, seed: int) -> Array:
        """Return coefficients on their scales, (count, p): samples, or normal around a centre."""
        random = np.random.default_rng(seed)
        if self.samples:
            return np.array(self.samples)[random.integers(len(self.samples), size=count)]
        covariance = np.array(self.covariance)
        return random.multivariate_normal(centre, covariance, count, method="eigh")


class Law(Spec, ABC):
    """A fit: from a table of candidates to the loss each would reach after training.

    Losses are in `unit`, of the law's own data: those of two laws are never to be subtracted.
    """

    free_tokens: ClassVar[bool] = False  # whether the law can be asked about other token counts
    variables: ClassVar[tuple[str, ...]]
    """What the formula sees, in the order of `at`; names of `roofline.laws.variables`."""
    covers: ClassVar[frozenset[str]] = frozenset()
    """Columns, such as `weight_format`, whose effect the formula holds: no penalty is added."""
    unit: ClassVar[str] = "nats per token"
    """What `loss` is in; other than the default for laws that give a ratio."""

    name: str
    """What `--law` calls it; the file's name where not given."""
    form: str
    """Module of `roofline.laws.forms` that holds the formula."""
    title: str
    """In words."""
    source: str
    """Where the coefficients were published, or what they were fitted to."""
    date: str
    """Of the source: a year, a month or a day, as in 2024-04."""
    data: str
    """What the law was fitted on."""
    tokens: float = Field(gt=0)
    """Training tokens that the losses belong to."""
    sd: float | None = Field(default=None, ge=0)
    """Error of a predicted difference between two candidates, in `unit`; None where unknown."""
    uncertainty: Uncertainty | None = None
    """Spread of the coefficients; None where nobody has published it and no runs are at hand."""
    trust: str | None = None
    """How far to trust it: what it was held against beyond its own runs, and where it errs."""

    @property
    def in_nats(self) -> bool:
        """Whether it gives nats, to which a penalty adds and of which differences are taken."""
        return self.unit.startswith("nats")

    @property
    def has_perplexity(self) -> bool:
        """Whether it gives a whole loss, not what something adds to one."""
        return self.unit == Law.unit

    @abstractmethod
    def at(self, *variables: Any) -> Value:
        """Return the loss at the law's own variables; they broadcast, with coefficients too."""

    def variables_of(self, arch: Architectures) -> tuple[Array, ...]:
        """Return the law's variables of N candidates, each (N,) or (1,)."""
        return tuple(variable(name, arch, self.tokens) for name in self.variables)

    def loss(self, arch: Architectures) -> Array:
        """Return the loss before compression, (N,); (draws, N) of a law with `draws`."""
        found = self.at(*self.variables_of(arch))
        return np.broadcast_to(found, (*np.shape(found)[:-1], len(arch)))

    def specs(self) -> dict[str, Coefficient]:
        """Return what a fit needs to know of each coefficient, by name."""
        return self.fields_fitted()

    @classmethod
    def fields_fitted(cls) -> dict[str, Coefficient]:
        """Return the fields that are coefficients of the formula, by name."""
        return {
            name: mark
            for name, field in cls.model_fields.items()
            for mark in field.metadata
            if isinstance(mark, Coefficient)
        }

    def coefficients(self) -> dict[str, float]:
        """Return the fitted numbers, by name."""
        return {name: getattr(self, name) for name in self.specs()}

    def with_coefficients(self, values: Mapping[str, Value]) -> Self:
        """Return the law with other coefficients, arrays allowed; nothing is checked."""
        return self.model_copy(update=dict(values))

    def draws(self, count: int, seed: int = 0) -> Self:
        """Return the law with coefficients drawn from its uncertainty, (count, 1) each.

        Its losses are then (count, N). Draws stay within the bounds of a fit. SpecError where the
        law's uncertainty is not known.
        """
        spread = self.uncertainty
        if spread is None:
            raise SpecError(f"law {self.name!r} has no published uncertainty of its coefficients")
        specs, mean = self.specs(), self.coefficients()
        centre = np.array(
            [
                np.log(mean[name]) if scale == "log" else mean[name]
                for name, scale in zip(spread.coefficients, spread.scale, strict=True)
            ]
        )
        drawn = spread.draw(centre, count, seed)
        values: dict[str, Value] = {}
        for column, (name, scale) in enumerate(zip(spread.coefficients, spread.scale, strict=True)):
            value = np.exp(drawn[:, column]) if scale == "log" else drawn[:, column]
            values[name] = np.clip(value, *specs[name].bounds)[:, None]
        return self.with_coefficients(values)

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
        """Return the law for another number of training tokens; SpecError where it has none."""
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
    known = law_forms()
    form = data.get("form") if isinstance(data, dict) else None
    if not isinstance(data, dict):
        raise SpecError(f"{where}: is not a law: a law is a mapping with a form and coefficients.")
    if form is None and "formula" in data:
        raise SpecError(
            f"{where}: is a formula that was not fitted yet: "
            f"roofline fit RUNS --form {where} -o LAW.yaml makes a law of it."
        )
    if form not in known:
        raise SpecError(f"{where}: unknown form of law {form!r}{did_you_mean(str(form), known)}.")
    return validate_spec(data, known[form], where, lines)


def law_forms() -> dict[str, type[Law]]:
    """Return every form, by the name of its module in `forms/`."""
    found = {}
    for module in iter_modules(forms.__path__):
        path = f"{forms.__name__}.{module.name}"
        for member in vars(import_module(path)).values():
            own = isinstance(member, type) and member.__module__ == path
            if own and issubclass(member, Law):
                found[module.name] = member
    return found


def formula(law: Law | type[Law]) -> str:
    """Return the formula of a law or of a form in a person's letters.

    It is the law's own text where it has one, or else the first lines that are indented in the
    docstring of its form's module.
    """
    form = law if isinstance(law, type) else type(law)
    if form is not law and (own := getattr(law, "formula", None)) is not None:
        return f"L = {own}"
    told = (import_module(form.__module__).__doc__ or "").splitlines()
    lines = dropwhile(lambda line: not line.startswith("    "), told)
    return dedent("\n".join(takewhile(lambda line: line.startswith("    "), lines)))


def format_loss(value: float, decimals: int = 4) -> str:
    """Write a loss with that many decimals, or in powers of ten where they would all be zero."""
    small = 0 < abs(value) < 0.5 * 10.0 ** (1 - decimals)
    return f"{value:.2e}" if small else f"{value:.{decimals}f}"
