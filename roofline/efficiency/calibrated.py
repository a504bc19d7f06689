"""From a data sheet to a device with the efficiencies that were fitted to published measurements.

A profile that states its own efficiencies, as one that was measured here does, stays as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from arch_space.formats import STORAGES, format_code
from hardware_specs.library import shipped_classes
from roofline.efficiency import form
from roofline.efficiency.arithmetic import arithmetic, peak_of
from roofline.efficiency.basis import basis_of, interval, part_of, rows_behind, stated_power
from roofline.efficiency.effects import Effects, shipped_effects
from roofline.efficiency.form import FORM
from roofline.efficiency.hosting import (
    HOST,
    PACE_OF_READS,
    check_cores,
    host_of,
    hosted,
    is_hosted,
    pace,
)
from roofline.runtimes import RUNTIMES, runtime
from spec_files import SpecError

if TYPE_CHECKING:
    from hardware_specs import Device, Processor

__all__ = ["calibrated", "default_runtime", "runtimes_of", "say_basis"]

FEW = 5
"""Rows of a device that make its runtime the usual one; fewer were somebody's trial."""

Array = np.ndarray

_PLAIN = STORAGES.index("16-bit")
_OPERANDS = format_code("fp16"), format_code("q4_0")
"""Formats of activations and weights in products that the CPU runs for another processor."""
_SOURCE = "calibration"

_Key = tuple[int, str | None, str | None, str | None, str | None, int]
_REMEMBERED = 256
_made: dict[_Key, tuple[Device, Effects, Device]] = {}


def calibrated(
    device: Device,
    processor: str | None = None,
    runtime: str | None = None,
    options: str | None = None,
    era: str | None = None,
    effects: Effects | None = None,
) -> Device:
    """Return the device with the fitted efficiencies of one processor under one runtime.

    processor: the default one if None. runtime: by name; if None the one that most measurements of
    this device were made with, or else of the nearest (`default_runtime`). options, era: of the
    runtime, as the measurements name them; if None those of most measurements of this device under
    it, or else of its kind. effects: those that are shipped if None.
    Raises SpecError for a runtime that is unknown or does not run on such a processor, or another
    than a profile's own efficiencies hold for.
    The device is calibrated once: callers in a loop get the same object again.
    """
    unit = device.processor(processor)
    if unit.efficiency is not None:
        _refuse_another(device, unit, runtime)
        return device
    effects = shipped_effects() if effects is None else effects
    key = (id(device), processor, runtime, options, era, id(effects))
    if key in _made:
        return _made[key][2]
    made = _calibrated(device, unit, processor, runtime, options, era, effects)
    if len(_made) >= _REMEMBERED:
        _made.clear()
    _made[key] = device, effects, made  # both stay alive, so that no other takes their identity
    return made


def _refuse_another(device: Device, unit: Processor, asked: str | None) -> None:
    own = unit.calibration.runtime if unit.calibration is not None else None
    if asked is None or asked == own:
        return
    runtime(asked)
    whose = f"those of {own}" if own else "which hold for no named runtime"
    raise SpecError(
        f"device {device.name} states its own efficiencies, {whose}: it cannot be predicted under "
        f"runtime {asked!r}"
    )


def runtimes_of(unit: Processor) -> list[str]:
    """Names of the runtimes that run on this type of processor, of this maker."""
    return [
        entry.name
        for entry in RUNTIMES
        if unit.type in entry.processors and (not entry.vendors or unit.vendor in entry.vendors)
    ]


def default_runtime(device: Device, unit: Processor, effects: Effects | None = None) -> str:
    """Return the runtime that most measurements of a processor, or of the nearest, were made with.

    The nearest have its family; then its maker; then its type; each time devices of the same kind
    come first, for phones, cards and boards of one family run different software.
    """
    counts = (shipped_effects() if effects is None else effects).runtimes
    able = runtimes_of(unit)
    classes = shipped_classes()

    def most(counted: Callable[[str], bool], least: int = 1) -> str | None:
        votes: Counter[str] = Counter()
        for key, rows in counts.items():
            name, kind, entry = key.split("|")
            if kind == unit.type and entry in able and rows > 0 and counted(name):
                votes[entry] += rows
        best = min(votes, key=lambda entry: (-votes[entry], entry)) if votes else None
        return best if best is not None and votes[best] >= least else None

    def kin(name: str, maker: bool = False) -> bool:
        family = classes[name][1].get(unit.type, "") if name in classes else ""
        if maker:
            return family.split("-")[0] == unit.vendor
        return family == unit.family

    def alike(name: str) -> bool:
        return name in classes and classes[name][0] == device.kind

    return (
        most(lambda name: name == device.name, FEW)
        or most(lambda name: kin(name) and alike(name))
        or most(kin)
        or most(lambda name: kin(name, maker=True) and alike(name))
        or most(lambda name: kin(name, maker=True))
        or most(alike)
        or most(lambda name: True)
        or able[0]
    )


