"""What formats and sparsity add to the loss, held against published perplexities."""

from math import exp, log

import numpy as np
import pytest

from arch_space.architectures import Architectures
from roofline.laws import load_law, out_of_range_reasons, penalty, predict
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
LLAMA_30B = Architectures(
    layers=60,
    width=6656,
    query_heads=52,
    kv_heads=52,
    head_size=128,
    ffn_width=17_920,
    vocabulary=32_000,
    tied_embedding=False,
)


def nats(arch, weights):
    return penalty(arch.with_formats(weights=weights)).nats[0]


@pytest.mark.parametrize("name", ["fp32", "fp16", "bf16"])
def test_wide_formats_are_free(name):
    added = penalty(LLAMA_7B.with_formats(weights=name))
    assert added.nats == 0
    assert added.sd == 0


# WikiText-2 perplexities of arXiv 2308.13137: 16 bits, and GPTQ at 4 bits.
@pytest.mark.parametrize(
    ("arch", "name", "quantised", "full"),
    [
        (LLAMA_7B, "int4-channel", 6.13, 5.68),
        (LLAMA_7B, "int4-channel", 5.83, 5.47),
        (LLAMA_7B, "int4-g128", 5.85, 5.68),
        (LLAMA_7B, "int4-g128", 5.61, 5.47),
        (LLAMA_30B, "int4-channel", 4.48, 4.10),
        (LLAMA_30B, "int4-g128", 4.23, 4.10),
    ],
)
def test_gptq_points_lie_within_two_deviations(arch, name, quantised, full):
    measured = log(log(quantised / full))
    assert log(nats(arch, name)) == pytest.approx(measured, abs=2 * 0.16)


# Perplexity ratios of llama.cpp on Llama-3-8B.
@pytest.mark.parametrize(
    ("name", "ratio", "deviations"),
    [
        ("q4_k_m", 1.028160, 1),
        ("q5_k_m", 6.288607 / 6.231636, 1.2),
        ("q6_k", 1.003490, 1),
        ("q8_0", 1.000425, 1),
        ("q4_0", 6.700147 / 6.231636, 1.2),
    ],
)
def test_gguf_types_lie_near_the_published_ratios(name, ratio, deviations):
    assert log(nats(LLAMA_7B, name)) == pytest.approx(log(log(ratio)), abs=deviations * 0.36)


def test_eight_bits_cost_nothing_that_shows():
    assert 0 < nats(LLAMA_7B, "int8") < 1e-3
    assert 0 < nats(LLAMA_7B, "int8-g32") < nats(LLAMA_7B, "int8")


def test_formulas_by_hand():
    billions = 32.5
    assert nats(LLAMA_30B, "int4-channel") == pytest.approx(
        exp(3.46 - 1.60 * 4 + 0.09 * log(billions)), rel=2e-3
    )
    assert nats(LLAMA_7B, "q4_k_m") == pytest.approx(exp(2.73 - 1.24 * 4.89))
    added = penalty(LLAMA_30B.with_formats(weights="int4"))
    assert added.sd == pytest.approx(0.16 * added.nats)


def test_small_models_get_no_bonus_for_being_small():
    small = Architectures(
        layers=24,
        width=896,
        query_heads=14,
        kv_heads=2,
        head_size=64,
        ffn_width=4864,
        vocabulary=32_000,
    )
    assert nats(small, "int4") == pytest.approx(nats(LLAMA_7B, "int4"), rel=1e-3)


def test_a_column_of_formats_gives_each_candidate_its_own():
    names = ["fp16", "int4", "q4_k_m", "int8"]
    codes = [LLAMA_7B.with_formats(weights=name).weight_format[0] for name in names]
    table = Architectures(**{**_columns(LLAMA_7B), "weight_format": codes})
    assert penalty(table).nats == pytest.approx([nats(LLAMA_7B, name) for name in names])


def test_a_format_without_a_published_change_is_refused():
    with pytest.raises(SpecError, match=r"weights in fp8: no published .* int8, .*int4, .*q4_k_m"):
        penalty(LLAMA_7B.with_formats(weights="fp8"))
    with pytest.raises(SpecError, match="ffn_sparsity: no loss law"):
        penalty(Architectures(**{**_columns(LLAMA_7B), "ffn_sparsity": 0.4}))


@pytest.mark.parametrize(
    ("formats", "reason"),
    [
        ({"kv": "int8"}, "KV cache in int8: no published change of the loss"),
        ({"activations": "int8"}, "activations in int8: no published change of the loss"),
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
    sparse = Architectures(**{**_columns(LLAMA_7B), "weight_sparsity": [0.0, 0.5, 0.75, 0.9]})
    dense = 6_738_415_616 - 2 * 32_000 * 4096  # Llama-2-7B without its tables
    half = (16.8 * 0.5**0.722 + 45) * (dense / 2) ** -0.245 - 61.8 * dense**-0.245
    added = penalty(sparse)
    assert added.nats[:2] == pytest.approx([0, half], rel=1e-3, abs=1e-12)
    assert (np.diff(added.nats) > 0).all()
    assert np.isnan(added.sd).tolist() == [False, True, True, True]
    reasons = out_of_range_reasons(load_law("chinchilla"), sparse)
    assert reasons == ["", "", "", "weight sparsity 0.9 above 0.875"]


def test_two_four_in_one_shot_is_the_published_pair():
    changes = {"weight_sparsity": 0.5, "two_four": True}
    pruned = Architectures(**{**_columns(LLAMA_7B), **changes})
    assert penalty(pruned).nats == pytest.approx([log(10.17 / 5.12)])
    both = pruned.with_formats(weights="int4")
    assert penalty(both).nats == pytest.approx([log(10.17 / 5.12) + nats(LLAMA_7B, "int4")])


def test_prediction_adds_the_penalty_and_carries_an_interval():
    law = load_law("codesign")
    wide, narrow = (predict(law, LLAMA_7B.with_formats(weights=w)) for w in ("fp16", "int4"))
    assert narrow.loss - wide.loss == pytest.approx(narrow.penalty)
    assert wide.sd == pytest.approx([law.sd])
    assert narrow.sd == pytest.approx(np.hypot(law.sd, 0.16 * narrow.penalty))
    assert np.isnan(predict(load_law("chinchilla"), LLAMA_7B).sd).all()


def _columns(arch):
    return arch.row() | {
        name: getattr(arch, name)
        for name in ("weight_format", "embedding_format", "kv_format", "activation_format")
    }
