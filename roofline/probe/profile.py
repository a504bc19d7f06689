"""From measurements to a device profile: a pure function, so that it can be tested on known curves.

What the profile says is what the samples say, with two exceptions, since noise must not write an
invalid profile: a cache level that was not measured faster than what lies outside it is listed
without a bandwidth, and no efficiency is above one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

from roofline.probe.fitting import Group, fit_half_size, fit_line, rate, spread
from roofline.probe.levels import cache_levels, dram_sample, known_caches
from roofline.probe.machine import Machine
from roofline.probe.overhead import LAYER_KERNELS, OUTER_KERNELS
from roofline.probe.sampling import Sample
from roofline.probe.values import (
    SOURCE,
    Values,
    measured_figure,
    only,
    plain_figure,
    rounded,
    rule,
    say,
    share,
)
from spec_files import SpecError, format_quantity, validate_spec

if TYPE_CHECKING:
    from hardware_specs import Device

SIXTEEN = "16-bit"
"""How profiles call weights of 16 bits."""


@dataclass(frozen=True)
class Identity:
    """What a probe cannot measure: names, the date, and the software that it measured with."""

    name: str
    title: str
    kind: str
    date: str
    software: str
    system: str


def slug(title: str) -> str:
    """Return a processor's title as a profile's name."""
    words = re.sub(r"\((r|tm|c)\)|\bcpu\b|\bprocessor\b|@.*", " ", title.lower())
    return re.sub(r"[^a-z0-9.]+", "-", words).strip("-.") or "this-computer"


def to_device(
    machine: Machine, samples: Sequence[Sample], threads: int, identity: Identity
) -> Device:
    """Return the profile of this computer; SpecError where a measurement that it needs is missing.

    samples: as `measure` returns them, `threads` those of all but the single-core curves.
    """
    from hardware_specs.device import Device

    for operation in ("read", "product", "layer product", "vector product", "call", "layers"):
        if not any(s.operation == operation for s in samples):
            raise SpecError(f"the probe measured no {operation}: a profile needs it")
    caches = known_caches(machine, samples)
    dram = dram_sample(samples, caches)
    year = identity.date[:4]
    return validate_spec(
        {
            "name": identity.name,
            "title": identity.title,
            "kind": identity.kind,
            "year": int(year),
            "default_processor": "cpu",
            "sources": {
                SOURCE: {
                    "title": f"roofline probe on this computer: {identity.software}, "
                    f"{identity.system}; the profile's year is that of the probe",
                    "where": "measured here",
                    "date": identity.date,
                }
            },
            "processors": {"cpu": _processor(machine, samples, threads, dram)},
            "memory": {
                "dram": _dram(machine, dram),
                "on_chip": cache_levels(caches, samples, threads, dram),
            },
        },
        Device,
        "the probe's profile",
    )


def _dram(machine: Machine, best: Sample) -> Values:
    return {
        "capacity": {
            "value": format_quantity(machine.memory, "bytes", None),
            "basis": "nominal",
            "source": SOURCE,
            "note": "What the operating system manages, or the limit of the container.",
        },
        "usable_share": {
            "value": share(machine.free / machine.memory),
            "basis": "measured",
            "source": SOURCE,
            "note": "Free when the probe began; other programs may leave more or less.",
        },
        "bandwidth": measured_figure(
            best.bandwidth,
            best.bytes / best.high,
            best.bytes / best.low,
            "bandwidth",
            f"{rule(best)} The fastest of the operations measured at this size, not the clock "
            "times the width of the memory.",
        ),
    }


def _processor(machine: Machine, samples: Sequence[Sample], threads: int, dram: Sample) -> Values:
    call = only(samples, "call")
    slope, fixed, layer_note = _overheads(samples)
    peaks, computing, half_flops = _products(samples, call.seconds)
    streaming, half_bytes = _streaming(samples, call.seconds, rounded(dram.bandwidth))
    efficiency: Values = {**computing, **streaming}
    reference = computing["compute"]["value"]
    if attention := _attention(samples, call.seconds, half_flops, reference, peaks):
        efficiency["attention"] = attention
    memory = streaming["memory"]["value"] * rounded(dram.bandwidth)
    efficiency |= _cache(samples, call.seconds, half_bytes / memory, rounded(dram.bandwidth))
    return {
        "type": "cpu",
        "family": machine.family,
        "title": f"{machine.title}, {threads} of {machine.cores} cores",
        "peaks": {name: peak for name, (_, peak) in peaks.items()},
        "efficiency": efficiency,
        "compute_half_size": plain_figure(
            half_flops,
            "flops",
            "Of t = call + (FLOPs + half) / rate over products, one half size for all formats.",
        ),
        **(
            {
                "memory_half_size": plain_figure(
                    half_bytes,
                    "bytes",
                    "Of t = call + (bytes + half) / rate over matrices streamed from DRAM.",
                )
            }
            if half_bytes
            else {}
        ),
        "kernel_launch": plain_figure(
            slope / LAYER_KERNELS,
            "time",
            f"{layer_note} The slope over the {LAYER_KERNELS} kernels that an estimate counts "
            f"in a layer; a single small product takes {say(call.seconds, 'time')}.",
        ),
        "step_overhead": plain_figure(
            max(fixed - OUTER_KERNELS * slope / LAYER_KERNELS, 0.0),
            "time",
            f"{layer_note} What is left at no layers, less {OUTER_KERNELS} kernels for embedding, "
            "last norm and head. Sampling and tokenising are not in it.",
        ),
    }


def _overheads(samples: Sequence[Sample]) -> tuple[float, float, str]:
    """Seconds a layer and seconds a pass of a decoder whose work is nothing, and their rule."""
    depths = [s for s in samples if s.operation == "layers"]
    slope, fixed = fit_line([s.size for s in depths], [s.seconds for s in depths])
    library = depths[0].detail.split(",")[0]
    return (
        slope,
        fixed,
        f"One token through {library} decoders of width 64, run eagerly, at "
        f"{', '.join(f'{s.size:g}' for s in depths)} layers; medians of {depths[0].repeats} or "
        "more repeats, median slope.",
    )


def _products(
    samples: Sequence[Sample], call: float
) -> tuple[dict[str, tuple[float, Values]], Values, float]:
    """Peaks by format, the efficiencies of products relative to them, and the half size."""
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.operation in ("product", "layer product"):
            found.setdefault(sample.number_format, []).append(sample)
    single = max(s.rate for s in found["fp32"])
    peaks: dict[str, tuple[float, Values]] = {}
    for name, rows in found.items():
        best = max(rows, key=lambda s: s.rate)
        note = rule(best)
        if name != "fp32" and best.rate < 1.1 * single:
            note += " No faster than single precision: this library has no fast path for it here."
        figure = measured_figure(
            best.rate, best.flops / best.high, best.flops / best.low, "compute", note
        )
        peaks[name] = (rounded(best.rate), figure | {"density": "dense"})
    fitted = {
        name: _beside(_select(samples, "layer product", name), call, "flops")
        for name in ("fp32", fastest_sixteen(samples))
        if name
    }
    half, rates = fit_half_size(list(fitted.values()), [peaks[name][0] for name in fitted])
    half = rounded(half)
    efficiency: Values = {}
    for name, group, reached in zip(fitted, fitted.values(), rates, strict=True):
        figure = _efficiency(
            group,
            half,
            reached,
            peaks[name][0],
            f"Of the {name} peak: 32 to 512 tokens times {name} matrices that come from DRAM; "
            "quartiles over sizes.",
        )
        if name == "fp32":
            efficiency["compute"] = figure
        else:
            efficiency["compute_in"] = {SIXTEEN: figure}
    return peaks, efficiency, half


def fastest_sixteen(samples: Sequence[Sample]) -> str:
    """Name the 16-bit format whose products are fastest; empty where none was measured.

    Profiles give one efficiency to weights of 16 bits, whichever of the two formats they are in.
    """
    rows = [
        s for s in samples if s.operation == "layer product" and s.number_format in ("bf16", "fp16")
    ]
    return max(rows, key=lambda s: s.rate).number_format if rows else ""


def _select(samples: Sequence[Sample], operation: str, number_format: str) -> list[Sample]:
    return [s for s in samples if (s.operation, s.number_format) == (operation, number_format)]


def _streaming(samples: Sequence[Sample], call: float, bandwidth: float) -> tuple[Values, float]:
    """Efficiencies of reading weights, of the DRAM bandwidth, and the half size of such a read."""
    groups = {
        name: _beside(_select(samples, "vector product", name), call, "bytes")
        for name in ("fp32", fastest_sixteen(samples))
        if name
    }
    half, rates = fit_half_size(list(groups.values()), [bandwidth] * len(groups))
    half = rounded(half)
    found: Values = {}
    for name, group, reached in zip(groups, groups.values(), rates, strict=True):
        figure = _efficiency(
            group,
            half,
            reached,
            bandwidth,
            f"One vector times {name} matrices that come from DRAM; quartiles over sizes.",
        )
        if name == "fp32":
            found["memory"] = figure
        else:
            found["memory_in"] = {SIXTEEN: figure}
    return found, half


def _attention(
    samples: Sequence[Sample],
    call: float,
    half: float,
    compute: float,
    peaks: dict[str, tuple[float, Values]],
) -> Values | None:
    """Efficiency of causal attention over a prompt, in single precision.

    The engine scales that of the weights' format by the ratio of this to `compute`, both of them in
    single precision here.
    """
    rows = _select(samples, "attention", "fp32")
    if not rows:
        return None
    group = _beside(rows, call, "flops")
    return _efficiency(
        group,
        half,
        rate(group, half),
        peaks["fp32"][0],
        "Of the fp32 peak: fused causal attention of a prompt over itself; FLOPs of the causal "
        "half; quartiles over lengths.",
    )


def _cache(samples: Sequence[Sample], call: float, lost: float, bandwidth: float) -> Values:
    """Efficiency of reading a KV cache, and how it falls where query heads share a key head.

    lost: seconds that the half size of reads adds to each, which the engine charges here too.
    """
    rows = _select(samples, "cache", "fp32")
    alone = [s for s in rows if s.group == 1]
    if not alone:
        return {}
    group = _beside(alone, call + lost, "bytes")
    reached = rate(group)
    note = (
        "Attention of one token over keys and values that come from DRAM; quartiles over lengths."
    )
    found: Values = {"cache": _efficiency(group, 0.0, reached, bandwidth, note)}
    shared = [s for s in rows if s.group > 1]
    if shared:
        group = _beside(shared, call + lost, "bytes")
        power = log(max(reached / rate(group), 1.0)) / log(shared[0].group)
        if power > 0.01:
            found["cache_repeats"] = plain_figure(
                power,
                "ratio",
                f"{shared[0].group} query heads that share a key head take "
                f"{reached / rate(group):.2f} times as long as one.",
            )
    return found


def _beside(samples: Sequence[Sample], call: float, size: str) -> Group:
    """Sizes and seconds without the call itself, of which at least a tenth is left as work."""
    return (
        [getattr(s, size) for s in samples],
        [max(s.seconds - call, 0.1 * s.seconds) for s in samples],
    )


def _efficiency(group: Group, half: float, reached: float, peak: float, note: str) -> Values:
    low, high = (share(end / peak) for end in spread(group, half, reached))
    return {
        "value": share(reached / peak),
        "low": low,
        "high": high,
        "basis": "measured",
        "source": SOURCE,
        "note": note,
    }
