"""The ladder's losses taken back: does the law hold, and does the choice still stand?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from roofline.export.front import KNEE, Front
from roofline.export.plan import Expected, Plan, Run
from roofline.export.refit import Refit, refit
from arch_space.architectures import Architectures, concatenate
from roofline.fitting import Runs, read_runs
from roofline.laws import Law, load_law, penalty, predict
from roofline.search.fronts import non_dominated
from roofline.search.sweep import COLUMNS
from roofline.search.uncertainty import distance, on_front
from spec_files import Spec, SpecError, did_you_mean, read_spec

Array = np.ndarray
SEVERAL = 2.0
"""Scatter beyond this multiple of what the law's runs show says that its form does not hold."""


class Judged(Spec):
    """One rung: what was expected, what came out, what the refitted law says."""

    rung: str
    expected: Expected
    measured: float
    within: bool | None
    refitted: float


class Verdict(Spec):
    """What a ladder says of a plan.

    on_front, p_front, p_front_before: of the pick, under the refitted law. best: the member that
    the same rule picks now.
    """

    rungs: tuple[Judged, ...]
    holds: str
    refit: str
    coefficients: dict[str, float]
    level: float
    """Measured over the refitted law's loss, the same for all."""
    expected: Expected
    """Loss of the choice under the refitted law."""
    member: int
    best: int | None
    on_front: bool
    stands: bool
    p_front: float | None
    p_front_before: float | None
    decision: str


def check_ladder(plan_file: str | Path, results: str | Path) -> Verdict:
    """Judge a plan by the losses of its ladder.

    results: a table of `rung` and `loss`; a rung may have several rows (seeds), or none yet.
    Raises SpecError for a rung that is none, and where no loss is filled in.
    """
    plan_file = Path(plan_file)
    plan = read_spec(plan_file, Plan)
    law = load_law(plan_file.parent / plan.laws)
    front = replace(Front.load(plan_file.parent / plan.front), sweep=None)
    if not law.in_nats:
        raise SpecError(f"{plan_file}: law {law.name!r} gives {law.unit}, which no run measures")
    runs, measured = _measured(plan, results)
    found = refit(
        law,
        concatenate([Architectures.from_rows([run.architecture]) for run in runs]),
        np.array([run.tokens for run in runs]),
        measured,
    )
    judged = tuple(
        Judged(
            rung=run.name,
            expected=run.loss,
            measured=float(loss),
            within=None
            if run.loss.low is None or run.loss.high is None
            else bool(run.loss.low <= loss <= run.loss.high),
            refitted=float(after),
        )
        for run, loss, after in zip(runs, measured, found.fitted, strict=True)
    )
    return _decide(plan, front, law, found, judged)


def _measured(plan: Plan, results: str | Path) -> tuple[list[Run], Array]:
    """Return the rungs that have a loss, and the losses, one a row."""
    table = read_runs(results)
    column = table.column_of("loss")
    named = next((n for n in ("rung", "run") if n in table.table.columns), None)
    if named is None:
        near = did_you_mean("rung", map(str, table.table.columns))
        raise SpecError(f"{results}: no column 'rung', which names the rungs of the plan{near}")
    if column is None:
        raise SpecError(f"{results}: no column of losses; call it 'loss'")
    filled = table.table[column].notna().to_numpy()
    if not filled.any():
        raise SpecError(f"{results}: column {column!r} is empty; write in the losses of the rungs")
    kept: Runs = table.keep(filled)
    known = {run.name: run for run in plan.ladder}
    rungs = []
    for name in kept.table[named].astype(str):
        if name.strip() not in known:
            near = did_you_mean(name, known)
            raise SpecError(f"{results}: {name!r} is not a rung of the plan{near}")
        rungs.append(known[name.strip()])
    return rungs, kept.loss()


