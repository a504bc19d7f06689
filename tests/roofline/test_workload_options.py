"""Cached prompts, prefills in pieces and speculative decoding: against loops over passes."""

from dataclasses import replace

import numpy as np
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from arch_space.library import load_model, load_models, reference_model
from arch_space.tensors import weight_bytes
from hardware_specs import load_device
from roofline import SpecError, Workload, estimate
from roofline.engine import Work, forward
from roofline.engine.draft_length import best_draft_length
from roofline.engine.memory import cache_bytes
from roofline.engine.speculation import Draft
from roofline.search.workload_spec import WorkloadSpec, held_whole
from roofline.workload import Pass
from spec_files import validate_spec

PHONE = load_device("phone")
LLAMA = load_model("llama-3.1-8b").with_formats("q4_k_m")
# Plain, windowed, windowed with other heads, MLA, recurrent, convolutional.
KINDS = (
    "llama-3.2-1b",
    "gemma-3-1b",
    "gpt-oss-20b",
    "deepseek-v2-lite",
    "qwen3-next-80b-a3b",
    "lfm2-1.2b",
)
SPECULATIVE = Workload(1, 500, 64, draft="llama-3.2-1b", acceptance=0.7, draft_length=3)


def held(arch, work, draft=None):
    """Bytes of weights and cache, which a pass alone does not know."""
    stored = weight_bytes(arch) + cache_bytes(arch, work)
    return stored if draft is None else stored + weight_bytes(draft) + cache_bytes(draft, work)


# Cached prompts


def test_a_cached_prompt_is_computed_for_what_is_new_over_all_keys():
    plain, work = Workload(2, 1000, 8), Workload(2, 1000, 8, cached=900)
    arch = load_models(list(KINDS))
    whole, found = estimate(arch, PHONE, plain), estimate(arch, PHONE, work)
    rest = forward(arch, PHONE, Pass(2, 100, 1000), overhead="prompt", resident=held(arch, work))
    np.testing.assert_allclose(found.ttft, rest.seconds, rtol=1e-12)
    np.testing.assert_array_equal(found.tpot, whole.tpot)
    np.testing.assert_array_equal(found.kv_cache_bytes, whole.kv_cache_bytes)
    assert (found.activation_bytes < whole.activation_bytes).all()
    assert (found.ttft < whole.ttft).all()


def test_what_is_cached_and_what_is_new_make_up_the_prompt():
    """FLOPs add up, but for the head, which each of the two runs once."""
    arch = load_models(["llama-3.2-1b", "gemma-3-1b", "lfm2-1.2b"])
    whole = estimate(arch, PHONE, Workload(1, 700, 1)).prefill_flops
    first = estimate(arch, PHONE, Workload(1, 450, 1)).prefill_flops
    rest = estimate(arch, PHONE, Workload(1, 700, 1, cached=450)).prefill_flops
    head = 2.0 * arch.width * arch.vocabulary
    np.testing.assert_allclose(first + rest - head, whole, rtol=1e-12)


# A prefill in pieces


# Pieces of 140 tokens: the products of DeepSeek-V2-Lite change their order at 462 keys.
@pytest.mark.parametrize("ideal", [False, True])
@pytest.mark.parametrize(("cached", "size"), [(0, 100), (0, 140), (130, 96), (0, 7), (300, 1)])
@pytest.mark.parametrize("name", KINDS)
def test_a_prefill_in_pieces_is_a_loop_over_them(name, cached, size, ideal):
    arch = load_model(name)
    if name == "gemma-3-1b":
        arch = replace(arch, window=np.array([128]))
    work = Workload(3, 733, 5, cached=cached, prefill_chunk=size)
    found = estimate(arch, PHONE, work, processor="cpu", ideal=ideal)
    done, at = Work.none(), cached
    while at < 733:
        queries = min(size, 733 - at)
        at += queries
        done = done + forward(
            arch,
            PHONE,
            Pass(3, queries, at, logits="last" if at == 733 else "none"),
            overhead="prompt" if at - queries == cached else "step",
            processor="cpu",
            ideal=ideal,
            resident=held(arch, work),
        )
    np.testing.assert_allclose(found.ttft, done.seconds, rtol=1e-9)
    np.testing.assert_allclose(found.prefill_flops, done.flops, rtol=1e-9)
    np.testing.assert_allclose(found.prefill_bytes, done.bytes, rtol=1e-9)
    rows = [row for row in found.operators if row.phase == "prefill"]
    np.testing.assert_allclose(sum(row.flops for row in rows), done.flops, rtol=1e-9)
    if not ideal:  # what no operator takes is the fixed time of each pass
        spent = sum(row.time for row in rows)
        assert (spent <= done.seconds).all()


