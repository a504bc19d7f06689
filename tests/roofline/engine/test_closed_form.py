"""Decoding in closed form against a loop over its tokens."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arch_space.formats import format_code
from roofline import Workload, estimate
from roofline.engine import BOUNDS
from roofline.engine.timing import sum_of_max

from .inputs import candidates, device, devices, modes, one, seeds, works


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
