"""The ladder's losses taken back: does the law hold, and does the choice still stand?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from arch_space.architectures import Architectures, concatenate
from roofline.export.front import KNEE, Front
from roofline.export.plan import LEVEL, Expected, Plan, Run
from roofline.export.refit import Drawn, Refit, refit
from roofline.fitting import Runs, read_runs
from roofline.laws import Law, load_law, penalty
from roofline.search.fronts import non_dominated
from roofline.search.objectives import COLUMNS
from roofline.search.uncertainty import distance, on_front
from spec_files import Spec, SpecError, did_you_mean, read_spec

Array = np.ndarray
SURE = 0.95
"""Share of ladders whose scatter after the refit is smaller, where the form holds (chi-squared)."""


class Judged(Spec):
    """One rung: what was expected, what came out, what the refitted law says."""

    rung: str
    expected: Expected
    measured: float
    within: bool | None
    refitted: float


class Verdict(Spec):
    """What a ladder says of a plan.

    form_holds: whether the refitted law describes the runs; None where it states no scatter.
    on_front, p_front, p_front_before: of the pick, under the refitted law; the shares are of draws
    of the coefficients and of each member's own error. on_front_before: under the law as it was.
    best: the member that the same rule picks now.
    """

    rungs: tuple[Judged, ...]
    holds: str
    form_holds: bool | None
    refit: str
    coefficients: dict[str, float]
    level: float
    """Measured over the refitted law's loss, the same for all."""
    expected: Expected
    """Loss of the choice under the refitted law."""
    member: int
    best: int | None
    on_front: bool
    on_front_before: bool
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
    table = _Table.of(plan, front, members, law)
    before, loss = table.losses(law, 1.0), table.losses(found.law, found.level)
    points = table.points(loss)
    stays = non_dominated(points)
    stayed = bool(non_dominated(table.points(before))[plan.member])
    now = replace(front, table=front.table.assign(loss=loss))
    best = _best(plan, now, points, stays)
    on = bool(stays[plan.member])
    shares = (table.share(found.draws, plan.member), table.share(found.prior, plan.member))
    form = _form_holds(found, len(judged))
    return Verdict(
        rungs=judged,
        holds=_holds(judged, found, form),
        form_holds=form,
        refit=found.said,
        coefficients=found.law.coefficients(),
        level=found.level,
        expected=_expected(found, plan),
        member=plan.member,
        best=best,
        on_front=on,
        on_front_before=stayed,
        stands=on and best in (None, plan.member),
        p_front=shares[0],
        p_front_before=shares[1],
        decision=_sentence(plan, (on, stayed), best, loss, points, shares, form),
    )


@dataclass(frozen=True)
class _Table:
    """The front's members with their objectives, whose losses a law gives anew."""

    members: Architectures
    columns: tuple[Array, ...]
    at: int | None
    law: Law

    @classmethod
    def of(cls, plan: Plan, front: Front, members: Architectures, law: Law) -> _Table:
        names = plan.objectives or ("loss",)
        columns = tuple(front.table[COLUMNS[name]].to_numpy(float) for name in names)
        return cls(members, columns, names.index("loss") if "loss" in names else None, law)

    def losses(self, law: Law, level: float) -> Array:
        """Losses as they run, (members,)."""
        return level * law.loss(self.members) + penalty(self.members, law.covers).nats

    def points(self, loss: Array) -> Array:
        return np.stack([loss if i == self.at else c for i, c in enumerate(self.columns)], axis=1)

    def share(self, drawn: Drawn | None, member: int) -> float | None:
        """Share of draws in which a member stays on the front; None where nothing can be drawn."""
        if drawn is None or self.at is None or self.law.uncertainty is None:
            return None
        law, level, _ = drawn
        losses = np.asarray(law.loss(self.members)) * level[:, None]
        own = np.random.default_rng(1).standard_normal(losses.shape)
        if self.law.sd is not None:
            losses = losses + self.law.sd / np.sqrt(2) * own
        else:
            losses = losses * np.exp(self.law.uncertainty.residual * own)
        losses = losses + penalty(self.members, law.covers).nats
        shape = losses.shape
        return float(
            on_front(
                [losses if i == self.at else np.broadcast_to(c, shape)
                 for i, c in enumerate(self.columns)]
            )[:, member].mean()
        )  # fmt: skip


def _trained(plan: Plan) -> Architectures:
    return Architectures.from_rows([plan.choice.architecture])


def _expected(found: Refit, plan: Plan) -> Expected:
    """Return the loss of the choice under the refitted law, with what one run scatters by."""
    value = float(found.level * found.law.loss(_trained(plan))[0])
    if found.draws is None:
        return Expected(value=value)
    law, level, noise = found.draws
    losses = np.ravel(law.loss(_trained(plan))) * level * noise
    low, high = np.quantile(losses, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Expected(value=value, low=float(low), high=float(high))


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


def _form_holds(found: Refit, runs: int) -> bool | None:
    from scipy.stats import chi2

    if not found.expected_scatter:
        return None
    return bool(runs * (found.scatter / found.expected_scatter) ** 2 <= chi2.ppf(SURE, runs))


def _holds(judged: tuple[Judged, ...], found: Refit, form: bool | None) -> str:
    known = [each for each in judged if each.within is not None]
    said = f"{sum(bool(e.within) for e in known)} of {len(known)} losses lie within their interval"
    if not known:
        said = "The law states no interval, so no loss can lie outside one"
    if form is False:
        return (
            f"{said}; after the refit they still scatter by {found.scatter:.2%}, where runs of the "
            f"law's data do by {found.expected_scatter:.2%}: its form does not hold for these runs."
        )
    return f"{said}; after the refit they scatter by {found.scatter:.2%}."


def _sentence(
    plan: Plan, front: tuple[bool, bool], best: int | None, loss: Array, points: Array,
    shares: tuple[float | None, float | None], form: bool | None,
) -> str:  # fmt: skip
    """Say in one sentence whether the choice stands."""
    on, stayed = front
    after, before = shares
    sure = "" if after is None or before is None else (
        f" (on it in {after:.0%} of draws, {before:.0%} before the ladder)"
    )  # fmt: skip
    doubt = "" if form is not False else (
        ", as far as a law that does not fit these runs can say"
    )  # fmt: skip
    mine, rule = f"member {plan.member}", f"the pick by {plan.picked!r}"
    if not on:
        better = (points <= points[plan.member]).all(axis=1)
        better &= (points < points[plan.member]).any(axis=1)
        rows = np.flatnonzero(better)
        other = int(rows[np.argmin(loss[rows])])
        same = "" if stayed else f", as {plan.law} said before the ladder"
        return (
            f"The choice does not stand: under the refitted law member {other} beats {mine}{sure}"
            f"{same}{doubt}."
        )
    if best in (None, plan.member):
        still = "" if best is None else f" and still {rule}"
        return f"The choice stands: {mine} is still on the front{sure}{still}{doubt}."
    gain = loss[plan.member] - loss[best]
    return (
        f"The choice is no longer the best: {mine} is still on the front{sure}, but {rule} is now "
        f"member {best}, whose loss is {abs(gain):.4f} {'lower' if gain > 0 else 'higher'}{doubt}."
    )