def usual_options(device: Device, unit: Processor, chosen: str, effects: Effects) -> str:
    """Return the options that most measurements of a device, or of its kind, were made with."""
    return _said_by_most(effects.options, device, unit, chosen) or ""


def _said_by_most(said: Mapping[str, Any], device: Device, unit: Processor, chosen: str) -> Any:
    """What most rows of a device under a runtime say, or of its kind; None where none does."""
    own, kin = (f"{name}|{unit.type}|{chosen}" for name in (device.name, device.kind))
    return said.get(own, said.get(kin))


def _calibrated(
    device: Device,
    unit: Processor,
    processor: str | None,
    asked: str | None,
    options: str | None,
    era: str | None,
    effects: Effects,
) -> Device:
    from hardware_specs.device import Source

    chosen = default_runtime(device, unit, effects) if asked is None else runtime(asked).name
    options = usual_options(device, unit, chosen, effects) if options is None else options
    era = _said_by_most(effects.eras, device, unit, chosen) or "" if era is None else era
    able = runtimes_of(unit)
    if chosen not in able:
        raise SpecError(
            f"{runtime(chosen).title} does not run on a {unit.type} of {unit.vendor}, as "
            f"processor {processor or device.default_processor!r} of {device.name} is; "
            f"those that do are {', '.join(able)}"
        )
    key = device.default_processor if processor is None else processor
    check_cores(device)
    filled = unit.model_copy(update=_filled(device, unit, chosen, options, era, effects))
    source = Source(
        title="Efficiencies fitted to published measurements under " + runtime(chosen).title,
        where="roofline/efficiency/effects.json",
        date=str(effects.about.get("date", "2026")),
    )
    return device.model_copy(
        update={
            "processors": {**device.processors, key: filled},
            "sources": {**device.sources, _SOURCE: source},
        }
    )


def _filled(
    device: Device, unit: Processor, chosen: str, options: str, era: str, effects: Effects
) -> dict[str, Any]:
    """The fields of a processor that the effects fill."""
    from hardware_specs.device import Efficiency
    from hardware_specs.figures import Duration, Power, Ratio, Share, Work

    power_scope = effects.about.get("power_scope", {}).get(device.kind, "module")
    settings = _settings(device, unit, chosen, options, era) | {
        "scope": [power_scope] * len(STORAGES),
        "part": [part_of(power_scope)] * len(STORAGES),
    }
    values = _values(device, unit, chosen, settings, effects)
    away = is_hosted(settings)
    said: dict[str, Any] = {"basis": "fitted", "source": _SOURCE}

    def plain(name: str) -> float:
        return float(values[name][_PLAIN])

    def share(value: float) -> Share:
        return Share(value=float(f"{value:.4g}"), **said)

    def ratio(name: str) -> Ratio:
        return Ratio(value=float(f"{plain(name):.4g}"), **said)

    def duration(name: str) -> Duration:
        return Duration.model_validate({"value": f"{plain(name):.4g} s", **said})

    compute, memory = plain("compute"), plain("memory")
    found: dict[str, Any] = {
        "efficiency": Efficiency(
            compute=share(compute),
            compute_in={n: share(v) for n, v in zip(STORAGES, values["compute"], strict=True)},
            attention=share(compute * plain("attention")),
            expert_compute=share(compute * plain("expert_compute")),
            recurrence=share(compute * plain("recurrence")),
            memory=share(memory),
            memory_in={n: share(v) for n, v in zip(STORAGES, values["memory"], strict=True)},
            experts=share(memory * plain("experts")),
            cache=share(plain("cache")),
            state=share(plain("state")),
            cache_repeats=ratio("repeats"),
            spill=ratio("spill"),
        ),
        "compute_half_size": Work.model_validate(
            {"value": f"{plain('half_size'):.4g} FLOP", **said}
        ),
        "tile": ratio("tile"),
        "kernel_launch": duration("launch"),
        "state_launch": duration("state_launch"),
        "handover": {STORAGES[n]: duration("handover") for n in np.flatnonzero(away)},
        "step_overhead": duration("step"),
        "prefill_overhead": duration("prefill"),
        "calibration": _calibration(device, unit, chosen, settings, effects),
    }
    watts = _power(settings, effects)
    stated = stated_power(device, effects.values.get("power", {}))
    if watts is not None and unit.active_power is None and stated is None:
        found["active_power"] = Power.model_validate(
            {"value": f"{watts:.4g} W", "scope": power_scope, **said}
        )
    return found


