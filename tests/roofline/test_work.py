"""Forward passes that add up: against estimates, against loops over steps, by hand, by ideals."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arch_space import Architectures
from arch_space.formats import format_code
from arch_space.library import load_model, load_models, shipped_models
from arch_space.tensors import weight_bytes
from hardware_specs import load_device
from roofline import Workload, estimate
from roofline.engine import BOUNDS, Work, decode, forward, memory
from roofline.workload import Pass

PHONE = load_device("phone")
OFF_CHIP = PHONE.model_copy(update={"memory": PHONE.memory.model_copy(update={"on_chip": ()})})
# Plain, windowed, windowed with other heads, MLA, recurrent, convolutional, experts.
KINDS = (
    "llama-3.2-1b",
    "gemma-3-1b",
    "gpt-oss-20b",
    "deepseek-v2-lite",
    "qwen3-next-80b-a3b",
    "lfm2-1.2b",
    "olmoe-1b-7b",
)
FP16 = format_code("fp16")


def tiny(**changes):
    """Two layers of width 8 with two heads and one KV head of 4, in 16 bits."""
    values = dict(
        layers=2,
        width=8,
        query_heads=2,
        kv_heads=1,
        head_size=4,
        ffn_width=16,
        vocabulary=32,
        tied_embedding=True,
        weight_format=FP16,
        kv_format=FP16,
        activation_format=FP16,
        embedding_format=FP16,
    )
    return Architectures.checked(**{k: np.atleast_1d(v) for k, v in (values | changes).items()})


def same(work, other, rtol=1e-12):
    for field in fields(Work):
        np.testing.assert_allclose(
            getattr(work, field.name), getattr(other, field.name), rtol=rtol, err_msg=field.name
        )


def loop(arch, on, first, steps, stride=1, **options):
    done = Work.none()
    for step in range(steps):
        done = done + forward(arch, on, first.seeing(first.keys + step * stride), **options)
    return done


@pytest.mark.parametrize("ideal", [False, True])
@pytest.mark.parametrize(
    ("on", "processor"), [("phone", None), ("phone", "cpu"), ("rtx4090", None)]
)
def test_prefill_and_decode_of_an_estimate_are_these_works(on, processor, ideal):
    models = load_models(list(KINDS))
    given = load_device(on)
    work = Workload(batch=3, prompt=700, generate=90)
    options = dict(processor=processor, ideal=ideal)
    expected = estimate(models, given, work, **options)
    resident = expected.weight_bytes + expected.kv_cache_bytes
    prompt = forward(models, given, work.prefill(), overhead="prompt", resident=resident, **options)
    steps = decode(models, given, work.decode(701), 90, resident=resident, **options)
    np.testing.assert_allclose(prompt.seconds, expected.ttft, rtol=1e-13)
    np.testing.assert_allclose(steps.seconds, expected.tpot * 90, rtol=1e-13)
    np.testing.assert_allclose((prompt + steps).joules, expected.energy, rtol=1e-12)
    np.testing.assert_array_equal(prompt.flops, expected.prefill_flops)
    np.testing.assert_array_equal(prompt.bytes, expected.prefill_bytes)
    np.testing.assert_array_equal(prompt.bound, expected.prefill_bound)
    plain = memory(models, sequences=3, shared=0, each=790, queries=700)
    np.testing.assert_array_equal(plain, expected.memory_bytes)
    unfused = estimate(models, given, replace(work, attention="unfused"), **options).memory_bytes
    plain = memory(models, sequences=3, shared=0, each=790, queries=700, attention="unfused")
    np.testing.assert_array_equal(plain, unfused)


@pytest.mark.parametrize("ideal", [False, True])
@pytest.mark.parametrize("shared", [0, 500])
@pytest.mark.parametrize("name", KINDS)
def test_decoding_is_a_loop_over_its_steps(name, shared, ideal):
    arch = load_model(name)
    first = Pass(5, 1, 507, shared=shared, shared_reads="once")
    same(decode(arch, PHONE, first, 40, ideal=ideal), loop(arch, PHONE, first, 40, ideal=ideal))


def test_what_is_shared_goes_out_of_a_window_in_the_middle_of_decoding():
    arch = replace(load_model("gemma-3-1b"), window=np.array([64]))
    first = Pass(50, 1, 41, shared=40, shared_reads="once")
    for ideal in (False, True):
        looped = loop(arch, PHONE, first, 120, ideal=ideal)
        same(decode(arch, PHONE, first, 120, ideal=ideal), looped)


def test_each_candidate_may_have_its_own_pass_and_number_of_steps():
    arch = load_models(["llama-3.2-1b", "gemma-3-1b", "deepseek-v2-lite"])
    batch, keys, steps = np.array([1, 4, 9]), np.array([20, 700, 90]), np.array([3, 0, 50])
    together = decode(arch, PHONE, Pass(batch, 1, keys), steps)
    queries = np.array([1, 600, 3])
    passes = forward(arch, PHONE, Pass(batch, queries, keys + 600), overhead="prompt")
    held = memory(arch, sequences=batch, shared=keys, each=steps, queries=queries)
    for i in range(3):
        alone = decode(arch[i : i + 1], PHONE, Pass(batch[i], 1, keys[i]), float(steps[i]))
        one = forward(
            arch[i : i + 1], PHONE, Pass(batch[i], queries[i], keys[i] + 600), overhead="prompt"
        )
        for field in fields(Work):
            name = field.name
            assert getattr(together, name)[i] == pytest.approx(getattr(alone, name)[0], rel=1e-12)
            assert getattr(passes, name)[i] == pytest.approx(getattr(one, name)[0], rel=1e-12)
        each = memory(
            arch[i : i + 1],
            sequences=batch[i],
            shared=keys[i],
            each=steps[i],
            queries=queries[i],
        )
        assert held[i] == each[0]
    assert together.seconds[1] == 0


def test_a_candidate_may_meet_many_passes():
    arch = load_model("llama-3.2-1b")
    works = forward(arch, PHONE, Pass(np.array([1, 8]), 1, np.array([100, 200])))
    assert len(works) == 2
    assert works.seconds[1] == forward(arch, PHONE, Pass(8, 1, 200)).seconds[0]
    assert memory(arch, sequences=np.array([1, 8]), shared=10, each=5).shape == (2,)


@pytest.mark.parametrize("name", KINDS)
def test_one_sequence_shares_with_nobody(name):
    arch = load_model(name)
    alone = Pass(1, 4, 900)
    shared = replace(alone, shared=800, shared_reads="once")
    same(forward(arch, PHONE, shared), forward(arch, PHONE, alone))
    same(decode(arch, PHONE, shared, 9), decode(arch, PHONE, alone, 9))
    together = memory(arch, sequences=1, shared=800, each=100)
    np.testing.assert_allclose(together, memory(arch, sequences=1, shared=0, each=900), rtol=1e-14)


def test_bytes_of_a_tiny_model_counted_by_hand():
    """No activations (ideal), so: every weight once, K and V of 4 numbers a token and layer."""
    arch, given = tiny(), OFF_CHIP
    # q, k, v, o: 8x8, 8x4, 8x4, 8x8; FFN 3 x 8x16; two norms a layer and the last; head; embedding.
    layer = 2 * (64 + 32 + 32 + 64 + 3 * 128 + 2 * 8)
    weights = 2 * layer + 2 * 8 + 2 * 8 * 32
    cache = 2 * 2 * 4 * 2  # layers, K and V, head size, bytes
    assert weight_bytes(arch)[0] == weights
    each = forward(arch, given, Pass(3, 1, 12, shared=10), ideal=True)
    assert each.bytes[0] == weights + 3 * 8 * 2 + 3 * 12 * cache
    once = forward(arch, given, Pass(3, 1, 12, shared=10, shared_reads="once"), ideal=True)
    assert once.bytes[0] == weights + 3 * 8 * 2 + (10 + 3 * 2) * cache
    assert once.flops[0] == each.flops[0]
    # A step of diffusion: 4 masked tokens of each of 2 sequences see all 12 keys, logits of all.
    step = Pass(2, 4, 12, mask="full", logits="all")
    block = forward(arch, given, step, ideal=True)
    assert block.bytes[0] == weights + 2 * 4 * 8 * 2 + 2 * 12 * cache
    products = 2 * (64 + 32 + 32 + 64 + 3 * 128) * 2 + 2 * 8 * 32
    pairs = 2 * 2 * 2 * (4 + 4) * (4 * 12)  # layers, multiply-adds, heads, scores and mixing
    assert block.flops[0] == 2 * (4 * products + pairs)
    causal = forward(arch, given, replace(step, mask="causal"), ideal=True)
    assert block.flops[0] - causal.flops[0] == 2 * 2 * 2 * 2 * (4 + 4) * 6  # 3 + 2 + 1 pairs
    held = memory(arch, sequences=3, shared=10, each=2)
    insides = 3 * (2 * 8 + max(3 * 8, 2 * 16)) * 2
    assert held[0] == weights + (10 + 3 * 2) * cache + max(insides, 3 * 32 * 4)


def test_a_window_keeps_what_is_in_sight_and_a_state_is_each_sequence_s_own():
    windowed = replace(tiny(), window=np.array([6]), window_share=np.array([1.0]))
    token = 2 * 2 * 4 * 2
    base = memory(windowed, sequences=5, shared=0, each=0)[0]
    for shared, each, expected in ((4, 1, 4 + 5), (10, 2, 4 + 5 * 2), (10, 6, 5 * 6), (10, 9, 30)):
        held = memory(windowed, sequences=5, shared=shared, each=each)[0]
        assert held - base == expected * token
    hybrid = load_model("qwen3-next-80b-a3b")
    state = memory(hybrid, sequences=8, shared=100, each=0) - memory(
        hybrid, sequences=4, shared=100, each=0
    )
    more = memory(hybrid, sequences=4, shared=0, each=0) - weight_bytes(hybrid)
    np.testing.assert_allclose(state, more, rtol=1e-12)


@given(
    name=st.sampled_from(KINDS),
    batch=st.integers(1, 64),
    queries=st.integers(1, 300),
    past=st.integers(0, 5000),
    shared=st.floats(0, 1),
)
@settings(max_examples=60, deadline=None)
def test_sharing_never_costs_and_nothing_beats_the_floor(name, batch, queries, past, shared):
    arch = load_model(name)
    each = Pass(batch, queries, past + queries, shared=int(shared * past))
    once = replace(each, shared_reads="once")
    for ideal in (False, True):
        plain, better = (forward(arch, PHONE, p, ideal=ideal) for p in (each, once))
        assert better.seconds[0] <= plain.seconds[0] * (1 + 1e-12)
        assert better.bytes[0] <= plain.bytes[0]
        assert better.flops[0] == plain.flops[0]
    floor = forward(arch, PHONE, once, ideal=True).seconds[0]
    assert floor <= forward(arch, PHONE, once).seconds[0]
    low = max(better.compute[0], better.memory[0])
    assert low <= better.seconds[0] <= better.compute[0] + better.memory[0] + better.overhead[0]


def test_works_add_up_and_repeat():
    arch = load_models(["llama-3.2-1b", "gemma-3-1b"])
    one = forward(arch, PHONE, Pass(1, 1, 100))
    same(one + one, 2 * one)
    same(one * 2, 2.0 * one)
    same(np.array([3.0, 3.0]) * one, one + one + one)
    same(Work.none(2) + one, one)
    assert [BOUNDS[i] for i in one.bound] == ["memory", "memory"]


def test_many_kinds_of_models_are_tested():
    """The kinds above have what their comment says."""
    models = load_models(list(KINDS))
    assert (models.kv_rank > 0).any()
    assert (models.window_share > 0).any()
    assert (models.delta_layers > 0).any()
    assert (models.convolution_layers > 0).any()
    assert (models.experts > 1).any()
    assert set(KINDS) <= set(shipped_models())
