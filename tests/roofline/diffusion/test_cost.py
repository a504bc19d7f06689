"""Schedules against loops over passes, costs against closed forms and published times."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arch_space.architectures import concatenate
from arch_space.library import load_model
from hardware_specs import load_device
from roofline.diffusion.cost import break_even, generate, resident
from roofline.diffusion.evidence import fitted_pass_seconds, hold, vote_costs
from roofline.diffusion.intensity import break_even_map, intensity_of, with_intensity
from roofline.diffusion.published import voting_table
from roofline.diffusion.schedules import Schedule
from roofline.engine import estimate
from roofline.engine.work import forward
from roofline.workload import Pass, Workload
from spec_files import SpecError

LLADA, A100 = load_model("llada-8b"), load_device("a100")
PARAMETERS = 8_015_581_184 - 126_464 * 4096  # without the embedding, which is looked up


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["none", "prefix", "dual"]),
    st.integers(1, 6),
    st.integers(1, 5),
    st.integers(1, 300),
    st.integers(1, 5),
)
def test_a_schedule_is_the_loop_that_it_stands_for(cache, blocks, each, prompt, refresh):
    """Blocks of `block` tokens, `each` passes over every block, written out."""
    block = 2 * each
    generated = blocks * block
    schedule = Schedule(cache, block, 2.0, None if cache == "none" else refresh)
    found = schedule.passes(prompt, generated)
    full, partial = 0, []
    for b in range(blocks):
        for p in range(each):
            if cache == "none" or p % refresh == 0:
                full += 1
            else:
                partial.append(block if cache == "dual" else generated - b * block)
    assert found.text == prompt + generated
    assert found.full == pytest.approx(full)
    assert found.steps == pytest.approx(blocks * each)
    assert found.cached * found.queries.sum() == pytest.approx(sum(partial))


def test_the_published_schedule():
    """140 passes over 1024 tokens in blocks of 32: 32 full ones and 108 from a cache."""
    found = Schedule("prefix", 32, 1024 / 140).passes(1076, 1024)
    assert found.full == 32
    assert found.cached * len(found.queries) == pytest.approx(108)
    assert found.queries.mean() == 528
    assert Schedule("none", 32, 1024 / 100).passes(1076, 1024).steps == pytest.approx(100)
    assert Schedule.at_confidence(0.9).tokens_per_step == 3.25
    assert Schedule.at_confidence(0.5, block=4).tokens_per_step == 4.0


def test_costs_are_the_sum_over_passes():
    """Block by block through the engine, for two candidates and a batch."""
    arch = concatenate([LLADA, load_model("dream-7b")])
    schedule, workload = Schedule("prefix", 16, 4.0), Workload(3, 200, 64)
    made = generate(arch, A100, schedule, workload, runtime="transformers")
    kind = {"runtime": "transformers"}
    seconds, flops = np.zeros(2), np.zeros(2)
    for b in range(4):
        for p in range(4):
            queries = 264 if p == 0 else 64 - 16 * b
            step = Pass(3, queries, 264, "full", "all")
            work = forward(arch, A100, step, overhead="prompt" if p == 0 else "step", **kind)
            seconds, flops = seconds + work.seconds, flops + work.flops
    np.testing.assert_allclose(made.latency, seconds, rtol=1e-12)
    np.testing.assert_allclose(made.work.flops, flops, rtol=1e-12)
    assert made.tokens_per_s == pytest.approx(3 * 64 / seconds)


def test_a_pass_has_no_causal_halving_and_all_its_logits():
    """2 FLOPs a weight and position, and all of the square, worked by hand."""
    full = generate(LLADA, A100, Schedule(), Workload(1, 1076, 1024)).full
    square = 4 * 2100**2 * 4096 * 32
    assert full.flops[0] == pytest.approx(2 * PARAMETERS * 2100 + square, rel=1e-3)


def test_the_share_of_the_peak_that_fast_dllm_reaches():
    """.26 s for such a pass is 44 % of 312 TFLOP/s if the embedding counts as a product."""
    flops = 2 * 8_015_581_184 * 2100 + 4 * 2100**2 * 4096 * 32
    assert flops / 0.26 / 312e12 == pytest.approx(0.44, abs=0.01)


@pytest.mark.parametrize("fitted", [False, True])
def test_fast_dllm_on_an_a100(fitted):
    """266, 26, 20, 12 s: by one fitted number within a fifth, by the class within a third."""
    held = hold(fitted_pass_seconds() if fitted else None)
    assert [h.published.total for h in held] == [266, 26, 20, 12]
    assert [h.published.step for h in held] == [0.26, 0.26, 0.104, 0.04]
    for each in held:
        assert abs(each.total_error) < (0.2 if fitted else 1 / 3)
        if fitted or each.published.cache == "none":
            assert abs(each.step_error) < 0.2
    assert 0.02 < fitted_pass_seconds() < 0.04


def test_the_fitted_time_rests_on_one_row_alone():
    """The dual cache's step is met exactly, the others are not."""
    errors = {h.published.name: h.step_error for h in hold(fitted_pass_seconds())}
    assert errors.pop("dual cache") == pytest.approx(0, abs=1e-9)
    assert min(abs(e) for e in errors.values()) > 0.01


