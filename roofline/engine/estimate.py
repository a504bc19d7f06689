"""An estimate: time, traffic, memory and energy of N candidates on one device for one workload."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from arch_space.tensors import active_parameter_count, parameter_count, weight_bytes
from arch_space.tensors import tensors as weight_tensors
from roofline.efficiency.calibrated import calibrated
from roofline.engine.energy import phase_energy
from roofline.engine.memory import activation_peak, cache_bytes
from roofline.engine.roof import build_roof
from roofline.engine.timing import Timing, pass_time, present, time_pass, time_series, total
from roofline.engine.work import BOUNDS
from roofline.operators import OPERATORS

if TYPE_CHECKING:
    import pandas as pd

    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from hardware_specs.device import Processor
    from roofline.workload import Workload

Array = np.ndarray

CHUNK = 32_768
"""Candidates estimated at once: columns that stay in a core's cache, and long enough that threads
seldom wait for one another's Python."""

Interval = tuple[float, float]
UNKNOWN: Interval = (np.nan, np.nan)


@dataclass(frozen=True, eq=False)
class Estimate:
    """Predictions for N candidates; arrays are (N,), in seconds, bytes, FLOPs and joules.

    ttft: time to the first token, the prefill. tpot: time per output token, mean over the decode
    steps with tpot_first and tpot_last of the first and the last. latency: ttft and all decode
    steps. tokens_per_s: decoded tokens a second, all sequences together. prefill_flops,
    prefill_bytes: of the prefill; decode_flops, decode_bytes: of the first decode step; bytes are
    DRAM traffic. memory_bytes: weights, cache at its largest, and activations; fits: within the
    device's usable memory. energy: joules of the whole workload, NaN where the profile states
    nothing. parameters, active_parameters: stored, and met by one token.

    runtime: whose kernels are predicted; empty where a profile with efficiencies of its own names
    none. basis: what the efficiencies rest on: `device`, `class`, `roofline` (`Calibration`), a
    hand-written `profile`, or `ideal` for the floor. rows: measurements of this device under this
    runtime that were fitted. prefill_interval, decode_interval, energy_interval: where nine of ten
    measurements lie, as multiples of the prediction; NaN where that is not known. `ttft_low`,
    `ttft_high` and so on are the ends in seconds and joules.
    """

    ttft: Array
    tpot: Array
    tpot_first: Array
    tpot_last: Array
    latency: Array
    tokens_per_s: Array
    prefill_flops: Array
    prefill_bytes: Array
    decode_flops: Array
    decode_bytes: Array
    weight_bytes: Array
    kv_cache_bytes: Array
    activation_bytes: Array
    memory_bytes: Array
    fits: Array
    energy: Array
    parameters: Array
    active_parameters: Array
    prefill_bound: Array
    decode_bound: Array
    bound: Array
    names: tuple[str, ...] = ()
    operators: tuple[OperatorEstimate, ...] = ()
    runtime: str = ""
    basis: str = "profile"
    rows: int = 0
    prefill_interval: Interval = UNKNOWN
    decode_interval: Interval = UNKNOWN
    energy_interval: Interval = UNKNOWN

    @property
    def ttft_low(self) -> Array:
        """Seconds; one measurement in twenty lies below."""
        return self.ttft * self.prefill_interval[0]

    @property
    def ttft_high(self) -> Array:
        """Seconds; one measurement in twenty lies above."""
        return self.ttft * self.prefill_interval[1]

    @property
    def tpot_low(self) -> Array:
        """Seconds; one measurement in twenty lies below."""
        return self.tpot * self.decode_interval[0]

    @property
    def tpot_high(self) -> Array:
        """Seconds; one measurement in twenty lies above."""
        return self.tpot * self.decode_interval[1]

    @property
    def latency_low(self) -> Array:
        """Seconds, where prefill and decode both are at their low ends."""
        return self.ttft_low + (self.latency - self.ttft) * self.decode_interval[0]

    @property
    def latency_high(self) -> Array:
        """Seconds, where prefill and decode both are at their high ends."""
        return self.ttft_high + (self.latency - self.ttft) * self.decode_interval[1]

    @property
    def energy_low(self) -> Array:
        """Joules; one measurement in twenty lies below."""
        return self.energy * self.energy_interval[0]

    @property
    def energy_high(self) -> Array:
        """Joules; one measurement in twenty lies above."""
        return self.energy * self.energy_interval[1]

    def interval(self, name: str, floor: Estimate | None = None) -> tuple[Array, Array]:
        """Both ends for ttft, tpot, latency or energy; not below the floor where one is given.

        floor: the same candidates in ideal mode, which no measurement lies below.
        """
        low, high = getattr(self, f"{name}_low"), getattr(self, f"{name}_high")
        if floor is not None:
            low = np.maximum(low, getattr(floor, name))
        return low, high

    def __len__(self) -> int:
        return len(self.ttft)

    def to_frame(self) -> pd.DataFrame:
        """Return a DataFrame of N rows, one column a field."""
        import pandas as pd

        data: dict[str, Any] = {"name": list(self.names)} if self.names else {}
        data |= {name: getattr(self, name) for name in ARRAYS}
        return pd.DataFrame(data)

    def _repr_html_(self) -> str:
        return str(self.to_frame()._repr_html_())


