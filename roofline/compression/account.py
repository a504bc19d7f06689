"""A search told: plain values for JSON and tables, and what other laws say beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.compression.beside import laws_beside
from roofline.compression.steps import Quantise
from roofline.degradation.tasks import TASKS

if TYPE_CHECKING:
    from hardware_specs import Device
    from roofline.compression.accuracy import Reader
    from roofline.compression.outcome import Outcome
    from roofline.compression.search import Found

Array = np.ndarray


def row(
    outcome: Outcome,
    at: int,
    trainer: Device | None = None,
    utilisation: float = 0.4,
    accuracies: Mapping[str, Reader] | None = None,
) -> dict[str, Any]:
    """Return one recipe as plain values in SI units; None where unknown.

    trainer: device whose hours the training is told in, at a share of its peak. accuracies: how
    each task's is read.
    """
    cost = outcome.cost
    flops = float(outcome.training_flops[at] + outcome.calibration_flops[at])
    recipe = outcome.recipes[at]
    said: dict[str, Any] = {
        "recipe": str(recipe),
        "name": recipe.name,
        "nats": float(outcome.nats[at]),
        "nats_low": float(outcome.low[at]),
        "nats_high": float(outcome.high[at]),
        "weight_bytes": float(cost.weight_bytes[at]),
        "memory_bytes": float(cost.memory_bytes[at]),
        "fits": bool(cost.fits[at]),
    }
    for name in ("ttft", "tpot", "latency", "energy"):
        low, high = cost.interval(name)
        value = getattr(cost, name)
        for key, each in ((name, value), (f"{name}_low", low), (f"{name}_high", high)):
            number = float(np.broadcast_to(each, (len(outcome),))[at])
            said[key] = None if np.isnan(number) else number
    said["training_flops"] = float(outcome.training_flops[at])
    said["calibration_flops"] = float(outcome.calibration_flops[at])
    said["optimiser_state_bytes"] = float(outcome.state_bytes[at])
    if trainer is not None:
        from roofline.compression.training import hours

        said["training_hours"] = float(hours(flops, trainer, utilisation))
        said["training_device"] = trainer.name
    said["kept"] = {task: float(outcome.kept(task)[at]) for task in TASKS}
    if accuracies:
        said["accuracy"] = {
            task: read(*(float(each[at]) for each in (outcome.nats, outcome.low, outcome.high)))
            for task, read in accuracies.items()
        }
    return said | {"notes": list(outcome.notes[at])}


def spread(found: Found, most: int) -> list[int]:
    """Return rows of the front to show: the chosen, its runner-up, and others evenly between."""
    front = list(map(int, found.front))
    if len(front) <= most:
        return front
    at = np.unique(np.linspace(0, len(front) - 1, most).round().astype(int))
    kept = {front[i] for i in at} | {found.chosen}
    kept |= {found.runner_up} if found.runner_up is not None else set()
    return [each for each in front if each in kept]


def sentences(found: Found) -> list[str]:
    """Say what was chosen, what comes next, what binds, and where the published recipe stands."""
    outcome = found.outcome
    lines = [f"Chosen: {outcome.recipes[found.chosen]}, which loses the least within the limits."]
    if found.runner_up is not None:
        lines.append(f"Runner-up: {outcome.recipes[found.runner_up]}.")
    lines.append(f"What binds: {'; '.join(found.binds)}.")
    for who, at in (("The recipe of arXiv 2601.09865", found.published), ("Yours", found.asked)):
        if at is not None:
            lines.append(_placed(found, who, at))
    return lines


def _placed(found: Found, who: str, at: int) -> str:
    outcome = found.outcome
    said = f"{who}, {outcome.recipes[at]},"
    if not found.allowed[at]:
        return f"{said} breaks a limit."
    better = found.beaten_by(at)
    if better is None:
        return f"{said} is on the front."
    apart = outcome.nats[at] - outcome.nats[better]
    return (
        f"{said} is not on the front: {outcome.recipes[better]} is nowhere worse and loses "
        f"{apart:.4f} nats less."
    )


def bits_of(outcome: Outcome, at: int) -> float | None:
    """Return the width of a recipe's weights; None where they stay at 16 bits."""
    from arch_space.formats import FORMATS, format_code

    step = outcome.recipes[at].step(Quantise)
    return None if step is None else float(FORMATS[format_code(step.format)].value_bits)


def to_dict(
    found: Found,
    *,
    trainer: Device | None = None,
    utilisation: float = 0.4,
    accuracies: Mapping[str, Reader] | None = None,
    rows: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Return the whole answer as plain values."""
    outcome = found.outcome

    def told(at: int | None) -> dict[str, Any] | None:
        return None if at is None else row(outcome, at, trainer, utilisation, accuracies)

    bits = bits_of(outcome, found.chosen)
    return {
        "model": outcome.subject.arch.names[0],
        "parameters": 1e9 * outcome.subject.parameters,
        "training_tokens": None
        if outcome.subject.tokens is None
        else 1e12 * outcome.subject.tokens,
        "judged": len(outcome),
        "allowed": int(found.allowed.sum()),
        "limits": dict(found.limits),
        "chosen": told(found.chosen),
        "runner_up": told(found.runner_up),
        "published": told(found.published),
        "asked": told(found.asked),
        "binds": list(found.binds),
        "laws_beside_chosen": None if bits is None else laws_beside(outcome.subject, bits),
        "front": [told(int(at)) for at in (found.front if rows is None else rows)],
    }
