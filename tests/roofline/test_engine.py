"""The engine against loops over tokens, the laws of physics, and devices worked out by hand."""

from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arch_space import Architectures
from arch_space.formats import format_code
from hardware_specs import Device
from roofline import SpecError, Workload, estimate
from roofline.engine import BOUNDS
from roofline.engine.estimate import ARRAYS
from roofline.engine.timing import sum_of_max

# The package exports a function of the module's name.
ENGINE = import_module("roofline.engine.estimate")


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


# Decoding in closed form against a loop over its tokens


def token_by_token(table, where, work, ideal):
    """Sum over steps, each the first step after a prompt of its own; its bytes and FLOPs too."""
    steps = [
        estimate(
            table,
            where,
            Workload(**work.to_dict() | {"prompt": work.prompt + i, "generate": 1}),
            ideal=ideal,
        )
        for i in range(work.generate)
    ]
    return {
        name: sum(getattr(step, name) for step in steps)
        for name in ("tpot", "decode_bytes", "decode_flops")
    }


def keeps_its_level(table, where, work):
    """Candidates that fit the same on-chip levels from the first step to the last.

    The engine places a model once, with the cache at its largest; a loop would move it on the way.
    """
    last = estimate(table, where, work)
    first = estimate(table, where, Workload(**work.to_dict() | {"generate": 1}))
    sizes = np.array([level.size.value for level in where.memory.on_chip])
    fits = [(e.weight_bytes + e.kv_cache_bytes)[:, None] <= sizes for e in (first, last)]
    return (fits[0] == fits[1]).all(axis=1)


def assert_closed_form(table, where, work, ideal):
    table = table[keeps_its_level(table, where, work)]
    whole = estimate(table, where, work, ideal=ideal)
    loop = token_by_token(table, where, work, ideal)
    np.testing.assert_allclose(whole.tpot * work.generate, loop["tpot"], rtol=1e-12)
    np.testing.assert_allclose(whole.latency, whole.ttft + loop["tpot"], rtol=1e-12)


@settings(deadline=None, max_examples=40)
@given(seeds, devices(), works, modes)
def test_decoding_is_the_sum_of_its_steps(seed, where, work, ideal):
    assert_closed_form(candidates(seed), device(**where), work, ideal)


MODELS = {
    "global": dict(),
    "gemma": dict(window=20, window_share=0.8),
    "all sliding": dict(window=20, window_share=1.0),
    "mla": dict(kv_rank=64, rope_size=8, kv_heads=4),
    "moe": dict(experts=8, experts_per_token=2, expert_width=32, shared_experts=1),
}


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


@pytest.mark.parametrize("ideal", [True, False])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize(
    "prompt",
    [
        pytest.param(40, id="full before"),
        pytest.param(10, id="within"),
        pytest.param(2, id="after"),
    ],
)
@pytest.mark.parametrize("model", MODELS)
def test_windows_that_fill_before_within_or_after(model, prompt, batch, ideal):
    generate = 15
    filled = {40: prompt > 20, 10: prompt < 20 < prompt + generate, 2: prompt + generate < 20}
    assert filled[prompt]
    work = Workload(batch=batch, prompt=prompt, generate=generate)
    assert_closed_form(one(**MODELS[model]), device(), work, ideal)


@pytest.mark.parametrize("window", [None, 1815, 1860])
def test_ideal_decoding_that_turns_compute_bound_on_the_way(window):
    """A key costs 64 FLOP a byte of cache, and 20 FLOP a byte is the ridge; weights cost one."""
    sliding = dict(window=window, window_share=0.5) if window else {}
    model = one(width=64, query_heads=64, kv_heads=1, head_size=64, vocabulary=8, **sliding)
    where = device(peak=2e12, bandwidth=1e11)
    prompts = (1200, 1900) if window is None else (1200, 2600)
    first, last = (
        estimate(model, where, Workload(prompt=p, generate=1), ideal=True) for p in prompts
    )
    bounds = [BOUNDS[int(e.decode_bound[0])] for e in (first, last)]
    assert bounds[0] == "memory"
    if window is None:
        assert bounds[1] == "compute"
    work = Workload(prompt=prompts[0], generate=prompts[1] - prompts[0])
    assert_closed_form(model, where, work, ideal=True)


