"""One pass over a space: what is best at every hardware that is asked about.

The space streams through in chunks; of each, what beats the best so far is kept. A table of bests
is all that one chunk tells the next, so memory is that of a chunk and of the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from roofline.codesign.best import NOBODY, Best, staircase
from roofline.codesign.hardware import Template, moved
from roofline.codesign.judge import Judge
from roofline.codesign.tiles import lowest, quickest
from roofline.laws import predict
from roofline.search.cluster import spread_tasks
from roofline.search.workers import cores

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from arch_space.spaces import Space
    from roofline.laws import Law
    from roofline.mixes import Mix
    from roofline.search.cluster import Cluster
    from roofline.search.many import How

Array = np.ndarray
Tables = dict[str, Best]

CHUNK = 2**17
"""Grid points of a space taken at once: both sides of their operators take some 500 bytes each."""

FAR = 2.0**30
"""A multiple of bandwidth or peak that leaves nothing to wait for."""

_CLOSE = 1 + 1e-9
_SPAN = 2.0**14
_COARSE = 25

NEEDS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "bandwidth": (lambda f: f, lambda f: 1.0),
    "peak": (lambda f: 1.0, lambda f: f),
    "both": (lambda f: f, lambda f: f),
    "bandwidth_alone": (lambda f: f, lambda f: FAR),
    "peak_alone": (lambda f: FAR, lambda f: f),
}
"""What is raised to meet a question: the multiples of bandwidth and of peak, from one factor.
`alone`: where the other is no obstacle."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What a survey asks of each candidate.

    template: the hardware that is scaled. limits: of ttft, tpot, latency, energy and memory, SI.
    target: the largest loss that is good enough. bandwidth, peak: (B,), (P,) ascending multiples
    of the template's: the grid. lines: multiples along each axis of hardware, and of all limits at
    once (`limit`); on_chip: sizes in bytes. The others stay the template's along a line.
    """

    template: Template
    law: Law
    mix: Mix
    how: How
    limits: Mapping[str, float]
    target: float
    bandwidth: Array
    peak: Array
    lines: Mapping[str, Array]
    on_chip: Array
    ideal: bool = False
    in_range_only: bool = False

    def judge(self, arch: Architectures, on_chip: float | None = None) -> Judge:
        """Judge candidates on the template, or on it with another on-chip memory."""
        template, device = self.template, self.template.device
        if on_chip is not None:
            device = template.to(moved(template.hardware, "on_chip", on_chip))
        return Judge.of(
            arch, device, self.mix, self.limits, how=self.how, processor=template.processor,
            ideal=self.ideal,
        )  # fmt: skip

    @property
    def usable(self) -> float:
        """Bytes that a model may take on the template, or by the limit on memory."""
        return min(self.template.device.memory.dram.usable_bytes, self.limits.get("memory", np.inf))

    @property
    def coarse(self) -> tuple[Array, Array]:
        """The grid of `quickest`: some of the points along each axis."""

        def some(at: Array) -> Array:
            return at[np.unique(np.linspace(0, len(at) - 1, _COARSE).round().astype(int))]

        return some(self.bandwidth), some(self.peak)

    def nothing(self) -> Tables:
        """Return the tables before any candidate."""
        shape = (len(self.bandwidth), len(self.peak))
        coarse = (len(self.coarse[0]), len(self.coarse[1]))
        found = {"grid": Best.none(*shape), "quickest": Best.none(*coarse)}
        found |= {f"line_{name}": Best.none(len(at)) for name, at in self.lines.items()}
        found["line_on_chip"] = Best.none(len(self.on_chip))
        found |= {f"need_{name}": Best.none(1) for name in (*NEEDS, "capacity", "power")}
        return found | {"least_loss": Best.none(1), "closest": Best.none(1)}


@dataclass(frozen=True, eq=False)
class Survey:
    """What a pass over a space found.

    tables: `grid` (B, P) the least loss within the limits; `quickest` on the coarse grid the least
    share of the tightest limit among candidates no worse than the target; `line_` of each axis;
    `need_` of each way to meet the target: multiples of the template's bandwidth or peak, of its
    capacity, and of its power the reciprocal of the largest allowed; `least_loss` of the space;
    `closest` the least share at the template. Values are losses but where said; indices are points
    of the space.
    """

    plan: Plan
    tables: Tables
    looked_at: int


def survey_space(
    plan: Plan,
    space: Space,
    *,
    chunk: int = CHUNK,
    workers: int | None = None,
    cluster: Cluster | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Survey:
    """Ask a plan of every candidate of a space.

    cluster: machines to do the work instead of the cores of this one; the tables are the same.
    """
    starts = _scattered(range(0, space.size, chunk))
    workers = max(1, min(workers or cores(), len(starts)))
    tables, looked_at = plan.nothing(), 0
    asked = ((start, tables) for start in starts)  # the tables as they are when a chunk is begun
    found = spread_tasks(partial(_ask, plan, space, chunk), asked, cluster, workers)
    for done, (better, many) in enumerate(found, 1):
        tables |= {name: tables[name].better(best) for name, best in better.items()}
        looked_at += many
        if progress is not None:
            progress(done, len(starts))
    return Survey(plan, tables, looked_at)


def _ask(plan: Plan, space: Space, chunk: int, start: int, known: Tables) -> tuple[Tables, int]:
    """Return the tables with a chunk taken in, and how many candidates it has."""
    arch, index = space.candidates(start, start + chunk)
    if not len(index):
        return {}, 0
    return ask_all(plan, arch, index, known), len(index)


def survey_model(plan: Plan, arch: Architectures) -> Survey:
    """Ask a plan of one model, which is good enough by being itself."""
    plan = replace(plan, target=np.inf, in_range_only=False)
    return Survey(plan, ask_all(plan, arch, np.zeros(1, dtype=np.int64), plan.nothing()), 1)


def _scattered(starts: range) -> list[int]:
    """Return chunks from all over a space, the last first: the best are seldom at its start."""
    listed = list(reversed(starts))
    stride = max(1, len(listed) // 8)
    return [start for first in range(stride) for start in listed[first::stride]]


def ask_all(plan: Plan, arch: Architectures, index: Array, known: Tables) -> Tables:
    """Return the tables with some candidates taken in; index: (N,) what they are known by."""
    said = predict(plan.law, arch)
    loss = np.array(np.broadcast_to(said.loss, (len(arch),)), dtype=float)
    keep = ~np.isnan(loss)
    if plan.in_range_only:
        keep &= said.in_range
    order = np.flatnonzero(keep)
    order = order[np.lexsort((index[order], loss[order]))]
    found = {name: best.copy() for name, best in known.items()}
    if not len(order):
        return found
    arch, loss, index = arch[order], loss[order], index[order]
    found["least_loss"].offer(0, loss[0], index[0])
    judge = plan.judge(arch)
    memory = judge.memory
    fits = memory <= plan.usable
    here = judge.excess(1.0, 1.0)
    _lines(plan, found, judge, loss, index, fits, here)
    good = loss <= plan.target
    _needs(plan, found, judge[good], index[good], fits[good], here[good])
    inside = judge if fits.all() else judge[fits]
    found["grid"] = lowest(
        inside, loss[fits], index[fits], plan.bandwidth, plan.peak, found["grid"]
    )
    some = fits & good
    found["quickest"] = quickest(judge[some], index[some], *plan.coarse, found["quickest"])
    _on_chip(plan, found, arch[fits], inside, loss[fits], index[fits], here[fits])
    return found


def _lines(
    plan: Plan, found: Tables, judge: Judge, loss: Array, index: Array, fits: Array, here: Array
) -> None:
    """The least loss along each axis of the hardware, and along all limits at once."""
    one = np.ones(1)
    inside, least, whose = judge[fits], loss[fits], index[fits]
    for name in ("bandwidth", "peak"):
        at, known = plan.lines[name], found[f"line_{name}"]
        across, up = (at, one) if name == "bandwidth" else (one, at)
        shape = (len(across), len(up))
        table = Best(known.value.reshape(shape), known.index.reshape(shape))
        grown = lowest(inside, least, whose, across, up, table)
        found[f"line_{name}"] = Best(grown.value.ravel(), grown.index.ravel())
    ready = here <= 1
    share = plan.template.device.memory.dram.usable_share.value
    capacity = judge.memory / (share * plan.template.hardware.capacity)
    capacity[judge.memory > plan.limits.get("memory", np.inf)] = np.inf
    supplies = {
        "capacity": (np.where(ready, capacity, np.inf), plan.lines["capacity"]),
        "limit": (np.where(fits, here, np.inf), plan.lines["limit"]),
    }
    if "energy" in plan.limits:
        supplies["power"] = (_power_need(judge, fits), 1.0 / plan.lines["power"])
    for name, (need, at) in supplies.items():
        best = staircase(need, loss, index, at)
        found[f"line_{name}"] = found[f"line_{name}"].better(best)


def _power_need(judge: Judge, fits: Array) -> Array:
    """Energy over its limit at the template's power; inf where another limit is broken."""
    energy = judge.costs(["energy"], 1.0, 1.0)["energy"] / judge.limits["energy"]
    others = {name: limit for name, limit in judge.limits.items() if name != "energy"}
    kept = replace(judge, limits=others).excess(1.0, 1.0) <= 1
    return np.where(fits & kept & ~np.isnan(energy), energy, np.inf)


