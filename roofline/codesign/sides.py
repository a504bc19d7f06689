"""Times of N candidates at any bandwidth and peak, from what the engine says of one device.

An operator takes max(computation, traffic) and its launches. At another peak every computation is
longer by one factor, at another bandwidth all traffic with DRAM by another, and nothing else
changes: so the engine is asked once for both sides of every operator, and a point of the hardware
costs a maximum and a sum. The sum over decode steps is the engine's own closed form. Nothing is
approximated; tests hold it against the engine at hardware of their choosing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from arch_space.tensors import tensors as weight_tensors
from arch_space.tensors import weight_bytes
from roofline.engine.energy import phase_energy
from roofline.engine.memory import activation_peak, cache_bytes
from roofline.engine.roof import Roof, build_roof
from roofline.engine.timing import Timing, present, sum_of_max, time_pass, total

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from roofline.operators.cost import Operator, Tensors
    from roofline.workload import Workload

Array = np.ndarray
Number = Array | float

_NOISE = 1e-12
"""Of an operator's traffic, below which what is left of a difference is rounding."""


@dataclass(frozen=True, eq=False)
class Sides:
    """Both sides of M operators over N candidates, seconds on the base device.

    compute, dram: (M, N). chip: (K, M, N), traffic with each on-chip level, the slowest first.
    """

    compute: Array
    dram: Array
    chip: Array

    def at(self, slower: Number, starved: Number, on_chip: Sequence[Number]) -> tuple[Array, Array]:
        """Return (computation, traffic), each (M, N), where computing takes `slower` times as long.

        starved: how much longer a byte of DRAM takes; on_chip: the same for each level.
        """
        traffic = self.dram * starved
        for level, factor in zip(self.chip, on_chip, strict=True):
            traffic += level * factor
        return self.compute * slower, traffic


@dataclass(frozen=True, eq=False)
class Stretch:
    """Decode steps over which the operators that grow with the context do so linearly.

    first, last: at its ends; count: steps, () or (N,).
    """

    first: Sides
    last: Sides
    count: Array


@dataclass(frozen=True, eq=False)
class TwoSided:
    """What N candidates cost under one workload, as a function of bandwidth, peak and power.

    prefill, step: sides of the operators of the prefill, and of a decode step where the context
    does not matter. stretches: those where it does. prefill_rest, decode_rest: (N,) seconds that no
    hardware of this kind changes: launches and fixed times, of all steps together. generate: steps.
    watts, joules: (2, N), energy of prefill and decode as watts x seconds + joules. memory: (N,)
    bytes. level_times: seconds per byte of each on-chip level over that of DRAM, the slowest first.
    """

    prefill: Sides
    step: Sides
    stretches: tuple[Stretch, ...]
    prefill_rest: Array
    decode_rest: Array
    generate: int
    watts: Array
    joules: Array
    memory: Array
    level_times: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.memory)

    def __getitem__(self, rows: Any) -> TwoSided:
        """Return some of the candidates."""

        def taken(value: Any) -> Any:
            if isinstance(value, np.ndarray):
                return value[..., rows] if value.ndim else value
            if isinstance(value, tuple):
                return tuple(taken(each) for each in value)
            if isinstance(value, Sides | Stretch):
                return replace(
                    value, **{f.name: taken(getattr(value, f.name)) for f in fields(value)}
                )
            return value

        names = [f.name for f in fields(self) if f.name not in ("generate", "level_times")]
        return replace(self, **{name: taken(getattr(self, name)) for name in names})

    def costs(
        self, names: Sequence[str], bandwidth: Number, peak: Number, power: Number = 1.0
    ) -> dict[str, Array]:
        """Return `ttft`, `tpot`, `latency` or `energy`, each (N,), as `names` ask for them.

        bandwidth, peak, power: multiples of the base device's, for all or (N,) one a candidate.
        """
        slower, starved = 1.0 / peak, 1.0 / bandwidth
        # A level is never slower than DRAM: where DRAM overtakes it, it keeps DRAM's pace.
        levels = [np.minimum(1.0, starved / time) for time in self.level_times]
        found: dict[str, Array] = {}
        asked = set(names)
        if asked & {"ttft", "latency", "energy"}:
            sides = self.prefill.at(slower, starved, levels)
            found["ttft"] = np.maximum(*sides).sum(axis=0) + self.prefill_rest
        if asked & {"tpot", "latency", "energy"}:
            decode = self._decode(slower, starved, levels)
            found["tpot"] = decode / self.generate
            if "latency" in asked:
                found["latency"] = found["ttft"] + decode
            if "energy" in asked:
                seconds = np.stack([found["ttft"], decode])
                found["energy"] = power * (self.watts * seconds + self.joules).sum(axis=0)
        return {name: found[name] for name in names}

    def _decode(self, slower: Number, starved: Number, levels: Sequence[Number]) -> Array:
        """Seconds of all decode steps, (N,)."""
        each = np.maximum(*self.step.at(slower, starved, levels)).sum(axis=0)
        seconds: Array = self.generate * each + self.decode_rest
        for stretch in self.stretches:
            first = stretch.first.at(slower, starved, levels)
            last = stretch.last.at(slower, starved, levels)
            seconds = seconds + sum_of_max(*first, *last, stretch.count).sum(axis=0)
        return seconds


