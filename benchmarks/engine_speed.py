"""How many candidates a second the engine and the loss law judge, three ways in one run.

    python benchmarks/engine_speed.py [--candidates N] [--threads N] [--repeats N] [--check]

- one by one: a loop over single candidates, as peers estimate them;
- columns: numpy over tables of random dense and MoE candidates (any candidates at all);
- loops: compiled loops over a grid (the candidates of a search), beside the same grid by columns.

A full estimate: prefill, every decode step, memory and energy, on the shipped phone; loops and grid
also have the loss and keep the front. Best of the repeats. Then the roofline of the loops: how many
operations and bytes a point takes, and what share of this machine's limits that is, both measured
here. --check: exit status 1 if a target is missed.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable

import numpy as np

from arch_space import Architectures
from arch_space.formats import format_code
from arch_space.spaces import load_space
from hardware_specs import load_device
from roofline import Workload, estimate
from roofline.laws import load_law
from roofline.search import Problem, RooflineEvaluator, enumerate_exactly
from roofline.search.followed import Followed

TARGET_LOOPS = 10_000_000  # candidates a second, on two cores
TARGET_COLUMNS = 1_000_000
TARGET_RATIO = 300  # columns over one by one
FIVE = "loss,ttft,latency,energy,memory"


def random_candidates(count: int, seed: int = 0) -> Architectures:
    """Return `count` candidates of the sizes that a search on devices visits, half of them MoE."""
    draw = np.random.default_rng(seed)
    kv_heads = draw.choice([1, 2, 4, 8], count)
    width = 128 * draw.integers(4, 25, count)
    moe = draw.random(count) < 0.5
    experts = np.where(moe, draw.choice([8, 16, 32], count), 1)
    inner = 128 * draw.integers(4, 65, count)
    formats = [format_code(name) for name in ("fp16", "int8", "int4")]
    return Architectures.checked(
        layers=draw.integers(4, 41, count),
        width=width,
        query_heads=kv_heads * draw.choice([1, 2, 4], count),
        kv_heads=kv_heads,
        head_size=draw.choice([64, 128], count),
        ffn_width=inner,
        vocabulary=draw.choice([32_000, 128_256, 151_936], count),
        tied_embedding=draw.random(count) < 0.5,
        experts=experts,
        experts_per_token=np.where(moe, draw.choice([1, 2, 4], count), 1),
        expert_width=np.where(moe, inner, 0),
        weight_format=draw.choice(formats, count),
        kv_format=draw.choice(formats[:2], count),
    )


def best_time(work: Callable[[], object], repeats: int) -> float:
    """Return the least seconds that the work took."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def problem_of(objectives: str) -> Problem:
    """Return the search of the shipped space on the phone."""
    evaluator = RooflineEvaluator(
        load_device("phone"), Workload(1, 1024, 128), load_law("codesign")
    )
    return Problem(load_space("on-device"), evaluator, objectives)


