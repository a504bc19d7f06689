"""One architecture for several devices: the best worst case, the best mean, and what sharing costs.

With limits alone the least loss is sought that keeps them: on every device (worst case), or on the
weighted mean of the shares of their limits. With a loss that is good enough besides, the quickest
architecture of that loss: the least share of the limits on the worst device, or on average.
Each device's own best stands beside both. Memory must fit on all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.codesign.best import Best
from roofline.codesign.judge import Judge
from roofline.codesign.question import DIMENSIONS, Fleet
from roofline.efficiency.calibrated import say_basis
from roofline.laws import out_of_range_reasons, predict
from roofline.search.cluster import spread_tasks
from roofline.search.workers import cores
from spec_files import SpecError, format_quantity

if TYPE_CHECKING:
    import pandas as pd

    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from roofline.search.cluster import Cluster

Array = np.ndarray
Progress = Callable[[int, int], None]

WORST, MEAN = "worst case", "weighted mean"
_CHUNK = 2**17


@dataclass(frozen=True)
class Choice:
    """One architecture, and how it does on every device.

    name: `worst case`, `weighted mean`, or the device whose own best it is. index: a point of the
    space. shares: of the tightest limit, by device, 1 where it is used up; inf where it does not
    fit. costs: by device, seconds, joules and bytes by name.
    """

    name: str
    index: int
    loss: float
    in_range: bool
    shares: dict[str, float]
    costs: dict[str, dict[str, float]]


@dataclass(frozen=True, eq=False)
class FleetAnswer:
    """Both choices for the fleet, and each device's own.

    missing: what no architecture does, with the reason, by name.
    """

    question: Fleet
    choices: dict[str, Choice]
    missing: dict[str, str]
    looked_at: int

    @property
    def devices(self) -> list[Device]:
        """The devices, with the efficiencies that candidates were judged by."""
        question = self.question
        return [question.calibrated(each, None, question.runtime) for each in question.devices]

    def basis(self) -> dict[str, str]:
        """What the predictions of each device rest on."""
        ideal = self.question.ideal
        return {each.name: say_basis(each.processor(), ideal) for each in self.devices}

    def intervals(self) -> dict[str, dict[str, tuple[float, float]]]:
        """Where nine of ten measurements lie, as multiples of the prediction, by device."""
        found = {}
        for each in self.devices:
            known = each.processor().calibration
            if known is not None and not self.question.ideal:
                found[each.name] = {
                    name: (getattr(known, name).low, getattr(known, name).high)
                    for name in ("prefill", "decode", "energy")
                }
        return found

    def sharing(self, name: str) -> dict[str, tuple[float, float]]:
        """What a shared choice costs each device against its own best: nats, and time over time."""
        shared = self.choices[name]
        found = {}
        for device in self.question.devices:
            own = self.choices.get(device.name)
            if own is not None:
                ratio = shared.shares[device.name] / own.shares[device.name]
                found[device.name] = shared.loss - own.loss, ratio
        return found

    def architectures(self) -> Architectures:
        """The architectures of the choices, in order."""
        return self.question.space.at(np.array([choice.index for choice in self.choices.values()]))

    def _repr_html_(self) -> str:
        from roofline.codesign.account import fleet_html

        return fleet_html(self)

    def to_frame(self) -> pd.DataFrame:
        """Every choice on every device, a row each, with intervals and the architecture."""
        import pandas as pd

        intervals = self.intervals()
        phases = {"ttft": "prefill", "tpot": "decode", "energy": "energy"}
        units = {"energy": "j", "memory": "bytes"}
        frame = self.architectures().to_frame()
        rows = []
        for place, choice in enumerate(self.choices.values()):
            shape = frame.iloc[place].to_dict()
            for device, costs in choice.costs.items():
                row = {
                    "choice": choice.name,
                    "device": device,
                    "index": choice.index,
                    "loss": choice.loss,
                    "in_range": choice.in_range,
                    "share_of_limit": choice.shares[device],
                }
                for name, value in costs.items():
                    column = f"{name}_{units.get(name, 's')}"
                    row[column] = value
                    if name in phases and device in intervals:
                        low, high = intervals[device][phases[name]]
                        row |= {f"{column}_low": value * low, f"{column}_high": value * high}
                rows.append(row | shape)
        return pd.DataFrame(rows)


def answer_fleet(
    question: Fleet, progress: Progress | None = None, cluster: Cluster | None = None
) -> FleetAnswer:
    """Search a space for the architectures that serve a fleet, by one pass.

    cluster: machines to do the work instead of the cores of this one; the answer is the same.
    Raises SpecError for a loss that no candidate reaches, and where nothing fits all devices.
    """
    space, many = question.space, len(question.devices)
    devices = [question.calibrated(each, None, question.runtime) for each in question.devices]
    limits = [question.limits_of(each) for each in devices]
    names = [WORST, MEAN, *(device.name for device in devices)]
    starts = range(0, space.size, _CHUNK)
    best, nearest, least, looked_at = Best.none(many + 2), Best.none(many + 2), np.inf, 0
    work = partial(_ask, question, devices, limits)
    workers = max(1, min(cores(), len(starts)))
    found = spread_tasks(work, ((start,) for start in starts), cluster, workers)
    for done, (some, near, low, candidates) in enumerate(found, 1):
        best, nearest = best.better(some), nearest.better(near)
        least, looked_at = min(least, low), looked_at + candidates
        if progress is not None:
            progress(done, len(starts))
    if question.loss is not None and not least <= question.loss:
        raise SpecError(
            f"no candidate of {space.name} reaches a loss of {question.loss:.4f} by law "
            f"{question.law.name!r}; nearest is {least:.4f}"
        )
    missing = {
        name: _why(nearest.value[place])
        for place, name in enumerate(names)
        if not best.known[place]
    }
    places = [place for place in range(many + 2) if best.known[place]]
    choices = {}
    if places:
        arch = space.at(best.index[places])
        described = _choices(question, devices, limits, arch, best.index[places])
        for place, choice in zip(places, described, strict=True):
            choices[names[place]] = Choice(names[place], **choice)
    return FleetAnswer(question, choices, missing, looked_at)


def _ask(
    question: Fleet, devices: list[Device], limits: list[dict[str, float]], start: int
) -> tuple[Best, Best, float, int]:
    """Return a chunk's best in each place, its nearest, its least loss, and how many it has."""
    places = len(devices) + 2
    arch, index = question.space.candidates(start, start + _CHUNK)
    if not len(index):
        return Best.none(places), Best.none(places), np.inf, 0
    said = predict(question.law, arch)
    loss = np.where(np.isnan(said.loss), np.inf, np.broadcast_to(said.loss, (len(index),)))
    if question.in_range_only:
        loss = np.where(said.in_range, loss, np.inf)
    each = [_shares(question, arch, *pair) for pair in zip(devices, limits, strict=True)]
    fits = np.isfinite(each).all(axis=0)
    worst = np.where(fits, np.maximum.reduce(each), np.inf)
    weights = np.array(question.shares())
    mean = np.where(fits, weights @ np.where(fits, each, 0.0), np.inf)
    best, nearest = Best.none(places), Best.none(places)
    for place, share in enumerate((worst, mean, *each)):
        allowed = np.isfinite(loss) if question.loss is None else loss <= question.loss
        _offer(nearest, place, np.where(allowed, share, np.inf), index)
        if question.loss is None:
            _offer(best, place, np.where(share <= 1, loss, np.inf), index)
        else:
            _offer(best, place, np.where(allowed, share, np.inf), index)
    return best, nearest, float(loss.min()), len(index)