def _values(
    device: Device, unit: Processor, chosen: str, settings: Mapping[str, Any], effects: Effects
) -> dict[str, Array]:
    """Each quantity by how weights are stored, (N,); shares of this processor's peaks."""
    values = {name: form.value(effects.eta(name, settings)) for name, form in FORM.items()}
    threads = _said_by_most(effects.threads, device, unit, chosen)
    away, host = is_hosted(settings), host_of(device)
    if host is not None and away.any():
        for name in ("compute", "memory"):
            values[name] = FORM[name].value(effects.eta(name, hosted(settings)))
        theirs, own = (
            peak_of(each, arithmetic(each, software, *_OPERANDS))
            for each, software in ((host, runtime(HOST)), (unit, runtime(chosen)))
        )
        values["compute"] = np.where(away, values["compute"] * theirs / own, values["compute"])
        slower = np.where(away, pace(host, runtime(HOST), threads), 1.0)
    else:
        slower = np.full(len(STORAGES), pace(unit, runtime(chosen), threads))
        for name in ("cache", "state"):
            values[name] = values[name] * slower**PACE_OF_READS
    values["compute"] = np.minimum(values["compute"] * slower, 1.0)
    values["memory"] = values["memory"] * slower**PACE_OF_READS
    return values


def _settings(
    device: Device, unit: Processor, chosen: str, options: str, era: str
) -> dict[str, list[str]]:
    """What the effects are looked up by, for each way of storing weights."""
    every = {
        "type": unit.type,
        "kind": device.kind,
        "vendor": unit.vendor,
        "family": unit.family,
        "device": device.name,
        "runtime": chosen,
        "options": options,
        "era": era,
        "host": host.family if (host := host_of(device)) else "",
    }
    settings = {name: [word] * len(STORAGES) for name, word in every.items()}
    kernels = [form.path(name, options) for name in STORAGES]
    return settings | {"storage": list(STORAGES), "path": kernels}


def _power(settings: Mapping[str, list[str]], effects: Effects) -> float | None:
    """Watts while a model runs; None where none were fitted."""
    if "power" not in effects.values:
        return None
    total = FORM["power"].centre if "power" in FORM else 0.0
    for level, found in effects.values["power"].items():
        named = [name for name in level if name]
        key = "|".join(settings[name][_PLAIN] for name in named)
        total += found.get(key, 0.0)
    return float(np.exp(total))


def _calibration(
    device: Device,
    unit: Processor,
    chosen: str,
    settings: Mapping[str, list[str]],
    effects: Effects,
) -> Any:
    from hardware_specs.device import Calibration, Interval

    basis = basis_of(device, unit, chosen, effects)
    return Calibration(
        runtime=chosen,
        basis=basis,
        rows=rows_behind(device, unit, chosen, effects),
        not_fitted=tuple(_not_fitted(settings, effects)),
        **{
            metric: Interval(low=low, high=high)
            for metric in ("prefill", "decode", "energy")
            for low, high in [interval(effects, metric, basis, device.kind)]
        },
    )


def _not_fitted(settings: Mapping[str, list[str]], effects: Effects) -> Iterable[str]:
    """Quantities of which this device has no effect of its own."""
    for name in FORM:
        if name == "handover" and not is_hosted(settings).any():
            continue
        own = (
            (level, key)
            for level in effects.values.get(name, {})
            if "device" in level
            for key in form.keys(settings, level)
        )
        if not any(key in effects.values[name][level] for level, key in own):
            yield name


def say_basis(unit: Processor, ideal: bool = False) -> str:
    """Say in a few words what the predictions for a processor rest on."""
    known = unit.calibration
    if known is None:
        if ideal or unit.efficiency is None:
            return "data sheet"
        return f"the profile's own efficiencies (compute: {unit.efficiency.compute.basis})"
    if ideal:
        return f"data-sheet peaks in the arithmetic of {known.runtime}, no overheads: a floor"
    if known.basis == "device":
        rows = "1 row" if known.rows == 1 else f"{known.rows} rows"
        return f"fitted to {rows} of this device under {known.runtime}"
    nearest = "class prior" if known.basis == "class" else "prior of the type of processor"
    return f"{nearest}, no rows of this device under {known.runtime}"