@dataclass(frozen=True, eq=False)
class OperatorEstimate:
    """One operator in one phase, all of its instances; arrays are (N,).

    The decode phase is its first step. time is the slower of compute_time and memory_time, plus
    launches.
    """

    name: str
    phase: str
    flops: Array
    bytes: Array
    compute_time: Array
    memory_time: Array
    time: Array


__all__ = ["ARRAYS", "BOUNDS", "CHUNK", "Estimate", "OperatorEstimate", "estimate"]

ARRAYS = tuple(f.name for f in fields(Estimate) if f.type == "Array")
OPERATOR_ARRAYS = tuple(f.name for f in fields(OperatorEstimate) if f.name not in ("name", "phase"))


def estimate(
    arch: Architectures,
    device: Device,
    workload: Workload,
    *,
    processor: str | None = None,
    runtime: str | None = None,
    ideal: bool = False,
    breakdown: bool | None = None,
    threads: int | None = None,
) -> Estimate:
    """Estimate N candidates on a device.

    processor: which of the device's; its default one if None. runtime: the software whose kernels
    are predicted; by default the one that is best known there (`calibrated`). ideal: the floor that
    no prediction beats (efficiencies one, no launches, all work overlapped, only compulsory
    traffic, in the number formats that the runtime computes in). breakdown: keep every operator; by
    default for tables that fit one chunk. threads: cores to use, all by default.
    Raises SpecError where the processor has no peak for a number format that is computed in, and
    for a runtime that is unknown or does not run there.
    """
    device = calibrated(device, processor, runtime)
    length = len(arch)
    if length <= CHUNK:
        return _chunk(arch, device, workload, processor, ideal, breakdown is not False)

    def run(start: int) -> Estimate:
        part = arch[start : start + CHUNK]
        return _chunk(part, device, workload, processor, ideal, bool(breakdown))

    starts = range(0, length, CHUNK)
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        return _join(list(pool.map(run, starts)), arch.names)


_SAID = ("runtime", "basis", "rows", "prefill_interval", "decode_interval", "energy_interval")


def _provenance(processor: Processor, ideal: bool) -> dict[str, Any]:
    """What an estimate says of itself: runtime, basis, rows and intervals."""
    known = processor.calibration
    said: dict[str, Any] = {} if known is None else {"runtime": known.runtime}
    if ideal:
        exact = dict.fromkeys(
            ("prefill_interval", "decode_interval", "energy_interval"), (1.0, 1.0)
        )
        return said | {"basis": "ideal"} | exact
    if known is None:
        return said
    said |= {"basis": known.basis, "rows": known.rows}
    for name in ("prefill", "decode", "energy"):
        interval = getattr(known, name)
        said[f"{name}_interval"] = (interval.low, interval.high)
    return said


def _join(parts: list[Estimate], names: tuple[str, ...]) -> Estimate:
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(p, name) for p in parts]) for name in ARRAYS
    }
    said = {name: getattr(parts[0], name) for name in _SAID}
    return Estimate(**arrays, **said, names=names, operators=_join_operators(parts))


