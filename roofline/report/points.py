"""What figures show, computed before they are drawn: operators under roofs, axes with units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from arch_space.formats import STORAGES, storage
from roofline.efficiency.arithmetic import arithmetic, peak_of
from roofline.operators import OPERATORS
from roofline.runtimes import runtime
from roofline.search.objectives import COLUMNS, DIMENSIONS, OBJECTIVES
from spec_files import format_quantity, parse_quantity

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from hardware_specs.device import Processor
    from roofline.engine import Estimate

PHASES = ("prefill", "decode")

NATS = OBJECTIVES["loss"]
"""What losses are in, unless their law is one of ratios."""

NO_PEAK = "no published peak"
"""In place of a number format, where a processor's peaks are unknown."""

WIDE = 10.0
"""Quantities that span more than this factor are drawn on a logarithmic axis."""

_TITLES = {
    "loss": "Loss",
    "ttft": "Time to first token",
    "tpot": "Time per output token",
    "latency": "Latency",
    "energy": "Energy",
    "memory": "Memory",
}


@dataclass(frozen=True, eq=False)
class Roofline:
    """The operators of one candidate, and the roofs of the processor that runs it.

    operators: one row an operator and phase: phase, operator, flops, bytes (DRAM traffic), time
    (seconds), intensity (FLOP/byte; infinite where nothing leaves the chip), attained (FLOP/s),
    share (of the phase's time), bound, and format (what its products run in; empty where there are
    none or it is not known). Decode is its first step.
    peaks: one row a number format: nominal and attainable FLOP/s, and the ridge points (FLOP/byte)
    where DRAM meets each; where no peak is published, what is attainable is nominal too.
    bandwidths: one row a memory level: nominal and attainable bytes/s.
    """

    title: str
    operators: pd.DataFrame
    peaks: pd.DataFrame
    bandwidths: pd.DataFrame

    def fixed_share(self, phase: str) -> float:
        """Share of a phase's time that no operator takes: the fixed time of each pass."""
        rows = self.operators[self.operators["phase"] == phase]
        return max(0.0, 1.0 - float(rows["share"].sum()))

    def _repr_html_(self) -> str:
        return str(self.operators._repr_html_())


def roofline_points(
    estimate: Estimate,
    device: Device,
    processor: str | None = None,
    row: int = 0,
    arch: Architectures | None = None,
) -> Roofline:
    """Place the operators of one estimated candidate under the roofs of its processor.

    estimate: made with its breakdown. processor: which of the device's; its default one if None.
    arch: the candidates that were estimated; where given, operators are labelled with the number
    format they run in, and only the peaks of those formats are kept. device: with its efficiencies.
    Raises ValueError for an estimate without operators.
    """
    from roofline.report.rooflines import rooflines

    return rooflines(estimate, device, processor, arch).at(row)


