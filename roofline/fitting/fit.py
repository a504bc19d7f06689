"""A law fitted to runs: coefficients, their intervals, and what the runs cannot tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from roofline.fitting.model import LawModel, load_form
from roofline.fitting.runs import Runs
from roofline.fitting.solver import DELTA, huber, minimise
from roofline.laws.law import Law
from roofline.laws.variables import VARIABLES
from spec_files import SpecError

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray

STARTS = 64
REPLICATES = 300
LEVEL = 0.95
MAGNITUDE = 10.0
"""Factor of an interval beyond which a coefficient is not told: not its order of magnitude."""
BEYOND = "its interval runs into the bounds of the search"
_CHI2 = 3.84  # 95 % of chi-squared with one degree of freedom
# How far out a profile goes, in widths of the interval.
_REACH = np.array([0.0, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 20.0])
_COUNTS = ("tokens", "layers", "width", *(n for n in VARIABLES if n.endswith("parameters")))
_FLAT = 1e-7  # singular values of the scaled slopes below this share of the largest are none
_TOGETHER = 0.99  # correlation from which two coefficients are said to move together


@dataclass(frozen=True)
class Fitted:
    """One coefficient: its value, its interval, and whether the runs tell it.

    low, high: 95 % interval of the bootstrap; NaN where it was held or nothing was resampled.
    why: what keeps the runs from telling it; '' where they do.
    """

    name: str
    value: float
    low: float
    high: float
    why: str = ""

    @property
    def told(self) -> bool:
        """Whether the runs tell the coefficient."""
        return not self.why


@dataclass(frozen=True)
class Fit:
    """A law, and how it came out of which runs.

    law: the form with its fitted coefficients; residuals: (rows,), ln(law / measured);
    replicates: (replicates, free coefficients), of the bootstrap, on the search scales;
    agreeing: share of the starts that found this cost; starts: how many there were; together: pairs
    that move as one.
    """

    law: Law
    runs: Runs
    coefficients: tuple[Fitted, ...]
    residuals: Array
    cost: float
    model: LawModel
    replicates: Array
    agreeing: float
    starts: int
    delta: float
    together: tuple[tuple[str, str, float], ...] = ()

    @property
    def mape(self) -> float:
        """Mean absolute error over the rows, as a share of the loss."""
        return float(np.abs(np.expm1(self.residuals)).mean())

    @property
    def bias(self) -> float:
        """Mean error over the rows, as a share of the loss; above zero where the law is higher."""
        return float(np.expm1(self.residuals).mean())

    def predict(self, runs: Runs) -> Array:
        """Return the law's loss of other rows, (rows,)."""
        values = [runs.numbers(name) for name in self.law.variables]
        return np.broadcast_to(np.asarray(self.law.at(*values), dtype=float), (len(runs),))

    def to_frame(self) -> pd.DataFrame:
        """Return a DataFrame of one row a coefficient: value, 95 % interval, whether told, why."""
        import pandas as pd

        rows = [vars(each) | {"told": each.told} for each in self.coefficients]
        return pd.DataFrame(rows).set_index("name")

    def _repr_html_(self) -> str:
        from roofline.fitting.report import COEFFICIENTS, coefficient_rows, sentences
        from roofline.html_table import html_table

        return html_table(COEFFICIENTS, coefficient_rows(self), self.law.form, sentences(self))

    def __getitem__(self, name: str) -> Fitted:
        for each in self.coefficients:
            if each.name == name:
                return each
        raise KeyError(name)


