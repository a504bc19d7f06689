"""Physical gates: what a row says that no processor could do.

A row is doubted here for what the data sheet forbids, never because a fit predicts otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from roofline.calibration.cases import Cases
from roofline.calibration.demand import work_of
from roofline.calibration.work import Work

Array = np.ndarray

TOLERANCE = 0.02
"""Share by which a measured time may lie below its floor: clocks boost, and rates are rounded."""
SOFT = ("lower-bound", "prior")
"""Bases of figures that something faster than them does not refute."""


@dataclass(frozen=True)
class Floor:
    """Seconds that nothing beats, by phase, (N,): of products, of traffic; 0 where unknown."""

    products: dict[str, Array]
    traffic: dict[str, Array]
    flops: dict[str, Array]
    moved: dict[str, Array]


def floor(cases: Cases) -> Floor:
    """Return the ideal floor of each case: its products at peak, its compulsory bytes at bandwidth.

    Weights are read once a pass, and a prompt is one pass; of routed experts those of one token,
    for all tokens may pick the same. Only hard figures count: where a processor has no peak, or one
    that is a lower bound or a prior, its products take no time.
    """
    work = work_of(cases, ideal=True)
    one, none = np.ones(len(cases)), np.zeros(len(cases))
    token = work_of(replace(cases, batch=one, prompt=one, depth=none), ideal=True)
    hard_peak, hard_bandwidth = _hard_peaks(cases, work), _hard_bandwidth(cases)
    products, traffic, flops, moved = {}, {}, {}, {}
    for phase, demand in work.demand.items():
        flops[phase] = demand.flops.sum(axis=1)
        weights = np.where(work.routed, token.demand[phase].weights, demand.weights)
        moved[phase] = (weights + demand.cache).sum(axis=1)
        products[phase] = np.where(hard_peak, demand.flops / work.peak, 0.0).sum(axis=1)
        traffic[phase] = np.where(hard_bandwidth, moved[phase] / work.bandwidth, 0.0)
    return Floor(products, traffic, flops, moved)


def gate(cases: Cases, found: Floor | None = None) -> dict[str, Array]:
    """Return by phase why each case's measured time cannot be, (N,) texts, "" where it can.

    found: the floor of the cases, where it is known already.
    """
    found = floor(cases) if found is None else found
    bandwidth = [d.memory.dram.bandwidth.value for d in cases.devices]
    tokens = {"decode": cases.batch, "prefill": cases.batch * cases.prompt}
    reasons = {}
    for phase, measured in (("decode", cases.tpot), ("prefill", cases.ttft)):
        texts = np.full(len(cases), "", dtype=object)
        limit = np.maximum(found.products[phase], found.traffic[phase])
        with np.errstate(invalid="ignore"):
            beaten = measured < limit * (1.0 - TOLERANCE)
        for i in np.flatnonzero(beaten):
            seconds, name = measured[i], cases.devices[i].name
            start = f"{phase} at {tokens[phase][i] / seconds:.4g} tok/s would "
            if found.traffic[phase][i] >= found.products[phase][i]:
                texts[i] = (
                    f"{start}read {found.moved[phase][i] / seconds / 1e9:.4g} GB/s, "
                    f"above the {bandwidth[i] / 1e9:.4g} GB/s of {name}"
                )
            else:
                rate = found.flops[phase][i]
                texts[i] = (
                    f"{start}compute {rate / seconds / 1e12:.4g} TFLOP/s, above the "
                    f"{rate / found.products[phase][i] / 1e12:.4g} TFLOP/s of {name}'s "
                    f"{cases.processors[i]}"
                )
        reasons[phase] = texts
    return reasons


def passed(cases: Cases, work: Work, reasons: dict[str, Array]) -> Work:
    """Return the work without the measured times that nothing can be learnt from.

    Those that a gate rejects, and those of weights whose stored form is presumed.
    """
    kept = {
        phase: np.where((reasons[phase] == "") & ~cases.presumed, measured, np.nan)
        for phase, measured in work.measured.items()
    }
    return replace(work, measured=kept)


def _hard_peaks(cases: Cases, work: Work) -> Array:
    """Which operators' peaks are known, and not as a bound that may be passed, (N, K)."""
    hard = np.zeros(work.peak.shape, dtype=bool)
    for i, (device, key) in enumerate(zip(cases.devices, cases.processors, strict=True)):
        for figure in device.processors[key].peaks.values():
            if figure.basis not in SOFT:
                hard[i] |= work.peak[i] == figure.value
    return hard


def _hard_bandwidth(cases: Cases) -> Array:
    return np.array([d.memory.dram.bandwidth.basis != "prior" for d in cases.devices])