def test_pieces_cost_reads_and_spare_memory():
    whole = estimate(LLAMA, PHONE, Workload(1, 4096, 8))
    pieces = estimate(LLAMA, PHONE, Workload(1, 4096, 8, prefill_chunk=256))
    ideal = [
        estimate(LLAMA, PHONE, Workload(1, 4096, 8, prefill_chunk=size), ideal=True).prefill_bytes
        for size in (0, 256)
    ]
    # Fifteen more reads of all weights but the two ends, and of the cache so far.
    ends = LLAMA.vocabulary[0] * 4096 * (4.5 + 6.5625) / 8  # Q4_K, Q6_K
    body = weight_bytes(LLAMA)[0] - ends
    past = sum(256 * i for i in range(1, 16)) * 32 * 2 * 8 * 128 * 2
    assert ideal[1][0] - ideal[0][0] == pytest.approx(15 * body + past, rel=0.01)
    assert pieces.activation_bytes[0] == pytest.approx(whole.activation_bytes[0] / 16)
    assert pieces.ttft[0] > whole.ttft[0]


def test_of_a_piece_that_is_not_the_last_a_runtime_that_skips_runs_the_filling_layers_alone():
    """Of Gemma 4 E2B's 35 layers 15 fill a cache; the head and the others read the last token."""
    arch = load_model("gemma-4-e2b").with_formats("int4-g32")
    mac = load_device("m4max-40")
    flops = [
        estimate(arch, mac, Workload(1, 512, 1, prefill_chunk=size), runtime="litert").prefill_flops
        for size in (0, 128, 1)
    ]
    np.testing.assert_allclose(flops[1:], [flops[0]] * 2, rtol=1e-12)
    all_logits = Workload(1, 512, 1, prefill_chunk=128, logits="all")
    assert estimate(arch, mac, all_logits, runtime="litert").prefill_flops > 2 * flops[1]


def test_pieces_of_the_runtime_s_own_size_change_little():
    """llama.cpp reads 512 tokens at a time anyway: only the fixed time of a pass comes on top."""
    both = [
        estimate(LLAMA, PHONE, Workload(1, 2048, 8, prefill_chunk=size), processor="cpu")
        for size in (0, 512)
    ]
    assert both[0].runtime == "llama.cpp-cpu"
    assert both[1].ttft[0] == pytest.approx(both[0].ttft[0], rel=0.02)


@pytest.mark.parametrize("prompt", [513, 700, 1025, 1100])
def test_the_runtime_s_own_last_piece_is_as_short_as_it_is(prompt):
    """One token more than a piece meets eight of 128 experts, not all that 512 tokens meet."""
    arch, apu = load_model("qwen3-30b-a3b").with_formats("q4_k_m"), load_device("strix-halo")

    def network(work):
        found = estimate(arch, apu, work, runtime="llama.cpp-vulkan").operators
        return next(r for r in found if (r.name, r.phase) == ("feed_forward", "prefill"))

    own = network(Workload(1, prompt, 1))
    asked = network(Workload(1, prompt, 1, prefill_chunk=512))
    np.testing.assert_allclose(own.bytes, asked.bytes, rtol=1e-9)
    if prompt % 512 == 1:
        whole = network(Workload(1, prompt - 1, 1))
        assert own.bytes < whole.bytes * 1.15


# Speculative decoding


