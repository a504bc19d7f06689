"""A search problem: which candidates, how each is judged, what is minimised and what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from roofline.search.objectives import OBJECTIVES, Constraint, parse_objectives
from spec_files import SpecError

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from arch_space.spaces import Space
    from hardware_specs import Device
    from roofline.laws import Law
    from roofline.workload import Workload

Array = np.ndarray

Evaluator = Callable[["Architectures"], Mapping[str, Array]]
"""From N candidates to (N,) arrays by name: objectives, and where known `fits` and `in_range`."""


@dataclass(frozen=True)
class RooflineEvaluator:
    """Judges candidates by the roofline engine and a loss law.

    processor: which of the device's; its default one if None. runtime: whose kernels are predicted;
    the one that is best known there if None. ideal: the floor of the engine. placement, prefer:
    several processors, or each candidate's best, as in `estimate`.
    """

    device: Device
    workload: Workload
    law: Law
    processor: str | None = None
    ideal: bool = False
    runtime: str | None = None
    placement: str | None = None
    prefer: str = "latency"

    def __call__(self, arch: Architectures) -> dict[str, Array]:
        """Return every objective, whether the model fits, and whether the law reaches it."""
        from roofline.engine import estimate
        from roofline.laws import predict

        cost = estimate(
            arch,
            self.device,
            self.workload,
            processor=self.processor,
            runtime=self.runtime,
            ideal=self.ideal,
            placement=self.placement,
            prefer=self.prefer,
            breakdown=False,
            threads=1,  # a search spreads its chunks over the cores itself
        )
        loss = predict(self.law, arch)
        return {
            "loss": loss.loss,
            "ttft": cost.ttft,
            "tpot": cost.tpot,
            "latency": cost.latency,
            "energy": cost.energy,
            "memory": cost.memory_bytes,
            "fits": cost.fits,
            "in_range": loss.in_range,
        }


@dataclass(frozen=True, eq=False)
class Evaluation:
    """N judged candidates.

    points: (N, k) objectives. feasible: (N,) allowed and known. excess: (N,) 0 where feasible, else
    by how much the limits are exceeded, as shares of each, summed. quantities: what the evaluator
    said.
    """

    points: Array
    feasible: Array
    excess: Array
    quantities: Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class Problem:
    """Candidates of a space, judged by an evaluator; a frozen value that a search method takes.

    objectives: names of what is minimised, or "loss,tpot". A candidate is infeasible where it
    breaks a constraint, does not fit the device's memory, has an objective that is not known (NaN),
    or, with in_range_only, lies outside the data that its loss was fitted on.
    """

    space: Space
    evaluator: Evaluator
    objectives: tuple[str, ...] = ("loss", "tpot")
    constraints: tuple[Constraint, ...] = ()
    in_range_only: bool = False

    def __post_init__(self) -> None:
        """Check the names of the objectives."""
        object.__setattr__(self, "objectives", parse_objectives(self.objectives))
        object.__setattr__(self, "constraints", tuple(self.constraints))

    def evaluate(self, arch: Architectures) -> Evaluation:
        """Judge N candidates, of which there must be at least one."""
        said = self.evaluator(arch)
        shape = (len(arch),)
        quantities = {name: np.broadcast_to(column, shape) for name, column in said.items()}
        points = np.stack([quantities[name] for name in self.objectives], axis=-1)
        excess = np.isnan(points).any(axis=1).astype(float)
        for limit in self.constraints:
            over = quantities[limit.objective] / limit.limit - 1
            excess += np.where(np.isnan(over), 1.0, np.maximum(over, 0.0))
        if "fits" in quantities and not quantities["fits"].all():
            # The capacity is not known here: any model too large is worse by its size.
            size = np.log10(1 + quantities.get("memory", np.zeros(shape)))
            excess += np.where(quantities["fits"], 0.0, 1 + size)
        if self.in_range_only and "in_range" in quantities:
            excess += ~quantities["in_range"]
        return Evaluation(points, excess == 0, excess, quantities)

    def conditions(self, quantities: Mapping[str, Array]) -> Iterator[Array]:
        """Yield what must hold for no limit to be exceeded and all to be known, (N,) bool each."""
        if "fits" in quantities:
            yield quantities["fits"]
        for limit in self.constraints:
            yield quantities[limit.objective] / limit.limit - 1 <= 0
        for name in self.objectives:
            yield ~np.isnan(quantities[name])
        if self.in_range_only and "in_range" in quantities:
            yield quantities["in_range"]

    def check(self) -> None:
        """Raise SpecError where there is no candidate, or an objective is known for none.

        Also where losses would be compared that do not compare, being of different vocabularies.
        """
        if not self.space.valid_count:
            raise SpecError(
                f"no candidate of {self.space.name} is left: its rules exclude each other"
            )
        judged = (*self.objectives, *(limit.objective for limit in self.constraints))
        axes = zip(self.space.axes, self.space.shape, strict=True)
        if "loss" in judged and any("vocabulary" in names and many > 1 for names, many in axes):
            raise SpecError(
                "loss per token does not compare between vocabularies: fix the space's vocabulary, "
                "or leave loss out of the objectives and constraints"
            )
        sample = self.sample(256)
        if not len(sample):
            return
        known = self.evaluate(self.space.at(sample)).quantities
        for name in judged:
            if name not in known or np.isnan(known[name]).all():
                draft = getattr(getattr(self.evaluator, "workload", None), "draft_model", None)
                why = "the device profile does not say enough"
                if draft is not None and name in ("ttft", "tpot", "latency"):
                    why = f"none is larger than draft {draft.names[0]} and of its vocabulary"
                raise SpecError(f"{name} is not known for any candidate: {why}")

    def sample(self, points: int) -> Array:
        """Return the candidates, (M,) indices, among so many points evenly across the space."""
        space = self.space
        across = np.unique(np.linspace(0, space.size - 1, points).astype(np.int64))
        return np.asarray(across[space.valid(across)])

    def fingerprint(self) -> str:
        """Return a digest of all that the answer depends on, to know a resumed search by."""
        judge = self.evaluator
        name = getattr(judge, "__qualname__", type(judge).__qualname__)
        parts = (
            self.space.to_yaml(),
            *self.objectives,
            *map(repr, self.constraints),
            str(self.in_range_only),
            repr(judge) if is_dataclass(judge) else name,
        )
        return sha256("\n".join(parts).encode()).hexdigest()

    def units(self) -> tuple[str, ...]:
        """Return the unit of each objective."""
        return tuple(OBJECTIVES[name] for name in self.objectives)
