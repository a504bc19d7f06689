"""Cache levels and DRAM, as they show on the curves of working sets.

A level that was not measured faster than what lies outside it is listed without a bandwidth: noise
must not write an invalid profile.
"""

from __future__ import annotations

from collections.abc import Sequence

from roofline.probe.bandwidth import plateaus
from roofline.probe.machine import Cache, Machine
from roofline.probe.sampling import Sample
from roofline.probe.values import SOURCE, Values, measured_figure, rounded, rule, say
from spec_files import format_quantity

OUTSIDE = 4.0
"""Times the last-level cache: working sets from here on are read from DRAM."""
FASTER = 1.15
"""A cache level counts as measured where it is faster than what lies outside it by this factor."""


def known_caches(machine: Machine, samples: Sequence[Sample]) -> list[Cache]:
    """Return what the system says of the caches; where it is silent, what the read curve shows."""
    if machine.caches:
        return list(machine.caches)
    curve = [s for s in samples if s.operation == "read" and s.threads == 1]
    found = plateaus([s.size for s in curve], [s.bandwidth for s in curve])
    return [Cache(f"level {i}", int(size), 1) for i, (size, _) in enumerate(found[:-1], 1)]


def dram_sample(samples: Sequence[Sample], caches: Sequence[Cache]) -> Sample:
    """Return the fastest that went to DRAM: the best of read, copy and matrices streamed.

    A working set goes to DRAM from OUTSIDE times the last-level cache on; where none is that large,
    the largest there is stands for it.
    """
    last = max((c.size for c in caches), default=0)
    moving = [s for s in samples if s.operation in ("read", "copy", "vector product")]
    largest = max(s.size for s in moving)
    outside = [s for s in moving if s.size >= min(OUTSIDE * last, 0.7 * largest)]
    # What a small matrix reaches says how well calls overlap, not how fast the memory is.
    outside = [s for s in outside if s.operation != "vector product" or s.bytes >= 1e6]
    return max(outside, key=lambda s: s.bandwidth)


def cache_levels(
    caches: Sequence[Cache], samples: Sequence[Sample], threads: int, dram: Sample
) -> list[Values]:
    """Cache levels from the outermost, each with a bandwidth where it shows on the curves.

    A level shows where it is faster than DRAM is in the same operation, and not slower than any
    level outside it.
    """
    found: list[Values] = []
    outer, outer_size = rounded(dram.bandwidth), float("inf")
    for place, level in reversed(list(enumerate(caches))):
        best = _level_sample(caches, place, samples)
        size = float(level.each * min(level.instances, threads))
        basis = "nominal"
        note = f"The system reports {say(level.each, 'bytes')}" + (
            f" for each of {level.instances}, of which {threads} threads reach this much."
            if level.instances > 1
            else "."
        )
        figures: Values = {"name": level.name}
        outside = _outside(best, samples, caches) if best is not None else 0.0
        if best is None or best.bandwidth < FASTER * outside or rounded(best.bandwidth) < outer:
            note += " Not measured faster than what lies outside it, so no bandwidth is given."
        else:
            reach = _reach(best, outside, size, samples)
            if level is caches[-1] and reach < 0.5 * size:
                size, basis = reach, "measured"
                note += (
                    " Others may share it: this is the largest working set that was faster than "
                    "halfway (the geometric mean) to DRAM."
                )
            figures["bandwidth"] = measured_figure(
                best.bandwidth,
                best.bytes / best.high,
                best.bytes / best.low,
                "bandwidth",
                rule(best),
            )
            outer = rounded(best.bandwidth)
        size = outer_size = min(size, outer_size)
        figures["size"] = {
            "value": format_quantity(size, "bytes", None),
            "basis": basis,
            "source": SOURCE,
            "note": note,
        }
        found.append(figures)
    return found


def _level_sample(caches: Sequence[Cache], place: int, samples: Sequence[Sample]) -> Sample | None:
    """Return the sample that stands for a level: of the fastest operation, the median of its sizes.

    The sizes are those that leave the level inside well behind and fit this one with room to spare;
    threads bring as many instances as they are.
    """

    def reachable(cache: Cache, threads: int) -> int:
        return cache.each * min(cache.instances, threads)

    fastest: Sample | None = None
    for operation, threads in _curves(samples):
        whole = reachable(caches[place], threads)
        core = reachable(caches[place - 1], threads) if place else 0
        curve = [s for s in samples if (s.operation, s.threads) == (operation, threads)]
        for above, below in ((2 * core, 0.75 * whole), (core, whole)):
            fitting = [s for s in curve if above < s.size <= below]
            if fitting:
                middle = sorted(fitting, key=lambda s: s.bandwidth)[len(fitting) // 2]
                if fastest is None or middle.bandwidth > fastest.bandwidth:
                    fastest = middle
                break
    return fastest


def _curves(samples: Sequence[Sample]) -> list[tuple[str, int]]:
    """Operations and threads of which there is a curve over working sets."""
    return sorted({(s.operation, s.threads) for s in samples if s.operation in ("read", "copy")})


def _outside(best: Sample, samples: Sequence[Sample], caches: Sequence[Cache]) -> float:
    """Return the bandwidth of the same operation, on the same threads, from DRAM."""
    same = [s for s in samples if (s.operation, s.threads) == (best.operation, best.threads)]
    return dram_sample(same, caches).bandwidth


def _reach(best: Sample, outside: float, size: float, samples: Sequence[Sample]) -> float:
    """Return the largest working set, up to the level's size, that is clearly faster than DRAM."""
    halfway = (best.bandwidth * outside) ** 0.5
    curve = [
        s.size
        for s in samples
        if (s.operation, s.threads) == (best.operation, best.threads)
        and s.size <= size
        and s.bandwidth >= halfway
    ]
    return max([*curve, best.size])