def test_no_prediction_is_below_the_floor():
    for cache in ("none", "prefix", "dual"):
        schedule, workload = Schedule(cache, 32, 4.0), Workload(1, 512, 256)
        floor = generate(LLADA, A100, schedule, workload, ideal=True)
        assert (floor.latency < generate(LLADA, A100, schedule, workload).latency).all()


def test_more_tokens_a_pass_and_better_caches_are_faster():
    workload = Workload(1, 512, 256)
    times = [
        [float(generate(LLADA, A100, Schedule(c, 32, k), workload).latency[0]) for k in (1, 2, 8)]
        for c in ("none", "prefix", "dual")
    ]
    assert (np.diff(times, axis=1) < 0).all()
    assert (np.diff(times, axis=0) < 0).all()
    often = Schedule("dual", 32, 2.0, refresh=4)
    assert generate(LLADA, A100, often, workload).latency[0] > times[2][1]


def test_a_cache_is_held_in_memory():
    workload = Workload(2, 512, 256)
    more = resident(LLADA, Schedule("dual"), workload) - resident(LLADA, Schedule(), workload)
    assert more[0] == pytest.approx(2 * 768 * 32 * 2 * 4096 * 2)


@pytest.mark.parametrize("refresh", [None, 2, 5, 64])
@pytest.mark.parametrize("cache", ["none", "prefix", "dual"])
def test_at_the_break_even_point_both_take_as_long(cache, refresh):
    """Costed again at the tokens per step that were solved for."""
    if cache == "none" and refresh is not None:
        return
    workload = Workload(1, 256, 256)
    found = break_even(LLADA, A100, Schedule(cache, 32, 1.0, refresh), workload)
    tokens = float(found.tokens_per_step[0])
    assert 1.0 < tokens < 32.0
    at, less = (
        generate(LLADA, A100, Schedule(cache, 32, t, refresh), workload).latency[0]
        for t in (tokens, tokens * 0.999)
    )
    target = found.autoregressive.latency[0]
    assert target == estimate(LLADA, A100, workload).latency[0]
    assert at <= target * (1 + 1e-9)
    assert less > target
    if refresh is None:
        assert at == pytest.approx(target, rel=1e-9)


def test_break_even_does_not_depend_on_the_schedule_that_was_costed():
    workload = Workload(1, 256, 256)
    one, whole = (
        break_even(LLADA, A100, Schedule("dual", 32, k), workload).tokens_per_step
        for k in (1.0, 32.0)
    )
    assert one == pytest.approx(whole)


