"""What one measurement is, and how a time becomes one: warm-up, repeats, median and quartiles.

The rule, here and nowhere else: the work runs once unseen (pages, caches, threads, code paths);
then it is timed over and over, at least `LEAST` times and until its share of seconds is spent. The
value is the median, its interval the quartiles. No repeat is thrown away: the median is deaf to the
few in which the system ran something else, and quartiles that lie far apart say that they were not
few.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

Clock = Callable[[], float]
Work = Callable[[], object]

LEAST, MOST = 5, 400
SHORTEST = 20e-6
"""Seconds below which the clock's own time shows: shorter work is timed several calls at once."""


@dataclass(frozen=True)
class Times:
    """Seconds of one call: median and quartiles over the repeats."""

    seconds: float
    low: float
    high: float
    repeats: int


@dataclass(frozen=True)
class Sample:
    """One thing measured: an operation at one size on some threads.

    operation: `read`, `copy`, `product`, `layer product`, `vector product`, `attention`, `cache`,
    `call`, `layers`.
    number_format: of its operands. size: bytes of the working set; of `layers`, their number.
    flops, bytes: of one call; a copy's bytes are those read and those written. seconds, low, high:
    median and quartiles over the repeats. detail: shape and library, for the reader; of `cache`,
    how many query heads share a key head is `group`.
    """

    operation: str
    number_format: str
    threads: int
    size: float
    flops: float
    bytes: float
    seconds: float
    low: float
    high: float
    repeats: int
    detail: str = ""
    group: int = 1

    @property
    def bandwidth(self) -> float:
        """Bytes per second."""
        return self.bytes / self.seconds

    @property
    def rate(self) -> float:
        """Operations per second."""
        return self.flops / self.seconds

    def to_dict(self) -> dict[str, Any]:
        """Return the sample as plain values."""
        return asdict(self)


def summarise(seconds: Sequence[float]) -> Times:
    """Median and quartiles of repeated times."""
    low, middle, high = np.quantile(np.asarray(seconds, dtype=float), (0.25, 0.5, 0.75))
    return Times(float(middle), float(low), float(high), len(seconds))


def repeat(work: Callable[[], float], budget: float) -> Times:
    """Call work, which returns the seconds it took, until `budget` seconds are spent.

    At least LEAST times and at most MOST; the first call is not counted.
    """
    work()
    found: list[float] = []
    while len(found) < LEAST or (sum(found) < budget and len(found) < MOST):
        found.append(work())
    return summarise(found)


def timed(work: Work, budget: float, clock: Clock = time.perf_counter) -> Times:
    """Time one call of work by the rule above; `budget` seconds go to the repeats."""
    work()
    calls = max(1, round(SHORTEST / max(_once(work, 1, clock), 1e-9)))
    return repeat(lambda: _once(work, calls, clock), budget)


def _once(work: Work, calls: int, clock: Clock) -> float:
    start = clock()
    for _ in range(calls):
        work()
    return (clock() - start) / calls
