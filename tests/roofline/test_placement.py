"""Placement on several processors: sums of parts, exact search, and a phone that was measured."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from arch_space.library import load_model, load_models
from arch_space.tensors import tensors, weight_bytes
from hardware_specs import load_device
from hardware_specs.figures import Duration
from roofline import SpecError, Workload, estimate
from roofline.engine.placement import CRITERIA, Placement, able, choose_from, placements
from roofline.search.problem import Problem

PHONE = load_device("phone")
LLAMA_CPP = "prefill=npu:llama.cpp-hexagon,decode=cpu:llama.cpp-cpu"
MODELS = load_models(
    ["llama-3.2-1b", "gemma-3-1b", "olmoe-1b-7b", "deepseek-v2-lite", "qwen3-30b-a3b"]
).with_formats("q4_k_m")
WORK = Workload(2, 600, 40)


def slow(seconds=1e-3):
    """The phone, with so long a hand-over."""
    source = next(iter(PHONE.sources))
    said = {"value": f"{seconds} s", "basis": "measured", "source": source}
    return PHONE.model_copy(update={"hand_over": Duration.model_validate(said)})


def rows(found, phase):
    return {row.name: row for row in found.operators if row.phase == phase}


def test_text_and_placement_are_one():
    read = Placement.parse("prefill=npu:genie,decode=cpu,head=cpu,experts=gpu", PHONE)
    assert read == Placement("npu", "cpu", "cpu", "gpu", (("npu", "genie"),))
    assert Placement.parse(str(read), PHONE) == read
    assert Placement.parse("decode=cpu", PHONE) == Placement("cpu", "cpu")
    assert Placement.parse("head=cpu", PHONE) == Placement("gpu", "gpu", "cpu")
    assert Placement.parse("head=cpu", PHONE).processors == ("gpu", "cpu")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("npu", "write PART=PROCESSOR"),
        ("prefil=npu", "no part 'prefil'; nearest is 'prefill'"),
        ("prefill=nqu", "no processor 'nqu'; nearest is 'npu'"),
        ("prefill=npu,prefill=cpu", "prefill is given twice"),
        ("prefill=npu:genie,decode=npu:nexa", "cannot run two runtimes, 'genie' and 'nexa'"),
        ("prefill=npu:vllm", "vLLM does not run on a npu"),
    ],
)
def test_what_cannot_be_placed_is_refused(text, words):
    with pytest.raises(SpecError, match=words):
        estimate(MODELS, PHONE, WORK, placement=text)


def test_a_placement_and_a_processor_contradict():
    with pytest.raises(SpecError, match="processor 'gpu' is given, and a placement"):
        estimate(MODELS, PHONE, WORK, placement="best", processor="gpu")
    with pytest.raises(SpecError, match=r"ds4 runs on no processor of rpi5"):
        estimate(MODELS, load_device("rpi5"), WORK, placement="best", runtime="ds4")


def test_every_placement_once():
    """On three processors: 3 x 3 where both phases share one, 6 x 4 where not; experts alike."""
    assert len(placements(["a", "b", "c"], experts=False)) == 9 + 24
    assert len(placements(["a", "b", "c"], experts=True)) == 27 + 96
    assert placements(["a"], experts=True) == (Placement("a", "a"),)
    apart = [None, "a", "b"]
    every = {
        (p, d, h or "phase", e or "phase") if p != d else (p, d, h or d, e or d)
        for p, d, h, e in product("ab", "ab", apart, apart)
    }
    assert len(placements("ab")) == len(every)


@pytest.mark.parametrize("ideal", [False, True])
@pytest.mark.parametrize("processor", ["npu", "gpu", "cpu"])
def test_all_parts_on_one_processor_are_that_processor(processor, ideal):
    """The ideal floor overlaps within a part alone, so parts one after the other take longer."""
    work = replace(WORK, prefill_chunk=128, cached=50)
    alone = estimate(MODELS, PHONE, work, processor=processor, ideal=ideal)
    placed = estimate(MODELS, PHONE, work, placement=f"prefill={processor}", ideal=ideal)
    for name in ("ttft", "tpot", "tpot_first", "tpot_last", "energy", "prefill_bytes"):
        if ideal and not name.startswith("prefill"):
            assert (getattr(placed, name) >= getattr(alone, name) * (1 - 1e-12)).all()
        else:
            np.testing.assert_allclose(getattr(placed, name), getattr(alone, name), rtol=1e-12)
    np.testing.assert_array_equal(placed.memory_bytes, alone.memory_bytes)
    assert placed.runtime == alone.runtime
    assert placed.prefill_interval == alone.prefill_interval


def test_a_phase_on_another_processor_is_that_processor_s():
    npu, cpu = (estimate(MODELS, PHONE, WORK, processor=name) for name in ("npu", "cpu"))
    mixed = estimate(MODELS, PHONE, WORK, placement="prefill=npu,decode=cpu")
    np.testing.assert_allclose(mixed.ttft, npu.ttft, rtol=1e-12)
    np.testing.assert_allclose(mixed.tpot, cpu.tpot, rtol=1e-12)
    np.testing.assert_allclose(mixed.latency, npu.ttft + 40 * cpu.tpot, rtol=1e-12)
    assert mixed.prefill_interval == npu.prefill_interval
    assert mixed.decode_interval == cpu.decode_interval
    assert mixed.runtime == f"{npu.runtime} + {cpu.runtime}"


def test_a_head_and_experts_apart_cost_what_they_cost_there():
    npu, cpu, gpu = (estimate(MODELS, PHONE, WORK, processor=n) for n in ("npu", "cpu", "gpu"))
    found = estimate(MODELS, PHONE, WORK, placement="prefill=npu,head=cpu,experts=gpu")
    moe = MODELS.experts > 1
    expected = npu.tpot_first + rows(cpu, "decode")["head"].time - rows(npu, "decode")["head"].time
    network = [rows(each, "decode")["feed_forward"].time for each in (gpu, npu)]
    expected = expected + np.where(moe, network[0] - network[1], 0.0)
    np.testing.assert_allclose(found.tpot_first, expected, rtol=1e-12)
    ours = rows(found, "decode")["feed_forward"].time
    np.testing.assert_allclose(ours, np.where(moe, *network), rtol=1e-12)


def test_hand_overs_are_counted_where_a_profile_states_one():
    given, plain = slow(), PHONE
    apart = "prefill=npu,head=cpu,experts=gpu"
    fast, found = (estimate(MODELS, d, WORK, placement=apart) for d in (plain, given))
    # To the head and back; to the experts and back in each layer that has some.
    layers = np.array([0, 0, 16, 26, 48])
    np.testing.assert_allclose(found.tpot - fast.tpot, (2 + 2 * layers) * 1e-3, rtol=1e-9)
    chunk = 128  # genie reads a prompt in pieces of 128 tokens: five of them
    assert found.runtime.startswith("genie")
    pieces = np.ceil(600 / chunk) * (2 + 2 * layers) * 1e-3
    np.testing.assert_allclose(found.ttft - fast.ttft, pieces, rtol=1e-9)
    # Of six pieces of 100 tokens, each one pass of genie, the last alone wants logits.
    cut = replace(WORK, prefill_chunk=100)
    fast, found = (estimate(MODELS, d, cut, placement=apart) for d in (plain, given))
    np.testing.assert_allclose(found.ttft - fast.ttft, (2 + 6 * 2 * layers) * 1e-3, rtol=1e-9)
    phases = [estimate(MODELS, d, WORK, placement="prefill=npu,decode=cpu") for d in (plain, given)]
    np.testing.assert_allclose(phases[1].latency - phases[0].latency, 1e-3, rtol=1e-6)
    ideal = [estimate(MODELS, d, WORK, placement=apart, ideal=True).latency for d in (plain, given)]
    np.testing.assert_array_equal(*ideal)
    assert rows(found, "decode")["hand_over"].time[0] == pytest.approx(2e-3)


def test_software_that_stores_weights_otherwise_keeps_its_own():
    one = estimate(MODELS, PHONE, WORK, processor="cpu").weight_bytes
    shared = estimate(MODELS, PHONE, WORK, placement=LLAMA_CPP)
    np.testing.assert_array_equal(shared.weight_bytes, one)
    twice = estimate(MODELS, PHONE, WORK, placement="prefill=npu:genie,decode=cpu:llama.cpp-cpu")
    inventory = tensors(MODELS.as_float())
    untied = np.where(MODELS.tied_embedding, 0.0, inventory["embedding"].stored_bytes)
    np.testing.assert_allclose(twice.weight_bytes, 2 * one - untied, rtol=1e-12)
    head = estimate(MODELS, PHONE, WORK, placement="prefill=npu:genie,head=cpu:llama.cpp-cpu")
    np.testing.assert_array_equal(head.weight_bytes, one)


@pytest.mark.parametrize("prefer", CRITERIA)
def test_best_is_the_least_of_all_placements(prefer):
    device, options = choose_from(MODELS, PHONE, "best")
    assert len(options) == 123
    found = estimate(MODELS, PHONE, WORK, placement="best", prefer=prefer)
    every = [estimate(MODELS, device, WORK, placement=p, breakdown=False) for p in options]
    value = np.array([getattr(each, prefer) for each in every])
    fits = np.array([each.fits for each in every])
    value = np.where(fits | ~fits.any(axis=0), value, np.inf)
    np.testing.assert_allclose(getattr(found, prefer), value.min(axis=0), rtol=1e-11)
    np.testing.assert_array_equal(found.fits, fits.any(axis=0))
    # What is said to be chosen is what was estimated, rows included.
    for i, index in enumerate(found.placement):
        again = estimate(MODELS[i : i + 1], device, WORK, placement=options[index])
        for name in ("ttft", "tpot", "energy", "memory_bytes"):
            np.testing.assert_allclose(getattr(found, name)[i], getattr(again, name)[0], rtol=1e-12)
        decode = sum(row.time[i] for row in found.operators if row.phase == "decode")
        assert decode == pytest.approx(
            sum(r.time[0] for r in again.operators if r.phase == "decode")
        )
    if prefer == "latency":
        for processor in PHONE.processors:
            alone = estimate(MODELS, PHONE, WORK, processor=processor)
            assert (found.latency <= alone.latency * (1 + 1e-12))[alone.fits].all()


def test_a_table_of_many_chunks_is_placed_as_its_rows_are(monkeypatch):
    from importlib import import_module

    whole = estimate(MODELS, PHONE, WORK, placement="best")
    monkeypatch.setattr(import_module("roofline.engine.estimate"), "CHUNK", 2)
    parts = estimate(MODELS, PHONE, WORK, placement="best")
    np.testing.assert_array_equal(parts.placement, whole.placement)
    np.testing.assert_array_equal(parts.latency, whole.latency)
    assert parts.placements == whole.placements


def test_one_runtime_allows_the_processors_that_it_runs_on():
    assert able(PHONE, "litert") == ["gpu", "npu", "cpu"]
    with pytest.raises(SpecError, match="vLLM runs on no processor of sd8elite"):
        able(PHONE, "vllm")
    assert able(PHONE, "mlc") == ["gpu"]
    found = estimate(MODELS, PHONE, WORK, placement="best", runtime="mlc")
    assert found.placements == (Placement("gpu", "gpu"),)
    assert found.runtime == "mlc"


def test_a_draft_runs_with_the_phase():
    arch = load_model("llama-3.1-8b").with_formats("q4_k_m")
    work = Workload(1, 200, 30, draft="llama-3.2-1b", acceptance=0.6)
    npu, cpu = (estimate(arch, PHONE, work, processor=name) for name in ("npu", "cpu"))
    mixed = estimate(arch, PHONE, work, placement="prefill=npu,decode=cpu")
    np.testing.assert_allclose(mixed.ttft, npu.ttft, rtol=1e-12)
    np.testing.assert_allclose(mixed.tpot, cpu.tpot, rtol=1e-12)


def test_a_search_places_each_candidate_for_its_first_objective(tmp_path):
    from roofline.search.sweep import Sweep

    def judged(**given):
        job = Sweep.prepare(device=PHONE, space="paper-grid", objectives="loss,tpot", **given)
        problem: Problem = job.problem()
        index = problem.sample(40)
        return job, problem.evaluate(job.space.at(index)).quantities

    job, best = judged(placement="best")
    assert job.prefer == "tpot"
    (tmp_path / "sweep.yaml").write_text(job.to_yaml())
    again = Sweep.load(tmp_path / "sweep.yaml")
    assert again.placement == "best"
    np.testing.assert_array_equal(
        again.problem().evaluate(job.space.at(job.problem().sample(40))).quantities["tpot"],
        best["tpot"],
    )
    for processor in PHONE.processors:
        _, alone = judged(processor=processor)
        assert (best["tpot"] <= alone["tpot"] * (1 + 1e-12)).all()
    with pytest.raises(SpecError, match="no processor 'tpu'"):
        judged(placement="prefill=tpu")


def test_batches_are_nearly_free_on_the_npu_and_not_for_the_head_on_the_cpu():
    """Snapdragon 8 Gen 3 in arXiv 2509.23324: a 1.5 B model, 4-bit weights, the head on the CPU.

    There the head is about half of the step at batch 16; a class prior comes within a factor of
    three of that, docs/workloads.md says how.
    """
    given = load_device("snapdragon-8-gen-3")
    arch = load_model("qwen2.5-1.5b").with_formats("q4_0")
    steps = {
        batch: estimate(arch, given, Workload(batch, 512, 128), placement="prefill=npu,head=cpu")
        for batch in (1, 16)
    }
    head = {batch: rows(each, "decode")["head"].time[0] for batch, each in steps.items()}
    body = {batch: each.tpot_first[0] - head[batch] for batch, each in steps.items()}
    assert body[16] < 2.2 * body[1]
    assert head[16] > 2.5 * head[1]
    assert 0.16 < head[16] / steps[16].tpot_first[0] < 0.6
    assert weight_bytes(arch)[0] == steps[1].weight_bytes[0]


@pytest.mark.parametrize("draft", ["smollm2-135m", 0.1])
def test_a_draft_is_stored_as_often_as_its_model(draft):
    """It reads the prompt where the model does, and drafts where the model writes."""
    work = {"prompt": 64, "generate": 8}
    drafted = Workload(**work, draft=draft, acceptance=0.5)
    models = load_models(["smollm2-1.7b"]).with_formats("q4_k_m")
    for where, copies in (
        ("prefill=npu:genie,decode=cpu:llama.cpp-cpu", 2),
        ("prefill=gpu:llama.cpp-opencl,decode=cpu:llama.cpp-cpu", 1),
    ):
        plain = estimate(models, PHONE, Workload(**work), placement=where).weight_bytes
        with_draft = estimate(models, PHONE, drafted, placement=where).weight_bytes
        alone = estimate(models, PHONE, drafted, processor="cpu").weight_bytes
        once = alone - estimate(models, PHONE, Workload(**work), processor="cpu").weight_bytes
        np.testing.assert_allclose(with_draft - plain, copies * once)
