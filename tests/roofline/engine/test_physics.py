"""The laws of physics: better is never slower, and what stays on the chip moves no byte."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arch_space.formats import format_code
from roofline import Workload, estimate

from .inputs import candidates, device, devices, lengths, modes, one, rates, seeds, works

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


# ---- On the chip


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
