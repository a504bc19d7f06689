"""How long a grid of hardware takes: 100 x 100 points over 10^5 architectures, one process.

    python benchmarks/codesign_speed.py [ARCHITECTURES] [POINTS] [DEVICE]

Prints the seconds to tell both sides of every operator and to find the best candidate at each
point, and how many of the pairs were judged; and holds a sample of points against the plain engine.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import numpy as np

from arch_space.spaces import load_space
from hardware_specs import load_device
from roofline.codesign.best import Best
from roofline.codesign.hardware import Template
from roofline.codesign.judge import Judge
from roofline.codesign.tiles import lowest
from roofline.efficiency.calibrated import calibrated
from roofline.engine import estimate
from roofline.laws import load_law, predict
from roofline.mixes import Mix

LIMITS = {"tpot": 0.02, "ttft": 1.0}


def main(many: int = 100_000, points: int = 100, name: str = "phone") -> None:
    space = load_space("on-device")
    drawn = np.random.default_rng(0).integers(0, space.size, 4 * many)
    index = np.unique(drawn)[space.valid(np.unique(drawn))]
    index = np.random.default_rng(1).permutation(index)[:many]
    arch = space.at(index)
    template = Template.of(calibrated(load_device(name)), None, arch)
    mix = Mix.single(1, 1024, 128)

    began = time.perf_counter()
    loss = predict(load_law("codesign"), arch).loss
    order = np.lexsort((index, loss))
    judge = _Counted(Judge.of(arch[order], template.device, mix, LIMITS))
    fits = judge.judge.memory <= template.device.memory.dram.usable_bytes
    judge.judge, rows = judge.judge[fits], order[fits]
    known = time.perf_counter()
    across = np.geomspace(0.1, 10, points)
    best = lowest(judge, loss[rows], index[rows], across, across, Best.none(points, points))
    ended = time.perf_counter()

    pairs = points**2 * len(index)
    print(f"{len(index):,} architectures on a grid of {points} x {points}: {pairs:.3g} pairs")
    print(f"law and both sides of every operator: {known - began:.2f} s")
    print(
        f"best of each point: {ended - known:.2f} s, {judge.judged:.3g} pairs judged "
        f"({judge.judged / pairs:.2%})"
    )
    print(f"in all {ended - began:.2f} s; {pairs / (ended - began):.3g} pairs a second")

    wrong = 0
    own = template.hardware
    for b, p in np.random.default_rng(2).integers(0, points, (10, 2)):
        hardware = replace(own, bandwidth=own.bandwidth * across[b], peak=own.peak * across[p])
        said = estimate(arch, template.to(hardware), mix.workloads[0].workload(), breakdown=False)
        kept = np.logical_and.reduce(
            [said.fits, *(getattr(said, name) <= limit for name, limit in LIMITS.items())]
        )
        least = loss[kept].min(initial=np.inf)
        wrong += least != best.value[b, p]
    print(f"10 points by the plain engine: {10 - wrong} equal")


class _Counted:
    """A judge that counts its judgements."""

    def __init__(self, judge: Judge, count: list[int] | None = None) -> None:
        self.judge, self.count = judge, [0] if count is None else count

    def __len__(self) -> int:
        return len(self.judge)

    def __getitem__(self, rows):
        return _Counted(self.judge[rows], self.count)

    def excess(self, *at: float):
        self.count[0] += len(self.judge)
        return self.judge.excess(*at)

    @property
    def judged(self) -> int:
        return self.count[0]


if __name__ == "__main__":
    given = sys.argv[1:]
    main(*(int(word) for word in given[:2]), *given[2:])
