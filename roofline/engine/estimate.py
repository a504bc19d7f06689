"""An estimate: time, traffic, memory and energy of N candidates on one device for one workload."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from arch_space.tensors import active_parameter_count, parameter_count, weight_bytes
from arch_space.tensors import tensors as weight_tensors
from roofline.efficiency.calibrated import calibrated
from roofline.engine.memory import activation_peak, cache_bytes
from roofline.engine.phases import DRAFT, Phase
from roofline.engine.placement import HAND_OVER, Board, Placement, choose_from
from roofline.engine.speculation import Draft
from roofline.engine.work import BOUNDS
from roofline.operators import OPERATORS
from spec_files import SpecError

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
LEAST_KNOWN_FIRST = ("roofline", "class", "profile", "device", "ideal")
"""What predictions rest on, the least first."""


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

    A draft's costs, weights and cache are within all these; then a decode step is a round, and
    tpot_first and tpot_last are its share of an expected token. placement: (N,) index of
    `placements`, where several processors were given; None on one.

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
    placement: Array | None = None
    placements: tuple[Placement, ...] = ()

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

    The decode phase is its first step, or round of speculation. time is the slower of compute_time
    and memory_time, plus launches; a prefill in pieces is their sum.
    """

    name: str
    phase: str
    flops: Array
    bytes: Array
    compute_time: Array
    memory_time: Array
    time: Array


__all__ = ["ARRAYS", "BOUNDS", "CHUNK", "Estimate", "OperatorEstimate", "estimate"]

ROWS = (*(operator.name for operator in OPERATORS), DRAFT, HAND_OVER)
"""Rows of a breakdown, in their order."""

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
    placement: Placement | str | None = None,
    prefer: str = "latency",
) -> Estimate:
    """Estimate N candidates on a device.

    processor: which of the device's; its default one if None. runtime: the software whose kernels
    are predicted; by default the one that is best known there (`calibrated`). ideal: the floor that
    no prediction beats (efficiencies one, no launches, all work overlapped, only compulsory
    traffic, in the number formats that the runtime computes in). breakdown: keep every operator; by
    default for tables that fit one chunk. threads: cores to use, all by default.
    placement: several processors instead of one, or `best`: for each candidate the one with the
    least `prefer` (ttft, tpot, latency or energy) of those that fit; which, is said by the
    estimate's `placement`, an index of its `placements`. Operators of several processors never
    overlap, not even in ideal mode.
    Times of candidates that a draft cannot serve, being no larger or of another vocabulary, are
    NaN; `Draft.check` says why.
    Raises SpecError where the processor has no peak for a number format that is computed in, and
    for a runtime that is unknown or does not run there.
    """
    options = None
    if placement is None:
        device = calibrated(device, processor, runtime)
    else:
        if processor is not None:
            raise SpecError(f"processor {processor!r} is given, and a placement, which names them")
        device, options = choose_from(arch, device, placement, runtime, ideal)
    length = len(arch)

    def run(part: Architectures, keep: bool) -> Estimate:
        draft = Draft.of(part, workload)
        if options is None:
            return _on_one(part, device, workload, processor, ideal, keep, draft)
        return _placed(part, device, workload, options, prefer, ideal, keep, draft)

    if length <= CHUNK:
        return run(arch, breakdown is not False)
    starts = range(0, length, CHUNK)
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        parts = pool.map(lambda start: run(arch[start : start + CHUNK], bool(breakdown)), starts)
        return _join(list(parts), arch.names)


def _largest(compute: Array, memory: Array, overhead: Array) -> Array:
    """Which of three sides is the largest, as an index into BOUNDS; the first of equal ones."""
    first = np.maximum(compute, memory)
    return np.where(overhead > first, 2, np.where(memory > compute, 1, 0))


_SAID = (
    "runtime",
    "basis",
    "rows",
    "prefill_interval",
    "decode_interval",
    "energy_interval",
    "placements",
)


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
    if parts[0].placement is not None:
        said["placement"] = np.concatenate([p.placement for p in parts if p.placement is not None])
    return Estimate(**arrays, **said, names=names, operators=_join_operators(parts))


