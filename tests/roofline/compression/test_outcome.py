"""What recipes leave of a model: bytes, loss, training, by hand and against the engine itself."""

from dataclasses import replace
from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arch_space.library import load_model
from arch_space.tensors import weight_bytes
from hardware_specs import load_device
from roofline import Workload, estimate
from roofline.compression.calibration import calibrations, flops
from roofline.compression.outcome import outcome
from roofline.compression.recipe import load_recipe
from roofline.compression.steps import Distil, Quantise
from roofline.compression.subject import Subject
from roofline.compression.training import hours, training
from roofline.degradation import methods
from roofline.laws import load_law

LAW = load_law("supervised")
SMALL = Subject(load_model("llama-3.2-3b"), 9.0, LAW)
SEVEN = Subject(load_model("llama-2-7b"), 2.0, LAW)
PHONE, WORK = load_device("phone"), Workload(prompt=128, generate=32)


def judged(*texts, subject=SMALL, device=PHONE):
    return outcome([load_recipe(text) for text in texts], subject, device, WORK)


def test_llama_3_2_3b_at_4_bits_weighs_2_3_gb():
    """3.2B: linear layers of 2.8B at 4.156 bits, .79 GB of tied embedding at 16, norms at 16."""
    found = judged("gptq:4:g128").cost.weight_bytes[0]
    linear = 28 * (2 * 3072 * 3072 + 2 * 3072 * 1024 + 3 * 3072 * 8192)
    by_hand = linear * (4 + 20 / 128) / 8 + 2 * 128_256 * 3072 + 2 * 57 * 3072
    assert found == pytest.approx(by_hand)
    assert found == pytest.approx(2.3e9, rel=0.03)
    assert judged("none").cost.weight_bytes[0] == pytest.approx(6.4e9, rel=0.01)
    assert SMALL.matrix_parameters == linear


def test_a_table_of_recipes_is_each_of_them_alone_and_the_engines_own():
    texts = ("none", "gptq:4:g128", "prune:wanda:2:4,awq:4:g64,kv:int8", "q4_k_m", "kv:q8_0")
    together = judged(*texts)
    for row, text in enumerate(texts):
        alone = judged(text)
        for name in ("latency", "memory_bytes", "energy", "ttft"):
            assert getattr(together.cost, name)[row] == pytest.approx(getattr(alone.cost, name)[0])
        assert together.nats[row] == alone.nats[0]
    model = SMALL.arch.with_formats("int4-g64", kv="int8")
    model = replace(model, weight_sparsity=np.array(0.5), two_four=np.array(True))
    own = estimate(model, PHONE, WORK)
    assert together.cost.latency[2] == pytest.approx(own.latency[0])
    assert together.cost.memory_bytes[2] == pytest.approx(own.memory_bytes[0])


def test_losses_of_steps_add_and_errors_join_in_squares():
    found = judged("prune:wanda:2:4", "gptq:4:g128", "prune:wanda:2:4,gptq:4:g128")
    assert found.nats[2] == pytest.approx(found.nats[0] + found.nats[1])
    half = found.high - found.nats
    assert half[2] == pytest.approx(np.hypot(half[0], half[1]))
    assert any("both pruned and quantised" in note for note in found.notes[2])
    assert found.nats[1] == methods.quantised("gptq", 4, 128, SMALL.parameters, 9.0).nats


def test_the_users_factor_is_on_quantisation_alone():
    plain, muon, factor = judged(
        "lora,prune:wanda:2:4,gptq:4:g128",
        "lora,muon,prune:wanda:2:4,gptq:4:g128",
        "lora,muon:0.5,prune:wanda:2:4,gptq:4:g128",
    ).nats
    assert plain == muon, "no curve of ours: without a factor an optimiser changes nothing"
    quantised = methods.quantised("gptq", 4, 128, SMALL.parameters, 9.0).nats
    assert muon - factor == pytest.approx(0.5 * quantised)
    alone, halved = judged("lora,muon,gptq:4:g128", "lora,muon:0.5,gptq:4:g128").high
    assert halved == pytest.approx(0.5 * alone), "its interval with it"


