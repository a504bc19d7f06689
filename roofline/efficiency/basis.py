"""What a prediction rests on, and how far measurements lie from it: the one rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from hardware_specs.library import shipped_classes

if TYPE_CHECKING:
    from hardware_specs import Device, Processor
    from hardware_specs.figures import Power
    from roofline.efficiency.effects import Effects

Basis = Literal["device", "class", "roofline"]
Ends = tuple[float, float]

WIDE: Ends = (0.25, 4.0)
"""Of measured over predicted, where nothing is known of how far they lie apart."""


def rows_behind(device: Device, unit: Processor, runtime: str, effects: Effects) -> int:
    """Return how many rows of this device, type of processor and runtime were fitted."""
    return effects.runtimes.get(f"{device.name}|{unit.type}|{runtime}", 0)


def basis_of(device: Device, unit: Processor, runtime: str, effects: Effects) -> Basis:
    """Return what a prediction rests on: rows of the device under the runtime, its class, neither.

    Its class has rows where a device of its kind, or with a processor of its family, has some on
    the same type of processor.
    """
    own = effects.rows.get(f"{device.name}|{unit.type}", 0)
    if own > 0 and rows_behind(device, unit, runtime, effects) > 0:
        return "device"
    classes = shipped_classes()
    for key, rows in effects.rows.items():
        name, kind = key.split("|")
        if rows <= 0 or kind != unit.type:
            continue
        where, families = classes.get(name, ("", {}))
        if name == device.name or where == device.kind or families.get(kind) == unit.family:
            return "class"
    return "roofline"


def interval(effects: Effects, metric: str, basis: str, kind: str) -> Ends:
    """Return the 90 % ends of measured over predicted; of all kinds where its own has none.

    metric: "prefill", "decode" (times) or "energy". Both ends hold the prediction between them.
    """
    kinds: Mapping[str, Ends] = effects.intervals.get(metric, {}).get(basis, {})
    low, high = kinds.get(kind) or kinds.get("") or WIDE
    return min(low, 1.0), max(high, 1.0)


def stated_power(
    device: Device, fitted: Mapping[tuple[str, ...], Mapping[str, float]]
) -> Power | None:
    """Return what a profile says that the busy device draws, where it tells more than other rows.

    A nominal figure is a limit; one that was measured, or is that of near kin, is taken at its
    word, unless rows of the device itself tell. fitted: effects on log watts, by level and key.
    """
    active = device.power.active
    if active is None or active.basis == "nominal":
        return None
    measured = fitted.get(("device", "runtime"), {})
    own = any(key.split("|")[0] == device.name for key in measured)
    return None if own else active


PARTS = {"board": "chip", "package": "chip", "module": "chip", "rail": "rail"}
"""What a measuring point holds: the chip and its memory, one rail, or else the whole system."""


def part_of(scope: str) -> str:
    """Return what of a device a measuring point holds."""
    return PARTS.get(scope, "system")
