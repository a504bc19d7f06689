"""What formats and sparsity add to the loss, held against published perplexities.

Perplexities on WikiText-2, copied by hand. LLAMA_CPP: llama.cpp, examples/perplexity/README.md,
revision f364eb6f (April 2024), Llama-3-8B without importance matrix. PTQ: arXiv 2404.14047 (April
2024), Llama-3-8B, one decimal. OMNIQUANT: arXiv 2308.13137 (August 2023), GPTQ.
"""

from dataclasses import replace
from math import exp, hypot, log, sqrt

import numpy as np
import pytest

from arch_space.architectures import Architectures
from arch_space.formats import format_code
from roofline.laws import law_names, load_law, out_of_range_reasons, penalty, predict
from spec_files import SpecError

LLAMA_7B = Architectures(
    layers=32,
    width=4096,
    query_heads=32,
    kv_heads=32,
    head_size=128,
    ffn_width=11_008,
    vocabulary=32_000,
    tied_embedding=False,
)
SMALL = Architectures(
    layers=24,
    width=896,
    query_heads=14,
    kv_heads=2,
    head_size=64,
    ffn_width=4864,
    vocabulary=32_000,
)
# perplexity, and the error that the README gives for its difference to 16 bits
LLAMA_CPP = {
    "q4_0": (6.700147, 0.007951),
    "q4_k_m": (6.407115, 0.004620),
    "q5_k_m": (6.288607, 0.002598),
    "q6_k": (6.253382, 0.001852),
    "q8_0": (6.234284, 0.001006),
}
LLAMA_CPP_16_BITS = 6.233160 - 0.001524  # of the row f16: perplexity less its difference
PTQ = {
    "fp16": 6.1,
    "GPTQ W4 g128": 6.5,
    "GPTQ W4": 7.0,
    "GPTQ W8": 6.1,
    "AWQ W4 g128": 6.6,
    "AWQ W4": 7.1,
    "AWQ W8": 6.1,
    "RTN W8": 6.2,
    "SmoothQuant W8A8": 6.3,
    "SmoothQuant W4A4": 4300,
}
ROUNDED = 0.1 / sqrt(12)  # sd of a number that is printed to one decimal


def nats(weights, **formats):
    return penalty(LLAMA_7B.with_formats(weights=weights, **formats)).nats[0]


def sd(weights, **formats):
    return penalty(LLAMA_7B.with_formats(weights=weights, **formats)).sd[0]


def ptq(row):
    """Nats that a row of the table adds, and the least and most that its rounding allows."""
    low = (PTQ[row] - 0.05) / (PTQ["fp16"] + 0.05)
    high = (PTQ[row] + 0.05) / (PTQ["fp16"] - 0.05)
    return log(PTQ[row] / PTQ["fp16"]), log(low), log(high)


@pytest.mark.parametrize("name", ["fp32", "fp16", "bf16"])
def test_wide_formats_are_free(name):
    assert nats(name) == 0
    assert sd(name) == 0


@pytest.mark.parametrize("name", LLAMA_CPP)
def test_gguf_types_add_what_was_measured(name):
    perplexity, error = LLAMA_CPP[name]
    assert nats(name) == pytest.approx(log(perplexity / LLAMA_CPP_16_BITS), rel=1e-9)
    assert sd(name) == pytest.approx(hypot(error / perplexity, 0.12 * nats(name)), rel=0.03)


def test_gguf_types_keep_their_proportions_on_another_model():
    """Llama-2-70B (llama.cpp), percent of perplexity: one factor to Llama-3-8B, and a spread."""
    percent = {"q4_0": 3.61, "q4_k_m": 1.20, "q5_k_m": 0.40, "q6_k": 0.16}
    factors = np.log([nats(name) / log(1 + p / 100) for name, p in percent.items()])
    assert exp(factors.mean()) == pytest.approx(2.2, abs=0.05)
    # Llama-2-7B: perplexity ratios 1.014242 at Q4_K_M, 1.002406 at Q6_K.
    two = np.log([nats("q4_k_m") / log(1.014242), nats("q6_k") / log(1.002406)])
    left = np.concatenate([factors - factors.mean(), two - two.mean()])
    assert np.sqrt((left**2).sum() / (4 - 1 + 2 - 1)) == pytest.approx(0.12, abs=0.005)


