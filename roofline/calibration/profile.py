"""From a team's own rows to a profile: the published effects, moved by what one device showed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from hardware_specs.device import Calibration, Source
from roofline.calibration.calibrate import said_by_most, usual_threads
from roofline.calibration.cases import Cases, read_cases
from roofline.calibration.demand import work_of
from roofline.calibration.fit import fit, uncertainty
from roofline.calibration.gates import gate, passed
from roofline.calibration.predict import predict
from roofline.efficiency.calibrated import calibrated
from roofline.efficiency.effects import Effects, shipped_effects
from roofline.efficiency.form import FORM
from spec_files import SpecError, format_quantity

if TYPE_CHECKING:
    import pandas as pd

    from hardware_specs import Device
    from roofline.calibration.work import Work

Array = np.ndarray

SETTLED = 0.9
"""A quantity counts as fitted where the device's rows took a tenth off the spread that the others
leave."""
NINETY = 1.645
"""Standard deviations to each end of a 90 % interval."""


@dataclass(frozen=True)
class Fitted:
    """A calibrated profile.

    used, left_out: rows by processor, and reasons with their counts. missed: median of measured
    over fitted time of the given rows, by processor: far from 1 where they are farther from what
    is published of the device than devices of one name are apart.
    """

    device: Device
    used: dict[str, int]
    left_out: Counter[str]
    missed: dict[str, float]

    def to_frame(self) -> pd.DataFrame:
        """Return the fitted figures, one row each: value, low and high (90 %), in SI units."""
        import pandas as pd

        rows = [
            {
                "processor": path[1],
                "quantity": " ".join(map(str, path[2:])),
                "value": figure.value,
                "low": figure.low,
                "high": figure.high,
            }
            for path, figure in self.device.figures()
            if figure.source == "calibration"
        ]
        return pd.DataFrame(rows, columns=["processor", "quantity", "value", "low", "high"])

    def _repr_html_(self) -> str:
        from roofline.html_table import html_table

        def end(value: float | None, dimension: str) -> str:
            return "" if value is None else format_quantity(value, dimension)

        said = [
            [
                " ".join(map(str, path[1:])),
                format_quantity(each.value, each.dimension),
                end(each.low, each.dimension),
                end(each.high, each.dimension),
            ]
            for path, each in self.device.figures()
            if each.source == "calibration" and not any(str(p).endswith("_in") for p in path)
        ]
        notes = [f"{say_rows(count)} of {key} fitted." for key, count in self.used.items()]
        notes += [f"{say_rows(n)} left out: {why}" for why, n in self.left_out.most_common()]
        title = f"{self.device.title}, fitted"
        notes.append("Empty ends: no interval is known. to_frame() has each number format too.")
        return html_table(["number", "value", "low", "high"], said, title, notes)


def say_rows(count: int) -> str:
    """Say how many rows."""
    return "1 row" if count == 1 else f"{count} rows"


def fit_device(device: Device, rows: pd.DataFrame) -> Fitted:
    """Fit a device's efficiencies to rows of it.

    Around what the published rows say of the device, its family and its class: yours may differ
    from those of its name as devices differ, and what its rows do not settle stays;
    `not_fitted` names it. Each processor is fitted under the runtime that most of its rows were
    made with. Raises SpecError where rows name another device, or none can be used.
    """
    _check(device, rows)
    plain = _data_sheet(device)
    own = rows.assign(device_key=device.name)
    cases = read_cases(own, {device.name: plain})
    reasons = gate(cases)
    work = passed(cases, work_of(cases), reasons)
    timed = np.isfinite(work.measured["decode"]) | np.isfinite(work.measured["prefill"])
    left_out = _left_out(cases, reasons, ~timed)
    if not timed.any():
        why = left_out.most_common(1)[0][0] if left_out else "they state no rate"
        raise SpecError(f"no row can be used to calibrate {device.name}: {why}")
    shipped = shipped_effects()
    effects = _moved(shipped, fit(work, timed, around=shipped), cases, timed, device.name)
    made, used, missed = plain, {}, {}
    for key in dict.fromkeys(np.array(cases.processors)[timed]):
        at = timed & (np.array(cases.processors) == key)
        runtime = Counter(cases.settings["runtime"][at]).most_common(1)[0][0]
        at &= cases.settings["runtime"] == runtime
        made = calibrated(made, str(key), str(runtime), effects=effects)
        one = {name: words[np.flatnonzero(at)[:1]] for name, words in work.settings.items()}
        made = _own_source(made, int(at.sum()), str(runtime))
        spread = uncertainty(work, effects, one, timed, own=True)
        made = _with_intervals(made, str(key), effects, one, spread)
        used[f"{key} under {runtime}"] = int(at.sum())
        missed[f"{key} under {runtime}"] = _missed(work, effects, np.flatnonzero(at))
    return Fitted(made, used, left_out, missed)


def _missed(work: Work, effects: Effects, at: Array) -> float:
    fitted = predict(work, effects, at)
    gaps = np.concatenate([times[at] - fitted[phase] for phase, times in work.measured.items()])
    return float(np.exp(np.nanmedian(gaps)))


def _moved(shipped: Effects, own: Effects, cases: Cases, timed: Array, device: str) -> Effects:
    """The shipped effects with those that a device's own rows moved."""
    values = {**shipped.values}
    for quantity, levels in own.values.items():
        before = values.get(quantity, {})
        moved = {level: {**before.get(level, {}), **found} for level, found in levels.items()}
        values[quantity] = {**before, **moved}
    return Effects(
        values,
        shipped.intervals,
        {**shipped.rows, **_count(cases, timed, ("device", "type"), device)},
        {**shipped.runtimes, **_count(cases, timed, ("device", "type", "runtime"), device)},
        {**shipped.options, **said_by_most(cases, cases.settings["options"], timed)},
        {**shipped.eras, **said_by_most(cases, cases.settings["era"], timed)},
        {**shipped.threads, **usual_threads(cases, timed)},
        shipped.about,
    )