def fit(
    form: str | Path | Law | type[Law],
    runs: Runs | pd.DataFrame,
    *,
    fixed: Mapping[str, float] | None = None,
    starts: int = STARTS,
    replicates: int = REPLICATES,
    delta: float = DELTA,
    seed: int = 0,
) -> Fit:
    """Fit a form of law to runs: least Huber loss of ln(law / measured), from many starts.

    form: as `load_form` takes it; fixed: coefficients that are held; replicates: of the bootstrap,
    which draws whole runs with replacement (0: no intervals); delta: of the Huber loss.
    Raises SpecError for a missing column, a loss that is none, fewer rows than coefficients, or a
    column that does not vary and leaves coefficients that nothing else tells.
    """
    law = load_form(form)
    runs = runs if isinstance(runs, Runs) else Runs(runs)
    losses = runs.loss()
    if np.ptp(losses) == 0:
        raise SpecError(f"{runs.origin}: the loss is {losses[0]:g} in every row: nothing to fit")
    measured = np.log(losses)
    model = LawModel.of_runs(law, runs, fixed)
    _check_enough(model, runs)
    _check_positive(law, runs)
    found = minimise(
        model, model.starts(starts, seed), model.low, model.high, measured, delta=delta
    )
    best = int(np.argmin(found.cost))
    if not np.isfinite(found.cost[best]):
        raise SpecError(
            f"{runs.origin}: form {law.form!r} gives no loss at any start; "
            "see the start ranges of its coefficients"
        )
    agreeing = float((found.cost <= found.cost[best] * (1 + 1e-4)).mean())
    point = found.points[best]
    flat = _flat(model, point)
    _check_columns(model, runs, flat)
    residuals = model(point[None])[0] - measured
    _check_settled(law, runs, residuals, measured, delta)
    drawn = bootstrap(model, point, runs.groups(), measured, replicates, delta, seed)
    values = dict(zip(model.names, model.coefficients(point).tolist(), strict=True))
    return Fit(
        law=model.law.with_coefficients(values),
        runs=runs,
        coefficients=_fitted(model, point, measured, values, dict(fixed or {}), drawn, flat, delta),
        residuals=residuals,
        cost=float(huber(residuals, delta).sum()),
        model=model,
        replicates=drawn,
        agreeing=agreeing,
        starts=len(found.cost),
        delta=delta,
        together=_together(model, drawn),
    )


def bootstrap(
    model: LawModel, point: Array, groups: Array, measured: Array, replicates: int,
    delta: float = DELTA, seed: int = 0,
) -> Array:  # fmt: skip
    """Return fits of resampled runs, (replicates, coefficients), on the search scales.

    groups: (rows,), which run each row is of: runs are drawn whole, so that checkpoints of one
    run do not count as many. Each replicate descends from the fit itself, all at once.
    """
    if not replicates:
        return np.empty((0, len(point)))
    runs = int(groups.max()) + 1
    drawn = np.random.default_rng(seed + 1).multinomial(runs, np.full(runs, 1 / runs), replicates)
    starts = np.broadcast_to(point, (replicates, len(point)))
    return minimise(
        model, starts, model.low, model.high, measured, drawn[:, groups].astype(float),
        delta=delta, most_steps=300, tolerance=1e-8,
    ).points  # fmt: skip


