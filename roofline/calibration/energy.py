"""Energy of decoding: the power that a device draws meanwhile, by where it was measured.

Watts are a product of few factors, so their logarithm is a sum of effects, fitted by ridge
regression: a device of which no row tells stays near what its bandwidth and its kind say. Joules a
token are power x time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.efficiency.basis import part_of, stated_power
from roofline.efficiency.form import Level, keys

if TYPE_CHECKING:
    import pandas as pd

    from hardware_specs import Device
    from roofline.calibration.cases import Cases

Array = np.ndarray

SPREADS: dict[Level, float] = {
    ("part",): 0.5, ("scope",): 0.25, ("kind",): 0.3, ("type",): 0.5, ("kind", "type"): 0.2,
    ("device",): 0.4, ("device", "runtime"): 0.3,
}  # fmt: skip
"""Spread of the effects of each level on log watts. Bandwidth and limit speak for a kind of device
already, so that its own effect is small: else a few laptops whose one rail was measured tell of
others, measured whole."""
NOISE = 0.25
"""Of log watts between rows of one device, runtime and measuring point."""

BANDWIDTH_POWER = 0.7
"""Power of the bandwidth that watts grow with: joules a byte fall slowly as it grows."""
_ONE = 1e11
LIMIT_SHARE = 0.9
"""How far a GPU's stated limit, where it has one, moves its watts from what its bandwidth says.
Limits of small processors say little: the board around them draws more."""
SMALL = 40.0
"""Watts below which a limit is not heeded."""

_SCOPES = (
    ("whole-device", ("battery",)),
    ("wall", ("wall, whole", "at the wall")),
    ("package", ("package",)),
    ("module", ("3-rail", "module", "accelerator")),
    ("rail", ("rail",)),
    ("board", ("nvml", "gpu", "board")),
    ("wall", ("wall",)),
)


def scope_of(said: str) -> str:
    """Return where a power was measured, as device profiles name it; "" where a row is silent."""
    words = said.lower()
    for scope, parts in _SCOPES:
        if any(part in words for part in parts):
            return scope
    return ""


def usual_scopes(cases: Cases) -> dict[str, str]:
    """Return by kind of device where most of its rows were measured."""
    counts: dict[str, Counter[str]] = {}
    for kind, said in zip(cases.settings["kind"], cases.settings["scope"], strict=True):
        if scope := scope_of(said):
            counts.setdefault(str(kind), Counter())[scope] += 1
    return {kind: min(c, key=lambda s: (-c[s], s)) for kind, c in counts.items()}


def power_settings(cases: Cases, usual: Mapping[str, str]) -> dict[str, Any]:
    """Return the words that power depends on; the usual scope of its kind where a row is silent."""
    scopes = [
        scope_of(said) or usual.get(str(kind), "module")
        for kind, said in zip(cases.settings["kind"], cases.settings["scope"], strict=True)
    ]
    parts = [part_of(scope) for scope in scopes]
    return {
        **cases.settings,
        "scope": np.array(scopes, dtype=str),
        "part": np.array(parts, dtype=str),
    }


def log_watts(cases: Cases, rows: pd.DataFrame) -> Array:
    """Return the measured power while decoding, (N,) log watts, NaN where a row does not tell.

    Of energy and decode rate where both are stated, for watts alone may be those of another phase.
    """
    stated = rows["power_w"].to_numpy(float)[cases.at]
    with np.errstate(divide="ignore", invalid="ignore"):
        derived = cases.energy * cases.batch / cases.tpot
        watts = np.log(np.where(np.isfinite(derived), derived, stated))
    return np.where(np.isfinite(cases.tpot), watts, np.nan)


def device_priors(devices: Mapping[str, Device]) -> dict[str, float]:
    """Return by name what the data sheet alone says of a device's log watts.

    By its bandwidth and, where it is a GPU with a stated limit, by that limit beside others'.
    """
    names = list(devices)
    by_bandwidth = BANDWIDTH_POWER * np.log(
        [devices[name].memory.dram.bandwidth.value / _ONE for name in names]
    )
    beyond = np.log([_limit(devices[name]) for name in names]) - by_bandwidth
    stated = np.isfinite(beyond)
    if stated.any():
        usual = np.median(beyond[stated])
        by_bandwidth = by_bandwidth + np.where(stated, LIMIT_SHARE * (beyond - usual), 0.0)
    return dict(zip(names, by_bandwidth.tolist(), strict=True))


def _limit(device: Device) -> float:
    """Watts that a GPU is limited to; NaN where none is stated, or it is small."""
    active = device.power.active
    gpu = device.processors[device.default_processor].type == "gpu"
    if active is None or active.basis != "nominal" or not gpu:
        return float("nan")
    return active.value if active.value >= SMALL else float("nan")


def fit_power(
    settings: Mapping[str, Any], watts: Array, used: Array, priors: Mapping[str, float]
) -> dict[Level, dict[str, float]]:
    """Return the effects on log watts, by level and key; the mean is that of the empty level.

    priors: the mean of each device's effect, which also stands for devices without rows.
    """
    watts = watts - [priors.get(str(name), 0.0) for name in settings["device"]]
    at = np.flatnonzero(used & np.isfinite(watts))
    if not len(at):
        return {}
    columns, precision = [np.ones(len(at))], [0.0]
    names: list[tuple[Level, str]] = [((), "")]
    for level, spread in SPREADS.items():
        said = np.array(keys(settings, level), dtype=str)[at]
        for key in np.unique(said):
            columns.append((said == key).astype(float))
            names.append((level, str(key)))
            precision.append(1.0 / spread**2)
    design = np.stack(columns, axis=1)
    gram = design.T @ design / NOISE**2 + np.diag(precision)
    theta = np.linalg.solve(gram, design.T @ watts[at] / NOISE**2)
    values: dict[Level, dict[str, float]] = {}
    for (level, key), value in zip(names, theta, strict=True):
        values.setdefault(level, {})[key] = float(value)
    device = values.setdefault(("device",), {})
    for name, prior in priors.items():
        device[name] = device.get(name, 0.0) + prior
    return values


def stated_log_watts(
    devices: Sequence[Device],
    settings: Mapping[str, Any],
    values: Mapping[Level, Mapping[str, float]],
    measured: bool = True,
) -> Array:
    """Return the log watts that profiles state and an estimate takes them at, (N,); NaN elsewhere.

    Where a power was measured elsewhere than the profile's, only the fit compares them. measured:
    whether figures count that were measured, of rows of the device perhaps.
    """
    found = np.full(len(devices), np.nan)
    for i, (device, scope) in enumerate(zip(devices, settings["scope"], strict=True)):
        power = stated_power(device, values)
        usable = power is not None and power.scope == scope
        if power is not None and usable and (measured or power.basis != "measured"):
            found[i] = np.log(power.value)
    return found


def predict_log_watts(
    values: Mapping[Level, Mapping[str, float]], settings: Mapping[str, Any]
) -> Array:
    """Return log watts of each setting, (N,); NaN where no power was fitted."""
    count = len(settings["type"])
    if not values:
        return np.full(count, np.nan)
    total = np.zeros(count)
    for level, found in values.items():
        named = tuple(name for name in level if name)  # JSON writes the empty level as ""
        said = keys(settings, named) if named else [""] * count
        total += [found.get(key, 0.0) for key in said]
    return total