def _own_source(device: Device, rows: int, runtime: str) -> Device:
    """Say of the fitted numbers that these rows stand behind them, and when."""
    source = Source(
        title=f"Efficiencies fitted to {say_rows(rows)} under {runtime}, "
        "published ones behind them",
        where="roofline calibrate",
        date=date.today().isoformat(),
    )
    return device.model_copy(update={"sources": {**device.sources, "calibration": source}})


def _check(device: Device, rows: pd.DataFrame) -> None:
    for line, said in enumerate(rows["device_key"], start=2):
        if said and said.replace("_", "-") not in (device.name, *device.aliases):
            raise SpecError(
                f"row {line} is of device {said!r}, not of {device.name}: give rows of one device"
            )


def _data_sheet(device: Device) -> Device:
    """The device without the efficiencies that its profile states: they are to be fitted."""
    fitted = (
        "efficiency", "kernel_launch", "step_overhead", "prefill_overhead", "state_launch",
        "compute_half_size", "memory_half_size", "tile", "calibration",
    )  # fmt: skip
    nothing: dict[str, Any] = dict.fromkeys(fitted) | {"handover": {}}
    processors = {key: unit.model_copy(update=nothing) for key, unit in device.processors.items()}
    return device.model_copy(update={"processors": processors})


def _left_out(cases: Cases, reasons: dict[str, Array], silent: Array) -> Counter[str]:
    found = Counter(str(reason) for reason in cases.left_out if reason)
    for i in np.flatnonzero(silent):
        said = [str(why[i]) for why in reasons.values() if why[i]]
        if cases.presumed[i]:
            said.append("how its weights are stored is presumed, not stated")
        found[said[0] if said else "it states no rate that can be compared"] += 1
    return found


def _count(cases: Cases, used: Array, by: tuple[str, ...], device: str) -> dict[str, int]:
    at = used & (cases.settings["device"] == device)
    words = zip(*(cases.settings[name][at] for name in by), strict=True)
    return dict(Counter("|".join(word) for word in words))


_FIELDS = {
    "compute": "compute",
    "memory": "memory",
    "cache": "cache",
    "half_size": "compute_half_size",
    "tile": "tile",
    "launch": "kernel_launch",
    "state_launch": "state_launch",
    "step": "step_overhead",
    "prefill": "prefill_overhead",
}
"""Where a profile holds a quantity that stands for itself."""


def _with_intervals(
    device: Device,
    key: str,
    effects: Effects,
    settings: dict[str, Array],
    spread: dict[str, tuple[float, float]],
) -> Device:
    """Put the 90 % interval of each fitted quantity beside it, and name what was not fitted."""
    unit = device.processors[key]
    efficiency = unit.efficiency
    changed: dict[str, Any] = {}
    inside: dict[str, Any] = {}
    for quantity, field in _FIELDS.items():
        figure = getattr(efficiency, field, None) or getattr(unit, field, None)
        if figure is None:
            continue
        after, _ = spread[quantity]
        eta = float(effects.eta(quantity, settings)[0])
        form = FORM[quantity]
        centre = float(form.value(eta))
        low, high = (float(form.value(eta + s * NINETY * after)) / centre for s in (-1, 1))
        ends = {"low": figure.value * low, "high": figure.value * high}
        if form.scale == "share":
            ends["high"] = min(ends["high"], 1.0)
        found = figure.model_copy(update=ends)
        (inside if hasattr(efficiency, field) else changed)[field] = found
    unsettled = tuple(
        quantity
        for quantity, (after, before) in spread.items()
        if after > SETTLED * before and (quantity != "handover" or unit.handover)
    )
    known = unit.calibration
    assert known is not None
    assert efficiency is not None
    changed["efficiency"] = efficiency.model_copy(update=inside)
    changed["calibration"] = Calibration(**{**known.model_dump(), "not_fitted": unsettled})
    units = {**device.processors, key: unit.model_copy(update=changed)}
    return device.model_copy(update={"processors": units})
