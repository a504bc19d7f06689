"""What `roofline strategies` prints: a plan, an exchange, Kinetics beside the engine, the lists."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from roofline.cli import show

if TYPE_CHECKING:
    from roofline.strategies.plan import Plan
    from roofline.strategies.task import Task
    from roofline.strategies.verifier import Verifier


def print_plan(found: Plan, out: Path | None) -> None:
    """Print front, optima by budget and by difficulty, and what the accuracies rest on."""
    from roofline.strategies import account
    from roofline.strategies.plan import DIMENSIONS

    under = f", {found.runtime}" if found.runtime else ""
    rows = []
    for pick in found.front:
        row = found.row(pick)
        rows.append(
            [
                account.short(found, pick),
                f"{row['accuracy']:.1%}",
                f"{row['accuracy_low']:.0%} to {row['accuracy_high']:.0%}",
                show.seconds(row["latency_s"]),
                show.between(row["latency_s_low"], row["latency_s_high"], "time"),
                show.joules(row["energy_j"]),
                show.size(row["memory_bytes"]),
            ]
        )
    show.table(
        f"{found.task.title} on {found.device.title}{under}: accuracy against {found.axis}; "
        f"{int(found.fits.sum()):,} of {found.options.count:,} options keep the limits",
        ["front", "right", "(90 %)", "latency", "(90 %)", "energy", "memory"],
        rows,
    )
    show.table(
        f"Best by {found.axis} budget",
        ["budget", "best of all questions", "right", "latency", "energy"],
        [
            [
                show.quantity(float(budget), DIMENSIONS[found.axis]),
                account.short(found, picks[0]),
                f"{found.value(picks[0], 'accuracy'):.1%}",
                show.seconds(found.value(picks[0], "seconds")),
                show.joules(found.value(picks[0], "joules")),
            ]
            for budget, picks in zip(found.budgets, found.by_budget, strict=True)
            if picks[0] is not None
        ],
    )
    show.table(
        "Best by difficulty: each model's own fifths of the questions",
        ["questions", "option", "right", "costs"],
        account.bins_table(found),
    )
    for line in account.sentences(found):
        show.note(line)
    show.note("Accuracies rest on: " + "; ".join(account.assumptions(found)) + ".")
    if found.basis in ("class", "roofline"):
        show.note("No rows of this device under this runtime: latencies are a prior of its class.")
    if out is not None:
        show.note(f"Wrote {out}/: front.csv, plan.yaml and front.png.")


def print_exchange(
    pair: str,
    device: Any,
    task: Task,
    weights: list[str],
    judges: list[Verifier],
    how: dict[str, Any],
    as_json: bool,
) -> None:
    """Print how many answers of a small model cost what one of a large one does."""
    from dataclasses import asdict

    from arch_space.library import load_model
    from roofline.strategies.exchange import exchange
    from spec_files import SpecError

    small, colon, large = pair.partition(":")
    if not colon or not small or not large:
        raise SpecError(f"--exchange: read {pair!r}; write SMALL:LARGE, as in qwen3-0.6b:qwen3-8b")
    few, one_of = load_model(small), load_model(large)
    found = [(fmt, exchange(few, one_of, device, task, fmt, judges, **how)) for fmt in weights]
    if as_json:
        rows = [
            {"weights": fmt} | {k: v if v == v else None for k, v in asdict(each).items()}
            for fmt, each in found
        ]
        show.print_json(rows)
        return
    one = found[0][1]
    show.table(
        f"Answers of {one.small} for one of {one.large}, {one.times:.3g} times larger",
        ["weights", "at its FLOPs", *(f"pretraining too, R = {r:g}" for r in one.by_ratio),
         "at its seconds", "at its joules"],
        [
            [
                fmt,
                f"{each.flops:.4g}",
                *(f"{value:.4g}" for value in each.by_ratio.values()),
                _answers(each.seconds, "seconds" in each.capped),
                _answers(each.joules, "joules" in each.capped),
            ]
            for fmt, each in found
        ],
    )  # fmt: skip
    for fmt, each in found:
        if (other := each.substitute) is not None:
            judge = f" by {other.verifier}" if other.verifier else ""
            show.note(
                f"In {fmt}, {other.strategy} ×{other.samples}{judge} of {each.small} is right "
                f"{other.accuracy:.1%} of the time, one answer of {each.large} "
                f"{other.large_accuracy:.1%}: it takes {other.seconds:.2f} of its seconds"
                + ("." if other.joules != other.joules else f", {other.joules:.2f} of its joules.")
            )
        else:
            show.note(f"In {fmt} no strategy of {each.small} is known to do as well.")
        if not each.large_fits:
            show.note(f"{each.large} in {fmt} does not fit this device: the exchange is on paper.")
    show.note(
        "R: inference tokens over pretraining tokens (arXiv 2408.03314). Seconds and joules are "
        "this device's, answers decoded together; a + marks memory's end before that price."
    )


def _answers(value: float, capped: bool) -> str:
    return "–" if value != value else f"{value:.4g}{'+' if capped else ''}"


def print_kinetics(
    models: list[str],
    device: Any,
    task: Task,
    weights: list[str],
    how: dict[str, Any],
    as_json: bool,
) -> None:
    """Print the cost of N answers over that of one, by the formula and by the engine."""
    from arch_space.library import load_model
    from roofline.strategies.kinetics import beside_engine

    rows = [
        row
        for name in models
        for fmt in weights
        for row in beside_engine(load_model(name).with_formats(fmt), fmt, device, task, **how)
    ]
    if as_json:
        show.print_json(rows)
        return
    show.table(
        f"Cost of N answers over that of one: Kinetics and the engine on {device.title}",
        ["model", "answers", "Kinetics eFLOPs", "over one", "with weights", "engine", "over one",
         "energy over one"],
        [
            [
                f"{row['model']} {row['weights']}",
                str(row["answers"]),
                f"{row['eflops']:.3g}",
                f"{row['eflops_over_one']:.2f}",
                f"{row['with_weights_over_one']:.2f}",
                show.seconds(row["latency_s"]),
                f"{row['latency_over_one']:.2f}",
                "–" if row["energy_over_one"] is None else f"{row['energy_over_one']:.2f}",
            ]
            for row in rows
        ],
    )  # fmt: skip
    show.note(
        "Kinetics (arXiv 2506.05333) prices products and the cache. It leaves out the weights, "
        "which a device streams once a step for all answers together: answers beyond the first "
        "cost far less here than it says, until products take over from that traffic."
    )


def print_lists(as_json: bool) -> None:
    """Print the shipped strategies, tasks and verifiers."""
    from roofline.strategies.forms import strategies as known
    from roofline.strategies.task import load_task, task_names
    from roofline.strategies.verifier import load_verifier, verifier_names

    tasks = [load_task(name) for name in task_names()]
    judges = [load_verifier(name) for name in verifier_names()]
    if as_json:
        said = {
            "strategies": [
                {"name": s.name, "title": s.title, "source": s.source, "verified": s.verified,
                 "assumes": s.assumes}
                for s in known().values()
            ],
            "tasks": [each.model_dump(mode="json") for each in tasks],
            "verifiers": [each.model_dump(mode="json") for each in judges],
        }  # fmt: skip
        show.print_json(said)
        return
    show.table(
        "Strategies", ["name", "title", "source", "verifier"],
        [[s.name, s.title, s.source, "yes" if s.verified else ""] for s in known().values()],
    )  # fmt: skip
    show.table(
        "Tasks", ["name", "title", "prompt", "answer", "models"],
        [[t.name, t.title, str(t.prompt), str(t.answer), str(len(t.models))] for t in tasks],
    )  # fmt: skip
    show.table(
        "Verifiers", ["name", "title", "AUC", "model", "tasks"],
        [[v.name, v.title, f"{v.quality:g}", v.model or "–", ", ".join(v.tasks)] for v in judges],
    )  # fmt: skip