def _join_operators(parts: list[Estimate]) -> tuple[OperatorEstimate, ...]:
    """Stack the operators of all parts; one that a part does not have costs it nothing."""
    found = [{(row.phase, row.name): row for row in part.operators} for part in parts]
    joined = []
    for phase, operator in product(("prefill", "decode"), OPERATORS):
        rows = [part.get((phase, operator.name)) for part in found]
        if any(rows):
            columns = {
                name: np.concatenate(
                    [
                        getattr(row, name) if row else np.zeros(len(part))
                        for row, part in zip(rows, parts, strict=True)
                    ]
                )
                for name in OPERATOR_ARRAYS
            }
            joined.append(OperatorEstimate(operator.name, phase, **columns))
    return tuple(joined)


def _chunk(
    arch: Architectures,
    device: Device,
    workload: Workload,
    processor_name: str | None,
    ideal: bool,
    breakdown: bool,
) -> Estimate:
    shape = (len(arch),)
    names, arch = arch.names, arch.as_float()
    processor = device.processor(processor_name)
    inventory = weight_tensors(arch)
    stored = weight_bytes(arch, inventory)
    cache = cache_bytes(arch, workload)
    activations = activation_peak(arch, workload.prefill())
    memory = stored + cache + activations

    roof = build_roof(arch, device, processor, stored + cache, ideal)
    operators = present(arch)
    prefill = time_pass(operators, arch, inventory, workload.prefill(), roof)
    ttft = pass_time(prefill, roof, roof.prompt)
    first = workload.decode(workload.prompt + 1)
    decoding = time_series(operators, arch, inventory, first, float(workload.generate), roof)
    tpot = decoding.time / workload.generate
    prefill_bytes = total(prefill, "bytes")
    prefill_sides = _sides(prefill, roof.prompt)
    decode_sides = _sides(decoding.timings, roof.step)
    energy = phase_energy(
        device, processor, roof, ttft, prefill_sides[-1], prefill_bytes, total(prefill, "joules")
    ) + phase_energy(
        device,
        processor,
        roof,
        decoding.time,
        workload.generate * decode_sides[-1],
        decoding.total("bytes"),
        decoding.total("joules"),
        decoding=True,
    )
    sides = [p + workload.generate * d for p, d in zip(prefill_sides, decode_sides, strict=True)]
    columns: dict[str, Any] = dict(
        ttft=ttft,
        tpot=tpot,
        tpot_first=decoding.first,
        tpot_last=decoding.last,
        latency=ttft + decoding.time,
        tokens_per_s=workload.batch / tpot,
        prefill_flops=total(prefill, "flops"),
        prefill_bytes=prefill_bytes,
        decode_flops=total(decoding.timings, "flops"),
        decode_bytes=total(decoding.timings, "bytes"),
        weight_bytes=stored,
        kv_cache_bytes=cache,
        activation_bytes=activations,
        memory_bytes=memory,
        fits=memory <= device.memory.dram.usable_bytes,
        energy=energy,
        parameters=parameter_count(arch, inventory),
        active_parameters=active_parameter_count(arch, inventory),
        prefill_bound=np.argmax(np.broadcast_arrays(*prefill_sides), axis=0),
        decode_bound=np.argmax(np.broadcast_arrays(*decode_sides), axis=0),
        bound=np.argmax(np.broadcast_arrays(*sides), axis=0),
    )
    columns = {name: np.broadcast_to(column, shape) for name, column in columns.items()}
    rows: tuple[OperatorEstimate, ...] = ()
    if breakdown:
        phases = {"prefill": prefill, "decode": decoding.timings}
        rows = tuple(
            OperatorEstimate(
                name=operator.name,
                phase=phase,
                flops=np.broadcast_to(timings[operator.name].flops, shape),
                bytes=np.broadcast_to(timings[operator.name].bytes, shape),
                compute_time=np.broadcast_to(timings[operator.name].compute, shape),
                memory_time=np.broadcast_to(timings[operator.name].memory, shape),
                time=np.broadcast_to(timings[operator.name].time, shape),
            )
            for phase, timings in phases.items()
            for operator in operators
        )
    said = _provenance(processor, ideal)
    return Estimate(**columns, **said, names=names, operators=rows)


def _sides(timings: dict[str, Timing], step: float) -> tuple[Array, Array, Array]:
    """Seconds of computation, of traffic and of overhead, in the order of BOUNDS."""
    return total(timings, "compute"), total(timings, "memory"), total(timings, "launch") + step