def _needs(plan: Plan, found: Tables, judge: Judge, index: Array, fits: Array, here: Array) -> None:
    """The least hardware that some candidate, all of them good enough, does with."""
    if not len(judge):
        return
    for name in NEEDS:
        table = found[f"need_{name}"]
        least = least_factor(judge[fits], name, float(table.value[0]))
        if least is not None:
            table.offer(0, least[0], int(index[fits][least[1]].min()))
    own = plan.template.device.memory.dram
    allowed = (here <= 1) & (judge.memory <= plan.limits.get("memory", np.inf))
    need = np.where(allowed, judge.memory / own.usable_bytes, np.inf)
    _offer_least(found["need_capacity"], need, index)
    _offer_least(found["closest"], np.where(fits, here, np.inf), index)
    if "energy" in plan.limits:
        _offer_least(found["need_power"], _power_need(judge, fits), index)


def _offer_least(table: Best, value: Array, index: Array) -> None:
    row = int(np.lexsort((index, value))[0])
    if np.isfinite(value[row]):
        table.offer(0, float(value[row]), int(index[row]))


def least_factor(judge: Judge, need: str, most: float = np.inf) -> tuple[float, Array] | None:
    """Return the least multiple of the template at which candidates keep their limits, and which.

    need: one of NEEDS. most: a multiple that is known to do. None where none does with less.
    The multiple is within a billionth of the least, and on one grid whatever the candidates, so
    that the least of several sets is that of all together.
    """
    bandwidth, peak = NEEDS[need]
    rows = np.arange(len(judge))
    high, low = _SPAN, 1.0 / _SPAN

    def kept(factor: float) -> Array:
        return judge.excess(bandwidth(factor), peak(factor)) <= 1

    mask = kept(min(most * (1 - (_CLOSE - 1) / 4), _SPAN))
    if not mask.any():
        return None
    rows, judge = rows[mask], judge[mask]
    while high / low > _CLOSE:
        middle = float(np.sqrt(low * high))
        mask = kept(middle)
        if mask.any():
            high, rows, judge = middle, rows[mask], judge[mask]
        else:
            low = middle
    return high, rows


