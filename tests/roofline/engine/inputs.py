"""Devices of one processor, models of a few layers, and how hypothesis draws both."""

import numpy as np
from hypothesis import strategies as st

from arch_space import Architectures
from arch_space.formats import format_code
from hardware_specs import Device
from roofline import Workload


def figure(value, **more):
    return {"value": value, "basis": "nominal", "source": "test", **more}


def device(
    peak=1e12,
    bandwidth=1e11,
    *,
    peaks=None,
    on_chip=(),
    efficiency=(0.5, 0.7, 0.6),
    half_sizes=(0, 0),
    launch=1e-6,
    step=1e-4,
    sparse_speedup=None,
    joules_per_flop=None,
    joules_per_byte=None,
    watts=None,
):
    """Return a device of one GPU; on_chip: (bytes, bytes a second), largest first."""
    compute, memory, cache = efficiency
    scope = {"scope": "board"}
    gpu = {
        "type": "gpu",
        "family": "test-gpu",
        "title": "A test",
        "peaks": {
            name: figure(f"{rate} FLOP/s", density="dense")
            for name, rate in (peaks or {"fp16": peak, "int8": 2 * peak}).items()
        },
        "efficiency": {
            "compute": figure(compute),
            "memory": figure(memory),
            "cache": figure(cache),
        },
        "compute_half_size": figure(f"{half_sizes[0]} FLOP"),
        "kernel_launch": figure(f"{launch} s"),
        "step_overhead": figure(f"{step} s"),
    }
    if half_sizes[1]:
        gpu["memory_half_size"] = figure(f"{half_sizes[1]} B")
    if sparse_speedup:
        gpu["structured_sparsity"] = figure(sparse_speedup)
    if joules_per_flop:
        gpu["energy_per_flop"] = {"fp16": figure(f"{joules_per_flop} J/FLOP", **scope)}
    dram = {
        "capacity": figure("1 TB"),
        "usable_share": figure(1),
        "bandwidth": figure(f"{bandwidth} B/s"),
    }
    if joules_per_byte:
        dram["energy_per_byte"] = figure(f"{joules_per_byte} J/B", **scope)
    levels = [
        {"name": f"L{i}", "size": figure(f"{size} B"), "bandwidth": figure(f"{rate} B/s")}
        for i, (size, rate) in enumerate(on_chip)
    ]
    return Device.model_validate(
        {
            "name": "test",
            "title": "A test",
            "kind": "sbc",
            "year": 2026,
            "default_processor": "gpu",
            "sources": {"test": {"title": "A test", "where": "here", "date": "2026"}},
            "processors": {"gpu": gpu},
            "memory": {"dram": dram, "on_chip": levels},
            "power": {"active": figure(f"{watts} W", **scope)} if watts else {},
        }
    )


def candidates(seed=0, count=48, **constant):
    """Random models side by side: dense, MoE, MLA, sliding, sparse, tied, in mixed formats."""
    draw = np.random.default_rng(seed)

    def pick(options):
        return draw.choice(options, count)

    def some(share, values):
        return np.where(draw.random(count) < share, values, 0)

    layers, kv_heads, head_size = draw.integers(1, 9, count), pick([1, 2, 4]), pick([8, 16, 40])
    moe, mla = draw.random(count) < 0.4, draw.random(count) < 0.2
    window = some(0.5, draw.integers(1, 120, count))
    pruned = some(0.2, 1) > 0
    fields = dict(
        layers=layers,
        width=8 * draw.integers(1, 40, count),
        query_heads=kv_heads * pick([1, 2, 8]),
        kv_heads=kv_heads,
        head_size=head_size,
        ffn_width=draw.integers(1, 600, count),
        vocabulary=draw.integers(2, 3000, count),
        gated=draw.random(count) < 0.7,
        tied_embedding=draw.random(count) < 0.5,
        qkv_bias=~mla & (draw.random(count) < 0.3),
        qk_norm=np.where(mla, 0, pick([0, 1, 2])),
        experts=np.where(moe, 8, 1),
        experts_per_token=np.where(moe, pick([1, 2, 8]), 1),
        expert_width=np.where(moe, draw.integers(1, 300, count), 0),
        shared_experts=np.where(moe, pick([0, 1]), 0),
        dense_layers=np.where(moe, pick([0, 1]), 0),
        window=window,
        window_share=np.where(window > 0, draw.random(count), 0.0),
        kv_rank=np.where(mla, 32, 0),
        rope_size=np.where(mla, 4, 0),
        query_rank=np.where(mla, pick([0, 24]), 0),
        value_size=some(0.3, pick([8, 24])),
        norms=pick([2, 4]),
        weight_sparsity=np.where(pruned, 0.5, 0.0),
        two_four=pruned & (draw.random(count) < 0.5),
        ffn_sparsity=some(0.2, 0.8),
        weight_format=pick([format_code(f) for f in ("fp16", "int8", "int4", "q4_k_m")]),
        kv_format=pick([format_code(f) for f in ("fp16", "int8")]),
    )
    return Architectures.checked(**fields | constant)


seeds = st.integers(0, 2**32 - 1)
lengths = st.integers(1, 150)
batches = st.integers(1, 9)
rates = st.floats(1e9, 1e15)  # FLOP/s beside 1e11 B/s: ridges from far left to far right


@st.composite
def devices(draw, on_chip=True):
    levels = [(10**7, 2e12)] if on_chip and draw(st.booleans()) else []
    if levels and draw(st.booleans()):
        levels.append((10**5, 8e12))
    return dict(
        peak=draw(rates),
        on_chip=levels,
        efficiency=draw(st.sampled_from([(1, 1, 1), (0.5, 0.7, 0.6), (0.2, 0.3, 0.9)])),
        half_sizes=draw(st.sampled_from([(0, 0), (1e6, 1e4)])),
        launch=draw(st.sampled_from([0, 5e-6])),
        step=draw(st.sampled_from([0, 1e-3])),
        sparse_speedup=draw(st.sampled_from([None, 2])),
        joules_per_flop=draw(st.sampled_from([None, 1e-12])),
        joules_per_byte=draw(st.sampled_from([None, 1e-10])),
        watts=10,
    )


modes = st.sampled_from([True, False])
works = st.builds(
    Workload,
    batch=batches,
    prompt=lengths,
    generate=st.integers(1, 40),
    mask=st.sampled_from(["causal", "full"]),
    attention=st.sampled_from(["fused", "unfused"]),
)


def one(**fields):
    return Architectures.checked(
        **dict(
            layers=10,
            width=64,
            query_heads=4,
            kv_heads=2,
            head_size=16,
            ffn_width=96,
            vocabulary=500,
        )
        | fields
    )