@pytest.mark.parametrize(
    ("name", "row"), [("int4-g128", "GPTQ W4 g128"), ("int4-channel", "GPTQ W4")]
)
def test_four_bits_add_what_gptq_measured(name, row):
    assert nats(name) == pytest.approx(ptq(row)[0])
    rounding = hypot(ROUNDED / PTQ[row], ROUNDED / PTQ["fp16"])
    assert sd(name) == pytest.approx(hypot(rounding, 0.17 * nats(name)), rel=2e-3)
    other = row.replace("GPTQ", "AWQ")
    assert nats(name) == pytest.approx(ptq(other)[0], abs=2 * sd(name))


def test_groups_of_four_bits_follow_the_fit_in_stored_bits():
    """GPTQ: ln dNLL falls by 1.60 a bit; 20 bits of scale and zero point a group, 16 where none."""
    assert nats("int4") == nats("int4-g128")
    for name, bits, halvings in [
        ("int4-g64", 20 / 64, 1),
        ("int4-g32", 20 / 32, 2),
        ("int4-g128-sym", 16 / 128, 0),
        ("int4-g32-sym", 16 / 32, 2),
    ]:
        factor = exp(-1.60 * (bits - 20 / 128))
        assert nats(name) == pytest.approx(factor * nats("int4-g128"), rel=2e-3)
        rounding = factor * hypot(ROUNDED / 6.5, ROUNDED / 6.1)
        spread = hypot(0.17, 0.14 * halvings) * nats(name)
        assert sd(name) == pytest.approx(hypot(rounding, spread), rel=0.02)


def test_the_slope_in_bits_holds_for_groups_of_64():
    """OMNIQUANT, 2 bits: 16 bits, groups of 64 and of 128, on LLaMA-1 and Llama-2."""
    rows = [
        (5.68, 22.10, 44.01),
        (5.09, 10.06, 15.60),
        (4.10, 8.54, 10.92),
        (3.53, 8.31, 9.51),
        (5.47, 20.85, 36.77),
        (4.88, 22.44, 28.14),
    ]
    measured = np.array([log(log(g64 / full) / log(g128 / full)) for full, g64, g128 in rows])
    assert measured.mean() == pytest.approx(-0.31, abs=0.005)
    assert measured.std(ddof=1) == pytest.approx(0.14, abs=0.005)
    ours = log(nats("int4-g64") / nats("int4-g128"))
    assert ours == pytest.approx(measured.mean(), abs=measured.std(ddof=1) / 2)


def test_fewer_bits_add_what_gptq_and_efficientqat_measured():
    """PTQ: GPTQ at 3 bits reads 8.2 in groups of 128 and 13.0 without; EfficientQAT
    (arXiv 2407.11062) takes 6.14 to 9.41 at 2 bits in groups of 64 and to 9.80 in groups of 128."""
    assert nats("int3-g128") == pytest.approx(log(8.2 / 6.1))
    assert nats("int3-channel") == pytest.approx(log(13.0 / 6.1))
    assert nats("int2-g64") == pytest.approx(log(9.41 / 6.14))
    assert nats("int2-g128") == pytest.approx(log(9.80 / 6.14))
    finer = ["int3-g32", "int3-g64", "int3-g128", "int2-g64", "int2-g128", "int3-channel"]
    assert sorted(finer, key=nats) == finer
    assert nats("int4-g128") < nats("int4-g256") < nats("int4-channel") < nats("int3-g32")


def test_types_that_were_measured_with_an_importance_matrix_alone():
    assert nats("iq3_xxs") == pytest.approx(log(7.458436 / LLAMA_CPP_16_BITS))
    assert nats("q2_k") == pytest.approx(log(9.751568 / LLAMA_CPP_16_BITS))  # 8.65 with one


