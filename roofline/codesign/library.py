"""Which shipped devices meet a budget, at what power, and what the others lack.

For each device the candidate that comes nearest to its limits, or keeps them with most to spare, is
found exactly: candidates are asked of the engine in the order of a bound that none can beat (their
FLOPs at the highest peak, their compulsory bytes at the best efficiency, the fixed time of a step),
until the bound of the next is worse than the best.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hardware_specs import load_device
from hardware_specs.library import shipped_devices
from roofline.codesign.judge import Judge
from roofline.codesign.sides import both_sides
from roofline.codesign.survey import FAR
from roofline.efficiency.calibrated import calibrated, say_basis
from roofline.engine import estimate
from roofline.laws import predict
from roofline.search.cluster import spread_tasks
from roofline.search.many import combine
from roofline.search.workers import cores
from spec_files import SpecError, format_quantity

if TYPE_CHECKING:
    import pandas as pd

    from arch_space.architectures import Architectures
    from arch_space.spaces import Space
    from hardware_specs import Device
    from hardware_specs.device import Processor
    from roofline.codesign.question import Common
    from roofline.mixes import Mix
    from roofline.search.cluster import Cluster

Array = np.ndarray
Progress = Callable[[int, int], None]

_BLOCK = 2**11
_CHUNK = 2**17


@dataclass(frozen=True, eq=False)
class Pool:
    """The candidates that are good enough, and a bound on what each costs anywhere.

    index: points of the space, (N,). loss: (N,). flops, bytes: (2, W, N) of the prefill and of the
    first decode step under each workload, of the floor. launches: (2, W, N) kernels of a prefill
    and of a step. memory: (N,) of the largest workload.
    """

    space: Space
    index: Array
    loss: Array
    flops: Array
    bytes: Array
    launches: Array
    memory: Array

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True)
class Found:
    """What one device makes of a question.

    excess: least share of the tightest limit, over the candidates; 1 or less meets them. index: the
    candidate's; None where the device cannot be predicted. tight: the limit, `memory` included.
    costs: seconds and joules by name, and bytes of memory. watts: as stated in the profile, NaN
    where it is not; scope: what that power is of. fitted_watts: as fitted to published
    measurements, NaN where not known. reason: why it does not meet the limits; empty where it does.
    """

    device: str
    title: str
    kind: str
    processor: str
    excess: float
    index: int | None
    tight: str
    costs: Mapping[str, float]
    watts: float
    scope: str
    fitted_watts: float
    basis: str
    reason: str

    @property
    def meets(self) -> bool:
        """Whether some candidate keeps all limits."""
        return self.excess <= 1


def gather(question: Common, target: float, progress: Progress | None = None) -> Pool:
    """Gather the candidates of a loss of at most `target`, with the bound on each."""
    space, law, mix = question.space, question.law, question.mix
    index, losses = [], []
    for start in range(0, space.size, _CHUNK):
        arch, points = space.candidates(start, start + _CHUNK)
        if not len(points):
            continue
        said = predict(law, arch)
        good = said.loss <= target
        if question.in_range_only:
            good = good & said.in_range
        index.append(points[good])
        losses.append(np.broadcast_to(said.loss, (len(points),))[good])
    where = np.concatenate(index) if index else np.empty(0, dtype=np.int64)
    loss = np.concatenate(losses) if losses else np.empty(0)
    reference = _reference()
    counter = _counter(reference)
    parts = []
    for start in range(0, len(where), _CHUNK):
        arch = space.at(where[start : start + _CHUNK])
        each = [
            estimate(arch, reference, part.workload(), ideal=True, breakdown=False)
            for part in mix.workloads
        ]
        flops = np.stack([[e.prefill_flops for e in each], [e.decode_flops for e in each]])
        moved = np.stack([[e.prefill_bytes for e in each], [e.decode_bytes for e in each]])
        launches = _launches(arch, counter, mix)
        memory = np.maximum.reduce([e.memory_bytes for e in each])
        parts.append((flops, moved, launches, memory))
        if progress is not None:
            progress(min(start + _CHUNK, len(where)), len(where))
    if not parts:
        raise SpecError(f"no candidate of {space.name} reaches a loss of {target:.4f}")
    joined = (np.concatenate(each, axis=-1) for each in zip(*parts, strict=True))
    return Pool(space, where, loss, *joined)


def survey_library(
    question: Common,
    target: float,
    devices: Sequence[str] | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
    cluster: Cluster | None = None,
) -> list[Found]:
    """Return what each shipped device makes of a question, by stated power, the rest behind.

    Every device by its default processor, under the runtime that is best known there. cluster:
    machines to do the work instead of the cores of this one.
    """
    pool = gather(question, target)
    names = shipped_devices() if devices is None else list(devices)
    look = partial(_look, question, pool)
    found = []
    workers = max(1, min(workers or cores(), len(names)))
    for each in spread_tasks(look, ((name,) for name in names), cluster, workers):
        found.append(each)
        if progress is not None:
            progress(len(found), len(names))
    return sorted(found, key=_order)


def _order(found: Found) -> tuple[bool, bool, float, str]:
    """Those that meet the limits first, by watts; then the rest, the nearest first."""
    unstated = found.watts != found.watts
    by = (np.inf if unstated else found.watts) if found.meets else found.excess
    return not found.meets, found.meets and unstated, by, found.device


def _look(question: Common, pool: Pool, name: str) -> Found:
    device = load_device(name)
    unit = device.processor()
    stated = unit.active_power or device.power.active
    said: dict[str, Any] = {
        "device": name,
        "title": device.title,
        "kind": device.kind,
        "processor": device.default_processor,
        "watts": float("nan") if stated is None else float(stated.value),
        "scope": "" if stated is None else stated.scope,
    }
    nothing: dict[str, Any] = {"excess": np.inf, "index": None, "tight": "", "costs": {}}
    try:
        known = calibrated(device)
        row, excess = nearest(question, pool, known)
    except SpecError as unknown:
        reason = str(unknown)
        return Found(**said, **nothing, fitted_watts=np.nan, basis="", reason=reason)
    fitted = known.processor().active_power
    limits = question.values()
    judge = _judge(question, pool.space.at(pool.index[[row]]), known)
    costs = {name: float(v[0]) for name, v in judge.costs(list(judge.limits), 1.0, 1.0).items()}
    costs["memory"] = float(judge.memory[0])
    usable = min(known.memory.dram.usable_bytes, limits.get("memory", np.inf))
    shares = {name: costs[name] / limit for name, limit in judge.limits.items()}
    shares["memory"] = costs["memory"] / usable
    tight = max(shares, key=lambda name: np.nan_to_num(shares[name], nan=np.inf))
    reason = "" if excess <= 1 else _reason(tight, costs, limits | {"memory": usable}, excess)
    if reason and tight != "memory" and costs[tight] == costs[tight]:
        reason += f"; it waits for {_waits_for(judge, tight)}"
    return Found(
        **said,
        excess=excess,
        index=int(pool.index[row]),
        tight=tight,
        costs=costs,
        fitted_watts=float("nan") if fitted is None else float(fitted.value),
        basis=say_basis(known.processor(), question.ideal),
        reason=reason,
    )


def _judge(question: Common, arch: Architectures, device: Device) -> Judge:
    return Judge.of(
        arch, device, question.mix, question.values(), how=question.how, ideal=question.ideal
    )


def nearest(question: Common, pool: Pool, device: Device) -> tuple[int, float]:
    """Return the row of a pool that takes the least share of its tightest limit, and that share."""
    bound = bound_of(question, pool, device)
    usable = min(device.memory.dram.usable_bytes, question.values().get("memory", np.inf))
    best, row = np.inf, int(np.argmin(bound))
    # The first few by their bounds leave few others in the running, and only those are sorted.
    first = np.argpartition(bound, min(_BLOCK, len(bound)) - 1)[:_BLOCK]
    rest: Array = np.empty(0, dtype=np.int64)
    for start in range(-_BLOCK, len(bound), _BLOCK):
        some = first if start < 0 else rest[start : start + _BLOCK]
        some = some[bound[some] < best]
        if not len(some) and start >= 0:
            break
        judge = _judge(question, pool.space.at(pool.index[some]), device)
        share = np.maximum(judge.excess(1.0, 1.0), judge.memory / usable)
        at = int(np.argmin(share))
        if share[at] < best:
            best, row = float(share[at]), int(some[at])
        if start < 0:
            rest = np.setdiff1d(np.flatnonzero(bound < best), first)
            rest = rest[np.argsort(bound[rest], kind="stable")]
    return row, best


def bound_of(question: Common, pool: Pool, device: Device) -> Array:
    """Return a share of the tightest limit that no candidate takes less than on a device, (N,)."""
    unit = device.processor()
    fastest = _fastest(unit)
    share = 1.0 if question.ideal else _most_efficient(unit)
    levels = [each.bandwidth.value for each in device.memory.on_chip if each.bandwidth]
    dram = device.memory.dram.bandwidth.value * share
    rate = max([dram, *levels])
    launch = 0.0 if question.ideal else min(unit.launch_seconds, unit.state_launch_seconds)
    fixed = (0.0, 0.0) if question.ideal else (unit.prompt_seconds, unit.step_seconds)
    prefill, step = (
        np.maximum(pool.flops[phase] / fastest, pool.bytes[phase] / rate)
        + (fixed[phase] + launch * pool.launches[phase])
        for phase in (0, 1)
    )
    limits = question.values()
    usable = min(device.memory.dram.usable_bytes, limits.get("memory", np.inf))
    bound: Array = pool.memory / usable
    mix: Mix = question.mix
    for name, each in (("ttft", prefill), ("tpot", step)):
        if name in limits:
            bound = np.maximum(bound, combine(each, mix.shares, question.how) / limits[name])
    if "latency" in limits:
        whole = [prefill[i] + part.generate * step[i] for i, part in enumerate(mix.workloads)]
        bound = np.maximum(bound, combine(whole, mix.shares, question.how) / limits["latency"])
    return bound


def _fastest(unit: Processor) -> float:
    """The highest rate at which anything could be computed; infinite where no peak is known."""
    peaks = [peak.value for peak in unit.peaks.values()]
    return max(peaks) * unit.structured_sparsity_speedup if peaks else np.inf


def _most_efficient(unit: Processor) -> float:
    """The largest share of the bandwidth at which anything is read."""
    efficiency = unit.efficiency
    if efficiency is None:
        return 1.0
    shares = [efficiency.memory.value, efficiency.cache_value, efficiency.state_value]
    shares += [each.value for each in efficiency.memory_in.values()]
    return max(shares) * max(1.0, efficiency.expert_factor)


def _reference() -> Device:
    """A device whose floor counts every compulsory byte, none of them from the chip."""
    device = load_device("phone")
    memory = device.memory.model_copy(update={"on_chip": ()})
    return device.model_copy(update={"memory": memory})


def _counter(reference: Device) -> Device:
    """A device that takes a second for each kernel that it starts, and for nothing else."""
    known = calibrated(reference)
    unit = known.processor()
    second = unit.kernel_launch.model_copy(update={"value": 1.0})  # type: ignore[union-attr]
    nothing = second.model_copy(update={"value": 0.0})
    # Under no runtime, for some read a prompt in pieces and start every kernel anew for each.
    rests = {"kernel_launch": second, "state_launch": second, "calibration": None}
    rests |= {"step_overhead": nothing, "prefill_overhead": nothing}
    units = {**known.processors, known.default_processor: unit.model_copy(update=rests)}
    return known.model_copy(update={"processors": units})


def _launches(arch: Architectures, counter: Device, mix: Mix) -> Array:
    """Kernels that a prefill and a decode step start under each workload, (2, W, N)."""
    each = [both_sides(arch, counter, part.workload()) for part in mix.workloads]
    return np.stack([[e.prefill_rest for e in each], [e.decode_rest / e.generate for e in each]])


_DIMENSIONS = {"memory": "bytes", "energy": "energy"}


def _reason(
    tight: str, costs: Mapping[str, float], limits: Mapping[str, float], excess: float
) -> str:
    kind = _DIMENSIONS.get(tight, "time")
    if costs[tight] != costs[tight]:
        return f"its {tight} is not known: the profile says too little"
    need, limit = (format_quantity(value, kind) for value in (costs[tight], limits[tight]))
    name = "memory" if tight == "memory" else tight.upper() if len(tight) == 4 else tight
    return f"{name} {need} of the nearest candidate, {excess:.3g} times the {limit} allowed"


def _waits_for(judge: Judge, name: str) -> str:
    """Say what most of a candidate's time is: what would go if one rate were boundless."""
    whole = float(judge.costs([name], 1.0, 1.0)[name][0])
    saved = {
        "DRAM traffic": whole - float(judge.costs([name], FAR, 1.0)[name][0]),
        "computation": whole - float(judge.costs([name], 1.0, FAR)[name][0]),
        "launches and fixed times": float(judge.costs([name], FAR, FAR)[name][0]),
    }
    return max(saved, key=saved.__getitem__)


def library_table(found: Sequence[Found]) -> pd.DataFrame:
    """Return what was found as a table, a row a device."""
    import pandas as pd

    rows = []
    for each in found:
        row = {
            "device": each.device,
            "title": each.title,
            "kind": each.kind,
            "processor": each.processor,
            "meets": each.meets,
            "power_w": each.watts,
            "power_of": each.scope,
            "fitted_power_w": each.fitted_watts,
            "share_of_limit": each.excess,
            "tightest": each.tight,
            "index": each.index,
            "basis": each.basis,
            "reason": each.reason,
        }
        units = {"energy": "energy_j", "memory": "memory_bytes"}
        row |= {units.get(name, f"{name}_s"): value for name, value in each.costs.items()}
        rows.append(row)
    return pd.DataFrame(rows).astype({"index": "Int64"})
