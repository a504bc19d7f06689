"""How many candidates a second the engine estimates, beside a plain loop over single ones.

    python benchmarks/engine_speed.py [--candidates N] [--threads N] [--repeats N] [--check]

A full estimate: prefill, every decode step, memory and energy, of random dense and MoE candidates
in three weight formats, on the shipped phone. Both are timed in one run, best of the repeats.
--check: exit status 1 if a target is missed.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable

import numpy as np

from arch_space import Architectures
from arch_space.formats import format_code
from hardware_specs import load_device
from roofline import Workload, estimate

TARGET_RATE = 1_000_000  # candidates a second, on two cores
TARGET_RATIO = 300  # times the plain loop


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--candidates", type=int, default=2_000_000)
    parser.add_argument("--singles", type=int, default=500, help="estimates in the plain loop")
    parser.add_argument("--threads", type=int, default=None, help="all cores by default")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    options = parser.parse_args()

    device, workload = load_device("phone"), Workload(prompt=1024, generate=128)
    table = random_candidates(options.candidates)
    singles = list(table[: options.singles])

    def at_once() -> None:
        estimate(table, device, workload, threads=options.threads)

    def one_by_one() -> None:
        for single in singles:
            estimate(single, device, workload, breakdown=False)

    rate = len(table) / best_time(at_once, options.repeats)
    single_rate = len(singles) / best_time(one_by_one, options.repeats)
    print(f"at once     {rate:12,.0f} candidates/s  ({options.threads or os.cpu_count()} threads)")
    print(f"one by one  {single_rate:12,.0f} candidates/s")
    print(f"ratio       {rate / single_rate:12,.0f}")
    missed = rate < TARGET_RATE or rate < TARGET_RATIO * single_rate
    if options.check:
        verdict = "missed" if missed else "met"
        print(f"targets     {TARGET_RATE:,} candidates/s and a ratio of {TARGET_RATIO}: {verdict}")
    return int(options.check and missed)


if __name__ == "__main__":
    sys.exit(main())
