"""A plan in words and in plain data, for people and for files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roofline.strategies.forms import strategies
from roofline.strategies.options import BINS
from roofline.strategies.plan import DIMENSIONS
from spec_files import format_quantity

if TYPE_CHECKING:
    from roofline.strategies.plan import Pick, Plan

BIN_NAMES = ("all", "easiest", "easy", "middle", "hard", "hardest")


def to_dict(plan: Plan) -> dict[str, Any]:
    """Return all that a plan says, in SI units; None for what is not known."""
    return {
        "device": plan.device.name,
        "runtime": plan.runtime,
        "basis": plan.basis,
        "task": plan.task.name,
        "options": plan.options.count,
        "within_limits": int(plan.fits.sum()),
        "limits": plan.limits,
        "axis": plan.axis,
        "best": _known(plan.row(plan.best)),
        "runner_up": _known(plan.row(plan.runner_up)) if plan.runner_up else None,
        "binding": plan.binding,
        "accuracy_gained_without": plan.gains,
        "by_budget": [
            {
                "budget": float(budget),
                **{
                    name: _known(plan.row(pick)) if pick else None
                    for name, pick in zip(BIN_NAMES, picks, strict=True)
                },
            }
            for budget, picks in zip(plan.budgets, plan.by_budget, strict=True)
        ],
        "skipped": plan.options.skipped,
        "assumptions": assumptions(plan),
        "front": [_known(plan.row(pick)) for pick in plan.front],
    }


def _known(row: dict[str, Any]) -> dict[str, Any]:
    return {key: None if value != value else value for key, value in row.items()}


def assumptions(plan: Plan) -> list[str]:
    """Say what the accuracies rest on, for the strategies on the front and the picks."""
    picks = [*plan.front, plan.best, *(p for row in plan.by_budget for p in row if p)]
    used = {str(plan.options.strategy[t]) for _, t in picks}
    judges = sorted({str(plan.options.verifier[t]) for _, t in picks} - {""})
    said = [
        f"{name}: {each.assumes}"
        for name, each in strategies().items()
        if name in used and each.assumes
    ]
    task = plan.task
    said.append(
        f"difficulty of {task.name}: alpha {task.alpha:g}, c {task.concentration:g}, "
        f"{task.wrong_answers} wrong answers ({task.difficulty_source})"
    )
    said.append(f"lengths: prompt {task.prompt}, answer {task.answer} ({task.lengths_source})")
    for name in judges:
        judge = plan.options.judges[name]
        said.append(
            f"verifier {name}: AUC {judge.quality:g} ({judge.source or 'as given'}), whose error "
            "is not in the intervals"
        )
    return said


def short(plan: Plan, pick: Pick | None) -> str:
    """Name an option: model, format, strategy, answers."""
    if pick is None:
        return "–"
    r, t = pick
    o = plan.options
    times = f" ×{o.samples[t]}" if o.samples[t] > 1 else ""
    waves = f" in {o.waves[t]} waves" if o.waves[t] > 1 else ""
    detail = f" ({o.detail[t]})" if o.detail[t] else ""
    judge = f" by {o.verifier[t]}" if o.verifier[t] else ""
    return f"{o.models[r]} {o.formats[r]}, {o.strategy[t]}{times}{detail}{waves}{judge}"


def costs(plan: Plan, pick: Pick) -> str:
    """Say what an option costs."""
    values = (plan.value(pick, name) for name in ("seconds", "joules", "memory"))
    parts = zip(values, ("time", "energy", "bytes"), strict=True)
    return ", ".join(format_quantity(v, d) for v, d in parts if v == v)


def sentences(plan: Plan) -> list[str]:
    """Say what is best, next, and what binds."""
    best = plan.row(plan.best)
    said = [
        f"Best: {short(plan, plan.best)}: {best['accuracy']:.1%} "
        f"({best['accuracy_low']:.1%} to {best['accuracy_high']:.1%}), {costs(plan, plan.best)}."
    ]
    if plan.runner_up is not None:
        row = plan.row(plan.runner_up)
        said.append(
            f"Runner-up: {short(plan, plan.runner_up)}: {row['accuracy']:.1%}, "
            f"{costs(plan, plan.runner_up)}."
        )
    if plan.binding is None:
        said.append("No limit keeps a more accurate option out.")
    else:
        name = plan.binding
        said.append(
            f"Binding: {name}, {format_quantity(plan.limits[name], DIMENSIONS[name])}; without it "
            f"{100 * plan.gains[name]:.1f} points more."
        )
    for name, why in plan.options.skipped.items():
        said.append(f"Left out: {name}: {why}.")
    return said


def bins_table(plan: Plan) -> list[list[str]]:
    """Rows of the optimum by difficulty within the limits: bin, option, accuracy, costs."""
    rows = []
    for i, pick in enumerate(plan.by_bin):
        rows.append(
            [
                f"{BIN_NAMES[i + 1]} fifth" if BINS == 5 else BIN_NAMES[i + 1],
                short(plan, pick),
                f"{plan.options.by_bin[i][pick]:.1%}",
                costs(plan, pick),
            ]
        )
    return rows
