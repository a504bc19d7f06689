"""Nanoseconds that a loss law costs a candidate, beside one numpy power of the same length.

python benchmarks/law_speed.py
"""

import time
from collections.abc import Callable

import numpy as np

from arch_space import Architectures
from arch_space.formats import format_code
from roofline.laws import law_names, load_law, predict

N = 1_000_000


def candidates(weights: str) -> Architectures:
    generator = np.random.default_rng(0)
    width = generator.integers(6, 25, N) * 128
    return Architectures(
        layers=generator.integers(4, 33, N),
        width=width,
        query_heads=width // 128,
        kv_heads=generator.integers(1, 6, N),
        head_size=128,
        ffn_width=2 * width,
        vocabulary=32_000,
        experts=generator.choice([1, 8, 16], N),
        expert_width=2 * width,
        weight_format=format_code(weights),
        embedding_format=format_code("fp16"),
    )


def nanoseconds(run: Callable[[], object], repeats: int = 3) -> float:
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best / N * 1e9


def main() -> None:
    base = np.random.default_rng(0).uniform(0.5, 2.0, N)
    power = nanoseconds(lambda: np.power(base, 0.17))
    print(f"one numpy power: {power:.0f} ns a candidate")
    for name in law_names():
        for weights in ("fp16", "int4"):
            law, arch = load_law(name), candidates(weights)
            cost = nanoseconds(lambda law=law, arch=arch: predict(law, arch))
            print(f"{name:>16} {weights}: {cost:4.0f} ns a candidate, {cost / power:.1f} powers")


if __name__ == "__main__":
    main()
