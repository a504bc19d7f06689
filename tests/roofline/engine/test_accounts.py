"""Time, memory and energy by hand, operator by operator, and what the engine refuses."""

import numpy as np
import pytest
from hypothesis import given, settings

from roofline import SpecError, Workload, estimate

from .inputs import candidates, device, devices, one, seeds, works


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


# ---- Memory


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


# ---- Energy


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


# ---- The breakdown


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


# ---- Refusals


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