def test_where_nothing_breaks_even():
    phone = load_device("phone")
    found = break_even(LLADA.with_formats("int4"), phone, Schedule(), Workload(1, 4096, 256))
    assert np.isnan(found.tokens_per_step).all()
    # Ideal, at short context, on a device of many FLOP per byte: never slower.
    fast = with_intensity(A100, LLADA, 5000.0)
    found = break_even(LLADA, fast, Schedule(), Workload(1, 64, 64), ideal=True)
    assert found.tokens_per_step[0] == 1.0


def test_the_map_follows_positions_over_intensity():
    """Compute-bound passes, memory-bound steps, 16 bits: T / (FLOP per byte), attention apart."""
    intensity, context = np.array([64.0, 128.0]), np.array([256, 768])
    found = break_even_map(LLADA, A100, intensity, context, generate=256)
    rule = (context[:, None] + 256) / intensity
    np.testing.assert_allclose(found.tokens, rule, rtol=0.06)
    assert intensity_of(with_intensity(A100, LLADA, 64.0), LLADA) == pytest.approx(64.0)
    dual = break_even_map(LLADA, A100, intensity, context, cache="dual", generate=256)
    assert (dual.tokens < found.tokens).all()


def test_the_map_knows_only_the_ratio():
    """In ideal mode another device, scaled to the same intensity, gives the same map."""
    intensity, context = np.array([50.0, 200.0]), np.array([128, 2048])
    one, other = (
        break_even_map(LLADA, load_device(d), intensity, context, cache="prefix").passes
        for d in ("a100", "jetson-agx-orin-64gb")
    )
    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_votes_cost_their_passes():
    row = voting_table().rows[1]
    arch = LLADA.with_formats("int4")
    votes = {v.method: v for v in vote_costs(arch, load_device("phone"), row, prompt=128)}
    assert votes["hex"].seconds == pytest.approx(12.5 * votes["base"].seconds)
    assert votes["dvoting"].joules == pytest.approx(votes["base"].joules * 237.1 / 256)
    assert votes["rfg"].memory_bytes > 1.9 * votes["base"].memory_bytes
    best = max(("majority", "hex", "rfg", "dvoting"), key=lambda m: votes[m].per_cost)
    assert best == "dvoting"
    assert votes["dvoting"].per_minute == pytest.approx(
        7.06 / (votes["dvoting"].seconds / 60), rel=1e-6
    )


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Schedule("duel"), "nearest is 'dual'"),
        (lambda: Schedule(block=0), "block"),
        (lambda: Schedule(tokens_per_step=0.5), "at least 1"),
        (lambda: Schedule(tokens_per_step=float("nan")), "at least 1"),
        (lambda: Schedule(block=8, tokens_per_step=9.0), "one block only"),
        (lambda: Schedule("none", refresh=3), "no cache to refresh"),
        (lambda: Schedule("dual", refresh=0), "refresh"),
        (lambda: Schedule(block=32).passes(10, 100), "nearest that does is 25"),
        (lambda: Schedule().passes(0, 64), "prompt"),
        (lambda: generate(load_model("lfm2-350m"), A100, Schedule(), Workload(1, 64, 64)),
         "short convolutions"),
        (lambda: generate(load_model("nemotron-nano-9b-v2"), A100, Schedule(), Workload(1, 64, 64)),
         "recurrent layers"),
        (lambda: generate(load_model("gemma-2-2b"), A100, Schedule(), Workload(1, 64, 64)),
         "sliding windows"),
        (lambda: generate(LLADA, A100, Schedule(), Workload(1, 64, 64), pass_seconds=-1.0),
         "fixed time of a pass"),
        (lambda: with_intensity(A100, LLADA, 0.0), "intensity"),
        (lambda: vote_costs(load_model("dream-7b"), A100, voting_table().rows[0], prompt=9),
         "the row is of llada-8b"),
    ],
)  # fmt: skip
def test_nonsense_is_one_sentence(call, words):
    with pytest.raises(SpecError, match=words) as said:
        call()
    assert "\n" not in str(said.value)
