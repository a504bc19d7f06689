"""Hardware that could be: a real profile with some of its numbers scaled, the rest as they are.

What kernels reach of the peaks, what a launch costs and how far predictions can be trusted stay
those of the real device, the template: nothing is known of a chip that does not exist but that it
is like one that does.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.efficiency.arithmetic import arithmetic
from roofline.runtimes import runtime
from spec_files import SpecError, format_quantity

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from hardware_specs.device import Processor

AXES: dict[str, str] = {
    "bandwidth": "bandwidth",
    "peak": "compute",
    "on_chip": "bytes",
    "capacity": "bytes",
    "power": "power",
}
"""What of a device is swept, with the kind of quantity that each is."""

SAID = {
    "bandwidth": "DRAM bandwidth",
    "peak": "peak",
    "on_chip": "on-chip memory",
    "capacity": "memory capacity",
    "power": "power",
}

ON_CHIP_RATIO = 3.54
"""On-chip over DRAM bandwidth of a level that the template lacks: that of the A100's L2, the only
level of the shipped profiles with a stated bandwidth (7.2 over 2.04 TB/s)."""

_LEVEL = "on-chip memory"
_SOURCE = "codesign"


@dataclass(frozen=True)
class Hardware:
    """One point of the hardware: bytes/s, FLOP/s, bytes, bytes and watts.

    peak: in the template's reference format; all its formats scale with it. on_chip: bytes of the
    outermost level with a bandwidth; 0 for none. power: watts while the model runs; NaN where the
    template's is not known.
    """

    bandwidth: float
    peak: float
    on_chip: float
    capacity: float
    power: float

    def __str__(self) -> str:
        parts = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value == value and value > 0:
                parts.append(f"{SAID[field.name]} {format_quantity(value, AXES[field.name])}")
        return ", ".join(parts)


@dataclass(frozen=True, eq=False)
class Template:
    """A device whose numbers are scaled.

    device: with its efficiencies; processor: the name of one; number_format: whose peak stands for
    all. on_chip_bandwidth: bytes/s of a level that the device lacks.
    """

    device: Device
    processor: str
    number_format: str
    on_chip_bandwidth: float

    @classmethod
    def of(
        cls,
        device: Device,
        processor: str | None,
        arch: Architectures,
        on_chip_bandwidth: float | None = None,
    ) -> Template:
        """Return the template that a calibrated device makes.

        arch: candidates, of which a sample decides in which format most weights are multiplied.
        Raises SpecError where the processor has no peak for it.
        """
        name = processor or device.default_processor
        unit = device.processor(name)
        bandwidth = device.memory.dram.bandwidth.value
        faster = on_chip_bandwidth or ON_CHIP_RATIO * bandwidth
        if faster < bandwidth:
            raise SpecError(
                f"on-chip memory of {format_quantity(faster, 'bandwidth')} is slower than the DRAM "
                f"of {device.name}, {format_quantity(bandwidth, 'bandwidth')}"
            )
        return cls(device, name, _usual_format(unit, arch), faster)

    @property
    def unit(self) -> Processor:
        """The processor."""
        return self.device.processor(self.processor)

    @property
    def hardware(self) -> Hardware:
        """The template's own numbers."""
        dram = self.device.memory.dram
        levels = [level for level in self.device.memory.on_chip if level.bandwidth is not None]
        return Hardware(
            bandwidth=dram.bandwidth.value,
            peak=self.unit.peak(self.number_format),
            on_chip=levels[0].size.value if levels else 0.0,
            capacity=dram.capacity.value,
            power=self.watts,
        )

    @property
    def watts(self) -> float:
        """Watts while a model runs; NaN where not known."""
        for figure in (self.unit.active_power, self.device.power.active):
            if figure is not None:
                return float(figure.value)
        return float("nan")

    def to(self, hardware: Hardware) -> Device:
        """Return the device of some hardware, that the engine takes as any other.

        On-chip levels keep their bandwidth, or the DRAM's where that is the greater. Energies per
        byte and per operation scale with the power.
        """
        own = self.hardware
        memory = self.device.memory
        dram = memory.dram.model_copy(
            update={
                "bandwidth": _valued(memory.dram.bandwidth, hardware.bandwidth),
                "capacity": _valued(memory.dram.capacity, hardware.capacity),
                "measured_bandwidth": None,
                "energy_per_byte": _scaled(
                    memory.dram.energy_per_byte, _ratio(hardware.power, own.power)
                ),
            }
        )
        watts = _ratio(hardware.power, own.power)
        unit = self.unit.model_copy(
            update={
                "peaks": {
                    name: _scaled(figure, hardware.peak / own.peak)
                    for name, figure in self.unit.peaks.items()
                },
                "active_power": _scaled(self.unit.active_power, watts),
                "energy_per_flop": {
                    name: _scaled(figure, watts)
                    for name, figure in self.unit.energy_per_flop.items()
                },
            }
        )
        power = self.device.power
        return self.device.model_copy(
            update={
                "processors": {**self.device.processors, self.processor: unit},
                "memory": memory.model_copy(
                    update={"dram": dram, "on_chip": self._levels(hardware)}
                ),
                "power": power.model_copy(
                    update={
                        "active": _scaled(power.active, watts),
                        "idle": _scaled(power.idle, watts),
                    }
                ),
            }
        )

    def _levels(self, hardware: Hardware) -> tuple[Any, ...]:
        from hardware_specs.device import OnChip
        from hardware_specs.figures import Bandwidth, Bytes

        levels = [level for level in self.device.memory.on_chip if level.bandwidth is not None]
        if hardware.on_chip <= 0:
            return ()
        if not levels:
            said: dict[str, Any] = {"basis": "prior", "source": _SOURCE}
            levels = [
                OnChip(
                    name=_LEVEL,
                    size=Bytes.model_construct(value=hardware.on_chip, **said),
                    bandwidth=Bandwidth.model_construct(value=self.on_chip_bandwidth, **said),
                )
            ]
        sizes = [hardware.on_chip, *(level.size.value for level in levels[1:])]
        return tuple(
            level.model_copy(
                update={
                    "size": _valued(level.size, min(size, hardware.on_chip)),
                    "bandwidth": _valued(
                        level.bandwidth, max(level.bandwidth.value, hardware.bandwidth)
                    ),
                }
            )
            for level, size in zip(levels, sizes, strict=True)
            if level.bandwidth is not None
        )


def _usual_format(unit: Processor, arch: Architectures) -> str:
    """Return the format that most of the candidates' weights are multiplied in."""
    software = runtime(unit.calibration.runtime) if unit.calibration else None
    pairs = np.broadcast_arrays(arch.activation_format, arch.weight_format)
    counts = Counter(zip(*(np.atleast_1d(column).tolist() for column in pairs), strict=True))
    (pair, _), *_ = counts.most_common(1)
    name = arithmetic(unit, software, *pair)
    if name is None or name not in unit.peaks:
        unit.peak(name or "fp16")  # says what there is
        raise SpecError(f"{unit.title}: no peak for the number format of the candidates")
    return name


def _valued(figure: Any, value: float) -> Any:
    """Return a figure of another value, which no interval was stated for."""
    return figure.model_copy(update={"value": value, "low": None, "high": None})


def _scaled(figure: Any, factor: float) -> Any:
    return None if figure is None else _valued(figure, figure.value * factor)


def _ratio(some: float, own: float) -> float:
    return some / own if some == some and own == own else 1.0


def moved(hardware: Hardware, axis: str, value: float) -> Hardware:
    """Return hardware with one of its numbers replaced."""
    return replace(hardware, **{axis: value})