def test_predicted_attention_that_turns_compute_bound_on_the_way():
    model = one(query_heads=64, kv_heads=1, head_size=64)
    where = device(peak=2e12, bandwidth=1e11, efficiency=(1, 1, 1))
    sides = []
    for prompt in (9, 69):
        row = estimate(model, where, Workload(prompt=prompt, generate=1))
        (attention,) = (o for o in row.operators if o.phase == "decode" and o.name == "attention")
        sides.append(attention.compute_time[0] > attention.memory_time[0])
    assert sides == [False, True]
    assert_closed_form(model, where, Workload(prompt=9, generate=60), ideal=False)


def test_unfused_scores_that_outgrow_the_chip_on_the_way():
    """They are in memory from the start; on-chip space must not bend the line."""
    where = device(on_chip=[(20_000, 1e12)])
    work = Workload(prompt=10, generate=100, attention="unfused")
    assert_closed_form(one(query_heads=64, kv_heads=2, vocabulary=5000), where, work, False)


@settings(deadline=None, max_examples=30)
@given(seeds, works)
def test_energy_of_decoding_counts_every_step(seed, work):
    """Where bytes dominate, and where products do, joules are those of all the steps."""
    table = candidates(seed, weight_format=format_code("fp16"))
    for joules, phase, steps in (
        (dict(joules_per_byte=1.0, joules_per_flop=1e-15), "prefill_bytes", "decode_bytes"),
        (dict(joules_per_byte=1e-12, joules_per_flop=1.0), "prefill_flops", "decode_flops"),
    ):
        gpu = device(**joules)
        whole = estimate(table, gpu, work)
        loop = token_by_token(table, gpu, work, False)[steps]
        np.testing.assert_allclose(whole.energy, getattr(whole, phase) + loop, rtol=1e-9)


line = st.tuples(st.floats(0, 1e3), st.floats(0, 1e3))


@given(line, line, st.one_of(st.integers(0, 4), st.integers(0, 300)))
def test_sum_of_max_against_a_loop(a, b, steps):
    gaps = max(steps - 1, 1)
    looped = sum(
        max(a[0] + (a[1] - a[0]) * i / gaps, b[0] + (b[1] - b[0]) * i / gaps) for i in range(steps)
    )
    ends = ((np.array([x[i] for x in (a,)]), np.array([x[i] for x in (b,)])) for i in (0, 1))
    first, last = ends
    if steps == 1:  # one step has one point
        last = first
    assert sum_of_max(*first, *last, float(steps))[0] == pytest.approx(looped, rel=1e-9, abs=1e-9)


def test_sum_of_max_by_hand():
    up, down = (np.array([0.0]), np.array([4.0])), (np.array([4.0]), np.array([0.0]))
    first, last = (up[0], down[0]), (up[1], down[1])
    assert sum_of_max(*first, *last, 5.0)[0] == 4 + 3 + 2 + 3 + 4
    assert sum_of_max(*first, *last, 2.0)[0] == 8
    assert sum_of_max(*first, *first, 1.0)[0] == 4
    assert sum_of_max(*first, *last, 0.0)[0] == 0
    assert sum_of_max(up[0], up[0], up[1], up[1], 5.0)[0] == 0 + 1 + 2 + 3 + 4


# Physics


SPEED = ("ttft", "tpot", "tpot_first", "tpot_last", "latency")


@settings(deadline=None)
@given(seeds, devices(), works)
def test_no_prediction_beats_the_floor(seed, where, work):
    table, gpu = candidates(seed), device(**where)
    floor, predicted = (estimate(table, gpu, work, ideal=i) for i in (True, False))
    for name in (*SPEED, "energy", "prefill_bytes", "decode_bytes"):
        low, high = getattr(floor, name), getattr(predicted, name)
        assert np.isfinite(high).all(), name
        assert (high >= low * (1 - 1e-12)).all(), name
    for name in ("prefill_flops", "decode_flops", "memory_bytes", "parameters"):
        assert np.array_equal(getattr(floor, name), getattr(predicted, name)), name


@settings(deadline=None)
@given(seeds, devices(), works, modes, st.floats(1, 10), st.floats(1, 10))
def test_a_faster_device_is_never_slower(seed, where, work, ideal, more_peak, more_bandwidth):
    table = candidates(seed)
    slow = estimate(table, device(**where), work, ideal=ideal)
    chip = [(size, rate * more_bandwidth) for size, rate in where["on_chip"]]
    better = where | dict(
        peak=where["peak"] * more_peak, bandwidth=1e11 * more_bandwidth, on_chip=chip
    )
    fast = estimate(table, device(**better), work, ideal=ideal)
    for name in SPEED:
        assert (getattr(fast, name) <= getattr(slow, name) * (1 + 1e-12)).all(), name