def machine_limits() -> tuple[float, float, float]:
    """Measure one core: operations a second one by one and in vectors, and bytes from its cache."""
    import numba

    @numba.njit
    def multiply_and_add(count: int) -> float:
        a = b = c = d = e = f = g = h = 1.0
        for i in range(count):
            x = i * 1e-9
            a, b, c, d = a * x + 1.0, b * x + 1.0, c * x + 1.0, d * x + 1.0
            e, f, g, h = e * x + 1.0, f * x + 1.0, g * x + 1.0, h * x + 1.0
        return a + b + c + d + e + f + g + h

    @numba.njit
    def look_up(table: np.ndarray, count: int) -> float:
        a = b = c = d = 0.0
        for i in range(count):
            at = (i * 4) & 16380  # 128 kB: a core's own cache
            a += table[at]
            b += table[at + 1]
            c += table[at + 2]
            d += table[at + 3]
        return a + b + c + d

    table, square, count = np.ones(2**14), np.ones((768, 768)), 50_000_000
    multiply_and_add(10), look_up(table, 10)
    one_by_one = 16 * count / best_time(lambda: multiply_and_add(count), 3)
    looked_up = 32 * count / best_time(lambda: look_up(table, count), 3)
    began = time.process_time()  # of all threads that the product runs on
    for _ in range(10):
        square @ square
    in_vectors = 10 * 2 * 768**3 / (time.process_time() - began)
    return one_by_one, in_vectors, looked_up


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--candidates", type=int, default=2_000_000)
    parser.add_argument("--singles", type=int, default=500, help="estimates in the plain loop")
    parser.add_argument("--threads", type=int, default=None, help="all cores by default")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    options = parser.parse_args()
    threads = options.threads or os.cpu_count() or 1

    device, workload = load_device("phone"), Workload(prompt=1024, generate=128)
    table = random_candidates(options.candidates)
    singles = list(table[: options.singles])

    def at_once() -> None:
        estimate(table, device, workload, threads=threads)

    def one_by_one() -> None:
        for single in singles:
            estimate(single, device, workload, breakdown=False)

    rate = len(table) / best_time(at_once, options.repeats)
    single_rate = len(singles) / best_time(one_by_one, options.repeats)
    print(f"one by one        {single_rate:13,.0f} candidates/s")
    print(f"columns           {rate:13,.0f} candidates/s, {rate / single_rate:,.0f} x")

    loop_rate = float("inf")
    for objectives in ("loss,tpot", "loss,latency,energy", FIVE):
        problem = problem_of(objectives)
        began = time.perf_counter()
        loops = enumerate_exactly(problem, workers=threads, compiled=True)
        first = time.perf_counter() - began
        took = best_time(
            lambda p=problem: enumerate_exactly(p, workers=threads, compiled=True), options.repeats
        )
        count = loops.evaluated
        if objectives != FIVE:  # there the time goes into a front of twenty thousand
            loop_rate = min(loop_rate, count / took)
        print(
            f"loops             {count / took:13,.0f} candidates/s, "
            f"{count / took / single_rate:,.0f} x: {count:,} of {problem.space.size:,} points, "
            f"{objectives}, front of {len(loops)}, {took:.2f} s ({first:.2f} s with compiling)"
        )
        if objectives == "loss,tpot":
            began = time.perf_counter()
            columns = enumerate_exactly(problem, workers=threads, compiled=False)
            took = time.perf_counter() - began
            same = columns.points.tobytes() == loops.points.tobytes()
            said = "the same front" if same else "ANOTHER FRONT"
            print(f"the grid, columns {count / took:13,.0f} candidates/s, {said}")

    kernel = Followed.of(problem_of(FIVE)).kernel
    unbeaten = np.zeros((1, 5))  # beats all, so that nothing is kept
    shape, first = kernel.shape, kernel.order[0]

    def walk() -> None:
        high = list(shape)
        high[first] = 2
        kernel.survivors([0] * len(shape), high, unbeaten)

    seconds = best_time(walk, options.repeats) / (2 * np.prod(shape, dtype=float) / shape[first])
    operations, looked_up = kernel.work()
    one_by_one_limit, vector_limit, cache_limit = machine_limits()
    reached = operations / seconds
    print(
        f"a grid point with a full estimate and loss: {operations:.0f} operations, "
        f"{8 * looked_up:.0f} bytes of tables, {seconds * 1e9:.1f} ns on one core\n"
        f"that is {reached / 1e9:.1f} G operations/s ({reached / one_by_one_limit:.0%} of what a "
        f"core does one by one, {reached / vector_limit:.0%} of what it does in vectors) and "
        f"{8 * looked_up / seconds / 1e9:.0f} GB/s ({8 * looked_up / seconds / cache_limit:.0%} of "
        "what its cache gives)"
    )
    missed = rate < TARGET_COLUMNS or rate < TARGET_RATIO * single_rate or loop_rate < TARGET_LOOPS
    if options.check:
        verdict = "missed" if missed else "met"
        print(
            f"targets           {TARGET_LOOPS:,} by loops, {TARGET_COLUMNS:,} and {TARGET_RATIO} x "
            f"by columns: {verdict}"
        )
    return int(options.check and missed)


if __name__ == "__main__":
    sys.exit(main())
