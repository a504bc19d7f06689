"""Energy of a phase from what is known: a power of the processor, or energies per byte and FLOP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hardware_specs import Device
    from hardware_specs.device import Processor
    from roofline.engine.roof import Roof

Array = np.ndarray


def phase_energy(
    device: Device,
    processor: Processor,
    roof: Roof,
    seconds: Array,
    overhead: Array,
    moved: Array,
    joules: Array,
    decoding: bool = False,
) -> Array:
    """Joules of one phase, (N,); NaN where the profile states nothing to compute it from.

    seconds: of the phase, `overhead` of them spent on launches and fixed work; moved: DRAM bytes;
    joules: of its products. A profile's energies per byte and per FLOP are measured on work bound
    by traffic and by products, and include all that ran meanwhile: so the larger of the two counts,
    as in the roofline of time, and idle power counts for the overhead alone. Without an energy per
    FLOP, decoding, which is traffic, is still priced by its bytes; what cannot be priced so takes
    the power that the profile states for a busy device. A power of the busy processor itself, where
    it is known, goes before all that.
    """
    if processor.active_power is not None:
        return processor.active_power.value * seconds
    per_byte = device.memory.dram.energy_per_byte
    power = device.power
    if per_byte is not None and (roof.joule_per_flop is not None or decoding):
        idle = power.idle.value * overhead if power.idle is not None else 0.0
        return np.maximum(moved * per_byte.value, joules) + idle
    if power.active is not None:
        return power.active.value * seconds
    return np.full(np.shape(seconds), np.nan)
