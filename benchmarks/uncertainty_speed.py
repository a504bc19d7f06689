"""Seconds that 1,000 draws over a front of 500 take, with the search for its rivals.

    python benchmarks/uncertainty_speed.py [--check]

The front is the first 500 members that NSGA-II finds of the on-device space on the shipped phone;
the law's coefficients, the losses of candidates, and times and energy are drawn. --check: exit
status 1 where the target of 1 s is missed.
"""

import sys
import time

from hardware_specs import load_device
from roofline.search import evolve
from roofline.search.sweep import Sweep
from roofline.search.uncertainty import DRAWS, Errors, assess

MEMBERS = 500
TARGET = 1.0


def main() -> int:
    job = Sweep.prepare(device=load_device("phone"), space="on-device", references=["none"])
    problem = job.problem()
    members = evolve(problem, evaluations=40_000).indices[:MEMBERS]
    errors = Errors.of(job.law, job.calibrated(), own=job.own_intervals)
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        found = assess(problem, members, errors, 0, 1)
        best = min(best, time.perf_counter() - start)
    print(
        f"{DRAWS:,} draws of a front of {len(members)} with {found.contenders - len(members):,} "
        f"rivals: {best:.2f} s"
    )
    return int("--check" in sys.argv and (best > TARGET or len(members) < MEMBERS))


if __name__ == "__main__":
    sys.exit(main())