@settings(deadline=None)
@given(seeds, devices(), works)
def test_twice_the_device_takes_half_the_time(seed, where, work):
    table = candidates(seed)
    chip = [(size, 2 * rate) for size, rate in where["on_chip"]]
    double = where | dict(peak=2 * where["peak"], bandwidth=2e11, on_chip=chip)
    slow, fast = (estimate(table, device(**d), work, ideal=True) for d in (where, double))
    for name in SPEED:
        np.testing.assert_allclose(getattr(fast, name) * 2, getattr(slow, name), rtol=1e-12)


@settings(deadline=None)
@given(seeds, devices(), works)
def test_fewer_bits_are_never_more_bytes_nor_slower(seed, where, work):
    gpu = device(**where)
    table = candidates(seed, kv_format=format_code("fp16"))
    eight = table.with_formats("int8")
    for more, fewer in (
        (table.with_formats("fp16"), eight),
        (eight, table.with_formats("int4")),
        (table, table.with_formats(kv="int8")),
    ):
        a, b = (estimate(t, gpu, work, ideal=True) for t in (more, fewer))
        for name in (*SPEED, "prefill_bytes", "decode_bytes", "memory_bytes", "weight_bytes"):
            low, high = getattr(b, name), getattr(a, name)
            # A row of int8 brings a scale of 16 bits: in the cache, a head of 8 has 10 bytes of 16.
            assert (low <= high * (1 + 1e-12)).all(), name


@settings(deadline=None)
@given(seeds, devices(), works, modes)
def test_a_longer_context_is_never_less_work(seed, where, work, ideal):
    table, gpu = candidates(seed), device(**where)
    longer = Workload(**work.to_dict() | {"prompt": work.prompt + 7})
    a, b = (estimate(table, gpu, w, ideal=ideal) for w in (work, longer))
    for name in ("prefill_flops", "decode_flops", "kv_cache_bytes", "ttft"):
        assert (getattr(b, name) >= getattr(a, name) * (1 - 1e-12)).all(), name
    if not where["on_chip"]:  # else a cache that outgrows the chip moves the weights to DRAM
        assert (b.decode_bytes >= a.decode_bytes * (1 - 1e-12)).all()


@settings(deadline=None)
@given(seeds, st.integers(1, 60), lengths, rates)
def test_a_larger_batch_never_loses_tokens_a_second(seed, batch, prompt, peak):
    """In ideal mode weights are read once a step; what a step adds is at most in proportion."""
    table, gpu = candidates(seed, ffn_sparsity=0.0), device(peak)
    small, large = (
        estimate(table, gpu, Workload(batch=b, prompt=prompt, generate=9), ideal=True)
        for b in (batch, batch + 1)
    )
    assert (large.tokens_per_s >= small.tokens_per_s * (1 - 1e-12)).all()
    np.testing.assert_allclose(small.tokens_per_s * small.tpot, batch, rtol=1e-12)


def test_weights_are_read_once_a_step():
    gpu, model = device(), one()
    one_sequence, eight = (
        estimate(model, gpu, Workload(batch=b, prompt=10), ideal=True) for b in (1, 8)
    )
    cache = 10 * 2 * 2 * 16 * 2 * 11  # layers, keys and values, KV heads, size, bytes, tokens
    row = 64 * 2  # of the embedding
    assert eight.decode_bytes[0] - one_sequence.decode_bytes[0] == 7 * (cache + row)
    assert eight.kv_cache_bytes[0] == 8 * one_sequence.kv_cache_bytes[0]


# On the chip


