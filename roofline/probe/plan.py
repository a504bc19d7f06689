"""What is measured, in which order, and with how much time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from roofline.probe import bandwidth, overhead, products
from roofline.probe.library import BYTES, NumpyLibrary, best_library
from roofline.probe.machine import Machine
from roofline.probe.sampling import Clock, Sample
from spec_files import SpecError

Progress = Callable[[str, int, "int | None"], None]


@dataclass(frozen=True)
class Step:
    """A part of the probe: what a person reads while it runs, and what runs."""

    title: str
    run: Callable[[], Iterable[Sample]]


@dataclass(frozen=True)
class Plan:
    """The steps of a probe, and what they will run on."""

    steps: tuple[Step, ...]
    threads: int
    library: NumpyLibrary
    quick: bool


def largest_working_set(machine: Machine, quick: bool) -> int:
    """Bytes that no cache holds, as far as memory and time allow.

    8 times the last-level cache and at least 256 MiB; quickly, twice the cache and at most 1 GiB.
    Never more than a quarter of what is free.
    """
    last = max((cache.size for cache in machine.caches), default=0)
    wanted = max(256 * 2**20, (2 if quick else 8) * last)
    if quick:
        wanted = min(wanted, 2**30)
    return max(2**24, min(wanted, machine.free // 4))


def plan(
    machine: Machine,
    threads: int | None = None,
    quick: bool = False,
    library: NumpyLibrary | None = None,
    clock: Clock = time.perf_counter,
) -> Plan:
    """Lay out the steps. threads: of everything but the single-core curves; all cores if None.

    Raises SpecError for a number of threads that the library does not run on.
    """
    found = library or best_library()
    count = threads or machine.cores
    if found.name == "numpy" and count != blas_threads(machine.cores):
        raise SpecError(
            f"numpy's products run on {blas_threads(machine.cores)} threads, not on {count}: "
            f"install PyTorch, or set OMP_NUM_THREADS={count} before the command"
        )
    budget = 0.03 if quick else 0.25
    largest = largest_working_set(machine, quick)
    steps = [
        *_bandwidth_steps(count, largest, budget, quick, clock),
        *_product_steps(found, count, machine.cores, budget, quick, clock),
        *_streaming_steps(found, count, largest, budget, quick, clock),
        Step("calls", lambda: overhead.measure_call(found, count, 2 * budget, clock)),
        Step(
            "layers",
            lambda: overhead.measure_layers(found, [1, 2, 4, 8, 16], count, 2 * budget, clock),
        ),
    ]
    return Plan(tuple(steps), count, found, quick)


def blas_threads(cores: int) -> int:
    """Threads of numpy's BLAS: as the environment says, or all cores."""
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    return cores


def measure(plan: Plan, progress: Progress) -> list[Sample]:
    """Run all steps and return their samples."""
    found: list[Sample] = []
    with plan.library.threads(plan.threads):
        for done, step in enumerate(plan.steps):
            progress(step.title, done, len(plan.steps))
            found += step.run()
        progress("done", len(plan.steps), len(plan.steps))
    return found


def _bandwidth_steps(
    threads: int, largest: int, budget: float, quick: bool, clock: Clock
) -> list[Step]:
    def step(operation: str, count: int) -> Step:
        sets = bandwidth.sizes(largest, count, 4.0 if quick else 2.0)
        return Step(
            f"bandwidth: {operation}, {count} threads",
            lambda: bandwidth.measure_bandwidth(operation, sets, count, budget, clock),
        )

    counts = sorted({1, threads})
    return [step(operation, count) for operation in ("read", "copy") for count in counts]


def _product_steps(
    library: NumpyLibrary, threads: int, cores: int, budget: float, quick: bool, clock: Clock
) -> list[Step]:
    squares = [(n, n, n) for n in ((512, 1024) if quick else (512, 1024, 2048, 4096))]

    def step(using: NumpyLibrary, number_format: str) -> Step:
        return Step(
            f"products: {number_format}, {using.name}",
            lambda: products.measure_products(
                using, number_format, squares, threads, budget, clock
            ),
        )

    found = [step(library, name) for name in library.formats]
    if library.name == "numpy" or threads != blas_threads(cores):
        return found  # numpy's own peak would be that of other threads
    return [step(NumpyLibrary(), "fp32"), *found]


def _streaming_steps(
    library: NumpyLibrary, threads: int, largest: int, budget: float, quick: bool, clock: Clock
) -> list[Step]:
    widths = [256, 1024, 2048] if quick else [128, 256, 512, 1024, 2048, 4096]
    lengths = [1024, 4096] if quick else [512, 1024, 4096, 8192]
    prompts = [512] if quick else [256, 512, 1024, 2048]
    layers = [
        (tokens, width, width)
        for width in ((256, 1024) if quick else (256, 512, 1024, 2048))
        for tokens in (32, 128, 512)
    ]

    def stream(number_format: str) -> list[Sample]:
        pool = library.ones(largest // BYTES[number_format], number_format)
        found = products.measure_vector_products(
            library, number_format, widths, pool, threads, 4 * budget, clock
        )
        found += products.measure_products(
            library, number_format, layers, threads, budget, clock, pool
        )
        if library.name != "numpy" and number_format == "fp32":
            found += products.measure_cache(
                library, number_format, lengths, [1, 4], pool, threads, budget, clock
            )
            found += products.measure_attention(
                library, number_format, prompts, threads, budget, clock
            )
        return found

    return [
        Step(f"streaming: {name}", lambda name=name: stream(name))  # type: ignore[misc]
        for name in library.formats
        if name != "int8"
    ]
