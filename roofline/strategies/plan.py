"""What is best within limits: the front, the optimum by budget and by difficulty, what binds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from roofline.strategies.forms import strategies
from roofline.strategies.options import BINS, Options, build_options
from spec_files import SpecError, format_quantity

if TYPE_CHECKING:
    import pandas as pd

    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from roofline.strategies.strategy import Strategy
    from roofline.strategies.task import Task
    from roofline.strategies.verifier import Verifier

Array = np.ndarray
Axis = Literal["latency", "energy"]
Pick = tuple[int, int]

LIMITS = {"latency": "seconds", "energy": "joules", "memory": "memory"}
"""Limits by name, with the cost that each bounds."""
DIMENSIONS = {"latency": "time", "energy": "energy", "memory": "bytes"}
BUDGETS = 8
"""Budgets between the least that an option needs and the largest that one uses."""
SAME = 0.005
"""Accuracies within half a point are the same: the cheaper option is taken."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Options of one device and task, and the best of them within limits.

    limits: by name, in SI units; the device's own memory is one. fits: (R, T), within all limits.
    axis: what accuracy is set against. front: options that none within the limits beats, by cost.
    best: the most accurate one, the cheaper of those within half a point; runner_up: the best of
    another model or strategy; None where there is none. binding: the limit whose removal gains most
    accuracy, and that gain by limit. by_budget: for each budget of the axis, the best option of all
    questions and of each bin of difficulty. intervals: of prefill, decoding and energy, where nine
    of ten measurements lie, as multiples.
    """

    device: Device
    task: Task
    options: Options
    limits: dict[str, float]
    axis: Axis
    fits: Array
    front: tuple[Pick, ...]
    best: Pick
    runner_up: Pick | None
    gains: dict[str, float]
    budgets: Array
    by_budget: tuple[tuple[Pick | None, ...], ...]
    intervals: dict[str, tuple[float, float]]
    runtime: str
    basis: str

    @property
    def binding(self) -> str | None:
        """The limit that keeps most accuracy out; None where none does."""
        name = max(self.gains, key=lambda each: self.gains[each])
        return name if self.gains[name] > 0 else None

    @property
    def by_bin(self) -> tuple[Pick, ...]:
        """The best option for each bin of difficulty within the limits, the easiest first."""
        return tuple(pick for pick in self.by_budget[-1][1:] if pick is not None)

    def value(self, pick: Pick, name: str) -> float:
        """One cost of an option, or its accuracy, low or high."""
        where = self.options if name in ("accuracy", "low", "high") else self.options.cost
        return float(getattr(where, name)[pick])

    def row(self, pick: Pick) -> dict[str, Any]:
        """Describe an option, in SI units."""
        r, t = pick
        o = self.options
        low, high = self.latency_interval(pick)
        return {
            "model": str(o.models[r]),
            "weights": str(o.formats[r]),
            "strategy": str(o.strategy[t]),
            "samples": int(o.samples[t]),
            "waves": int(o.waves[t]),
            "detail": str(o.detail[t]),
            "verifier": str(o.verifier[t]),
            "accuracy": float(o.accuracy[pick]),
            "accuracy_low": float(o.low[pick]),
            "accuracy_high": float(o.high[pick]),
            "accuracy_basis": o.reached.basis[r // o.reached.pass_at_1.shape[1]],
            **{f"accuracy_bin_{i + 1}": float(o.by_bin[i][pick]) for i in range(BINS)},
            "latency_s": self.value(pick, "seconds"),
            "latency_s_low": low,
            "latency_s_high": high,
            "energy_j": self.value(pick, "joules"),
            "memory_bytes": self.value(pick, "memory"),
            "flops": self.value(pick, "flops"),
            "dram_bytes": self.value(pick, "bytes"),
        }

    def latency_interval(self, pick: Pick) -> tuple[float, float]:
        """Seconds that nine of ten measurements would lie between; NaN where unknown."""
        reading = self.value(pick, "reading")
        writing = self.value(pick, "seconds") - reading
        ends = (
            reading * self.intervals["prefill"][i] + writing * self.intervals["decode"][i]
            for i in (0, 1)
        )
        return next(ends), next(ends)

    def frame(self) -> pd.DataFrame:
        """Return the front as a table, one row an option, by cost."""
        import pandas as pd

        return pd.DataFrame([self.row(pick) for pick in self.front])


def plan(
    device: Device,
    task: Task,
    models: Architectures,
    formats: list[str],
    limits: dict[str, float],
    *,
    chosen: list[Strategy] | None = None,
    verifiers: list[Verifier] | None = None,
    most: int = 64,
    axis: Axis = "latency",
    processor: str | None = None,
    runtime: str | None = None,
    ideal: bool = False,
) -> Plan:
    """Search all options exactly.

    limits: any of latency (s), energy (J) and memory (bytes). Raises SpecError where nothing fits,
    saying what is nearest and what the least would be; and for a limit of energy on a device whose
    profile says nothing to compute it from.
    """
    from roofline.efficiency.calibrated import calibrated

    how: dict[str, Any] = {"processor": processor, "runtime": runtime, "ideal": ideal}
    options = build_options(
        models, formats, device, task, chosen or list(strategies().values()), verifiers or [],
        most, **how,
    )  # fmt: skip
    if np.isnan(options.cost.joules).all() and ("energy" in limits or axis == "energy"):
        raise SpecError(
            f"{device.name}: its profile states nothing to compute an energy from; leave energy out"
        )
    bounds = dict(limits)
    usable = float(device.memory.dram.usable_bytes)
    bounds["memory"] = min(usable, limits.get("memory", usable))
    within = {name: getattr(options.cost, LIMITS[name]) <= most for name, most in bounds.items()}
    fits = np.logical_and.reduce(list(within.values()))
    if not fits.any():
        raise SpecError(_nearest(options, bounds, device))
    costs = getattr(options.cost, LIMITS[axis])
    best = pick_best(options.accuracy, costs, fits)
    assert best is not None
    budgets = _budgets(costs, fits, bounds.get(axis))
    unit = calibrated(device, processor, runtime).processor(processor)
    known = unit.calibration
    unknown = (1.0, 1.0) if ideal else (np.nan, np.nan)
    return Plan(
        device=device,
        task=task,
        options=options,
        limits=bounds,
        axis=axis,
        fits=fits,
        front=_front(options.accuracy, costs, fits),
        best=best,
        runner_up=pick_best(options.accuracy, costs, fits & ~_alike(options, best)),
        gains=_gains(options, within, float(options.accuracy[fits].max())),
        budgets=budgets,
        by_budget=tuple(
            tuple(
                pick_best(each, costs, fits & (costs <= budget))
                for each in (options.accuracy, *options.by_bin)
            )
            for budget in budgets
        ),
        intervals={
            name: (getattr(known, name).low, getattr(known, name).high)
            if known is not None and not ideal
            else unknown
            for name in ("prefill", "decode", "energy")
        },
        runtime=known.runtime if known is not None else "",
        basis="ideal" if ideal else known.basis if known is not None else "profile",
    )


def pick_best(accuracy: Array, costs: Array, allowed: Array) -> Pick | None:
    """Return the most accurate option, the cheapest of those within half a point; None for none."""
    allowed = allowed & ~np.isnan(costs)
    if not allowed.any():
        return None
    top = accuracy[allowed].max()
    among = np.where(allowed & (accuracy >= top - SAME), costs, np.inf)
    # of equally cheap ones the more accurate
    tied = np.where(among <= among.min(), accuracy, -1.0)
    r, t = np.unravel_index(int(np.argmax(tied)), tied.shape)
    return int(r), int(t)


def _front(accuracy: Array, costs: Array, fits: Array) -> tuple[Pick, ...]:
    """Options that no other beats in accuracy and cost, cheapest first."""
    from roofline.search.fronts import non_dominated

    rows = np.argwhere(fits & ~np.isnan(costs))
    points = np.stack([costs[tuple(rows.T)], -accuracy[tuple(rows.T)]], axis=1)
    kept = rows[non_dominated(points)]
    kept = kept[np.argsort(costs[tuple(kept.T)])]
    return tuple((int(r), int(t)) for r, t in kept)


def _alike(options: Options, pick: Pick) -> Array:
    """Which options have the model and the strategy of this one, (R, T)."""
    r, t = pick
    return np.outer(options.models == options.models[r], options.strategy == options.strategy[t])


def _gains(options: Options, within: dict[str, Array], reached: float) -> dict[str, float]:
    """What accuracy the best option would gain without each limit."""
    found = {}
    for name in within:
        others = [allowed for other, allowed in within.items() if other != name]
        free = np.logical_and.reduce(others) if others else np.ones_like(options.accuracy, bool)
        found[name] = max(0.0, float(options.accuracy[free].max()) - reached)
    return found


def _budgets(costs: Array, fits: Array, limit: float | None) -> Array:
    """Budgets evenly spaced in their logarithm, (B,); the last allows all that fits."""
    least, most = float(np.nanmin(costs[fits])), float(np.nanmax(costs[fits]))
    most = max(most, least * 1.001) if limit is None else limit
    return np.geomspace(least, most, BUDGETS)


def _nearest(options: Options, limits: dict[str, float], device: Device) -> str:
    """Say what is nearest to limits that nothing keeps, and the least that each could be."""
    ratios = [getattr(options.cost, LIMITS[name]) / most for name, most in limits.items()]
    worst = np.max(ratios, axis=0)
    near = np.where(worst <= 1.001 * np.nanmin(worst), options.cost.seconds, np.inf)
    r, t = np.unravel_index(int(np.argmin(near)), near.shape)
    said = [f"{name} {format_quantity(most, DIMENSIONS[name])}" for name, most in limits.items()]
    needs = [
        f"{format_quantity(float(getattr(options.cost, LIMITS[name])[r, t]), DIMENSIONS[name])} "
        f"of {name}"
        for name in limits
    ]
    least = [
        f"{name} {format_quantity(float(np.nanmin(getattr(options.cost, LIMITS[name]))), d)}"
        for name, d in ((name, DIMENSIONS[name]) for name in limits)
    ]
    return (
        f"no strategy on {device.name} keeps {', '.join(said)}; nearest is "
        f"{options.models[r]} in {options.formats[r]}, {options.strategy[t]}, which needs "
        f"{', '.join(needs)}; the least of each alone is {', '.join(least)}"
    )