def both_sides(
    arch: Architectures,
    device: Device,
    workload: Workload,
    processor: str | None = None,
    ideal: bool = False,
) -> TwoSided:
    """Ask the engine for both sides of every operator of N candidates on a calibrated device."""
    arch = arch.as_float()
    unit = device.processor(processor)
    inventory = weight_tensors(arch)
    resident = weight_bytes(arch, inventory) + cache_bytes(arch, workload)
    memory = resident + activation_peak(arch, workload.largest_pass())
    operators = present(arch)

    def passes(variant: Device) -> _Passes:
        roof = build_roof(arch, variant, unit, resident, ideal)
        return _Passes.of(operators, arch, inventory, workload, roof)

    shape = (len(arch),)
    known = passes(device)
    levels = [level for level in device.memory.on_chip if level.bandwidth is not None]
    levels.sort(key=lambda level: level.bandwidth.value if level.bandwidth else 0.0)
    slowed = [known, *(passes(_slowed(device, levels[:k])) for k in range(1, len(levels) + 1))]
    blocks = [
        _separate([each.blocks[i] for each in slowed], shape) for i in range(len(known.blocks))
    ]
    prefill, step, *ends = blocks
    affine = [_affine(device, unit, known, phase) for phase in (0, 1)]
    dram = device.memory.dram.bandwidth.value
    return TwoSided(
        prefill=prefill,
        step=step,
        stretches=tuple(
            Stretch(first, last, np.asarray(count, dtype=float))
            for first, last, count in zip(ends[::2], ends[1::2], known.counts, strict=True)
        ),
        prefill_rest=np.array(np.broadcast_to(known.rest[0], shape)),
        decode_rest=np.array(np.broadcast_to(known.rest[1], shape)),
        generate=workload.generate,
        watts=np.stack([np.broadcast_to(watts, shape) for watts, _ in affine]),
        joules=np.stack([np.broadcast_to(joules, shape) for _, joules in affine]),
        memory=np.array(np.broadcast_to(memory, shape)),
        level_times=tuple(dram / level.bandwidth.value for level in levels if level.bandwidth),
    )


@dataclass(frozen=True, eq=False)
class _Passes:
    """The engine's timings of a prefill and of the decode steps where their growth bends.

    blocks: timings of the prefill, of what does not grow, and of what does at both ends of each
    stretch. counts: steps of each stretch. rest: seconds of launches and fixed times of both
    phases; moved, joules: DRAM bytes and joules of each; idle: overhead that energy counts.
    """

    blocks: list[list[Timing]]
    counts: list[Array | float]
    rest: tuple[Array, Array]
    moved: tuple[Array, Array]
    joules: tuple[Array, Array]
    idle: tuple[Array, Array]
    roof: Roof

    @classmethod
    def of(
        cls,
        operators: list[Operator],
        arch: Architectures,
        inventory: Tensors,
        workload: Workload,
        roof: Roof,
    ) -> _Passes:
        """Time them, with the stretches of `roofline.engine.timing.time_decoding`."""
        steps = float(workload.generate)
        first = workload.decode(workload.prompt + 1)
        prefill = time_pass(operators, arch, inventory, workload.prefill(), roof)
        fixed = time_pass([o for o in operators if not o.grows], arch, inventory, first, roof)
        begin = np.asarray(first.keys, dtype=float)
        end = begin + (steps - 1.0)
        ends: list[tuple[Array, Array, Array | float]] = [(begin, end, steps)]
        if arch.window_share.any():
            full = np.clip(np.where(arch.window > 0, arch.window, np.inf), begin - 1.0, end)
            ends = [
                (begin, np.maximum(full, begin), full - begin + 1.0),
                (np.minimum(full + 1.0, end), end, end - full),
            ]
        growing = [o for o in operators if o.grows]

        def at(keys: Array) -> dict[str, Timing]:
            return time_pass(growing, arch, inventory, first.seeing(keys), roof)

        grown = [(at(low), at(high), count) for low, high, count in ends]

        def over_steps(field: str) -> Array:
            more = (n * (total(low, field) + total(high, field)) / 2.0 for low, high, n in grown)
            return np.asarray(steps * total(fixed, field) + sum(more))

        launches = steps * total(fixed, "launch")
        launches = launches + sum(count * total(low, "launch") for low, _, count in grown)
        at_first = fixed | grown[0][0]
        both = (
            total(prefill, "launch") + roof.prompt,
            np.asarray(launches + steps * roof.step),
        )
        blocks = [prefill, fixed, *(block for low, high, _ in grown for block in (low, high))]
        return cls(
            blocks=[list(_overlapped(block, roof)) for block in blocks],
            counts=[count for *_, count in grown],
            rest=both,
            moved=(total(prefill, "bytes"), over_steps("bytes")),
            joules=(total(prefill, "joules"), over_steps("joules")),
            idle=(both[0], np.asarray(steps * (total(at_first, "launch") + roof.step))),
            roof=roof,
        )._overlap_decoding()

    def _overlap_decoding(self) -> _Passes:
        """In ideal mode what grows overlaps with what does not: one operator, which grows."""
        if not self.roof.ideal:
            return self
        prefill, (fixed,), *ends = self.blocks
        joined = [[_joined([fixed, *block])] for block in ends]
        return replace(self, blocks=[prefill, [_joined([])], *joined])


