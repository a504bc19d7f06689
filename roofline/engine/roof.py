"""The roof over N candidates: how fast one processor computes and moves each of their bytes.

Rates are kept as seconds per FLOP and per byte, so that the hot path multiplies and never divides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arch_space.formats import FORMATS, STORAGES, storage
from roofline.efficiency.arithmetic import arithmetic, peak_of
from roofline.runtimes import runtime
from spec_files import SpecError, did_you_mean

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from hardware_specs.device import Efficiency, Processor

Array = np.ndarray


@dataclass(frozen=True)
class OnChip:
    """A memory level on the chip: what it holds, in bytes, and its seconds per byte."""

    size: float
    byte_time: float


@dataclass(frozen=True)
class Roof:
    """Rates of one processor for N candidates; arrays are (N,) or (1,).

    flop_time: seconds per FLOP by kind of product (`weights`, `head`, `cache`, `state`,
    `experts`), whose operands meet in different formats. weight_time, head_time, expert_time,
    cache_time, state_time (of recurrent mixers): seconds per byte from the level that holds the
    model. dram_share: 1 where that is DRAM, 0 where the whole
    model lives on the chip. activation_time: seconds per byte from DRAM.
    tile: tokens that each product of a prompt is padded with.
    flop_half, byte_half: the operation size at which a kernel reaches half of its efficiency.
    launch, state_launch: seconds per kernel; handover: more of them, by kind of operands
    (`weights`, `head`), where another processor runs it; step, prompt: per forward pass, of
    decoding and of a prefill. chunk: prompt tokens per pass over the weights; 0 for all. skips:
    whether only the last token of a prompt runs through layers that share a cache.
    joule_per_flop: by kind of product; None where unknown. on_chip: levels that activations may
    live in, slowest first.
    ideal: every operator overlaps with every other and nothing leaves the chip that need not.
    """

    flop_time: dict[str, Array]
    weight_time: Array | float
    head_time: Array | float
    expert_time: Array | float
    cache_time: Array | float
    state_time: Array | float
    dram_share: Array | float
    activation_time: float
    tile: float
    flop_half: float
    byte_half: float
    launch: float
    state_launch: float
    handover: dict[str, Array]
    step: float
    prompt: float
    chunk: int
    skips: bool
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
    return [divmod(int(code), size) for code in np.flatnonzero(np.bincount(np.ravel(joint)))]


def _by_storage(stored: Array, value: Callable[[str], float]) -> Array:
    """Look up a value for each way of storing weights; one value where all agree."""
    values = np.array([value(name) for name in STORAGES])
    if (values == values[0]).all():
        return values[:1]
    return values[stored]


def build_roof(
    arch: Architectures,
    device: Device,
    processor: Processor,
    resident: Array,
    ideal: bool = False,
) -> Roof:
    """Return the roof that a processor puts over these candidates.

    processor: with its efficiencies, entered or calibrated; ideal mode needs none. resident: (N,)
    bytes of weights and cache; a model that fits an on-chip level whole is read from it at every
    pass, one that does not is streamed from DRAM, since each pass evicts what the next needs.
    ideal: all efficiencies one, no launch time, no fixed time per pass.
    Raises SpecError where the processor has no peak for a number format that a candidate computes
    in.
    """
    efficiency = processor.efficiency
    if efficiency is None and not ideal:
        raise SpecError(f"{processor.title}: no efficiency is known; calibrate the device first")
    _check_storages(processor)
    software = runtime(processor.calibration.runtime) if processor.calibration else None
    body = storage(arch.weight_format, arch.width, "body")
    head = storage(arch.embedding_format, arch.width, "head")

    operands = {
        "weights": (arch.activation_format, arch.weight_format),
        "head": (arch.activation_format, arch.embedding_format),
        "cache": (arch.activation_format, arch.kv_format),
    }
    flop_time, joules = {}, {}
    for kind, (left, right) in operands.items():
        formats = {pair: arithmetic(processor, software, *pair) for pair in _pairs(left, right)}
        dense = {pair: _seconds_per_flop(processor, name, ideal) for pair, name in formats.items()}
        flop_time[kind] = _by_formats(left, right, dense)
        energy = {pair: processor.energy_per_flop_in(name or "") for pair, name in formats.items()}
        known = {pair: joule for pair, joule in energy.items() if joule is not None}
        if len(known) == len(energy):
            joules[kind] = _by_formats(left, right, known)
    speedup = processor.structured_sparsity_speedup
    if speedup != 1.0 and arch.two_four.any():
        flop_time["weights"] = flop_time["weights"] * np.where(arch.two_four, 1 / speedup, 1.0)
    flop_time["experts"] = flop_time["weights"]
    flop_time["state"] = flop_time["cache"]
    if efficiency is not None and not ideal:
        _slow_down(arch, flop_time, efficiency, body, head)

    dram = 1.0 / device.memory.dram.bandwidth.value
    weight_time: Array | float = dram
    head_time: Array | float = dram
    expert_time: Array | float = dram
    cache_time: Array | float = dram
    state_time: Array | float = dram
    activation_time = dram
    if efficiency is not None and not ideal:
        activation_time = dram * efficiency.spill_value
        weight_time = _by_storage(body, lambda name: dram / efficiency.memory_value(name))
        head_time = _by_storage(head, lambda name: dram / efficiency.memory_value(name))
        expert_time = weight_time
        if efficiency.expert_factor != 1.0 and (arch.experts > 1).any():
            expert_time = weight_time / np.where(arch.experts > 1, efficiency.expert_factor, 1.0)
        cache_time = dram / efficiency.cache_value
        state_time = dram / efficiency.state_value
        if efficiency.repeats_value:
            group = np.where(arch.kv_rank > 0, 1.0, arch.query_heads / arch.kv_heads)
            cache_time = cache_time * group**efficiency.repeats_value
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
            head_time = np.where(lives_here, level.byte_time, head_time)
            expert_time = np.where(lives_here, level.byte_time, expert_time)
            cache_time = np.where(lives_here, level.byte_time, cache_time)
            state_time = np.where(lives_here, level.byte_time, state_time)
            dram_share = np.where(lives_here, 0.0, dram_share)
    return Roof(
        flop_time=flop_time,
        weight_time=weight_time,
        head_time=head_time,
        expert_time=expert_time,
        cache_time=cache_time,
        state_time=state_time,
        dram_share=dram_share,
        activation_time=activation_time,
        tile=0.0 if ideal else processor.tile_tokens,
        flop_half=0.0 if ideal else processor.compute_half_size_flops,
        byte_half=0.0 if ideal else processor.memory_half_size_bytes,
        launch=0.0 if ideal else processor.launch_seconds,
        state_launch=0.0 if ideal else processor.state_launch_seconds,
        handover={}
        if ideal or not processor.handover
        else {
            "weights": _by_storage(body, processor.handover_seconds),
            "head": _by_storage(head, processor.handover_seconds),
        },
        step=0.0 if ideal else processor.step_seconds,
        prompt=0.0 if ideal else processor.prompt_seconds,
        chunk=software.chunk if software is not None and not ideal else 0,
        skips=ideal or (software is not None and software.skips),
        joule_per_flop=joules if len(joules) == len(operands) else None,
        on_chip=tuple(levels),
        ideal=ideal,
    )


def _check_storages(processor: Processor) -> None:
    """Refuse a number that is stated for a way of storing weights that there is not."""
    stated: list[tuple[str, Iterable[str]]] = [("handover", processor.handover)]
    if processor.efficiency is not None:
        stated.append(("efficiency.compute_in", processor.efficiency.compute_in))
        stated.append(("efficiency.memory_in", processor.efficiency.memory_in))
    for field, names in stated:
        for name in names:
            if name not in STORAGES:
                raise SpecError(
                    f"{processor.title}: {field} names {name!r}, and no weights are stored so"
                    f"{did_you_mean(name, STORAGES)}"
                )


def _seconds_per_flop(processor: Processor, number_format: str | None, ideal: bool) -> float:
    """At the dense peak. Where no peak is known, the floor says nothing of computation."""
    if number_format is None and ideal:
        return 0.0
    return 1.0 / peak_of(processor, number_format)


_CACHE_STORAGE = "16-bit"


def _slow_down(
    arch: Architectures,
    flop_time: dict[str, Array],
    efficiency: Efficiency,
    body: Array,
    head: Array,
) -> None:
    """From dense peaks to what kernels reach."""

    def slower(name: str) -> float:
        return 1.0 / efficiency.compute_value(name)

    flop_time["weights"] = flop_time["weights"] * _by_storage(body, slower)
    flop_time["experts"] = flop_time["weights"]
    if efficiency.expert_compute_factor != 1.0 and (arch.experts > 1).any():
        factor = np.where(arch.experts > 1, efficiency.expert_compute_factor, 1.0)
        flop_time["experts"] = flop_time["weights"] / factor
    flop_time["head"] = flop_time["head"] * _by_storage(head, slower)
    # What is not a product with weights knows nothing of how they are stored.
    plain = efficiency.compute_value(_CACHE_STORAGE)
    flop_time["state"] = flop_time["cache"] / (plain * efficiency.recurrence_factor)
    flop_time["cache"] = flop_time["cache"] / (plain * efficiency.attention_factor)
