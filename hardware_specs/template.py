"""A profile to fill in: a shipped one copied, or the middle of a class, with every field explained.

What a class is like is read from its shipped profiles when it is asked for; no number stands here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, TypeVar

from hardware_specs.device import _NAME, KINDS, Device, Processor
from hardware_specs.figures import Figure
from hardware_specs.library import load_device, shipped_aliases, shipped_classes, shipped_devices
from spec_files import SpecError, did_you_mean, short, validate_spec
from spec_files.commented import Commented

TYPICAL = "typical"
"""Key of the source of numbers that are of a class, and of no device."""
DATA_SHEET = "data-sheet"
_FILL_IN = "FILL IN"
_CHECK = "CHECK"
_DIGITS = 3

T = TypeVar("T")


def check_readable(name: str) -> str:
    """Return a name that a profile may have; SpecError for one that cannot be read again."""
    if not re.fullmatch(_NAME, name):
        raise SpecError(
            f"{short(name)} is no name of a device: write lower-case letters, digits, '.' and '-', "
            "as in my-phone"
        )
    return name


def check_name(name: str) -> str:
    """Return a name that a new profile may have; SpecError for one that a shipped one has."""
    check_readable(name)
    taken = shipped_aliases() | {shipped: shipped for shipped in shipped_devices()}
    if name in taken:
        raise SpecError(
            f"{name!r} is the shipped device {taken[name]}, whose measurements would be taken for "
            "those of yours: choose another name"
        )
    return name


def copied(like: str, name: str) -> Device:
    """Return a shipped profile, or that of a file, under a name of its own."""
    data = load_device(like).model_dump(mode="json", exclude={"aliases"}, exclude_none=True)
    return validate_spec(data | {"name": check_name(name)}, Device, like)


def typical(kind: str, name: str) -> Device:
    """Return the middle of a class: medians of its shipped profiles, low and high their extremes.

    It has the processors, and each of these the number formats, that half of the class has.
    SpecError for an unknown class.
    """
    if kind not in KINDS:
        raise SpecError(f"--kind: no device of kind {short(kind)}{did_you_mean(kind, KINDS)}")
    names = [each for each, (its, _) in shipped_classes().items() if its == kind]
    devices = [load_device(each) for each in names]
    main = _most(d.processor().type for d in devices)
    types = [main] + [
        type_
        for type_ in ("gpu", "npu", "cpu")
        if 2 * sum(_unit(d, type_) is not None for d in devices) >= len(devices)
    ]
    drams = [d.memory.dram for d in devices]
    powers = [d.power.active for d in devices if d.power.active is not None]
    scope = _most([p.scope for p in powers]) if powers else ""
    data: dict[str, Any] = {
        "name": check_name(name),
        "title": f"{_FILL_IN}: a {kind.replace('_', ' ')}",
        "kind": kind,
        "year": int(median(d.year for d in devices)),
        "default_processor": main,
        "sources": {
            TYPICAL: {
                "title": f"Medians of the {len(devices)} shipped profiles of kind {kind}, low and "
                "high their extremes: typical of the class, no fact about this device",
                "where": "the profiles that `roofline devices --kind " + kind + "` lists",
                "date": max(s.date for d in devices for s in d.sources.values()),
            },
            DATA_SHEET: {
                "title": f"{_FILL_IN}: the document that you read",
                "where": f"{_FILL_IN}: its address",
                "date": max(s.date for d in devices for s in d.sources.values()),
            },
        },
        "processors": {type_: _typical_unit(devices, type_) for type_ in dict.fromkeys(types)},
        "memory": {
            "dram": {
                "capacity": _middle([d.capacity for d in drams]),
                "usable_share": _middle([d.usable_share for d in drams]),
                "bandwidth": _middle([d.bandwidth for d in drams]),
            }
        },
    }
    if 2 * len(powers) >= len(devices):
        data["power"] = {
            "active": {**_middle([p for p in powers if p.scope == scope]), "scope": scope}
        }
    return validate_spec(data, Device, f"the template of kind {kind}")


def device_text(device: Device, like: str | None) -> str:
    """Return a profile's YAML with every field explained; like: what it was copied from."""
    word = _FILL_IN if like is None else _CHECK
    source = DATA_SHEET if like is None else next(iter(device.sources))
    facts: set[tuple[str | int, ...]] = {path for path, _ in device.figures()}
    facts |= {("title",), ("year",)}
    facts |= {("sources", DATA_SHEET, part) for part in ("title", "where", "date")}
    for part in ("family", "title"):
        facts |= {("processors", key, part) for key in device.processors}
    origin = (
        f"All numbers are typical of the class {device.kind} and no fact about your device; each "
        f"is marked {_FILL_IN}."
        if like is None
        else f"All numbers are copied from {like}, with their sources; each is marked {_CHECK}."
    )
    heading = (
        f"Device profile of {device.name}. {origin}\n"
        f"Replace them by what your device's data sheet says or a tool measured: value with its "
        f"unit, basis, the key of its source, and take the mark away: `grep '{word}'` shows what "
        "is left.\n"
        "A line behind `#` alone is an optional field: take the `#` away to set it. Peaks are "
        "dense: halve what a data sheet gives for 2:4 sparsity. Efficiencies are not entered: "
        "without them predictions take those fitted to devices of the same family or kind.\n"
        "`roofline devices schema > device.schema.json` writes the schema with which an editor "
        "checks this file."
    )
    nominal = device.model_dump(mode="json")["memory"]["dram"]["bandwidth"]["value"]
    share = {"value": 0.7, "basis": "measured", "source": source}
    cache = {"value": "1 MB", "basis": "nominal", "source": source}
    core = {
        "value": "64 GFLOP/s",
        "density": "dense",
        "basis": "nominal",
        "source": source,
    }
    own = {"title": "the document that you read", "where": "its address", "date": "2026"}

    def others(path: tuple[str | int, ...]) -> list[tuple[str, Any]]:
        return [(DATA_SHEET, own)] if path == ("sources",) and like is not None else []

    writer = Commented(
        others=others,
        about=lambda path: "A source of yours." if path == ("sources", DATA_SHEET) else None,
        examples={
            "source": source,
            "aliases": ["another-name"],
            "compute_in": {"Q4_K": share},
            "memory_in": {"Q4_K": share},
            "handover": {"Q2_K": {"value": "1 ms", "basis": "measured", "source": source}},
            "cores": [{"count": 4, "rate": core}],
            "measured_bandwidth": {"value": nominal, "basis": "measured", "source": source},
            "peaks_unknown": "The maker publishes none.",
            "not_fitted": ["kernel_launch"],
            "runtime": "llama.cpp-cpu",
            "on_chip": [{"name": "L2", "size": cache}],
            "structured_sparsity": {"value": 2, "basis": "nominal", "source": source},
        },
        mark=lambda path: word if path in facts else None,
    )
    return writer.text(device, heading)


