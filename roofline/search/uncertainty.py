"""How sure a front is: draws of all that its members' losses, times and energies may really be.

Monte Carlo through the decision. A draw gives every contender a loss, times and an energy; which
of them are then on the front, within the limits, and nearest to the best of everything is counted.
A contender is a member of the front or a rival: a candidate that errors of this size could well
bring there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log
from typing import TYPE_CHECKING

import numpy as np

from roofline.search.evolution import neighbours
from roofline.search.fronts import non_dominated
from roofline.search.many import MixEvaluator
from roofline.search.problem import Problem, RooflineEvaluator

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from roofline.laws import Law

Array = np.ndarray
Ends = tuple[float, float]

DRAWS = 1000
RIVALS = 2000
"""Candidates beside the front that are drawn with it, at most; the nearest first."""
_NINETY = 1.6448536269514722  # standard deviations on either side that hold 90 %
_CELLS = 2**20  # of draws x contenders that are worked on at once
_PILOT = 128  # draws that say how far contenders move
_LOOKED_AT = 512  # members of a front that candidates are compared with, where it has more
_SHARED = ("prefill", "decode", "energy")
_STREAMS = ("loss", "formats", "shared", *_SHARED)
_METRICS = {
    "loss": (),
    "ttft": ("prefill",),
    "tpot": ("decode",),
    "latency": ("prefill", "decode"),
    "energy": ("energy",),
    "memory": (),
}
"""The measured quantities whose errors each objective has; memory is counted."""


@dataclass(frozen=True)
class Spread:
    """Two halves of normals, joined at the prediction: deviations of ln(measured / predicted)."""

    below: float = 0.0
    above: float = 0.0

    @classmethod
    def of(cls, ends: Ends) -> Spread:
        """Return the spread under which nine of ten lie between two multiples of a prediction."""
        low, high = ends
        return cls(-log(min(low, 1.0)) / _NINETY, log(max(high, 1.0)) / _NINETY)

    def without(self, part: Spread) -> Spread:
        """Return what is left of a sum when an independent part is taken out; no less than 0."""
        below = max(self.below**2 - part.below**2, 0.0)
        above = max(self.above**2 - part.above**2, 0.0)
        return Spread(below**0.5, above**0.5)

    def logs(self, normal: Array) -> Array:
        """Return logarithms of measured over predicted for standard normal numbers."""
        return normal * np.where(normal < 0, self.below, self.above)


@dataclass(frozen=True)
class Errors:
    """What is known of how far candidates lie from their predictions.

    Of times and energy, by metric (prefill, decode, energy): `own` of each candidate by itself, and
    `shared` by all, for a device that has no measurements is fast or slow with every model. Empty
    where nothing is known. Of the loss: the law's coefficients, shared; own, the law's error of a
    difference over sqrt 2, or the scatter of runs around it; and the error of what a number format
    adds, shared by the candidates that are held in it.
    """

    law: Law
    own: Mapping[str, Spread]
    shared: Mapping[str, Spread]

    @classmethod
    def of(
        cls,
        law: Law,
        device: Device,
        processor: str | None = None,
        ideal: bool = False,
        own: Mapping[str, Ends] | None = None,
    ) -> Errors:
        """Return the errors of a law and a calibrated device.

        own: ends for a new model on a measured device, by metric; the device's own interval holds
        no more than those where its basis is its own rows, which is also what None stands for.
        ideal: a floor has no error.
        """
        known = device.processor(processor).calibration
        if known is None or ideal:
            return cls(law, {}, {})
        whole = {
            name: Spread.of((interval.low, interval.high))
            for name in ("prefill", "decode", "energy")
            if (interval := getattr(known, name)) is not None
        }
        if not own:
            return cls(law, whole, {})
        alone = {name: Spread.of(own[name]) if name in own else whole[name] for name in whole}
        return cls(law, alone, {name: whole[name].without(alone[name]) for name in whole})

    @property
    def loss_known(self) -> bool:
        """Whether the law says anything of its error."""
        return self.law.uncertainty is not None or self.law.sd is not None

    @property
    def any_known(self) -> bool:
        """Whether an error of the loss, of a time or of the energy is known."""
        return self.loss_known or bool(self.own)

    def say(self) -> str:
        """Say what the draws move, and what nobody knows the error of."""
        parts, unknown = [], []
        if self.law.uncertainty is not None:
            parts.append("the coefficients of the law")
        if self.loss_known:
            parts.append("the loss of each candidate")
        else:
            unknown.append(f"{self.law.title} publishes no error of its losses")
        if self.own:
            parts.append("times and energy of each candidate")
        else:
            unknown.append("no error of times and energy is stated")
        if any(spread.below or spread.above for spread in self.shared.values()):
            parts.append("those of the device as a whole")
        words = [f"drawn: {', '.join(parts)}"] if parts else []
        said = "; ".join([*words, *unknown])
        return f"{said[:1].upper()}{said[1:]}."


def own_intervals(device: Device, processor: str | None = None) -> dict[str, Ends]:
    """Return the ends for a new model on a device of this kind that has measurements, by metric.

    Empty where the device has measurements itself: its own interval is then that of a new model.
    """
    from roofline.efficiency.effects import shipped_effects

    known = device.processor(processor).calibration
    if known is None or known.basis == "device":
        return {}
    found = {}
    for metric, by_basis in shipped_effects().intervals.items():
        kinds = by_basis.get("device", {})
        ends = kinds.get(device.kind) or kinds.get("")
        if ends is not None:
            found[metric] = (float(min(ends[0], 1.0)), float(max(ends[1], 1.0)))
    return found


@dataclass(frozen=True, eq=False)
class Confidence:
    """How sure a front is; arrays are (M,), one a member.

    p_front: share of draws in which no contender beats the member. p_meets: share in which it meets
    each limit, by objective; p_feasible: all of them. loss_low, loss_high: where nine of ten runs
    would end (`roofline.laws.interval`); NaN where the law says nothing of its error. knee_better:
    share of draws in which the knee is nearer to the best of everything than the runner-up.
    contenders: members and rivals; cut: whether more rivals were found than were drawn.
    """

    p_front: Array
    p_meets: dict[str, Array]
    p_feasible: Array
    loss_low: Array
    loss_high: Array
    knee_better: float | None
    draws: int
    contenders: int
    cut: bool


def assess(
    problem: Problem,
    members: Array,
    errors: Errors,
    knee: int = 0,
    runner_up: int | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    rivals: int = RIVALS,
) -> Confidence:
    """Draw a front and its rivals, and count.

    problem: its evaluator is of one workload or of a mix. members: (M,) points of its space, in the
    order of the answer. knee, runner_up: rows among them. Reproducible for a seed. O(draws x
    contenders x log contenders) in time.
    """
    from roofline.laws import interval

    if not isinstance(problem.evaluator, RooflineEvaluator | MixEvaluator):
        raise TypeError("only candidates that the roofline judges can be drawn")
    everyone, cut = contenders(problem, members, errors, seed=seed, rivals=rivals)
    rows = np.searchsorted(everyone, members)
    limits = {limit.objective: limit.limit for limit in problem.constraints}
    wanted = list(dict.fromkeys((*problem.objectives, *limits)))
    on_it, met_all = np.zeros(len(members)), np.zeros(len(members))
    met = {name: np.zeros(len(members)) for name in limits}
    nearer = 0
    for drawn in draw(problem.evaluator, problem.space.at(everyone), errors, wanted, draws, seed):
        columns = [drawn[name] for name in problem.objectives]
        on_it += on_front(columns)[:, rows].sum(axis=0)
        within = np.ones((len(columns[0]), len(members)), dtype=bool)
        for name, limit in limits.items():
            holds = drawn[name][:, rows] <= limit
            met[name] += holds.sum(axis=0)
            within &= holds
        met_all += within.sum(axis=0)
        if runner_up is not None:
            apart = distance(np.stack([column[:, rows] for column in columns], axis=-1))
            nearer += int((apart[:, knee] < apart[:, runner_up]).sum())
    low, high = interval(errors.law, problem.space.at(members))
    return Confidence(
        p_front=on_it / draws,
        p_meets={name: count / draws for name, count in met.items()},
        p_feasible=met_all / draws,
        loss_low=low,
        loss_high=high,
        knee_better=None if runner_up is None else nearer / draws,
        draws=draws,
        contenders=len(everyone),
        cut=cut,
    )


def distance(points: Array) -> Array:
    """Return how far points (..., M, k) lie from the best of every objective, (..., M), squared.

    Objectives are compared by the logarithm of their value (by the value where some are not
    positive), each over the range that the M span: the nearest member is the knee of its front.
    """
    positive = (points > 0).all(axis=-2, keepdims=True)
    points = np.where(positive, np.log(np.where(positive, points, 1.0)), points)
    best, worst = points.min(axis=-2, keepdims=True), points.max(axis=-2, keepdims=True)
    span = worst - best
    return np.asarray((((points - best) / np.where(span > 0, span, 1.0)) ** 2).sum(axis=-1))


def on_front(columns: Sequence[Array]) -> Array:
    """Return who is on the front of each draw, (K, N) booleans, of objectives (K, N) each.

    Of equal points the first stays. One and two objectives without a loop, O(K N log N); more draw
    by draw, each O(N log^(k-2) N).
    """
    if len(columns) == 1:
        (values,) = columns
        mask = np.zeros(values.shape, dtype=bool)
        np.put_along_axis(mask, np.argmin(values, axis=1)[:, None], True, axis=1)
        return mask
    if len(columns) > 2:
        points = np.stack(columns, axis=-1)
        return np.stack([non_dominated(each) for each in points])
    x, y = columns
    order = np.argsort(x, axis=1)
    sorted_x = np.take_along_axis(x, order, axis=1)
    if (sorted_x[:, 1:] == sorted_x[:, :-1]).any():  # then the other objective decides
        order = np.lexsort((y, x), axis=1)
    sorted_y = np.take_along_axis(y, order, axis=1)
    least = np.minimum.accumulate(sorted_y, axis=1)
    first = np.ones(x.shape, dtype=bool)
    first[:, 1:] = sorted_y[:, 1:] < least[:, :-1]
    mask = np.empty(x.shape, dtype=bool)
    np.put_along_axis(mask, order, first, axis=1)
    return mask


def draw(
    evaluator: RooflineEvaluator | MixEvaluator,
    arch: Architectures,
    errors: Errors,
    names: Sequence[str],
    draws: int,
    seed: int,
) -> Iterator[dict[str, Array]]:
    """Yield drawn quantities by name, (rows of draws, N) each, until there were so many draws.

    No time or energy lies below the ideal floor. The numbers do not depend on which names are asked
    for. Errors of prefill, decode and energy are independent.
    """
    said = evaluator(arch)
    floor = said if evaluator.ideal else replace(evaluator, ideal=True)(arch)
    random = {name: np.random.default_rng([seed, i]) for i, name in enumerate(_STREAMS)}
    everyone = dict(zip(_SHARED, random["shared"].standard_normal((3, draws, 1)), strict=True))
    losses = _losses(errors, arch, said["loss"], draws, seed)
    for start in range(0, draws, rows := max(1, _CELLS // len(arch))):
        part = slice(start, min(start + rows, draws))
        shape = part.stop - part.start, len(arch)
        ratios = {}
        for metric in dict.fromkeys(m for name in names for m in _METRICS[name]):
            logs = np.zeros((1, 1))
            if metric in errors.own:
                logs = errors.own[metric].logs(random[metric].standard_normal(shape))
            if metric in errors.shared:
                logs = logs + errors.shared[metric].logs(everyone[metric][part])
            ratios[metric] = np.exp(logs)
        found = {}
        for name in names:
            value = said[name]
            if name == "loss":
                value = losses(part, random["loss"], random["formats"])
            elif name == "latency":
                value = said["ttft"] * ratios["prefill"]
                value = value + (said["latency"] - said["ttft"]) * ratios["decode"]
            elif _METRICS[name]:
                value = value * ratios[_METRICS[name][0]]
            if _METRICS[name]:
                value = np.maximum(value, floor[name])
            found[name] = np.broadcast_to(value, shape)
        yield found


def _losses(
    errors: Errors, arch: Architectures, loss: Array, draws: int, seed: int
) -> Callable[[slice, np.random.Generator, np.random.Generator], Array]:
    """Return a function from rows of the draws to losses, (rows, N) or (N,).

    loss: what is predicted, (N,). Its generators draw the errors of candidates and of formats.
    """
    law = errors.law
    nominal, own = law.loss(arch), _own_loss(errors, loss)
    formats, kind = _format_errors(law, arch)
    coefficients = law.draws(draws, seed).coefficients() if law.uncertainty is not None else {}
    varied = {name: np.asarray(value) for name, value in coefficients.items() if np.ndim(value)}

    def drawn(
        part: slice, candidates: np.random.Generator, in_formats: np.random.Generator
    ) -> Array:
        found, rows = loss, part.stop - part.start
        if varied:
            some = law.with_coefficients({name: value[part] for name, value in varied.items()})
            found = found + (some.loss(arch) - nominal)
        if own.any():
            found = found + own * candidates.standard_normal((rows, len(arch)))
        if formats.any():
            found = found + (formats * in_formats.standard_normal((rows, len(formats))))[:, kind]
        return found

    return drawn


def _own_loss(errors: Errors, loss: Array) -> Array:
    """Standard deviation of the loss that is a candidate's own, (N,), in the law's unit."""
    law = errors.law
    if law.sd is not None:
        return np.full(loss.shape, law.sd / np.sqrt(2.0))
    return loss * (law.uncertainty.residual if law.uncertainty is not None else 0.0)


def _format_errors(law: Law, arch: Architectures) -> tuple[Array, Array]:
    """Standard deviations of what number formats add, (G,), and which of them each has, (N,)."""
    from roofline.laws.penalties import penalty

    if not law.in_nats:
        return np.zeros(1), np.zeros(len(arch), dtype=int)
    added = penalty(arch, law.covers)
    both = np.broadcast_arrays(added.nats, np.nan_to_num(added.sd), np.empty(len(arch)))[:2]
    kinds, kind = np.unique(np.stack(both, axis=-1), axis=0, return_inverse=True)
    return kinds[:, 1], kind.ravel()


def contenders(
    problem: Problem, members: Array, errors: Errors, *, seed: int = 0, rivals: int = RIVALS
) -> tuple[Array, bool]:
    """Return the points of members and rivals, ascending, and whether rivals were left out.

    A rival is an allowed candidate that is worse than some member by no more than the error of
    their difference allows in one case of twenty, in every objective. They are found by steps of
    one choice from the front, and from rival to rival, until there are no more, or so many; then
    the nearest stay.
    """
    space, k = problem.space, len(problem.objectives)
    front = problem.evaluate(space.at(members)).points
    near = neighbours(space, np.sort(members), (-1, 1))
    front = front[np.unique(np.linspace(0, len(front) - 1, _LOOKED_AT).round().astype(int))]
    allowance = _allowance(problem, np.union1d(members, near), errors, seed)
    found, seen = np.empty(0, dtype=np.int64), np.sort(members)
    edge = seen
    while len(edge):
        around = np.setdiff1d(neighbours(space, edge, (-1, 1)), seen)
        around = around[space.valid(around)]
        if not len(around):
            break
        seen = np.union1d(seen, around)
        judged = problem.evaluate(space.at(around))
        apart = np.full(len(around), np.inf)
        rows = np.flatnonzero(judged.feasible)
        apart[rows] = _behind(judged.points[rows].reshape(-1, k), front, allowance, problem)
        edge, apart = around[apart <= 1.0], apart[apart <= 1.0]
        room = rivals - len(found)
        if len(edge) > room:
            nearest = np.lexsort((edge, apart))[:room]
            found = np.concatenate([found, edge[nearest]])
            return np.union1d(members, found), True
        found = np.concatenate([found, edge])
    return np.union1d(members, found), False


def _scaled(points: Array, objectives: Sequence[str]) -> Array:
    """Points (..., k) on the scales that errors are drawn on: losses as they are, else logs."""
    linear = np.array([name == "loss" for name in objectives])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(linear, points, np.log(points))


def _behind(points: Array, front: Array, allowance: Array, problem: Problem) -> Array:
    """How far points (N, k) are behind the nearest member, (N,), in allowances; 1 is the most."""
    points = _scaled(points, problem.objectives)
    front = _scaled(front, problem.objectives)
    found = np.empty(len(points))
    for start in range(0, len(points), step := max(1, _CELLS // len(front))):
        part = slice(start, start + step)
        worst = np.full((len(points[part]), len(front)), -np.inf)
        for column, allowed in enumerate(allowance):
            gap = points[part, column, None] - front[:, column]
            gap = gap / allowed if allowed > 0 else np.where(gap > 0, np.inf, -np.inf)
            np.maximum(worst, gap, out=worst)
        found[part] = worst.min(axis=1)
    return found


def _allowance(problem: Problem, around: Array, errors: Errors, seed: int) -> Array:
    """How much worse a candidate may be and still come out better in one draw of twenty, (k,)."""
    space = problem.space
    around = around[space.valid(around)]
    some = around[np.unique(np.linspace(0, len(around) - 1, _LOOKED_AT).round().astype(int))]
    evaluator = problem.evaluator
    assert isinstance(evaluator, RooflineEvaluator | MixEvaluator)
    arch, names = space.at(some), problem.objectives
    parts = draw(evaluator, arch, errors, names, _PILOT, seed)
    drawn = [np.stack([part[name] for name in names], axis=-1) for part in parts]
    moved = _scaled(np.concatenate(drawn), names)
    moved = moved - moved.mean(axis=0)
    alone = moved - moved.mean(axis=1, keepdims=True)  # what all share changes no order
    return np.asarray(_NINETY * np.sqrt(2.0 * np.nanmean(alone**2, axis=(0, 1))))