def _on_chip(
    plan: Plan,
    found: Tables,
    arch: Architectures,
    judge: Judge,
    loss: Array,
    index: Array,
    here: Array,
) -> None:
    """The least loss with each size of on-chip memory, at the template's bandwidth and peak.

    Only those are asked of the engine again that could keep the limits if all their traffic were
    as fast as the on-chip level, and that are better than what keeps them already.
    """
    table = found["line_on_chip"]
    if not len(plan.on_chip) or not len(loss):
        return
    worst = float(table.value.max())
    hopeful = np.flatnonzero((loss <= worst) & (judge.excess(_speed_up(plan, arch), 1.0) <= 1))
    for place, size in enumerate(plan.on_chip):
        rows = hopeful[loss[hopeful] <= table.value[place]]
        for start in range(0, len(rows), _BLOCK):
            some = rows[start : start + _BLOCK]
            kept = plan.judge(arch[some], float(size)).excess(1.0, 1.0) <= 1
            if kept.any():
                winner = some[int(np.argmax(kept))]
                table.offer(place, float(loss[winner]), int(index[winner]))
                break


_BLOCK = 2**12


def _speed_up(plan: Plan, arch: Architectures) -> float:
    """A multiple of bandwidth with which all traffic is at least as fast as from the chip."""
    template = plan.template
    dram = template.device.memory.dram.bandwidth.value
    speeds = [
        level.bandwidth.value for level in template.device.memory.on_chip if level.bandwidth
    ] or [template.on_chip_bandwidth]
    ratio = max(speeds) / dram
    efficiency = template.unit.efficiency
    if efficiency is None or plan.ideal:
        return ratio
    shares = [efficiency.memory.value, efficiency.cache_value, efficiency.state_value]
    shares += [each.value for each in efficiency.memory_in.values()]
    shares.append(efficiency.memory.value * min(1.0, efficiency.expert_factor))
    group = float(np.max(arch.query_heads / arch.kv_heads))
    slowest = min(shares) / group**efficiency.repeats_value
    return ratio * max(1.0 / slowest, efficiency.spill_value, 1.0)


__all__ = ["FAR", "NEEDS", "NOBODY", "Plan", "Survey", "ask_all", "survey_model", "survey_space"]
