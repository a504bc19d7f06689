"""The roof over N candidates: how fast one processor computes and moves each of their bytes.

Rates are kept as seconds per FLOP and per byte, so that the hot path multiplies and never divides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arch_space.formats import FORMATS, compute_format

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from hardware_specs.device import Processor

Array = np.ndarray


@dataclass(frozen=True)
class OnChip:
    """A memory level on the chip: what it holds, in bytes, and its seconds per byte."""

    size: float
    byte_time: float


@dataclass(frozen=True)
class Roof:
    """Rates of one processor for N candidates; arrays are (N,) or (1,).

    flop_time: seconds per FLOP by kind of product (`weights`, `head`, `cache`), whose operands meet
    in different formats. weight_time, expert_time,
    cache_time: seconds per byte from the level that holds the
    model; dram_share: 1 where that is DRAM, 0 where the whole model lives on the chip.
    activation_time: seconds per byte from DRAM.
    flop_half, byte_half: the operation size at which a kernel reaches half of its efficiency.
    launch, step: seconds per kernel and per forward pass. joule_per_flop: by kind of product; None
    where unknown. on_chip: levels that activations may live in, slowest first.
    ideal: every operator overlaps with every other and nothing leaves the chip that need not.
    """

    flop_time: dict[str, Array]
    weight_time: Array | float
    expert_time: Array | float
    cache_time: Array | float
    dram_share: Array | float
    activation_time: float
    flop_half: float
    byte_half: float
    launch: float
    step: float
    joule_per_flop: dict[str, Array] | None
    on_chip: tuple[OnChip, ...]
    ideal: bool


def _by_formats(left: Array, right: Array, value: dict[tuple[int, int], float]) -> Array:
    """Look up a value for each pair of format codes; one value when all pairs agree."""
    values = np.zeros((len(FORMATS), len(FORMATS)))
    for pair, number in value.items():
        values[pair] = number
    if len(set(value.values())) == 1:
        return np.array([next(iter(value.values()))])
    return values[left, right]


def _pairs(left: Array, right: Array) -> list[tuple[int, int]]:
    """Return the pairs of format codes that occur."""
    size = len(FORMATS)
    joint = np.atleast_1d(left.astype(np.intp) * size + right)
    return [divmod(int(code), size) for code in np.flatnonzero(np.bincount(joint))]


def build_roof(
    arch: Architectures,
    device: Device,
    processor: Processor,
    resident: Array,
    ideal: bool = False,
) -> Roof:
    """Return the roof that a processor puts over these candidates.

    resident: (N,) bytes of weights and cache; a model that fits an on-chip level whole is read from
    it at every pass, one that does not is streamed from DRAM, since each pass evicts what the next
    needs. ideal: all efficiencies one, no launch time, no fixed time per pass.
    Raises SpecError where the processor has no peak for a number format that a candidate computes
    in.
    """
    efficiency = processor.efficiency
    operands = {
        "weights": (arch.activation_format, arch.weight_format),
        "head": (arch.activation_format, arch.embedding_format),
        "cache": (arch.activation_format, arch.kv_format),
    }
    flop_time, joules = {}, {}
    for kind, (left, right) in operands.items():
        formats = {pair: compute_format(*pair) for pair in _pairs(left, right)}
        reached = {
            pair: processor.peak(name) * (1.0 if ideal else efficiency.compute_value(name))
            for pair, name in formats.items()
        }
        flop_time[kind] = 1.0 / _by_formats(left, right, reached)
        energy = {pair: processor.energy_per_flop_in(name) for pair, name in formats.items()}
        known = {pair: joule for pair, joule in energy.items() if joule is not None}
        if len(known) == len(energy):
            joules[kind] = _by_formats(left, right, known)
    speedup = processor.structured_sparsity_speedup
    if speedup != 1.0 and arch.two_four.any():
        flop_time["weights"] = flop_time["weights"] * np.where(arch.two_four, 1 / speedup, 1.0)

    dram = 1.0 / device.memory.dram.bandwidth.value
    spill_time = dram if ideal else dram / efficiency.memory.value
    weight_time: Array | float = spill_time
    expert_time: Array | float = spill_time
    if not ideal and efficiency.experts is not None and (arch.experts > 1).any():
        expert_time = np.where(arch.experts > 1, dram / efficiency.expert_value, spill_time)
    cache_time: Array | float = dram if ideal else dram / efficiency.cache_value
    dram_share: Array | float = 1.0
    levels = [
        OnChip(level.size.value, 1.0 / level.bandwidth.value)
        for level in device.memory.on_chip
        if level.bandwidth is not None
    ]
    levels.sort(key=lambda level: level.byte_time, reverse=True)
    for level in levels:
        lives_here = resident <= level.size
        if lives_here.any():
            weight_time = np.where(lives_here, level.byte_time, weight_time)
            expert_time = np.where(lives_here, level.byte_time, expert_time)
            cache_time = np.where(lives_here, level.byte_time, cache_time)
            dram_share = np.where(lives_here, 0.0, dram_share)
    return Roof(
        flop_time=flop_time,
        weight_time=weight_time,
        expert_time=expert_time,
        cache_time=cache_time,
        dram_share=dram_share,
        activation_time=spill_time,
        flop_half=0.0 if ideal else processor.compute_half_size_flops,
        byte_half=0.0 if ideal else processor.memory_half_size_bytes,
        launch=0.0 if ideal else processor.kernel_launch.value,
        step=0.0 if ideal else processor.step_overhead.value,
        joule_per_flop=joules if len(joules) == len(operands) else None,
        on_chip=tuple(levels),
        ideal=ideal,
    )
