"""The two phases of a workload on one bench: reading the prompt, and writing the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from roofline.engine.energy import phase_energy
from roofline.engine.timing import Stretch, Timing, pass_time, sum_of_max, total

if TYPE_CHECKING:
    from roofline.engine.bench import Bench, Number
    from roofline.workload import Pass, Workload

Array = np.ndarray
Sides = tuple[Array, Array, Array]

DRAFT = "draft"
"""Name of the row that stands for all the operators of a draft model."""


class Row(NamedTuple):
    """One operator in one phase, all its instances and passes; (N,) each."""

    flops: Number
    bytes: Number
    compute: Number
    memory: Number
    time: Number


@dataclass(frozen=True, eq=False)
class Phase:
    """What a phase costs, or some of its operators; arrays (N,).

    seconds, joules: in all. first, last: seconds of the first and the last pass. flops, bytes,
    sides (seconds of products, of traffic and of overhead): of a whole prefill; of the first pass
    of an answer. stretches: the passes that the rows of operators are summed over. drafted: the
    row of a draft.
    """

    seconds: Array
    joules: Array
    first: Array
    last: Array
    flops: Array
    bytes: Array
    sides: Sides
    stretches: tuple[Stretch, ...] = ()
    drafted: Row | None = None

    def __add__(self, other: Phase) -> Phase:
        return Phase(
            self.seconds + other.seconds,
            self.joules + other.joules,
            self.first + other.first,
            self.last + other.last,
            self.flops + other.flops,
            self.bytes + other.bytes,
            _add(self.sides, other.sides),
            self.stretches + other.stretches,
            self.drafted or other.drafted,
        )

    def as_draft(self, times: Number = 1.0) -> Phase:
        """Return the same `times` over, as what a draft adds: one row, no operators."""
        c, m, overhead = (times * side for side in self.sides)
        first = times * self.first
        return Phase(
            times * self.seconds,
            times * self.joules,
            first,
            times * self.last,
            times * self.flops,
            times * self.bytes,
            (c, m, overhead),
            (),
            Row(times * self.flops, times * self.bytes, c, m, first),
        )

    def rows(self) -> dict[str, Row]:
        """Sum the passes operator by operator."""
        found: dict[str, Row] = {}
        for stretch in self.stretches:
            for name, first in stretch.first.items():
                row = _row(first, stretch.last[name], stretch.count)
                if name in found:
                    row = Row._make(a + b for a, b in zip(found[name], row, strict=True))
                found[name] = row
        if self.drafted is not None:
            found[DRAFT] = self.drafted
        return found


def _row(first: Timing, last: Timing, count: Number) -> Row:
    """Sum passes over which all is linear."""
    if first is last:
        if np.ndim(count) == 0 and count == 1:
            return Row(first.flops, first.bytes, first.compute, first.memory, first.time)
        fields = (first.flops, first.bytes, first.compute, first.memory, first.time)
        return Row._make(count * field for field in fields)
    pairs = (
        (first.flops, last.flops),
        (first.bytes, last.bytes),
        (first.compute, last.compute),
        (first.memory, last.memory),
    )
    time = count * first.launch + sum_of_max(
        first.compute, first.memory, last.compute, last.memory, count
    )
    return Row._make([*(count * (a + b) / 2.0 for a, b in pairs), time])


def _add(left: Sides, right: Sides) -> Sides:
    return left[0] + right[0], left[1] + right[1], left[2] + right[2]


def _sides(timings: dict[str, Timing], fixed: float) -> Sides:
    """Seconds of computation, of traffic and of overhead, in the order of BOUNDS."""
    return total(timings, "compute"), total(timings, "memory"), total(timings, "launch") + fixed


def reading(bench: Bench, workload: Workload) -> Phase:
    """Return the prefill: one pass, or pieces whose keys grow."""
    (first, _), *more = workload.pieces()
    fixed = bench.fixed("prompt")
    timings = bench.forward(first)
    seconds = pass_time(timings, bench.roof, fixed)
    sides = _sides(timings, fixed)
    flops, moved = total(timings, "flops"), total(timings, "bytes")
    joules = total(timings, "joules")
    stretches: tuple[Stretch, ...] = (Stretch(timings, timings, 1.0),)
    whole = seconds
    for piece, count in more:
        run = bench.series(piece, float(count), piece.queries)
        whole = whole + run.time
        overhead = run.total("launch") + count * bench.fixed("step")
        sides = _add(sides, (run.total("compute"), run.total("memory"), overhead))
        flops, moved = flops + run.total("flops"), moved + run.total("bytes")
        joules = joules + run.total("joules")
        stretches += (Stretch(run.fixed, run.fixed, float(count)), *run.stretches)
    energy = phase_energy(
        bench.device, bench.processor, bench.roof, whole, sides[-1], moved, joules
    )
    return Phase(whole, energy, seconds, seconds, flops, moved, sides, stretches)


def writing(bench: Bench, first: Pass, passes: Number, stride: Number = 1.0) -> Phase:
    """Return the passes of an answer, whose keys grow by `stride` each."""
    run = bench.series(first, passes, stride)
    timings = run.timings
    sides = _sides(timings, bench.fixed("step"))
    energy = phase_energy(
        bench.device,
        bench.processor,
        bench.roof,
        run.time,
        passes * sides[-1],
        run.total("bytes"),
        run.total("joules"),
        decoding=True,
    )
    return Phase(
        run.time,
        energy,
        run.first,
        run.last,
        total(timings, "flops"),
        total(timings, "bytes"),
        sides,
        (Stretch(timings, timings, 1.0),),
    )
