"""Work that ends up on a CPU, and how unlike cores share it.

A runtime without a kernel for a way of storing weights leaves those products to the CPU, and a
runtime that gives each thread as much work as every other waits for the slowest core.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.efficiency.form import path
from roofline.runtimes import Runtime, runtime
from spec_files import SpecError, format_quantity

if TYPE_CHECKING:
    from hardware_specs import Device, Processor

Array = np.ndarray

HOST = "llama.cpp-cpu"
"""The runtime of products that the CPU runs for another processor."""

PACE_OF_READS = 0.5
"""The power of the pace by which reading from memory slows down: with it the Arm CPUs of the
published rows reach .48 to .58 of their bandwidth under llama.cpp, without it .26 to .58."""


APART = 0.05
"""How far the rates of a CPU's cores may be from its peak, of which they are the parts."""


def host_of(device: Device) -> Processor | None:
    """Return the CPU of a device; None where its profile has none."""
    return next((unit for unit in device.processors.values() if unit.type == "cpu"), None)


def is_hosted(settings: Mapping[str, Any]) -> Array:
    """Return under which settings the CPU runs the products with weights, (N,)."""
    named = zip(settings["runtime"], settings["path"], settings["host"], strict=True)
    return np.array([bool(host) and blocks in runtime(name).lacks for name, blocks, host in named])


def without_host(device: Device, unit: Processor, stored: Iterable[str]) -> list[str]:
    """Return how weights are stored that neither the runtime nor a CPU of the profile can run."""
    if unit.calibration is None or host_of(device) is not None:
        return []
    lacks = runtime(unit.calibration.runtime).lacks
    return sorted(name for name in stored if path(name) in lacks)


def hosted(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of products with weights: those of the CPU where it runs them."""
    away = is_hosted(settings)
    said = {name: np.asarray(words) for name, words in settings.items()}
    if not away.any():
        return said
    theirs: dict[str, Any] = {
        "type": "cpu",
        "family": said["host"],
        "vendor": np.array([family.split("-")[0] for family in said["host"]]),
        "runtime": HOST,
        "options": np.array([f"for {name}" for name in said["runtime"]]),
    }
    return said | {name: np.where(away, words, said[name]) for name, words in theirs.items()}


def check_cores(device: Device) -> None:
    """Raise SpecError where a processor states cores that it cannot have."""
    for unit in device.processors.values():
        if not unit.cores:
            continue
        if unit.type != "cpu":
            raise SpecError(f"device {device.name}: only a CPU has cores to state, no {unit.type}")
        together = sum(kind.count * kind.rate.value for kind in unit.cores)
        peak = unit.peaks.get("fp32")
        if peak is not None and abs(together / peak.value - 1.0) > APART:
            made, stated = (format_quantity(each, "compute") for each in (together, peak.value))
            raise SpecError(
                f"device {device.name}: the cores make {made} together, and the CPU's fp32 peak "
                f"is {stated}: list every kind of them"
            )


def pace(unit: Processor, software: Runtime, threads: int | None = None) -> float:
    """Return the share of a CPU's peak at which threads run that all get as much work.

    threads: on as many of the fastest cores; on all if None. 1 where cores are alike.
    """
    if not (software.even and unit.cores):
        return 1.0
    rates = sorted((c.rate.value for c in unit.cores for _ in range(c.count)), reverse=True)
    used = rates[:threads] if threads else rates
    return len(used) * used[-1] / sum(rates)
