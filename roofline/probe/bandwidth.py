"""Bytes per second against the size of the working set: the levels of the memory show as plateaus.

Two operations, both of which touch every byte: `read` takes the maximum of integers, `copy` moves
one half of the working set onto the other. A copy counts the bytes read and the bytes written; that
the cache may first fetch the lines it writes (write-allocate) is not counted, so a machine that
does so looks slower, never faster. numpy runs both in vector instructions and without the
interpreter's lock, so plain threads, each on its own part, load all cores.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
from numpy.lib.stride_tricks import as_strided

from roofline.probe.sampling import Clock, Sample, Work, repeat

Array = np.ndarray

SMALLEST = 16 * 1024
"""Bytes of the smallest working set of a thread."""
PER_TIMING = 32e6
"""Bytes that each thread moves per timing: far more time than threads need to meet."""
STEP = 1.3
"""Neighbours on the curve that differ by less than this factor stand on one plateau."""


def sizes(largest: float, threads: int, factor: float = 2.0) -> list[int]:
    """Working sets from the smallest to the largest, each `factor` times the one before."""
    smallest = SMALLEST * threads
    steps = max(1, int(np.ceil(np.log(largest / smallest) / np.log(factor))))
    return [int(size) // 4096 * 4096 for size in np.geomspace(smallest, largest, steps + 1)]


def measure_bandwidth(
    operation: str,
    working_sets: Sequence[int],
    threads: int,
    budget: float,
    clock: Clock = time.perf_counter,
) -> list[Sample]:
    """Measure an operation at each size of working set, which the threads share out."""
    buffer = np.ones(max(working_sets) // 4, np.int32)
    found = []
    with ThreadPoolExecutor(threads) as pool:
        for size in working_sets:
            each = size // threads // 128 * 128
            rounds = max(1, int(PER_TIMING / each))
            parts = [buffer[i * each // 4 : (i + 1) * each // 4] for i in range(threads)]
            works = [_WORKS[operation](part, rounds) for part in parts]
            times = repeat(_together(pool, works, clock), budget)
            scale = 1.0 / rounds
            found.append(
                Sample(
                    operation=operation,
                    number_format="int32",
                    threads=threads,
                    size=each * threads,
                    flops=0.0,
                    bytes=each * threads,
                    seconds=times.seconds * scale,
                    low=times.low * scale,
                    high=times.high * scale,
                    repeats=times.repeats,
                    detail=f"numpy, passes in a timing: {rounds}",
                )
            )
    return found


def _read(part: Array, rounds: int) -> Work:
    """Maximum of the integers, `rounds` times in one call: the same bytes seen as many rows."""
    rows = np.broadcast_to(part, (rounds, part.size))
    out = np.empty(rounds, part.dtype)
    return lambda: np.maximum.reduce(rows, axis=1, out=out)


def _copy(part: Array, rounds: int) -> Work:
    half = part.size // 2
    source = np.broadcast_to(part[:half], (rounds, half))
    target = as_strided(part[half:], (rounds, half), (0, part.itemsize))
    return lambda: np.copyto(target, source)


_WORKS = {"read": _read, "copy": _copy}


def _together(pool: ThreadPoolExecutor, works: list[Work], clock: Clock) -> Callable[[], float]:
    """Run all works at once; seconds from the first to start to the last to end."""
    barrier = Barrier(len(works))

    def one(work: Work) -> tuple[float, float]:
        barrier.wait()
        start = clock()
        work()
        return start, clock()

    def run() -> float:
        spans = [f.result() for f in [pool.submit(one, work) for work in works]]
        return max(end for _, end in spans) - min(start for start, _ in spans)

    return run


def plateaus(working_sets: Sequence[float], speeds: Sequence[float]) -> list[tuple[float, float]]:
    """(size, bandwidth) of each level that a curve shows, innermost first.

    A level's size is the largest working set on its plateau, so the true one lies between that and
    the next. Bandwidth only falls outwards, so the curve is first made to: each point becomes the
    best of itself and all larger sets. Points on the way from one plateau to the next, which stand
    alone, belong to neither; the first and the last always count.
    """
    order = np.argsort(working_sets)
    size = np.asarray(working_sets, dtype=float)[order]
    speed = np.maximum.accumulate(np.asarray(speeds, dtype=float)[order][::-1])[::-1]
    groups: list[list[int]] = [[0]]
    for i in range(1, len(size)):
        if speed[groups[-1][0]] < STEP * speed[i]:
            groups[-1].append(i)
        else:
            groups.append([i])
    ends = (groups[0], groups[-1])
    kept = [g for g in groups if len(g) > 1 or g in ends]
    return [(float(size[g[-1]]), float(np.median(speed[g]))) for g in kept]
