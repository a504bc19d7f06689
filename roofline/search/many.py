"""Evaluators of more than one workload, and of more than one device.

Each is an `Evaluator` like any other: a search over a mix or for a fleet is a search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from roofline.search.problem import RooflineEvaluator
from spec_files import SpecError

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from roofline.engine import Estimate
    from roofline.laws import Law
    from roofline.mixes import Mix

Array = np.ndarray
How = Literal["mean", "worst"]

TIMES = ("ttft", "tpot", "latency", "energy")
"""Objectives that depend on the workload, and of which a mix has a mean or a worst."""


@dataclass(frozen=True)
class MixEvaluator:
    """Judges candidates by what they cost on average, or at worst, over a mix of workloads.

    how: `mean`, over requests by their weights; `worst`, the largest of the mix. Memory is always
    that of the workload that needs most, and a candidate fits if it fits under all.
    """

    device: Device
    mix: Mix
    law: Law
    processor: str | None = None
    ideal: bool = False
    runtime: str | None = None
    how: How = "mean"

    def __call__(self, arch: Architectures) -> dict[str, Array]:
        """Return every objective, whether the model fits, and whether the law reaches it."""
        each = [
            RooflineEvaluator(
                self.device, part.workload(), self.law, self.processor, self.ideal, self.runtime
            )(arch)
            for part in self.mix.workloads
        ]
        found = dict(each[0])
        for name in TIMES:
            found[name] = combine([said[name] for said in each], self.mix.shares, self.how)
        found["memory"] = np.maximum.reduce([said["memory"] for said in each])
        found["fits"] = np.logical_and.reduce([said["fits"] for said in each])
        return found


@dataclass(frozen=True)
class FleetEvaluator:
    """Judges candidates by how they do on several devices at once.

    evaluators: one a device. budgets: by objective, one a device: times are divided by the device's
    budget, so that they are shares of it (1 where it is used up); without one they are as they are.
    weights: of the devices; equal if None. how: the `worst` of them, or their weighted `mean`. A
    candidate fits if it fits all; its memory is the largest.
    """

    evaluators: Sequence[RooflineEvaluator | MixEvaluator]
    how: How = "worst"
    weights: tuple[float, ...] | None = None
    budgets: Mapping[str, tuple[float, ...]] | None = None

    def __post_init__(self) -> None:
        """Refuse what does not match the devices."""
        many = len(self.evaluators)
        if not many:
            raise SpecError("a fleet needs at least one device")
        if self.weights is not None:
            if len(self.weights) != many:
                raise SpecError(f"{len(self.weights)} weights were given for {many} devices")
            wrong = [w for w in self.weights if not (np.isfinite(w) and w > 0)]
            if wrong:
                raise SpecError(f"{wrong[0]:g} is no weight of a device: it must be positive")
        for name, limits in (self.budgets or {}).items():
            if len(limits) != many:
                raise SpecError(f"{len(limits)} budgets of {name} were given for {many} devices")

    def __call__(self, arch: Architectures) -> dict[str, Array]:
        """Return every objective over the fleet, and `fits`, `in_range` for all of it."""
        each = [evaluator(arch) for evaluator in self.evaluators]
        found = dict(each[0])
        for name in TIMES:
            limits = (self.budgets or {}).get(name, (1.0,) * len(each))
            scaled = [said[name] / limit for said, limit in zip(each, limits, strict=True)]
            found[name] = combine(scaled, self.weights or (1.0,) * len(each), self.how)
        found["memory"] = np.maximum.reduce([said["memory"] for said in each])
        found["fits"] = np.logical_and.reduce([said["fits"] for said in each])
        return found


def estimate_mix(
    arch: Architectures, device: Device, mix: Mix, how: How = "mean", **options: Any
) -> Estimate:
    """Estimate N candidates under a mix: means or worsts of times, rates, traffic and energy.

    Memory is that of the largest workload; what bounds a candidate, and its operators, are those of
    the workload with the greatest weight. options: as for `estimate`.
    """
    from roofline.engine import estimate

    each = [estimate(arch, device, part.workload(), **options) for part in mix.workloads]
    usual = each[int(np.argmax(mix.shares))]
    mixed: dict[str, Any] = {
        name: combine([getattr(one, name) for one in each], mix.shares, how) for name in _MIXED
    }
    most = {name: np.maximum.reduce([getattr(one, name) for one in each]) for name in _LARGEST}
    fits = np.logical_and.reduce([one.fits for one in each])
    batch = sum(s * part.batch for s, part in zip(mix.shares, mix.workloads, strict=True))
    rate = batch / mixed["tpot"]
    return replace(usual, **mixed, **most, fits=fits, tokens_per_s=rate)


_MIXED = (
    *TIMES, "tpot_first", "tpot_last", "prefill_flops", "prefill_bytes", "decode_flops",
    "decode_bytes",
)  # fmt: skip
_LARGEST = ("kv_cache_bytes", "activation_bytes", "memory_bytes")


def combine(columns: Sequence[Array], weights: Sequence[float], how: How) -> Array:
    """Return the weighted mean of some columns, or their largest, (N,)."""
    if how == "worst":
        return np.asarray(np.maximum.reduce(list(columns)))
    whole = sum(weights)
    return np.asarray(sum(w / whole * column for w, column in zip(weights, columns, strict=True)))