def test_adapters_merged_leave_the_model_as_it_was():
    found = judged("none", "lora")
    assert found.nats[1] == 0
    assert found.cost.latency[0] == found.cost.latency[1]
    assert found.training_flops[0] == 0 < found.training_flops[1]


def test_distillation_by_hand():
    """L = 1.220 + (3355 / N^.408 + 18186 / D^.431)^.452 (arXiv 2502.08606), D from 9T to 9.1T."""

    def supervised(n, d):
        return 1.220 + (3355 / n**0.408 + 18186 / d**0.431) ** 0.452

    n = SMALL.matrix_parameters
    step = Distil(teacher="llama-3.1-70b", tokens=1e11)
    expected = supervised(n, 9.1e12) - supervised(n, 9e12)
    assert step.effect(SMALL).nats == pytest.approx(expected, rel=1e-6)
    assert expected < 0
    scratch = Distil(teacher="llama-3.1-70b", tokens=1e11, start="scratch").effect(SMALL)
    assert scratch.nats == pytest.approx(supervised(n, 1e11) - supervised(n, 9e12), rel=1e-6)
    assert scratch.nats > 0


def test_the_student_law_by_hand():
    """Coefficients made up for the test: the law has none here."""
    given_ = dict(c0=0.5, c1=0.3, d1=1.1, f1=0.8, a=30.0, alpha=0.3, b=60.0, beta=0.35, gamma=0.9)
    step = Distil(teacher="llama-3.1-70b", tokens=2e10, start="scratch", student=given_)
    teacher = load_model("llama-3.1-70b")
    n_t = Subject(teacher, None, LAW).matrix_parameters
    l_t, l_s = float(LAW.at(n_t, 15e12)), float(LAW.at(SMALL.matrix_parameters, 2e10))
    gap = (1 + (l_t / (l_s * 1.1)) ** (1 / 0.8)) ** (-0.3 * 0.8)
    size = (30 / SMALL.matrix_parameters**0.3 + 60 / 2e10**0.35) ** 0.9
    by_hand = l_t + l_t**-0.5 * gap * size
    before = float(LAW.at(SMALL.matrix_parameters, 9e12))
    assert step.effect(SMALL).nats == pytest.approx(by_hand - before)
    with pytest.raises(ValueError, match="start: scratch"):
        Distil(teacher="llama-3.1-70b", student=given_)


def test_training_costs_three_passes_of_the_student_and_one_of_the_teacher():
    """3 F(N_S) D_S + F(N_T) (D_S + 3 D_T): F of the engine is 2 N and its attention and head."""
    recipe = load_recipe("distil:llama-3.1-70b:1B")
    found = training(recipe, SMALL)
    student, teacher = 2 * 3.2128e9, 2 * 69.5e9  # all weights but the teacher's own embedding
    assert found.student_flops == pytest.approx(3 * student * 1e9, rel=0.12)
    assert found.teacher_flops == pytest.approx(teacher * 1e9, rel=0.05)
    assert found.student_flops == pytest.approx(3e9 * SMALL.forward_flops)
    step = Distil(teacher="llama-3.1-70b", tokens=1e9, pretrain=True)
    assert step.teacher_flops() == pytest.approx(found.teacher_flops * (1 + 3 * 15e12 / 1e9))
    assert Distil(teacher="llama-3.1-70b", logits=False).teacher_flops() == 0


def test_forward_flops_are_those_of_the_engines_prefill():
    length = 2048
    run = estimate(SMALL.arch, PHONE, Workload(prompt=length, generate=1, logits="all"))
    assert SMALL.forward_flops == pytest.approx(run.prefill_flops[0] / length)


def test_state_of_optimisers():
    """Adam keeps 8 bytes of a trained weight; Muon 4 of a hidden matrix and Adam's of the rest."""
    adam, muon = (
        training(load_recipe(f"distil:llama-3.1-70b,{n}"), SMALL) for n in ("adam", "muon")
    )
    everything, hidden = 3_212_749_824, SMALL.matrix_parameters
    assert adam.state_bytes == pytest.approx(8 * everything)
    assert muon.state_bytes == pytest.approx(4 * hidden + 8 * (everything - hidden))
    adapters = training(load_recipe("lora:16,adam"), SMALL)
    per_layer = 16 * (2 * (3072 + 3072) + 2 * (3072 + 1024) + 3 * (3072 + 8192))
    assert adapters.trained == 28 * per_layer
    assert adapters.state_bytes == 8 * adapters.trained