def _join_operators(parts: list[Estimate]) -> tuple[OperatorEstimate, ...]:
    """Stack the operators of all parts; one that a part does not have costs it nothing."""
    found = [{(row.phase, row.name): row for row in part.operators} for part in parts]
    joined = []
    for phase, name in product(("prefill", "decode"), ROWS):
        rows = [part.get((phase, name)) for part in found]
        if any(rows):
            columns = {
                field: np.concatenate(
                    [
                        getattr(row, field) if row else np.zeros(len(part))
                        for row, part in zip(rows, parts, strict=True)
                    ]
                )
                for field in OPERATOR_ARRAYS
            }
            joined.append(OperatorEstimate(name, phase, **columns))
    return tuple(joined)


def _on_one(
    arch: Architectures,
    device: Device,
    workload: Workload,
    processor_name: str | None,
    ideal: bool,
    breakdown: bool,
    draft: Draft | None,
) -> Estimate:
    """Estimate a chunk on one processor."""
    key = device.default_processor if processor_name is None else processor_name
    held = _Held.of(arch.as_float(), workload, draft)
    board = Board(held.arch, device, workload, [key], held.stored + held.cache, ideal, draft)
    phases = board.whole("prefill", key), board.whole("decode", key)
    columns = _columns(held, device, workload, *phases)
    said = _provenance(device.processor(key), ideal)
    rows = _rows(*phases, len(arch)) if breakdown else ()
    return Estimate(**columns, **said, names=arch.names, operators=rows)


def _placed(
    arch: Architectures,
    device: Device,
    workload: Workload,
    options: tuple[Placement, ...],
    prefer: str,
    ideal: bool,
    breakdown: bool,
    draft: Draft | None,
) -> Estimate:
    """Estimate a chunk under a placement, or each candidate under the best of several."""
    held = _Held.of(arch.as_float(), workload, draft)
    used = dict.fromkeys(name for option in options for name in option.processors)
    board = Board(held.arch, device, workload, used, held.stored + held.cache, ideal, draft)
    usable = device.memory.dram.usable_bytes
    picked = np.zeros(len(arch), dtype=np.intp)
    if len(options) > 1:
        picked = board.best(options, prefer, held.memory, usable)
    columns: dict[str, Any] = {}
    rows: tuple[OperatorEstimate, ...] = ()
    for index in np.unique(picked):
        option = options[index]
        phases = board.phase("prefill", option), board.phase("decode", option)
        here = _columns(held.with_copies(board.weight_copies(option)), device, workload, *phases)
        chosen = picked == index
        columns = {
            name: np.where(chosen, column, columns.get(name, column))
            for name, column in here.items()
        }
        if breakdown:
            rows = _choose(chosen, _rows(*phases, len(arch)), rows)
    return Estimate(
        **columns,
        **_joint_provenance(device, options, np.unique(picked), ideal),
        names=arch.names,
        operators=rows,
        placement=picked,
        placements=options,
    )


def _choose(
    chosen: Array, these: tuple[OperatorEstimate, ...], others: tuple[OperatorEstimate, ...]
) -> tuple[OperatorEstimate, ...]:
    """Take the operators of the chosen candidates from these, of the rest from the others."""
    if chosen.all():
        return these
    found = [{(row.phase, row.name): row for row in rows} for rows in (these, others)]
    joined = []
    for phase, name in product(("prefill", "decode"), ROWS):
        pair = [rows.get((phase, name)) for rows in found]
        if any(pair):
            columns = {
                field: np.where(chosen, *(getattr(row, field) if row else 0.0 for row in pair))
                for field in OPERATOR_ARRAYS
            }
            joined.append(OperatorEstimate(name, phase, **columns))
    return tuple(joined)