def _decide(
    plan: Plan, front: Front, law: Law, found: Refit, judged: tuple[Judged, ...]
) -> Verdict:
    members = front.architectures()
    columns = [front.table[COLUMNS[name]].to_numpy(float) for name in plan.objectives]
    at = plan.objectives.index("loss") if "loss" in plan.objectives else None
    loss = found.level * found.law.loss(members) + penalty(members, law.covers).nats
    loss = np.broadcast_to(np.asarray(loss, dtype=float), (len(members),))
    points = np.stack([loss if i == at else c for i, c in enumerate(columns)] or [loss], axis=1)
    stays = non_dominated(points)
    now = replace(front, table=front.table.assign(loss=loss))
    best = _best(plan, now, points, stays)
    on = bool(stays[plan.member])
    stands = on and best in (None, plan.member)
    shares = [
        None if drawn is None or at is None else _share(drawn, members, columns, at, plan.member, law)
        for drawn in (found.draws, found.prior)
    ]
    trained = float(found.level * predict(found.law, _trained(plan)).loss[0])
    return Verdict(
        rungs=judged,
        holds=_holds(judged, found),
        refit=found.said,
        coefficients=found.law.coefficients(),
        level=found.level,
        expected=_expected(found, plan, trained),
        member=plan.member,
        best=best,
        on_front=on,
        stands=stands,
        p_front=shares[0],
        p_front_before=shares[1],
        decision=_sentence(plan, on, best, loss, points, shares),
    )


def _trained(plan: Plan) -> Architectures:
    return Architectures.from_rows([plan.choice.architecture])


def _expected(found: Refit, plan: Plan, value: float) -> Expected:
    if found.draws is None:
        return Expected(value=value)
    law, level, noise = found.draws
    losses = np.ravel(law.loss(_trained(plan))) * level * noise
    low, high = np.quantile(losses, [0.05, 0.95])
    return Expected(value=value, low=float(low), high=float(high))


def _share(
    drawn: tuple[Law, Array, Array], members: Architectures, columns: list[Array], at: int,
    member: int, law: Law,
) -> float:  # fmt: skip
    """Share of draws in which the member stays on the front; coefficients alone are drawn."""
    losses = np.asarray(drawn[0].loss(members)) * drawn[1][:, None]
    losses = losses + penalty(members, law.covers).nats
    shape = losses.shape
    table = [losses if i == at else np.broadcast_to(c, shape) for i, c in enumerate(columns)]
    return float(on_front(table)[:, member].mean())


def _best(plan: Plan, now: Front, points: Array, stays: Array) -> int | None:
    """Return the member that the rule of the pick takes now; None where a number was named."""
    if plan.picked == KNEE:
        kept = np.flatnonzero(stays)
        return int(kept[np.argmin(distance(points[kept]))])
    if plan.picked.lstrip("+-").isdigit():
        return None
    try:
        return now.pick(plan.picked)
    except SpecError:  # a limit on the loss that no member keeps any more
        return None


def _holds(judged: tuple[Judged, ...], found: Refit) -> str:
    known = [each for each in judged if each.within is not None]
    said = f"{sum(bool(e.within) for e in known)} of {len(known)} losses lie within their interval"
    if not known:
        said = "The law states no interval, so no loss can lie outside one"
    far = found.expected_scatter and found.scatter > SEVERAL * found.expected_scatter
    if far:
        return (
            f"{said}; after the refit they still scatter by {found.scatter:.2%}, where runs of the "
            f"law's data do by {found.expected_scatter:.2%}: its form does not hold for these runs."
        )
    return f"{said}; after the refit they scatter by {found.scatter:.2%}."


def _sentence(
    plan: Plan, on: bool, best: int | None, loss: Array, points: Array,
    shares: list[float | None],
) -> str:  # fmt: skip
    after, before = shares
    sure = "" if after is None or before is None else (
        f" (on it in {after:.0%} of draws, {before:.0%} before the ladder)"
    )  # fmt: skip
    mine = f"member {plan.member}"
    if not on:
        better = np.flatnonzero((points <= points[plan.member]).all(axis=1))
        better = better[(points[better] < points[plan.member]).any(axis=1)]
        other = int(better[np.argmin(loss[better])])
        return (
            f"The choice does not stand: under the refitted law member {other} beats {mine}{sure}."
        )
    rule = f"the pick by {plan.picked!r}"
    if best is None:
        return f"The choice stands: {mine} is still on the front{sure}."
    if best == plan.member:
        return f"The choice stands: {mine} is still on the front and still {rule}{sure}."
    gain = loss[plan.member] - loss[best]
    return (
        f"The choice is no longer the best: {mine} is still on the front{sure}, but {rule} is now "
        f"member {best}, whose loss is {abs(gain):.4f} {'lower' if gain > 0 else 'higher'}."
    )