def test_formats_stand_on_one_scale():
    """On Llama-3-8B; the fits on LLaMA-1 and Llama-2 had GPTQ (.0245) before Q4_K_M (.0357)."""
    order = ["q8_0", "int8", "q6_k", "q5_k_m", "q4_k_m", "int4-g128", "q4_0", "int4-channel"]
    assert sorted(order, key=nats) == order
    finer = ["int4-g32", "int4-g32-sym", "int4-g64", "int4-g128", "int4-g128-sym", "int4-channel"]
    assert sorted(finer, key=nats) == finer
    assert nats("q4_k_m") < nats("int4-g32")


def test_eight_bits_cost_no_less_than_q8_0_and_what_rounding_hides():
    assert nats("int8-g32") == nats("q8_0") == pytest.approx(0.000425, abs=5e-7)
    # Rounding to nearest (OMNIQUANT): 1.95 a bit, of which Q8_0 has 8.5, and .89 for having groups.
    coarser = exp(1.95 * (8.5 - (8 + 16 / 4096)) + 0.89)
    assert nats("int8") == pytest.approx(coarser * nats("q8_0"), rel=3e-3)
    for row in ("GPTQ W8", "AWQ W8", "RTN W8"):
        _, least, most = ptq(row)
        assert least < nats("int8") < most
    assert sd("int8") == pytest.approx(hypot(ROUNDED / 6.1, ROUNDED / 6.1), rel=0.03)


def test_a_format_costs_every_model_the_same():
    for name in ("int4", "int8", "q4_k_m"):
        assert penalty(SMALL.with_formats(weights=name)).nats == nats(name)


def test_columns_of_formats_give_each_candidate_its_own():
    names = ["fp16", "int4", "q4_k_m", "int8"]
    codes = [format_code(name) for name in names]
    table = replace(LLAMA_7B, weight_format=codes)
    assert penalty(table).nats.tolist() == [nats(name) for name in names]
    assert penalty(table).sd.tolist() == [sd(name) for name in names]
    wide = replace(table, activation_format=[format_code("fp16")] * 3 + [format_code("int8")])
    assert penalty(wide).nats[:3].tolist() == [nats(name) for name in names[:3]]
    assert penalty(wide).nats[3] == nats("int8", activations="int8")
    narrow = replace(LLAMA_7B, activation_format=[format_code("fp16"), format_code("int8")])
    assert penalty(narrow).nats.tolist() == [0, nats("fp16", activations="int8")]


def test_int8_activations_add_the_published_difference_once():
    both, rounding = ptq("SmoothQuant W8A8")[0], hypot(ROUNDED / 6.3, ROUNDED / 6.1)
    assert nats("int8", activations="int8") == pytest.approx(both)
    assert sd("int8", activations="int8") == pytest.approx(rounding)
    alone = both - nats("int8")
    for weights in ("fp16", "int8-g32", "int4", "q8_0"):
        assert nats(weights, activations="int8") == pytest.approx(nats(weights) + alone)
        assert sd(weights, activations="int8") == pytest.approx(hypot(sd(weights), rounding))


def test_int8_activations_were_measured_beside_int8_weights_only():
    law = load_law("chinchilla")
    for weights, reason in [
        ("int8", ""),
        ("int8-g32", ""),
        ("q8_0", ""),
        ("fp16", "int8 activations without int8 weights: their sum has no table"),
        ("int4", "int8 activations without int8 weights: their sum has no table"),
    ]:
        table = LLAMA_7B.with_formats(weights=weights, activations="int8")
        assert out_of_range_reasons(law, table) == [reason]
        assert predict(law, table).in_range == (not reason)


def test_activations_of_four_bits_are_refused():
    assert ptq("SmoothQuant W4A4")[0] > 6  # nats
    with pytest.raises(SpecError, match=r"activations in int4: .* 6\.1 to 4300 .*2404\.14047"):
        penalty(LLAMA_7B.with_formats(weights="int4", activations="int4"))


def test_a_format_without_a_published_change_is_refused():
    with pytest.raises(SpecError, match=r"weights in fp8: no published .* int8, .*int4, .*q4_k_m"):
        penalty(LLAMA_7B.with_formats(weights="fp8"))
    with pytest.raises(SpecError, match="ffn_sparsity: no loss law"):
        penalty(replace(LLAMA_7B, ffn_sparsity=0.4))