def test_expected_tokens_of_a_round_by_drawing_them():
    draws = np.random.default_rng(0).random((200_000, 5)) < 0.8
    drawn = np.cumprod(draws, axis=1).sum(axis=1).mean() + 1
    work = Workload(draft=0.1, acceptance=0.8, draft_length=5)
    assert work.expected_tokens == pytest.approx(drawn, rel=5e-3)
    assert Workload(draft=0.1, acceptance=0.0).expected_tokens == 1
    assert Workload().expected_tokens == 1
    assert Workload(generate=2, draft=0.1, acceptance=0.9).rounds == 1


@pytest.mark.parametrize("length", [1, 3, 8])
@pytest.mark.parametrize("acceptance", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("share", [0.02, 0.2])
def test_the_published_speed_up_where_a_pass_is_all_traffic(share, acceptance, length):
    """Leviathan et al., arXiv 2211.17192, theorem 3.8: (1 - a^(k+1)) / ((1 - a) (c k + 1)).

    It takes a verification pass for as long as a step, which holds on the floor at batch one.
    """
    arch = load_model("llama-3.1-8b").with_formats("fp16")
    work = Workload(1, 16, 400, draft=share, acceptance=acceptance, draft_length=length)
    drafted = estimate(arch, PHONE, work, ideal=True)
    plain = estimate(arch, PHONE, Workload(1, 16, 400), ideal=True)
    a, k = acceptance, length
    published = (1 - a ** (k + 1)) / ((1 - a) * (share * k + 1))
    assert plain.tpot[0] / drafted.tpot[0] == pytest.approx(published, rel=2e-3)


@pytest.mark.parametrize("ideal", [False, True])
def test_rounds_that_accept_nothing_are_a_loop_over_passes(ideal):
    """Acceptance zero adds one token a round: rounds are whole, and each can be run for itself."""
    work = replace(SPECULATIVE, acceptance=0.0)
    small = load_model("llama-3.2-1b").with_formats("q4_k_m")
    found = estimate(LLAMA, PHONE, work, ideal=ideal)
    on = dict(ideal=ideal, resident=held(LLAMA, work, small))
    done = Work.none()
    for round_ in range(64):
        context = 500 + round_
        for step in range(1, 4):
            done = done + forward(small, PHONE, Pass(1, 1, context + step), **on)
        verify = Pass(1, 4, context + 4, logits="all", kernels="step")
        done = done + forward(LLAMA, PHONE, verify, **on)
    assert found.tpot[0] * 64 == pytest.approx(done.seconds[0], rel=1e-9)
    prompts = sum(
        forward(arch, PHONE, Pass(1, 500, 500), overhead="prompt", **on).seconds[0]
        for arch in (LLAMA, small)
    )
    assert found.ttft[0] == pytest.approx(prompts, rel=1e-9)


def test_a_draft_takes_memory_and_time_and_shows_its_row():
    small = load_model("llama-3.2-1b").with_formats("q4_k_m")
    plain = estimate(LLAMA, PHONE, replace(SPECULATIVE, draft=None, acceptance=None))
    found = estimate(LLAMA, PHONE, SPECULATIVE)
    assert found.weight_bytes[0] == plain.weight_bytes[0] + weight_bytes(small)[0]
    token = 32 * 2 * 8 * 128 * 2 + 16 * 2 * 8 * 64 * 2  # layers, K and V, heads, size, bytes
    cache = found.kv_cache_bytes[0] - plain.kv_cache_bytes[0]
    assert cache == 3 * token + 564 * 16 * 2 * 8 * 64 * 2
    rows = {(row.phase, row.name): row for row in found.operators}
    verified = sum(
        r.time[0] for (phase, n), r in rows.items() if phase == "decode" and n != "draft"
    )
    drafted = rows["decode", "draft"].time[0]
    step = PHONE.processor().step_seconds
    tokens = SPECULATIVE.expected_tokens
    assert found.tpot_first[0] * tokens == pytest.approx(verified + drafted + step, rel=0.02)
    share = estimate(LLAMA, PHONE, replace(SPECULATIVE, draft=0.25))
    assert share.weight_bytes[0] == pytest.approx(1.25 * plain.weight_bytes[0])
    assert np.isfinite(found.energy[0])


@given(acceptance=st.floats(0, 0.97), share=st.floats(0.01, 0.9), batch=st.integers(1, 8))
@example(acceptance=0.95, share=0.01, batch=1)  # a long one
@settings(max_examples=15, deadline=None)
def test_the_best_draft_length_is_that_of_trying_many(acceptance, share, batch):
    arch = load_models(["llama-3.2-1b", "llama-3.1-8b"]).with_formats("q4_k_m")
    work = Workload(batch, 100, 60, draft=share, acceptance=acceptance)
    found = best_draft_length(arch, PHONE, work)
    every = [found.plain.tpot] + [
        estimate(arch, PHONE, replace(work, draft_length=k), breakdown=False).tpot
        for k in range(1, 61)
    ]
    np.testing.assert_array_equal(found.best, np.argmin(every, axis=0))


def test_a_draft_serves_models_that_are_larger_and_of_its_vocabulary():
    models = load_models(["llama-3.2-1b", "llama-3.1-8b", "qwen2.5-7b"]).with_formats("q4_k_m")
    found = estimate(models, PHONE, SPECULATIVE)
    assert np.isnan(found.tpot).tolist() == [True, False, True]
    assert np.isnan(found.ttft).tolist() == [True, False, True]
    with pytest.raises(SpecError, match=r"must be smaller than what verifies it"):
        Draft.check(models[:1], SPECULATIVE)
    with pytest.raises(SpecError, match=r"vocabulary of 128,256 and qwen2.5-7b one of 152,064"):
        Draft.check(models[2:], SPECULATIVE)
    Draft.check(models[1:2], SPECULATIVE)
    # Vocabularies that differ by padding alone, 151,936 and 152,064, are one.
    Draft.check(models[2:], replace(SPECULATIVE, draft="qwen2.5-0.5b"))


# What is refused, and what is written down


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"cached": 1024}, "at least one must be new"),
        ({"cached": -1}, "cached must be a whole number of at least 0"),
        ({"prefill_chunk": 2.5}, "prefill_chunk must be a whole number"),
        ({"draft": 0.1}, "acceptance: a draft needs it"),
        ({"draft": 0.1, "acceptance": 1.0}, "at least 0 and below 1, not 1.0"),
        ({"draft": 0.1, "acceptance": float("nan")}, "below 1, not nan"),
        ({"draft": 1.0, "acceptance": 0.5}, "above 0 and below 1, not 1.0"),
        ({"acceptance": 0.5}, "there is no draft"),
        ({"draft": 0.1, "acceptance": 0.5, "draft_length": 0}, "draft_length must be"),
    ],
)
def test_options_that_make_no_sense_are_refused(fields, words):
    with pytest.raises(SpecError, match=words):
        Workload(**fields)
    # A file's types are checked first, in words of their own; the sentence still names the field.
    with pytest.raises(SpecError, match=f"{words}|{next(reversed(fields))}: read"):
        validate_spec(fields, WorkloadSpec, "workload")


def test_a_workload_reads_back_from_its_file(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(reference_model("llama-3.2-1b").model_dump_json(exclude_defaults=True))
    for draft in (0.1, "llama-3.2-1b", str(path)):
        work = Workload(2, 99, 9, cached=5, prefill_chunk=7, draft=draft, acceptance=0.6)
        assert Workload(**work.to_dict()) == work
        spec = WorkloadSpec(**held_whole(work.to_dict()))
        again = WorkloadSpec(**yaml.safe_load(yaml.safe_dump(spec.model_dump(mode="json"))))
        assert again == spec
        path_or_not = estimate(LLAMA, PHONE, again.workload()).tpot
        np.testing.assert_array_equal(path_or_not, estimate(LLAMA, PHONE, work).tpot)
    path.unlink()  # the sweep's file holds the model itself
    assert again.workload().draft_model.names == ("llama-3.2-1b",)
