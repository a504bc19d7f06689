"""Operations per second in products, and bytes per second in products that only stream a matrix.

`product`: square matrices that stay in cache, which is as fast as it gets. `layer product`: tokens
times a matrix, as in a prefill. `vector product`: one token times a matrix, as in decoding.
`attention`: causal attention of a prompt over itself. `cache`: one token's attention over a long KV
cache. Layer and vector products and the cache find their matrices in DRAM, as those of a model
larger than the caches are: they walk through a pool of memory, a new part of it at each call.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import cycle
from typing import Any

from roofline.probe.library import BYTES, NumpyLibrary
from roofline.probe.sampling import Clock, Sample, Work, timed

HEADS, HEAD_SIZE = 8, 64
"""Of the attention that is measured."""
SLOW = 0.5
"""Seconds: a format whose product takes longer than this is measured at no larger size."""


def measure_products(
    library: NumpyLibrary,
    number_format: str,
    shapes: list[tuple[int, int, int]],
    threads: int,
    budget: float,
    clock: Clock = time.perf_counter,
    pool: Any = None,
) -> list[Sample]:
    """Time products of (tokens, inputs, outputs), with one matrix or with those of the pool.

    A format that this library cannot multiply in on this processor gives no sample.
    """
    found: list[Sample] = []
    for tokens, inputs, outputs in shapes:
        try:
            x = library.ones(tokens * inputs, number_format).reshape(tokens, inputs)
            times = timed(_multiply(library, number_format, x, outputs, pool), budget, clock)
        except (RuntimeError, AttributeError, TypeError):
            return found
        moved = BYTES[number_format] * (tokens * inputs + outputs * inputs + tokens * outputs)
        found.append(
            Sample(
                "product" if pool is None else "layer product",
                number_format,
                threads,
                size=moved if pool is None else BYTES[number_format] * len(pool),
                flops=2.0 * tokens * inputs * outputs,
                bytes=moved,
                **vars(times),
                detail=f"{library.name}, {tokens} x {inputs} x {outputs}",
            )
        )
        if times.seconds > SLOW:
            break
    return found


def _multiply(library: NumpyLibrary, number_format: str, x: Any, outputs: int, pool: Any) -> Work:
    inputs = x.shape[1]
    if pool is None:
        w = library.ones(outputs * inputs, number_format).reshape(outputs, inputs)
        return library.multiply(x, w)
    matrices = [part.reshape(outputs, inputs) for part in _parts(pool, outputs * inputs)]
    return _walk(lambda w: library.linear(x, w), matrices)


def measure_vector_products(
    library: NumpyLibrary,
    number_format: str,
    widths: list[int],
    pool: Any,
    threads: int,
    budget: float,
    clock: Clock = time.perf_counter,
) -> list[Sample]:
    """Time one vector times a square matrix, a different one of the pool at each call."""
    found = []
    for width in widths:
        x = library.ones(width, number_format).reshape(1, width)
        matrices = (part.reshape(width, width) for part in _parts(pool, width * width))
        work = _walk(lambda w, x=x: library.linear(x, w), list(matrices))
        size = BYTES[number_format] * width * width
        found.append(
            Sample(
                "vector product",
                number_format,
                threads,
                size=BYTES[number_format] * len(pool),
                flops=2.0 * width * width,
                bytes=size,
                **vars(timed(work, budget, clock)),
                detail=f"{library.name}, 1 x {width} x {width}",
            )
        )
    return found


def measure_attention(
    library: NumpyLibrary,
    number_format: str,
    lengths: list[int],
    threads: int,
    budget: float,
    clock: Clock = time.perf_counter,
) -> list[Sample]:
    """Time causal attention of a prompt; its FLOPs are those of the causal half."""
    found = []
    for length in lengths:
        shape = (1, HEADS, length, HEAD_SIZE)
        q, k, v = (
            library.ones(HEADS * length * HEAD_SIZE, number_format).reshape(shape) for _ in range(3)
        )
        times = timed(lambda q=q, k=k, v=v: library.attend(q, k, v, True), budget, clock)  # type: ignore[misc]
        moved = 4 * BYTES[number_format] * HEADS * length * HEAD_SIZE
        found.append(
            Sample(
                "attention",
                number_format,
                threads,
                size=moved,
                flops=4.0 * HEADS * HEAD_SIZE * length * (length + 1) / 2,
                bytes=moved,
                **vars(times),
                detail=f"{library.name}, {length} tokens, {HEADS} heads of {HEAD_SIZE}, causal",
            )
        )
    return found


def measure_cache(
    library: NumpyLibrary,
    number_format: str,
    lengths: list[int],
    groups: list[int],
    pool: Any,
    threads: int,
    budget: float,
    clock: Clock = time.perf_counter,
) -> list[Sample]:
    """Time one token's attention over a cache; `groups` query heads share a key head."""
    found = []
    for length in lengths:
        each = HEADS * length * HEAD_SIZE
        caches = [part.reshape(2, 1, HEADS, length, HEAD_SIZE) for part in _parts(pool, 2 * each)]
        for group in groups:
            heads = HEADS * group
            q = library.ones(heads * HEAD_SIZE, number_format).reshape(1, heads, 1, HEAD_SIZE)
            work = _walk(lambda kv, q=q: library.attend(q, kv[0], kv[1], False), caches)
            found.append(
                Sample(
                    "cache",
                    number_format,
                    threads,
                    size=BYTES[number_format] * len(pool),
                    flops=4.0 * heads * HEAD_SIZE * length,
                    bytes=BYTES[number_format] * 2 * each,
                    **vars(timed(work, budget, clock)),
                    detail=f"{library.name}, {length} keys, {HEADS} key heads of {HEAD_SIZE}, "
                    f"{heads} query heads",
                    group=group,
                )
            )
    return found


def _parts(pool: Any, count: int, most: int = 2000) -> Iterator[Any]:
    """Parts of `count` elements, spread evenly over the pool."""
    total = max(1, len(pool) // count)
    for i in range(min(total, most)):
        start = (i * total // min(total, most)) * count
        yield pool[start : start + count]


def _walk(work: Any, operands: list[Any]) -> Work:
    """Call work on one operand after the other, round and round."""
    following = cycle(operands)
    return lambda: work(next(following))