@pytest.mark.parametrize(
    ("formats", "reason"),
    [
        ({"kv": "int8"}, "KV cache in int8: no published change of the loss"),
        ({"activations": "fp8"}, "activations in fp8: no published change of the loss"),
        ({"weights": "int4", "embedding": "int8"}, "embedding in int8: no published change"),
    ],
)
def test_what_is_not_priced_is_flagged(formats, reason):
    law = load_law("chinchilla")
    changed = LLAMA_7B.with_formats(**formats)
    assert not predict(law, changed).in_range[0]
    assert out_of_range_reasons(law, changed)[0].startswith(reason)


def test_recipes_with_a_quantised_embedding_are_priced_whole():
    law = load_law("chinchilla")
    for weights in ("q4_k_m", "int4", "fp16"):
        assert predict(law, LLAMA_7B.with_formats(weights=weights)).in_range.all()


def test_pruning_in_training_by_hand():
    sparse = replace(LLAMA_7B, weight_sparsity=[0.0, 0.5, 0.75, 0.9])
    dense = 6_738_415_616 - 2 * 32_000 * 4096  # Llama-2-7B without its tables
    half = (16.8 * 0.5**0.722 + 45) * (dense / 2) ** -0.245 - 61.8 * dense**-0.245
    added = penalty(sparse)
    assert added.nats[:2] == pytest.approx([0, half], rel=1e-3, abs=1e-12)
    assert (np.diff(added.nats) > 0).all()
    assert np.isnan(added.sd).tolist() == [False, True, True, True]


def test_two_four_in_one_shot_is_the_published_pair():
    pruned = replace(LLAMA_7B, weight_sparsity=0.5, two_four=True)
    assert penalty(pruned).nats == pytest.approx([log(10.17 / 5.12)])
    both = pruned.with_formats(weights="int4")
    assert penalty(both).nats == pytest.approx([log(10.17 / 5.12) + nats("int4")])


@pytest.mark.parametrize(
    "name", [name for name in law_names() if "weight_sparsity" not in load_law(name).covers]
)
def test_sparse_weights_lie_outside_every_law_that_does_not_see_them(name):
    """They were fitted on dense weights; sparse ones are not to win unseen."""
    law = load_law(name)
    table = replace(SMALL, weight_sparsity=[0, 0.5, 0.9, 0.5], two_four=[False, False, False, True])
    trained = "weight sparsity {}: the law's weights were dense; penalty of pruning in training, T5"
    shot = "2:4 sparsity: the law's weights were dense; penalty of one-shot pruning, Llama-2-7B"
    reasons = [
        "",
        trained.format(0.5),
        trained.format(0.9) + "; weight sparsity 0.9 above 0.875",
        shot,
    ]
    ratio = "; number formats or sparsity change the loss"

    def told(arch):
        return [reason.split(ratio)[0] for reason in out_of_range_reasons(law, arch)]

    def expected(arch, more):
        own = law.out_of_range_reasons(arch)
        return ["; ".join(filter(None, pair)) for pair in zip(own, more, strict=True)]

    assert told(table) == expected(table, reasons)
    assert predict(law, table).in_range.tolist()[1:] == [False] * 3
    quantised = table.with_formats(weights="q4_k_m")
    sum_of_two = "weights both sparse and quantised: their sum has no table"
    more = ["", *(f"{reason}; {sum_of_two}" for reason in reasons[1:])]
    assert told(quantised)[1:] == expected(quantised, more)[1:]
    assert sum_of_two not in told(quantised)[0]


def test_prediction_adds_the_penalty_and_carries_an_interval():
    law = load_law("codesign")
    wide, narrow = (predict(law, LLAMA_7B.with_formats(weights=w)) for w in ("fp16", "int4"))
    assert narrow.loss - wide.loss == pytest.approx(narrow.penalty)
    assert wide.sd == pytest.approx([law.sd])
    assert narrow.sd == pytest.approx(np.hypot(law.sd, sd("int4")))
    assert np.isnan(predict(load_law("chinchilla"), LLAMA_7B).sd).all()