def test_muons_own_products_by_hand():
    """5 (4 m^2 n + 2 m^3) a matrix and step; 1e6 tokens are 62 steps of 16,384."""
    found = training(load_recipe("distil:llama-3.1-70b:1M,muon"), SMALL)

    def ns(m, n):
        return 5 * (4 * m**2 * n + 2 * m**3)

    layer = 2 * ns(3072, 3072) + 2 * ns(1024, 3072) + 3 * ns(3072, 8192)
    assert found.optimiser_flops == pytest.approx(62 * 28 * layer)
    assert training(load_recipe("distil:llama-3.1-70b:1M,adam"), SMALL).optimiser_flops == 0


def test_hours_of_a_device():
    device = load_device("h100-sxm")
    assert hours(3.6e18, device, 0.5) == pytest.approx(1e15 / (989.4e12 * 0.5), rel=0.01)


def test_gptq_computes_passes_and_hessians_by_hand():
    tokens = 128 * 2048
    total = tokens * SEVEN.forward_flops
    for inputs, outputs, copies in ((4096, 4096, 4), (4096, 11008, 2), (11008, 4096, 1)):
        each = 2 * tokens * inputs**2 + 4 / 3 * inputs**3 + outputs * inputs**2
        total += 32 * copies * each
    assert flops("gptq", SEVEN) == pytest.approx(total)
    assert flops("rtn", SEVEN) == 0
    assert all(entry.source and entry.date for entry in calibrations().values())


def test_a_cache_in_few_bits_is_charged_by_the_precision_law_and_flagged():
    found = judged("kv:fp16", "kv:int8", "kv:int4")
    law = load_law("precision")

    def at(bits):
        left = 1 - exp(law.shift_kv - bits / law.gamma_kv)
        left *= 1 - exp(law.shift_weights - 16 / law.gamma_weights)
        left *= 1 - exp(law.shift_activations - 16 / law.gamma_activations)
        return law.a * SMALL.matrix_parameters**-law.alpha * left**-law.alpha

    assert found.nats[0] == 0
    assert found.nats[1:] == pytest.approx([at(8) - at(16), at(4) - at(16)], rel=1e-6)
    assert "order of magnitude" in found.notes[1][0]
    assert found.cost.kv_cache_bytes[1] < found.cost.kv_cache_bytes[0]


@settings(max_examples=40, deadline=None)
@given(
    method=st.sampled_from(["rtn", "gptq", "awq", "omniquant"]),
    group=st.sampled_from(["channel", "g32", "g64", "g128"]),
    before=st.sampled_from(["", "prune:wanda:2:4,", "lora,"]),
)
def test_fewer_bits_never_take_more_bytes_nor_more_bits_lose_more(method, group, before):
    texts = []
    for bits in methods.BITS[method]:
        try:
            texts.append(str(load_recipe(f"{before}{method}:{bits}:{group}")))
        except ValueError:
            continue  # a width without a number format in such groups
    found = judged(*texts)
    assert (np.diff(found.cost.weight_bytes) >= 0).all()
    assert (np.diff(found.cost.memory_bytes) >= 0).all()
    assert (np.diff(found.nats) <= 0).all()


def test_every_method_and_format_reaches_the_inventory():
    for method in methods.METHODS:
        for bits in methods.BITS[method]:
            step = Quantise(method=method, bits=bits, group=128 if bits < 8 else 0) if (
                method, bits) != ("efficientqat", 8) else None  # fmt: skip
            if step is not None:
                stored = weight_bytes(SEVEN.arch.with_formats(step.format))[0]
                assert judged(str(step), subject=SEVEN).cost.weight_bytes[0] == stored


def test_newer_models_are_more_fragile():
    llama_3 = Subject(load_model("llama-3-8b"), 15.0, LAW)
    old, new = (judged("gptq:4:g128", subject=each).nats[0] for each in (SEVEN, llama_3))
    assert new > 1.5 * old
    assert new == pytest.approx(log(6.5 / 6.1), rel=0.35)
