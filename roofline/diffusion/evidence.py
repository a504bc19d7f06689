"""Predictions beside what was published: Fast-dLLM on an A100, and votes costed on a device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from arch_space.library import load_model
from hardware_specs import load_device
from roofline.diffusion.cost import Generation, generate, resident
from roofline.diffusion.published import METHODS, Timed, VotingRow, benefit, timed_table
from roofline.diffusion.schedules import Schedule
from roofline.engine import estimate
from roofline.workload import Workload
from spec_files import SpecError

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device

FIXED_BY = "dual cache"
"""The row whose step is all overhead, and which alone the fixed time of a pass is read off."""


@dataclass(frozen=True, eq=False)
class Held:
    """One published generation and its prediction; seconds."""

    published: Timed
    predicted: Generation

    @property
    def step(self) -> float:
        """Predicted seconds of a pass of the kind that the cache leaves."""
        work = self.predicted.full if self.published.cache == "none" else self.predicted.cached
        return float(work.seconds[0])

    @property
    def total(self) -> float:
        """Predicted seconds in all."""
        return float(self.predicted.latency[0])

    @property
    def step_error(self) -> float:
        """Predicted over published, less one."""
        return self.step / self.published.step - 1.0

    @property
    def total_error(self) -> float:
        """Predicted over published, less one."""
        return self.total / self.published.total - 1.0


def hold(pass_seconds: float | None = None) -> list[Held]:
    """Predict every generation of Fast-dLLM's table.

    pass_seconds: fixed time of a pass; if None that of the runtime, which no row of this table was
    used for.
    """
    table = timed_table()
    arch, device = load_model(table.model), load_device(table.device)
    workload = Workload(1, table.prompt, table.generate)
    return [
        Held(
            row,
            generate(
                arch,
                device,
                Schedule(row.cache, table.block, table.generate / row.steps),  # type: ignore[arg-type]
                workload,
                runtime=table.runtime,
                pass_seconds=pass_seconds,
            ),
        )
        for row in table.rows
    ]


@cache
def fitted_pass_seconds() -> float:
    """Fixed time of a pass of Fast-dLLM's code on an A100, in seconds: its one fitted number.

    What is left of the step of the dual cache, which computes 32 positions, once the products and
    the traffic of those are taken off. It is that of PyTorch run eagerly, about a millisecond a
    layer, and of a loop over tokens in Python that asks the GPU for each one's confidence.
    """
    (row,) = (held for held in hold(0.0) if held.published.name == FIXED_BY)
    return row.published.step - row.step


@dataclass(frozen=True)
class VoteCost:
    """One method of voting on a device, for one question.

    accuracy: percent; passes; seconds; joules; memory_bytes; per_cost: benefit per cost, points
    gained per multiple of the base's passes; NaN for the base itself.
    """

    method: str
    accuracy: float
    passes: float
    seconds: float
    joules: float
    memory_bytes: float
    gain: float
    per_cost: float

    @property
    def per_minute(self) -> float:
        """Points gained a minute."""
        return self.gain / (self.seconds / 60.0)

    @property
    def per_kilojoule(self) -> float:
        """Points gained a kilojoule."""
        return self.gain / (self.joules / 1e3)


def vote_costs(
    arch: Architectures,
    device: Device,
    row: VotingRow,
    *,
    prompt: int,
    runtime: str | None = None,
    processor: str | None = None,
) -> list[VoteCost]:
    """Cost the published methods of one row on a device, as published: without caches.

    RFG keeps two models in memory; its passes are of either.
    Raises SpecError where the row is not of this model.
    """
    if arch.names and arch.names[0] != row.model:
        raise SpecError(f"the row is of {row.model}, and the model is {arch.names[0]}")
    workload = Workload(1, prompt, row.length)
    schedule = Schedule("none", row.length, 1.0)
    one = generate(arch, device, schedule, workload, runtime=runtime, processor=processor).full
    held = float(resident(arch, schedule, workload)[0])
    weights = float(
        estimate(arch, device, workload, runtime=runtime, processor=processor).weight_bytes[0]
    )
    found = []
    for method in METHODS:
        score = getattr(row, method)
        if score is None:
            continue
        gained = benefit(score, row.base)
        found.append(
            VoteCost(
                method=method,
                accuracy=score.accuracy,
                passes=score.steps,
                seconds=float(one.seconds[0]) * score.steps,
                joules=float(one.joules[0]) * score.steps,
                memory_bytes=held + (weights if method == "rfg" else 0.0),
                gain=gained.gain,
                per_cost=np.nan if method == "base" else gained.per_cost,
            )
        )
    return found
