"""Exact fronts of huge spaces by pruning: how long they take, and whether enumeration agrees.

    python benchmarks/pruning_speed.py [--seeds N] [--full] [--laws NAME,...] [--check]

- five random spaces of a million points, parts of the shipped ones, under several laws, devices,
  objectives and limits: the front by pruning and by enumeration, which must be equal;
- the shipped space `wide-open`, of 4.7 x 10^9 points: the front by pruning; with --full also by
  enumeration, which takes minutes;
- the same stopped early: the bound on the hypervolume that is missing, and what truly is.

--laws: that the large space is pruned under. --check: exit status 1 if a front differs, a bound
does not hold, or the large space takes more than a minute.
"""

import argparse
import resource
import sys
import time
from typing import Any

import numpy as np

from arch_space.spaces import Space, load_space
from hardware_specs import load_device
from roofline.efficiency.calibrated import calibrated
from roofline.laws import load_law
from roofline.search import (
    Constraint,
    Problem,
    RooflineEvaluator,
    SearchResult,
    enumerate_exactly,
    hypervolume,
)
from roofline.search.pruned import prune
from roofline.workload import Workload
from spec_files import validate_spec

TARGET = 60.0  # seconds, on two cores

Limits = dict[str, float]
RANDOM: tuple[tuple[str, str, str, bool, str, Limits], ...] = (
    ("wide-open", "phone", "codesign", False, "loss,tpot", {}),
    ("wide-open", "phone", "chinchilla", False, "loss,latency,energy", {"memory": 6e9}),
    ("on-device", "jetson-agx-orin-64gb", "gemstones-hot", True, "loss,ttft", {"tpot": 0.02}),
    ("wide-open", "jetson-agx-orin-64gb", "joint-moe", False, "loss,tpot,memory", {}),
    ("on-device", "raspberry-pi-5", "codesign", False, "loss,tpot", {"ttft": 30.0, "memory": 2e9}),
)
"""Space, device, law, ideal, objectives, limits."""


def part_of(name: str, seed: int, points: float = 1e6) -> Space:
    """Return a shipped space with some of its values, at random, and about so many points."""
    space, random = load_space(name), np.random.default_rng(seed)
    given = {key: v if isinstance(v, list) else v.values() for key, v in space.dimensions.items()}

    def size() -> float:
        return float(np.prod([len(values) for values in given.values()], dtype=float))

    while size() > 1.1 * points:
        key = max(given, key=lambda each: len(given[each]) * random.uniform(0.3, 1.0))
        many = max(1, int(0.9 * len(given[key])))
        chosen = sorted(random.choice(len(given[key]), many, replace=False))
        given[key] = [given[key][i] for i in chosen]
    data = space.model_dump(by_alias=True, exclude_none=True) | {"dimensions": given}
    return validate_spec(data, Space, name)


def problem(
    space: Space, device: str, law: str, ideal: bool, objectives: str, limits: Limits
) -> Problem:
    """Return a problem with the shipped workload."""
    known = calibrated(load_device(device), None, None)
    evaluator = RooflineEvaluator(known, Workload(), load_law(law), ideal=ideal)
    constraints = tuple(Constraint(*limit) for limit in limits.items())
    return Problem(space, evaluator, tuple(objectives.split(",")), constraints)


def same(found: SearchResult, exact: SearchResult) -> bool:
    """Whether two fronts are of the same candidates with the same objectives."""
    return np.array_equal(found.indices, exact.indices) and np.array_equal(
        found.points, exact.points
    )


def timed(search: Any, *arguments: Any, **options: Any) -> tuple[SearchResult, float]:
    """Return what a search found, and its seconds, imports and tables included."""
    began = time.perf_counter()
    return search(*arguments, **options), time.perf_counter() - began


def describe(found: SearchResult) -> str:
    """Say what became of the boxes."""
    p = found.pruning
    assert p is not None
    return (
        f"{p.boxes:,} boxes: {p.share:.1%} of those finished left out ({p.dominated:,} dominated, "
        f"{p.infeasible:,} not allowed, {p.empty:,} empty); "
        f"{p.judged_points / p.points:.3%} of the points judged"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--laws", default="codesign")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    missed = []

    for seed, (name, *rest) in enumerate(RANDOM[: given.seeds]):
        asked = problem(part_of(name, seed), *rest)
        exact, slow = timed(enumerate_exactly, asked)
        found, quick = timed(prune, asked)
        equal = same(found, exact)
        print(
            f"part {seed} of {name}, {asked.space.size:,} points, {rest}: {len(exact)} members, "
            f"{'equal' if equal else 'DIFFERENT'}; enumeration {slow:.1f} s, pruning {quick:.1f} s"
            f"\n  {describe(found)}"
        )
        if not equal:
            missed.append(f"the front of part {seed} differs")

    space = load_space("wide-open")
    for law in given.laws.split(","):
        asked = problem(space, "phone", law, False, "loss,tpot", {})
        found, seconds = timed(prune, asked)
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        print(
            f"wide-open, {space.size:,} points, {space.valid_count:,} candidates, {law}: "
            f"{len(found)} members in {seconds:.1f} s, {held:.2f} GB\n  {describe(found)}"
        )
        if seconds > TARGET or not found.exact:
            missed.append(f"wide-open under {law} took {seconds:.0f} s")
        for limit in (1.5, 2.0, 2.5, 3.0, 4.0):
            early, took = timed(prune, asked, max_seconds=limit)
            p = early.pruning
            assert p is not None
            reference = early.reference()
            whole = early.hypervolume()
            lacking = hypervolume(found.points, reference) - whole
            bound = float("nan") if p.missing is None else p.missing
            print(
                f"  stopped after {took:.1f} s: {p.open:,} boxes open, at most "
                f"{bound / whole:.3%} of the hypervolume missing, truly {lacking / whole:.4%}"
            )
            if lacking > bound * (1 + 1e-9):
                missed.append(f"the bound after {limit} s does not hold")
        if given.full:
            exact, seconds = timed(enumerate_exactly, asked)
            equal = same(found, exact)
            print(f"  enumeration {seconds:.1f} s: {'equal' if equal else 'DIFFERENT'}")
            if not equal:
                missed.append(f"the front of wide-open under {law} differs")

    for each in missed:
        print(f"missed: {each}")
    return int(bool(missed) and given.check)


if __name__ == "__main__":
    sys.exit(main())