def _joint_provenance(
    device: Device, options: tuple[Placement, ...], picked: Array, ideal: bool
) -> dict[str, Any]:
    """What an estimate on several processors says of itself: what the least known one does."""
    used = [options[index] for index in picked]
    said = {name: _provenance(device.processor(name), ideal) for p in used for name in p.processors}
    bases = {entry.get("basis", "profile") for entry in said.values()}

    def widest(phases: list[str], name: str) -> Interval:
        found = [said[phase].get(name, UNKNOWN) for phase in phases]
        return min(low for low, _ in found), max(high for _, high in found)

    runtimes = dict.fromkeys(entry.get("runtime", "") for entry in said.values())
    return {
        "runtime": " + ".join(name for name in runtimes if name),
        "basis": next(basis for basis in LEAST_KNOWN_FIRST if basis in bases),
        "rows": min(entry.get("rows", 0) for entry in said.values()),
        "prefill_interval": widest([p.prefill for p in used], "prefill_interval"),
        "decode_interval": widest([p.decode for p in used], "decode_interval"),
        "energy_interval": widest([n for p in used for n in p.processors], "energy_interval"),
    }


@dataclass(frozen=True, eq=False)
class _Held:
    """What N candidates keep in memory: bytes of weights, cache and activations, drafts included;
    (N,)."""

    arch: Architectures
    stored: Array
    cache: Array
    activations: Array

    @classmethod
    def of(cls, arch: Architectures, workload: Workload, draft: Draft | None) -> _Held:
        stored = weight_bytes(arch, weight_tensors(arch))
        cache = cache_bytes(arch, workload)
        peak = activation_peak(arch, workload.largest_pass())
        if draft is not None:
            weights, drafted, drafting = draft.memory(workload, stored, cache)
            stored, cache = stored + weights, cache + drafted
            verifying = activation_peak(arch, workload.verification())
            peak = np.maximum(np.maximum(peak, verifying), drafting)
        return cls(arch, stored, cache, peak)

    def with_copies(self, more: Array) -> _Held:
        """Return the same with weights that are stored in several ways."""
        return replace(self, stored=self.stored + more)

    @property
    def memory(self) -> Array:
        return self.stored + self.cache + self.activations


def _columns(
    held: _Held, device: Device, workload: Workload, prefill: Phase, decode: Phase
) -> dict[str, Any]:
    """Return the arrays of an estimate, (N,) each."""
    passes = workload.generate if workload.draft is None else workload.rounds
    each = workload.expected_tokens
    tpot = decode.seconds / workload.generate
    sides = [p + passes * d for p, d in zip(prefill.sides, decode.sides, strict=True)]
    memory, inventory = held.memory, weight_tensors(held.arch)
    columns: dict[str, Any] = dict(
        ttft=prefill.seconds,
        tpot=tpot,
        tpot_first=decode.first / each,
        tpot_last=decode.last / each,
        latency=prefill.seconds + decode.seconds,
        tokens_per_s=workload.batch / tpot,
        prefill_flops=prefill.flops,
        prefill_bytes=prefill.bytes,
        decode_flops=decode.flops,
        decode_bytes=decode.bytes,
        weight_bytes=held.stored,
        kv_cache_bytes=held.cache,
        activation_bytes=held.activations,
        memory_bytes=memory,
        fits=memory <= device.memory.dram.usable_bytes,
        energy=prefill.joules + decode.joules,
        parameters=parameter_count(held.arch, inventory),
        active_parameters=active_parameter_count(held.arch, inventory),
        prefill_bound=_largest(*prefill.sides),
        decode_bound=_largest(*decode.sides),
        bound=_largest(*sides),
    )
    shape = (len(held.arch),)
    return {name: np.broadcast_to(column, shape) for name, column in columns.items()}


def _rows(prefill: Phase, decode: Phase, count: int) -> tuple[OperatorEstimate, ...]:
    """Return every operator of both phases."""
    rows = []
    for phase, timed in (("prefill", prefill), ("decode", decode)):
        found = timed.rows()
        for name in filter(found.__contains__, ROWS):
            row = found[name]
            flops, moved, compute, memory, seconds = (np.broadcast_to(c, (count,)) for c in row)
            rows.append(OperatorEstimate(name, phase, flops, moved, compute, memory, seconds))
    return tuple(rows)