def _shares(
    question: Fleet, arch: Architectures, device: Device, limits: dict[str, float]
) -> Array:
    """Share of the tightest limit of each candidate; inf where it does not fit the device, (N,)."""
    judge = Judge.of(arch, device, question.mix, limits, how=question.how, ideal=question.ideal)
    usable = min(device.memory.dram.usable_bytes, limits.get("memory", np.inf))
    return np.where(judge.memory <= usable, judge.excess(1.0, 1.0), np.inf)


def _offer(table: Best, place: int, value: Array, index: Array) -> None:
    row = int(np.lexsort((index, value))[0])
    if np.isfinite(value[row]):
        table.offer(place, float(value[row]), int(index[row]))


def _why(share: float) -> str:
    if np.isfinite(share):
        return f"the nearest takes {share:.3g} times the limits"
    return "none fits the memory"


def _choices(
    question: Fleet,
    devices: list[Device],
    limits: list[dict[str, float]],
    arch: Architectures,
    index: Array,
) -> list[dict[str, Any]]:
    """Describe architectures on every device: the fields of a `Choice` but for its name."""
    said = predict(question.law, arch)
    loss = np.broadcast_to(said.loss, (len(arch),))
    reasons = out_of_range_reasons(question.law, arch)
    shares, costs = {}, {}
    for device, limit in zip(devices, limits, strict=True):
        judge = Judge.of(arch, device, question.mix, limit, how=question.how, ideal=question.ideal)
        shares[device.name] = _shares(question, arch, device, limit)
        costs[device.name] = judge.costs(("ttft", "tpot", "latency", "energy"), 1.0, 1.0)
        costs[device.name]["memory"] = judge.memory
    return [
        {
            "index": int(index[row]),
            "loss": float(loss[row]),
            "in_range": not reasons[row],
            "shares": {name: float(each[row]) for name, each in shares.items()},
            "costs": {
                name: {what: float(column[row]) for what, column in each.items()}
                for name, each in costs.items()
            },
        }
        for row in range(len(arch))
    ]


def say_limits(limits: dict[str, float]) -> str:
    """Write limits for people."""
    return ", ".join(
        f"{name} at most {format_quantity(limit, DIMENSIONS[name])}"
        for name, limit in limits.items()
    )


__all__ = ["MEAN", "WORST", "Choice", "FleetAnswer", "answer_fleet", "say_limits"]