def _overlapped(block: dict[str, Timing], roof: Roof) -> list[Timing]:
    """Return the operators of a pass; in ideal mode, where all overlap, as one."""
    return [_joined(list(block.values()))] if roof.ideal else list(block.values())


def _joined(timings: list[Timing]) -> Timing:
    def added(name: str) -> Array:
        return np.asarray(sum(getattr(each, name) for each in timings))

    return Timing(**{field.name: added(field.name) for field in fields(Timing)})


def _slowed(device: Device, levels: list[Any]) -> Device:
    """Return the device with some on-chip levels at half their bandwidth."""
    names = {level.name for level in levels}
    halved = tuple(
        level.model_copy(
            update={
                "bandwidth": level.bandwidth.model_copy(update={"value": level.bandwidth.value / 2})
            }
        )
        if level.name in names and level.bandwidth is not None
        else level
        for level in device.memory.on_chip
    )
    memory = device.memory.model_copy(update={"on_chip": halved})
    return device.model_copy(update={"memory": memory})


def _separate(slowed: list[list[Timing]], shape: tuple[int, ...]) -> Sides:
    """Tell an operator's traffic with DRAM from that with each level.

    slowed: timings as they are, with the slowest level at half its pace, with the two slowest, and
    so on: traffic is linear in the time of a byte, so each difference is the traffic with a level.
    """
    rows = range(len(slowed[0]))
    compute = _table([timing.compute for timing in slowed[0]], shape)
    traffic = [_table([block[i].memory for i in rows], shape) for block in slowed]
    chip = [later - earlier for earlier, later in pairwise(traffic)]
    for level in chip:
        level[level < _NOISE * traffic[0]] = 0.0
    dram = traffic[0] - sum(chip) if chip else traffic[0]
    dram[dram < _NOISE * traffic[0]] = 0.0
    pure = ~compute.any(axis=1)
    if pure.sum() > 1:  # what computes nothing takes its traffic, whatever the hardware
        compute = np.vstack([compute[~pure], np.zeros((1, *shape))])
        dram, *chip = (
            np.vstack([each[~pure], each[pure].sum(axis=0, keepdims=True)])
            for each in (dram, *chip)
        )
    return Sides(compute, dram, np.stack(chip) if chip else np.empty((0, *dram.shape)))


def _table(columns: list[Any], shape: tuple[int, ...]) -> Array:
    if not columns:
        return np.zeros((1, *shape))
    return np.stack([np.broadcast_to(np.asarray(c, dtype=float), shape) for c in columns])


def _affine(device: Device, unit: Any, known: _Passes, phase: int) -> tuple[Array, Array]:
    """Return watts and joules of a phase, whose energy is watts x seconds + joules."""

    def energy(seconds: float) -> Array:
        return phase_energy(
            device,
            unit,
            known.roof,
            np.full(np.shape(known.rest[phase]) or (1,), seconds),
            known.idle[phase],
            known.moved[phase],
            known.joules[phase],
            decoding=phase == 1,
        )

    fixed = energy(0.0)
    return energy(1.0) - fixed, fixed
