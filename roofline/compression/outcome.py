"""What recipes make of a model on a device: one table of candidates, one call of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from arch_space.architectures import Architectures
from roofline.compression.steps import Quantise, Step
from roofline.compression.subject import Effect, Subject
from roofline.compression.training import training
from roofline.engine import estimate

if TYPE_CHECKING:
    import pandas as pd

    from hardware_specs import Device
    from roofline.compression.recipe import Recipe
    from roofline.engine import Estimate
    from roofline.workload import Workload

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Outcome:
    """R recipes on one model and device; arrays are (R,).

    nats: added to the loss, with the ends of a 90 % interval. training_flops: of the steps that
    train, teacher included, and calibration_flops of those that do not; state_bytes: of the
    optimiser. notes: what the tables do not vouch for, a recipe a tuple.
    """

    subject: Subject
    recipes: tuple[Recipe, ...]
    architectures: Architectures
    cost: Estimate
    nats: Array
    low: Array
    high: Array
    training_flops: Array
    calibration_flops: Array
    state_bytes: Array
    notes: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.recipes)

    def kept(self, task: str) -> Array:
        """Return the share of a task's accuracy above chance that is left, (R,)."""
        from roofline.degradation.tasks import decay

        return decay(task).kept(np.maximum(self.nats, 0.0))

    def to_frame(self) -> pd.DataFrame:
        """Return a DataFrame of R rows in SI units."""
        import pandas as pd

        from roofline.degradation.tasks import TASKS

        cost = self.cost
        data: dict[str, Any] = {
            "recipe": [str(recipe) for recipe in self.recipes],
            "name": [recipe.name for recipe in self.recipes],
            "nats": self.nats,
            "nats_low": self.low,
            "nats_high": self.high,
            "weight_bytes": cost.weight_bytes,
            "memory_bytes": cost.memory_bytes,
            "fits": cost.fits,
            "ttft": cost.ttft,
            "tpot": cost.tpot,
            "latency": cost.latency,
            "energy": cost.energy,
            "training_flops": self.training_flops,
            "calibration_flops": self.calibration_flops,
            "state_bytes": self.state_bytes,
        }
        data |= {f"kept_{task}": self.kept(task) for task in TASKS}
        return pd.DataFrame(data | {"notes": ["; ".join(each) for each in self.notes]})


def outcome(
    recipes: Sequence[Recipe],
    subject: Subject,
    device: Device,
    workload: Workload,
    *,
    processor: str | None = None,
    runtime: str | None = None,
    ideal: bool = False,
) -> Outcome:
    """Judge R recipes.

    Each different step is worked out once, and all recipes are one table for the engine. Nats of
    steps are added; their errors join in squares. Raises SpecError where a step cannot be done to
    the model.
    """
    effects: dict[str, Effect] = {}
    costs: dict[str, tuple[float, float]] = {}

    def effect(step: Step) -> Effect:
        key = step.model_dump_json() + step.word
        if key not in effects:
            effects[key] = step.effect(subject)
        return effects[key]

    def cost_of_training(recipe: Recipe) -> tuple[float, float]:
        trains = [step for step in recipe.steps if step.word in ("distil", "lora")]
        key = repr((trains, recipe.optimiser))
        if key not in costs:
            found = training(recipe, subject)
            costs[key] = found.flops, found.state_bytes
        return costs[key]

    columns: list[dict[str, Any]] = []
    numbers, notes = np.zeros((len(recipes), 4)), []
    trained = np.zeros((len(recipes), 2))
    for row, recipe in enumerate(recipes):
        merged: dict[str, Any] = {}
        said: list[str] = []
        for step in recipe.steps:
            done = effect(step)
            factor = recipe.decay if isinstance(step, Quantise) else 1.0
            merged |= done.columns
            ends = (done.nats - done.low) ** 2, (done.high - done.nats) ** 2
            numbers[row] += [factor * done.nats, *(factor**2 * e for e in ends), done.flops]
            said += done.notes
        if recipe.decay != 1:
            said.append(f"quantisation x {recipe.decay:g}: a factor of the user's")
        if {"weight_sparsity", "weight_format"} <= merged.keys():
            said.append("weights both pruned and quantised: their sum has no table")
        if subject.arch.experts[0] > 1 and numbers[row, 0]:
            said.append("a mixture of experts: the tables are of dense models")
        columns.append(merged)
        notes.append(tuple(dict.fromkeys(said)))
        trained[row] = cost_of_training(recipe)
    arch = _table(subject.arch, columns, tuple(str(recipe) for recipe in recipes))
    found = estimate(
        arch, device, workload, processor=processor, runtime=runtime, ideal=ideal, breakdown=False
    )
    nats = numbers[:, 0]
    return Outcome(
        subject=subject,
        recipes=tuple(recipes),
        architectures=arch,
        cost=found,
        nats=nats,
        low=nats - np.sqrt(numbers[:, 1]),
        high=nats + np.sqrt(numbers[:, 2]),
        training_flops=trained[:, 0],
        calibration_flops=numbers[:, 3],
        state_bytes=trained[:, 1],
        notes=tuple(notes),
    )


def _table(
    arch: Architectures, columns: Sequence[dict[str, Any]], names: tuple[str, ...]
) -> Architectures:
    """One row a recipe: the model's own columns, and those that its steps change."""
    many = len(columns)
    changed: dict[str, Array] = {"layers": np.broadcast_to(arch.layers, (many,))}
    for name in sorted({key for each in columns for key in each}):
        before = getattr(arch, name)[0]
        changed[name] = np.array([each.get(name, before) for each in columns])
    return replace(arch, **changed, names=names)