def test_a_model_that_fits_on_the_chip_never_leaves_it():
    model, work = one(), Workload(prompt=16, generate=4)
    plain = estimate(model, device(peak=1e18), work, ideal=True)
    held = plain.weight_bytes[0] + plain.kv_cache_bytes[0]
    for ideal in (True, False):
        chip = device(peak=1e18, on_chip=[(held, 3e12)], efficiency=(1, 0.1, 0.1), launch=0, step=0)
        inside = estimate(model, chip, work, ideal=ideal)
        assert inside.prefill_bytes[0] == inside.decode_bytes[0] == 0
        if ideal:
            np.testing.assert_allclose(inside.tpot * 3e12, plain.tpot * 1e11, rtol=1e-12)
            np.testing.assert_allclose(inside.ttft * 3e12, plain.ttft * 1e11, rtol=1e-12)
    small = device(peak=1e18, on_chip=[(held - 1, 3e12)])
    outside = estimate(model, small, work, ideal=True)
    assert np.array_equal(outside.decode_bytes, plain.decode_bytes)
    assert np.array_equal(outside.tpot, plain.tpot)


@pytest.mark.parametrize("order", [1, -1])
def test_the_innermost_level_that_holds_a_model_serves_it(order):
    levels = [(10**8, 1e12), (10**7, 4e12), (10, 9e12)]
    gpu = device(peak=1e18, on_chip=levels)
    memory = gpu.memory.model_copy(update={"on_chip": gpu.memory.on_chip[::order]})
    inside = estimate(
        one(), gpu.model_copy(update={"memory": memory}), Workload(prompt=16), ideal=True
    )
    away = estimate(one(), device(peak=1e18), Workload(prompt=16), ideal=True)
    np.testing.assert_allclose(inside.tpot * 4e12, away.tpot * 1e11, rtol=1e-12)


def test_unfused_scores_are_traffic():
    fused, unfused = (
        estimate(
            one(), device(on_chip=[(10**5, 1e12)]), Workload(batch=3, prompt=20, attention=how)
        )
        for how in ("fused", "unfused")
    )
    # Ten layers, three sequences, four heads: a square of 16-bit numbers, out and in, twice.
    assert unfused.prefill_bytes[0] - fused.prefill_bytes[0] == 10 * 3 * 4 * 20 * 20 * 2 * 4
    assert unfused.decode_bytes[0] - fused.decode_bytes[0] == 10 * 3 * 4 * 21 * 2 * 4


def test_activations_stay_on_the_chip_where_they_fit():
    model, work = one(), Workload(prompt=16)
    away = estimate(model, device(), work)
    chip = estimate(model, device(on_chip=[(10**5, 1e12)]), work)
    floor = estimate(model, device(), work, ideal=True)
    assert away.prefill_bytes[0] > floor.prefill_bytes[0]
    assert chip.prefill_bytes[0] == pytest.approx(floor.prefill_bytes[0], rel=1e-12)


# Structured sparsity


@pytest.mark.parametrize(("speedup", "gain"), [(None, 1), (2, 2), (1.5, 1.5)])
def test_two_four_weights_compute_faster_only_where_the_processor_says_so(speedup, gain):
    gpu = device(peak=1e9, bandwidth=1e15, sparse_speedup=speedup)
    dense, pruned, structured = (
        estimate(one(vocabulary=1, **fields), gpu, Workload(prompt=64), breakdown=True)
        for fields in (
            {},
            {"weight_sparsity": 0.5},
            {"weight_sparsity": 0.5, "two_four": True},
        )
    )
    for a, b, c in zip(dense.operators, pruned.operators, structured.operators, strict=True):
        assert np.array_equal(a.compute_time, b.compute_time)
        expected = gain if a.name not in ("attention", "head") else 1
        np.testing.assert_allclose(c.compute_time * expected, a.compute_time, rtol=1e-12)


# Tables


@settings(deadline=None, max_examples=20)
@given(seeds, devices(), works, modes)
def test_a_table_is_its_single_estimates_in_any_order(seed, where, work, ideal):
    table, gpu = candidates(seed, count=12), device(**where)
    together = estimate(table, gpu, work, ideal=ideal)
    order = np.random.default_rng(seed).permutation(12)
    shuffled = estimate(table[order], gpu, work, ideal=ideal)
    singles = [estimate(model, gpu, work, ideal=ideal) for model in table]
    for name in ARRAYS:
        column = getattr(together, name)
        np.testing.assert_allclose(getattr(shuffled, name), column[order], rtol=1e-12)
        alone = [getattr(single, name)[0] for single in singles]
        np.testing.assert_allclose(column, alone, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("threads", [1, 3])
def test_chunks_and_threads_change_nothing(monkeypatch, threads):
    table, gpu, work = candidates(3, count=100), device(), Workload(prompt=30)
    whole = estimate(table, gpu, work)
    monkeypatch.setattr(ENGINE, "CHUNK", 7)
    chunked = estimate(table, gpu, work, threads=threads)
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(chunked, name), getattr(whole, name), rtol=1e-12)
    assert not chunked.operators


