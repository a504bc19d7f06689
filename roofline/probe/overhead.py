"""What a library costs beside the work: the time of calls that have next to nothing to do.

`call`: one product of 16 x 16 numbers. `layers`: the forward pass of one token through a decoder of
width 64, at several depths. Its layers are those of a Llama run eagerly (norms, projections, rotary
embedding, a cache that is written, attention, a gated network), some thirty calls each, so time
against depth is a line: its slope is what a layer's calls cost, what it leaves at depth 0 is what a
pass costs whatever the model. An estimate counts `LAYER_KERNELS` kernels a layer, as if every chain
of small calls were fused; the slope over that number is what each counted kernel costs here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from roofline.probe.library import NumpyLibrary
from roofline.probe.sampling import Clock, Sample, timed

LAYER_KERNELS, OUTER_KERNELS = 9, 3
"""Kernels that an estimate counts in a dense layer with two norms, and beside the layers."""
WIDTH, HEADS, KEYS = 64, 4, 16


def measure_call(
    library: NumpyLibrary, threads: int, budget: float, clock: Clock = time.perf_counter
) -> list[Sample]:
    """Time a product that is all overhead."""
    x, w = (library.ones(256, "fp32").reshape(16, 16) for _ in range(2))
    times = timed(lambda: library.linear(x, w), budget, clock)
    detail = f"{library.name}, 16 x 16 x 16"
    return [Sample("call", "fp32", threads, 3072.0, 8192.0, 3072.0, **vars(times), detail=detail)]


def measure_layers(
    library: NumpyLibrary,
    depths: list[int],
    threads: int,
    budget: float,
    clock: Clock = time.perf_counter,
) -> list[Sample]:
    """Time one token's pass through tiny decoders of these depths."""
    return [
        Sample(
            "layers",
            "fp32",
            threads,
            size=depth,
            flops=0.0,
            bytes=0.0,
            **vars(timed(tiny_decoder(library, depth), budget, clock)),
            detail=f"{library.name}, {depth} layers of width {WIDTH}, one token",
        )
        for depth in depths
    ]


def tiny_decoder(library: NumpyLibrary, depth: int) -> Callable[[], Any]:
    """Return one step of a decoder with `depth` layers as work to time."""

    def ones(*shape: int) -> Any:
        count = 1
        for length in shape:
            count *= length
        return library.ones(count, "fp32").reshape(*shape)

    head = WIDTH // HEADS
    cosine, sine, gain = ones(head), ones(head), ones(WIDTH)
    square, wide, narrow = ones(WIDTH, WIDTH), ones(2 * WIDTH, WIDTH), ones(WIDTH, 2 * WIDTH)
    caches = [(ones(HEADS, KEYS, head), ones(HEADS, KEYS, head)) for _ in range(depth)]
    table = ones(16, WIDTH)

    def layer(x: Any, keys: Any, values: Any) -> Any:
        y = library.norm(x, gain)
        q, k, v = (
            library.linear(y, square).reshape(1, HEADS, head).swapaxes(0, 1) for _ in range(3)
        )
        q, k = library.rotate(q, cosine, sine), library.rotate(k, cosine, sine)
        keys[:, -1:] = k
        values[:, -1:] = v
        mixed = library.attend(q, keys, values, False).swapaxes(0, 1).reshape(1, WIDTH)
        x = x + library.linear(mixed, square)
        y = library.norm(x, gain)
        inner = library.gate(library.linear(y, wide), library.linear(y, wide))
        return x + library.linear(inner, narrow)

    def step() -> Any:
        x = table[3:4]
        for keys, values in caches:
            x = layer(x, keys, values)
        return library.linear(library.norm(x, gain), table)

    return step