def _unit(device: Device, type_: str) -> Processor | None:
    """The processor of a type whose peaks are known."""
    return next((u for u in device.processors.values() if u.type == type_ and u.peaks), None)


def _typical_unit(devices: Sequence[Device], type_: str) -> dict[str, Any]:
    units = [unit for unit in (_unit(device, type_) for device in devices) if unit is not None]
    formats = Counter(fmt for unit in units for fmt in unit.peaks)
    return {
        "type": type_,
        "family": _most(unit.family for unit in units),
        "title": f"{_FILL_IN}: name of the part, cores, clock, power mode",
        "peaks": {
            fmt: {"density": "dense", **_middle([u.peaks[fmt] for u in units if fmt in u.peaks])}
            for fmt, many in formats.items()
            if 2 * many >= len(units)
        },
    }


def _middle(figures: Sequence[Figure]) -> dict[str, Any]:
    """The median as a figure of the class, between the smallest and the largest."""
    values = sorted(figure.value for figure in figures)
    low, value, high = (
        float(f"{each:.{_DIGITS}g}") for each in (values[0], median(values), values[-1])
    )
    kind = type(figures[0])
    figure = kind.model_construct(value=value, low=low, high=high)
    shown = figure.model_dump(mode="json", include={"value", "low", "high"})
    return {**shown, "basis": "prior", "source": TYPICAL}


def _most(words: Iterable[T]) -> T:
    return Counter(words).most_common(1)[0][0]