def test_operators_of_chunks_that_have_different_ones(monkeypatch):
    """A chunk without experts has no router; its neighbours' router must not fill another row."""
    draw = np.random.default_rng(0)
    kinds = np.sort(draw.integers(0, 3, 40))  # dense, then MoE, then sliding
    table = candidates(
        5,
        count=40,
        experts=np.where(kinds == 1, 8, 1),
        experts_per_token=1,
        expert_width=np.where(kinds == 1, 40, 0),
        shared_experts=0,
        dense_layers=0,
        window=np.where(kinds == 2, 9, 0),
        window_share=np.where(kinds == 2, 1.0, 0.0),
    )
    gpu, work = device(), Workload(prompt=30)
    whole = {(o.phase, o.name): o for o in estimate(table, gpu, work).operators}
    monkeypatch.setattr(ENGINE, "CHUNK", 6)
    chunked = estimate(table, gpu, work, breakdown=True).operators
    assert [(o.phase, o.name) for o in chunked] == list(whole)
    for operator in chunked:
        reference = whole[operator.phase, operator.name]
        for name in ("flops", "bytes", "compute_time", "memory_time", "time"):
            found, expected = getattr(operator, name), getattr(reference, name)
            np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_constant_column_may_have_length_one():
    table = candidates(1, count=20, width=64, vocabulary=1000, weight_format=format_code("int8"))
    full = {"width": np.full(20, 64), "vocabulary": np.full(20, 1000)}
    full["weight_format"] = np.full(20, format_code("int8"))
    wide = candidates(1, count=20, **full)
    assert len(table.width) == 1
    assert len(wide.width) == 20
    a, b = (estimate(t, device(), Workload(prompt=20)) for t in (table, wide))
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-13)


def test_a_float_relaxation_equals_the_integers():
    table = candidates(2)
    a, b = (estimate(t, device(), Workload(prompt=20)) for t in (table, table.as_float()))
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), name)


def test_one_model_has_arrays_of_one_and_many_keep_their_names():
    single = estimate(one(names=("solo",)), device(), Workload())
    assert len(single) == 1
    assert single.names == ("solo",)
    frame = single.to_frame()
    assert frame["name"].tolist() == ["solo"]
    assert frame["ttft"][0] == single.ttft[0]


# Memory


def test_memory_by_hand():
    """Ten layers of GQA 4:2, heads of 16; four of them keep a window of 8."""
    model = one(window=8, window_share=0.4)
    work = Workload(batch=3, prompt=20, generate=5)
    got = estimate(model, device(), work)
    layer = 64 * 64 + 2 * 64 * 32 + 64 * 64 + 3 * 64 * 96 + 2 * 64
    weights = 2 * (10 * layer + 64 + 500 * 64)
    cache = 3 * (6 * 25 + 4 * 8) * 2 * 2 * 16 * 2
    # Stream, its norm, and the wider inside: 4 + 2 heads of 32 tie with gate and up of 96 each.
    activations = 2 * 3 * 20 * (2 * 64 + max(6 * 32, 2 * 96))
    assert got.weight_bytes[0] == weights
    assert got.kv_cache_bytes[0] == cache
    assert got.activation_bytes[0] == activations
    assert got.memory_bytes[0] == weights + cache + activations


def test_fits_up_to_the_last_byte():
    need = estimate(one(), device(), Workload()).memory_bytes[0]
    for capacity, fits in ((need, True), (need - 1, False)):
        gpu = device()
        dram = gpu.memory.dram
        size = dram.capacity.model_copy(update={"value": capacity})
        dram = dram.model_copy(update={"capacity": size})
        memory = gpu.memory.model_copy(update={"dram": dram})
        small = gpu.model_copy(update={"memory": memory})
        assert estimate(one(), small, Workload()).fits[0] == fits


# Energy