def roofs_of(
    device: Device, chip: Processor, used: Iterable[str], arch: Architectures | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the peaks of some formats and the bandwidths, as `Roofline` has them.

    arch: one candidate, of whose stored weights the attainable shares are; None for any.
    """
    shares = _shares(chip, arch)
    return _peaks(device, chip, used, shares), _bandwidths(device, shares[1])


def _shares(chip: Processor, arch: Architectures | None) -> tuple[float, float]:
    """What products and streaming reach of the peak and the bandwidth with one's weights."""
    efficiency = chip.efficiency
    if efficiency is None:
        raise ValueError("the device has no efficiencies: calibrate it first")
    if arch is None:
        return efficiency.compute.value, efficiency.memory.value
    stored = STORAGES[int(storage(arch.weight_format, arch.width, "body")[0])]
    return efficiency.compute_value(stored), efficiency.memory_value(stored)


def formats_of(arch: Architectures, chip: Processor) -> dict[str, str]:
    """Return the number format that the products of each operator of one candidate run in."""
    stored = {
        "weights": arch.weight_format,
        "head": arch.embedding_format,
        "cache": arch.kv_format,
    }
    software = runtime(chip.calibration.runtime) if chip.calibration else None
    activation = int(arch.activation_format[0])
    return {
        operator.name: arithmetic(chip, software, activation, int(stored[operator.operands][0]))
        or NO_PEAK
        for operator in OPERATORS
        if operator.operands in stored
    }


def _peaks(
    device: Device, chip: Processor, used: Iterable[str], shares: tuple[float, float]
) -> pd.DataFrame:
    dram = device.memory.dram.bandwidth.value
    rows = []
    for name in dict.fromkeys(used) or (NO_PEAK,):
        share = shares[0]
        peak = peak_of(chip, None if name == NO_PEAK else name)
        if name == NO_PEAK:
            peak, share = peak * share, 1.0
        ridge = peak / dram
        rows.append(
            {
                "format": name,
                "nominal": peak,
                "attainable": peak * share,
                "ridge": ridge,
                "attainable_ridge": ridge * share / shares[1],
            }
        )
    return pd.DataFrame(rows).sort_values("nominal", ascending=False, ignore_index=True)


def _bandwidths(device: Device, share: float) -> pd.DataFrame:
    dram = device.memory.dram.bandwidth.value
    rows = [("DRAM", dram, dram * share)]
    for level in device.memory.on_chip:
        if level.bandwidth is not None:
            rows.append((level.name, level.bandwidth.value, level.bandwidth.value))
    return pd.DataFrame(rows, columns=["level", "nominal", "attainable"])


@dataclass(frozen=True)
class Axis:
    """How one objective is shown: where it stands in a front's table, and in which unit.

    A value of the table divided by `scale` is in `unit`; `log` where the values span a wide range.
    """

    objective: str
    column: str
    title: str
    unit: str
    scale: float
    log: bool

    @property
    def label(self) -> str:
        """Title with unit."""
        return f"{self.title} ({self.unit})"

    def say(self, value: float) -> str:
        """Write one value with its unit, which may be another than the axis has."""
        return say(self.objective, value, self.unit)


def axis(objective: str, front: pd.DataFrame, loss_unit: str = NATS) -> Axis:
    """Return the axis that suits a front: in a unit for people, log where it spans wide.

    loss_unit: what the front's law speaks in.
    """
    column, dimension = COLUMNS[objective], DIMENSIONS[objective]
    values = front[column].to_numpy(dtype=float)
    values = values[np.isfinite(values) & (values > 0)]
    wide = len(values) > 0 and bool(values.max() > WIDE * values.min())
    unit, scale = loss_unit, 1.0
    if dimension != "ratio":
        # Between the median and the largest: ms for 0.5 to 20 ms, though half are below one.
        typical = float(np.sqrt(np.median(values) * values.max())) if len(values) else 1.0
        unit = format_quantity(typical, dimension).split()[1]
        scale = parse_quantity(f"1 {unit}", dimension)
    return Axis(objective, column, _TITLES[objective], unit, scale, wide)


def say(objective: str, value: float, loss_unit: str = NATS) -> str:
    """Write an objective's value for people, with its unit; a dash where it is unknown."""
    if not np.isfinite(value):
        return "–"
    if DIMENSIONS[objective] == "ratio":
        return f"{value:.4g} {loss_unit}"
    return format_quantity(value, DIMENSIONS[objective])


SHORT = {"ttft": "TTFT", "tpot": "TPOT"}


def limits(constraints: Mapping[str, float], loss_unit: str = NATS) -> list[str]:
    """Write limits for people: TPOT ≤ 20 ms."""
    return [
        f"{SHORT.get(name, name)} ≤ {say(name, most, loss_unit)}"
        for name, most in constraints.items()
    ]


def percent(share: float) -> str:
    """Write a probability for people; what is rare is not none."""
    return "<1 %" if 0 < share < 0.01 else f"{100 * share:.0f} %"


def brief(row: Mapping[str, Any]) -> str:
    """Say on one line what a candidate is."""
    if row["experts"] > 1:
        network = f"{row['experts_per_token']} of {row['experts']} experts x {row['expert_width']}"
    else:
        network = f"FFN {row['ffn_width']}"
    heads = f"{row['query_heads']} heads ({row['kv_heads']} KV)"
    return f"{row['layers']} layers x {row['width']}, {heads}, {network}, {row['weight_format']}"
