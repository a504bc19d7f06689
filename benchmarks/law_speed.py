"""What loss laws cost: microseconds a candidate, beside a plain loop, and seconds for many draws.

    python benchmarks/law_speed.py [--candidates N] [--repeats N] [--law NAME] [--check]

`predict` of every shipped law on random dense and MoE candidates in one batch, formats and range
included; then the losses of 500 candidates under 1,000 draws of the coefficients, of the laws that
have them. All are timed in one run, best of the repeats, in seconds of one core, so that other
work on the computer counts little. --check: exit status 1 if a target is missed.
"""

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np

from arch_space import Architectures
from arch_space.formats import format_code
from roofline.laws import Law, law_names, load_law, predict

TARGET = 0.2  # microseconds a candidate, on one core
TARGET_DRAWS = 1.0  # seconds
DRAWS, FRONT = 1000, 500


def candidates(count: int, weights: str = "fp16", seed: int = 0) -> Architectures:
    """Return `count` candidates of the sizes that a search visits, two thirds of them MoE."""
    draw = np.random.default_rng(seed)
    width = draw.integers(6, 25, count) * 128
    return Architectures(
        layers=draw.integers(4, 33, count),
        width=width,
        query_heads=width // 128,
        kv_heads=draw.integers(1, 6, count),
        head_size=128,
        ffn_width=2 * width,
        vocabulary=32_000,
        experts=draw.choice([1, 8, 16], count),
        expert_width=2 * width,
        weight_format=format_code(weights),
        embedding_format=format_code("fp16"),
    )


def best_time(work: Callable[[], object], repeats: int) -> float:
    """Return the least seconds of processor that the work took."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def at_once(law: Law, count: int, repeats: int) -> float:
    """Return microseconds a candidate.

    Each repeat has a table of its own: parameters are counted once a table and kept.
    """
    seconds = []
    for repeat in range(repeats):
        table = candidates(count, seed=repeat)
        seconds.append(best_time(lambda table=table: predict(law, table), 1))
    return min(seconds) / count * 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--candidates", type=int, default=1_000_000)
    parser.add_argument("--singles", type=int, default=200, help="predictions in the plain loop")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--law", action="append", help="of these only; repeat for several")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    options = parser.parse_args()

    singles = list(candidates(options.singles))
    front = candidates(FRONT)
    missed = []
    print(f"{'law':<22}{'us each':>9}{'in a loop':>11}{'ratio':>9}{'1,000 draws of 500':>21}")
    for name in options.law or law_names():
        law = load_law(name)
        each = at_once(law, options.candidates, options.repeats)

        def one_by_one(law=law) -> None:
            for single in singles:
                predict(law, single)

        alone = best_time(one_by_one, 1) / len(singles) * 1e6
        line = f"{name:<22}{each:9.3f}{alone:11.1f}{alone / each:9,.0f}"
        draws = None
        if law.uncertainty is not None:
            draws = best_time(lambda law=law: law.draws(DRAWS).loss(front), options.repeats)
            line += f"{draws:19.3f} s"
        print(line)
        if each > TARGET or (draws or 0.0) > TARGET_DRAWS:
            missed.append(name)
    if options.check:
        verdict = f"missed by {', '.join(missed)}" if missed else "met"
        print(f"targets: {TARGET} us a candidate, {TARGET_DRAWS:g} s for the draws: {verdict}")
    return int(options.check and bool(missed))


if __name__ == "__main__":
    sys.exit(main())