@pytest.mark.parametrize("ideal", [True, False])
@pytest.mark.parametrize(
    ("profile", "prefill", "decode"),
    [
        (
            dict(joules_per_byte=1e-10, joules_per_flop=1e-11, watts=10),
            lambda e: max(e.prefill_bytes[0] * 1e-10, e.prefill_flops[0] * 1e-11),
            lambda e: max(e.decode_bytes[0] * 1e-10, e.decode_flops[0] * 1e-11),
        ),
        (
            dict(joules_per_byte=1e-10, watts=10),
            lambda e: 10 * e.ttft[0],
            lambda e: e.decode_bytes[0] * 1e-10,
        ),
        (dict(watts=10), lambda e: 10 * e.ttft[0], lambda e: 10 * e.tpot[0]),
        (
            dict(joules_per_flop=1e-11, watts=10),
            lambda e: 10 * e.ttft[0],
            lambda e: 10 * e.tpot[0],
        ),
        (dict(joules_per_byte=1e-10), lambda e: np.nan, lambda e: np.nan),
        (dict(), lambda e: np.nan, lambda e: np.nan),
    ],
    ids=["bytes and products", "bytes, power", "power", "products, power", "bytes", "nothing"],
)
def test_energy_from_what_the_profile_states(profile, prefill, decode, ideal):
    got = estimate(one(), device(**profile), Workload(prompt=200, generate=1), ideal=ideal)
    assert got.energy[0] == pytest.approx(prefill(got) + decode(got), rel=1e-12, nan_ok=True)


# The breakdown


@settings(deadline=None)
@given(seeds, devices(), works)
def test_the_operators_sum_to_the_totals(seed, where, work):
    got = estimate(candidates(seed), device(**where), work)
    for phase, time, flops, moved in (
        ("prefill", got.ttft, got.prefill_flops, got.prefill_bytes),
        ("decode", got.tpot_first, got.decode_flops, got.decode_bytes),
    ):
        rows = [row for row in got.operators if row.phase == phase]
        np.testing.assert_allclose(sum(r.time for r in rows) + where["step"], time, rtol=1e-12)
        np.testing.assert_allclose(sum(r.flops for r in rows), flops, rtol=1e-12)
        np.testing.assert_allclose(sum(r.bytes for r in rows), moved, rtol=1e-12)
        for row in rows:
            assert (row.time >= np.maximum(row.compute_time, row.memory_time)).all()


def test_time_of_one_operator_by_hand():
    """t = max(FLOPs / (peak e), bytes / (bandwidth e)) + launch, a kernel adding its half sizes."""
    gpu = device(
        peak=1e12, bandwidth=1e11, efficiency=(0.5, 0.8, 0.6), half_sizes=(1e6, 1e4), launch=3e-6
    )
    got = estimate(one(), gpu, Workload(prompt=10, generate=1))
    decode = {row.name: row for row in got.operators if row.phase == "decode"}
    output = decode["attention_output"]  # ten of 64 x 64, from 64 activations to 64
    compute = 10 * (2 * 64 * 64 + 1e6) / (0.5 * 1e12)
    memory = 10 * (2 * 64 * 64 + 2 * (64 + 64) + 1e4) / (0.8 * 1e11)
    assert output.compute_time[0] == pytest.approx(compute, rel=1e-12)
    assert output.memory_time[0] == pytest.approx(memory, rel=1e-12)
    assert output.time[0] == pytest.approx(max(compute, memory) + 10 * 3e-6, rel=1e-12)
    attention = decode["attention"]  # eleven keys, 2 x 2 heads of 16 cached; queries in, values out
    cached = 10 * 11 * 2 * 2 * 16 * 2 / (0.6 * 1e11)
    rest = 10 * (2 * 4 * 16 * 2 + 1e4) / (0.8 * 1e11)
    assert attention.memory_time[0] == pytest.approx(cached + rest, rel=1e-12)


# Refusals


def test_a_format_without_a_peak_is_refused_by_name():
    gpu = device(peaks={"int8": 1e12})
    with pytest.raises(SpecError) as error:
        estimate(one().with_formats(activations="fp32"), gpu, Workload())
    assert str(error.value) == "device test, processor gpu: no peak for fp32; it has int8"
    # Operands of 8 bits can be expanded: a peak for 16 is enough.
    model = one().with_formats("int8", embedding="int8", activations="int8")
    assert estimate(model, device(peaks={"fp16": 1e12}), Workload()).ttft[0] > 0


def test_no_such_processor():
    with pytest.raises(SpecError, match="nearest is 'gpu'"):
        estimate(one(), device(), Workload(), processor="gqu")