def intervals(
    model: LawModel, points: Array, drawn: Array, measured: Array, delta: float = DELTA
) -> tuple[Array, Array]:
    """Return the ends of 95 % intervals of many fits, (fits, coefficients), on the search scales.

    points: (fits, coefficients), the fits; drawn: (replicates, fits, coefficients), their
    bootstraps; measured: (fits, runs), ln loss.

    Percentiles of the bootstrap; of a fit in a valley without end, widened to the profile, for
    there replicates stay near the fit though values far along do as well. Each coefficient is held
    further and further out and the others are fitted again: its interval reaches as far as the cost
    stays within what chance allows (3.84, of chi-squared with one degree of freedom, in the unit
    that the replicates' own costs on the data set). The valley has no end where an interval or a
    profile of any coefficient reaches the bounds of the search.
    """
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(drawn, [tail, 100 - tail], axis=0)
    cost = huber(model(points) - measured, delta).sum(axis=1)
    flat = drawn.reshape(-1, drawn.shape[-1])
    theirs = huber(model(flat) - np.tile(measured, (len(drawn), 1)), delta).sum(axis=1)
    risen = np.median(theirs.reshape(drawn.shape[:2]) - cost, axis=0)
    allowed = _CHI2 * risen / max(1.0, points.shape[1] - 2 / 3)  # the median of chi-squared

    # (sides, distances, fits, coefficients): where each coefficient is held.
    reach = np.multiply.outer(_REACH, np.maximum(high - low, 1e-9))
    held = np.clip(np.stack([low - reach, high + reach]), model.low, model.high)
    fits, count = points.shape
    outer = np.stack([drawn.argmin(axis=0), drawn.argmax(axis=0)])
    nearest = drawn[outer, np.arange(fits)[:, None]]  # (sides, fits, coefficients, coefficients)
    shape = (2, len(_REACH), fits, count, count)
    own = np.eye(count, dtype=bool)
    box_low = np.where(own, held[..., None], model.low).reshape(-1, count)
    box_high = np.where(own, held[..., None], model.high).reshape(-1, count)
    rows = np.broadcast_to(measured[:, None, :], (fits, count, measured.shape[1]))
    rows = np.broadcast_to(rows, (2, len(_REACH), *rows.shape)).reshape(-1, measured.shape[1])
    again = np.minimum(*(
        minimise(
            model, np.broadcast_to(start, shape).reshape(-1, count), box_low, box_high, rows,
            delta=delta, most_steps=150, tolerance=1e-6,
        ).cost.reshape(shape[:-1])
        for start in (nearest[:, None], points[:, None, :])
    ))  # fmt: skip
    risen = np.sqrt(np.maximum(again - cost[:, None], 0.0))
    limit = np.sqrt(np.maximum(allowed, 0.0))[:, None]
    ends = _crossing(held, risen, limit)
    edge = 1e-6 * (model.high - model.low)
    lower, upper = np.minimum(low, ends[0]), np.maximum(high, ends[1])
    out = (lower <= model.low + edge) | (upper >= model.high - edge)
    endless = out.any(axis=1, keepdims=True)
    return np.where(endless, lower, low), np.where(endless, upper, high)


def _crossing(held: Array, risen: Array, limit: Array) -> Array:
    """Return how far out a profile stays within its limit: (sides, fits, coefficients).

    held, risen: (sides, distances, fits, coefficients), outwards; between the last point within
    and the first beyond, straight.
    """
    within = np.logical_and.accumulate(risen <= limit, axis=1)
    last = np.maximum(within.sum(axis=1) - 1, 0)[:, None]
    after = np.minimum(last + 1, held.shape[1] - 1)
    at, beyond = (np.take_along_axis(held, i, axis=1)[:, 0] for i in (last, after))
    here, there = (np.take_along_axis(risen, i, axis=1)[:, 0] for i in (last, after))
    with np.errstate(all="ignore"):
        share = np.where(there > here, (limit - here) / (there - here), 0.0)
    share = np.where(np.isfinite(share), share.clip(0.0, 1.0), 0.0)
    return np.asarray(at + share * (beyond - at))


def untold(low: Array, high: Array, model: LawModel) -> list[str]:
    """Say of each free coefficient what its interval keeps from being told; '' where nothing does.

    low, high: (coefficients,) on the search scales. Told means: the interval stays off the bounds
    of the search, and is no wider than a factor of ten (one searched linearly: than half the range
    that starts are drawn from).
    """
    said = []
    for i, spec in enumerate(model.specs.values()):
        span = high[i] - low[i]
        edge = 1e-6 * (model.high[i] - model.low[i])
        if low[i] <= model.low[i] + edge or high[i] >= model.high[i] - edge:
            said.append(BEYOND)
        elif spec.log and span > np.log(MAGNITUDE):
            said.append(f"known to no better than a factor of {np.exp(span):.3g}")
        elif not spec.log and span > 0.5 * (spec.start[1] - spec.start[0]):
            said.append(f"known to no better than {span:.3g}")
        else:
            said.append("")
    return said


def _check_enough(model: LawModel, runs: Runs) -> None:
    wanted, rows = len(model.names), len(np.unique(runs.groups()))
    if not wanted:
        raise SpecError("--fix holds every coefficient: nothing is left to fit")
    if rows <= wanted:
        raise SpecError(
            f"{runs.origin}: {rows} runs cannot fit the {wanted} coefficients of form "
            f"{model.law.form!r}; it takes at least {wanted + 1}"
        )


