"""Break-even tokens per pass over devices and contexts: what a designer asks of diffusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arch_space.formats import compute_format
from roofline.diffusion.cost import break_even
from roofline.diffusion.schedules import Schedule
from roofline.efficiency.arithmetic import arithmetic, peak_of
from roofline.workload import Workload
from spec_files import SpecError

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Map:
    """Break-even tokens per pass of one model and one schedule.

    intensity: (I,), FLOP that the device does in the time of a byte; context: (C,), prompt tokens;
    passes: (C, I), passes over a block at equal latency; below 1 where not even one is fast enough.
    cache, block, generate: of the schedule.
    """

    intensity: Array
    context: Array
    passes: Array
    cache: str
    block: int
    generate: int

    @property
    def tokens(self) -> Array:
        """Tokens that a pass must commit, (C, I); NaN where not even a whole block is enough."""
        passes = np.minimum(self.passes, self.block)
        return np.where(passes >= 1.0, self.block / np.maximum(passes, 1.0), np.nan)


def intensity_of(device: Device, arch: Architectures, processor: str | None = None) -> float:
    """FLOP per byte of a data sheet: the peak of a model's products over the DRAM's bandwidth.

    NaN where no peak is known.
    """
    unit = device.processor(processor)
    chosen = arithmetic(unit, None, int(arch.activation_format[0]), int(arch.weight_format[0]))
    if chosen is None:
        return float("nan")
    return peak_of(unit, chosen) / device.memory.dram.bandwidth.value


def with_intensity(
    device: Device, arch: Architectures, intensity: float, processor: str | None = None
) -> Device:
    """Return the device with all its peaks scaled so that the model's products have an intensity.

    Raises SpecError where the device has no peak that could be scaled.
    """
    if not 0.0 < intensity < np.inf:
        raise SpecError(f"intensity: read {intensity!r}; write FLOP per byte above 0")
    now = intensity_of(device, arch, processor)
    if now != now:
        wanted = compute_format(int(arch.activation_format[0]), int(arch.weight_format[0]))
        raise SpecError(f"device {device.name} has no known peak in {wanted} to scale")
    name = device.default_processor if processor is None else processor
    unit = device.processor(processor)
    peaks = {
        each: peak.model_copy(update={"value": peak.value * intensity / now})
        for each, peak in unit.peaks.items()
    }
    scaled = unit.model_copy(update={"peaks": peaks})
    return device.model_copy(update={"processors": {**device.processors, name: scaled}})


def break_even_map(
    arch: Architectures,
    device: Device,
    intensity: Array,
    context: Array,
    *,
    cache: str = "none",
    block: int = 32,
    generate: int = 256,
    ideal: bool = True,
) -> Map:
    """Solve for break-even tokens per pass over device intensities and contexts.

    arch: one candidate. device: the one whose peaks are scaled; in ideal mode nothing else of it
    counts, for times are then multiples of that of a byte. ideal: without overheads, the best
    case of both ways of decoding.
    """
    schedule = Schedule(cache, block)  # type: ignore[arg-type]
    passes = np.array(
        [
            [
                break_even(
                    arch, one, schedule, Workload(1, int(prompt), generate), ideal=ideal
                ).passes_a_block[0]
                for one in (with_intensity(device, arch, float(each)) for each in intensity)
            ]
            for prompt in context
        ]
    )
    return Map(np.asarray(intensity), np.asarray(context), passes, cache, block, generate)