def _check_settled(law: Law, runs: Runs, residuals: Array, measured: Array, delta: float) -> None:
    """Refuse a fit that tells no more than the median loss does: its search went astray."""
    constant = huber(measured - np.median(measured), delta).sum()
    if huber(residuals, delta).sum() >= constant:
        error = float(np.mean(np.abs(np.expm1(residuals))))
        raise SpecError(
            f"{runs.origin}: the best fit of form {law.form!r} is no better than one loss for all "
            f"runs (MAPE {error:.3g}): try more --starts, and see that losses are nats per token"
        )


def _check_positive(law: Law, runs: Runs) -> None:
    """Refuse a count or a size that is not above zero, by its row."""
    for name in law.variables:
        values = np.asarray(runs.numbers(name)) if name in _COUNTS else np.ones(1)
        if (values <= 0).any():
            row = int(np.flatnonzero(values <= 0)[0])
            raise SpecError(
                f"{runs.origin}: row {row + 1}: {name} {values[row]:g}; it is above zero"
            )


def _flat(model: LawModel, point: Array) -> list[str]:
    """Return the coefficients that change no prediction by themselves or in some combination."""
    slopes = model.slopes(point[None])[1][0]
    size = np.linalg.norm(slopes, axis=1)
    scaled = slopes / np.where(size > 0, size, 1.0)[:, None]
    directions, lengths, _ = np.linalg.svd(scaled, full_matrices=False)
    none = directions[:, lengths <= _FLAT * lengths[0]]
    part = np.sqrt((none**2).sum(axis=1))
    return [n for n, share, s in zip(model.names, part, size, strict=True) if share > 0.01 or not s]


def _check_columns(model: LawModel, runs: Runs, flat: list[str]) -> None:
    """Refuse a column that does not vary, where coefficients are left that it alone would tell."""
    for name, values in zip(model.law.variables, model.variables, strict=True):
        if flat and np.ptp(values) <= 1e-12 * np.abs(values).max():
            raise SpecError(
                f"{runs.origin}: column {runs.column_of(name)!r} is {values[0]:g} in all "
                f"{len(values)} rows, so that {', '.join(flat)} cannot be told apart; hold some "
                f"with --fix {flat[-1]}=VALUE, or fit a form without {name}"
            )


def _fitted(
    model: LawModel, point: Array, measured: Array, values: Mapping[str, float],
    fixed: Mapping[str, float], drawn: Array, flat: list[str], delta: float,
) -> tuple[Fitted, ...]:  # fmt: skip
    low = high = np.full(len(model.names), np.nan)
    why = [""] * len(model.names)
    if len(drawn):
        found = intervals(model, point[None], drawn[:, None], measured[None], delta)
        low, high = found[0][0], found[1][0]
        why = untold(low, high, model)
    ends = np.array([model.coefficients(low), model.coefficients(high)])
    free = {
        name: Fitted(name, values[name], float(ends[0, i]), float(ends[1, i]), why[i])
        for i, name in enumerate(model.names)
    }
    nan = float("nan")
    for name in flat:  # replicates stay where they are along a flat valley: no interval
        others = ", ".join(other for other in flat if other != name)
        told = f"the runs cannot tell it apart from {others}"
        alone = "no prediction of these runs depends on it"
        free[name] = Fitted(name, values[name], nan, nan, told if others else alone)
    held = {name: Fitted(name, value, nan, nan, "held") for name, value in fixed.items()}
    return tuple((free | held)[name] for name in model.law.specs())


def _together(model: LawModel, drawn: Array) -> tuple[tuple[str, str, float], ...]:
    """Return the pairs of coefficients whose replicates are all but a line."""
    if len(drawn) < 3 or drawn.shape[1] < 2:
        return ()
    with np.errstate(all="ignore"):
        matrix = np.corrcoef(drawn.T)
    first, second = np.nonzero(np.triu(np.abs(matrix) > _TOGETHER, 1))
    return tuple(
        (model.names[i], model.names[j], float(matrix[i, j]))
        for i, j in zip(first, second, strict=True)
    )
