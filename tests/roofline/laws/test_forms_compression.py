"""Laws of zero weights and of few bits against values worked by hand."""

import numpy as np
import pytest

from arch_space import Architectures
from arch_space.library import load_model
from roofline.laws import load_law
from spec_files import SpecError

SMALL = {
    "layers": 6,
    "width": 512,
    "query_heads": 8,
    "kv_heads": 8,
    "head_size": 64,
    "ffn_width": 1408,
    "vocabulary": 32_000,
}
MATRICES = 6 * (4 * 512**2 + 3 * 512 * 1408) + 13 * 512


def model(**changes):
    return Architectures.checked(**(SMALL | changes))


# Zero weights


def test_sparse_weights_by_hand():
    # N 1e7 non-zero, D 2e10, S .5: .5^.722 = .606256; 1e7^-.245 = 10^-1.715 = .0192752;
    # (.0345)^.203 = exp(.203 x -3.366796) = .504869.
    law = load_law("frantar")
    by_hand = (16.8 * 0.606256 + 45) * 0.0192752 + 0.504869 + 0.651
    assert law.at(1e7, 2e10, 0.5) == pytest.approx(by_hand, rel=1e-5)
    dense = (16.8 + 45) * 0.0192752 + 0.504869 + 0.651
    assert law.at(1e7, 2e10, 0.0) == pytest.approx(dense, rel=1e-5)


def test_zeros_leave_the_size_and_a_pattern_of_them_is_flagged():
    law = load_law("frantar")
    sparse = model(weight_sparsity=0.75)
    assert law.loss(sparse) == pytest.approx([law.at(MATRICES / 4, 20e9, 0.75)])
    assert law.in_range(sparse).all()
    assert {"weight_sparsity", "two_four"} <= law.covers
    patterned = model(weight_sparsity=0.5, two_four=True)
    assert law.loss(patterned) == law.loss(model(weight_sparsity=0.5))
    assert law.out_of_range_reasons(patterned) == ["2:4 sparsity: the law's zeros lay anywhere"]
    assert law.out_of_range_reasons(model(weight_sparsity=0.9)) == [
        "weight sparsity 0.9 above 0.875"
    ]


# Training in few bits


def test_precision_by_hand():
    # N 1e8, D 1e10, weights 4 bits, activations 8, KV 16: shares left are
    # 1 - exp(.3037 - 4/2.6745) = .696358, 1 - exp(1.4072 - 8/2.2102) = .890560,
    # 1 - exp(2.4185 - 16/.9578) = .999999; 1e8^.4965 = 10^3.972 = 9375.62.
    left = 0.696358 * 0.890560 * 0.999999
    by_hand = 2.7648 + 4299 / 9375.62 * left**-0.4965 + 18060 / 10**4.965
    law = load_law("precision")
    assert law.at(1e8, 1e10, 4.0, 8.0, 16.0) == pytest.approx(by_hand, rel=1e-6)


def test_wide_formats_cost_almost_nothing_and_each_narrower_one_more():
    law = load_law("precision")
    plain = 2.7648 + 4299 * 1e8**-0.4965 + 18060 * 1e10**-0.4965
    assert law.at(1e8, 1e10, 16.0, 16.0, 16.0) == pytest.approx(plain, abs=2e-3)
    for place in range(3):
        bits = np.full((3, 4), 16.0)
        bits[place] = [16, 8, 6, 4]
        assert (np.diff(law.at(1e8, 1e10, *bits)) > 0).all()


def test_precision_reads_the_formats_of_weights_activations_and_cache():
    law = load_law("precision")
    narrow = model().with_formats("int4", kv="int8", activations="fp8")
    assert law.loss(narrow) == pytest.approx([law.at(MATRICES, 10e9, 4.0, 8.0, 8.0)])
    assert law.covers == {"weight_format", "activation_format", "kv_format"}
    two = np.array([1, 1], dtype=float) * 512
    mixed = model(width=two, weight_format=[0, 1])
    assert law.loss(mixed).shape == (2,)
    ternary = model().with_formats("tq2_0")
    assert "weight bits 2 below 3" in law.out_of_range_reasons(ternary)[0]
    palette = model().with_formats("palette-4")  # 16-bit values, picked by 4 bits
    assert law.loss(palette) == pytest.approx([law.at(MATRICES, 10e9, 4.0, 16.0, 16.0)])


def test_too_few_bits_are_one_sentence_not_a_nan():
    law = load_law("precision").with_coefficients({"shift_activations": 2.0})
    with pytest.raises(SpecError, match=r"'precision': a model of so few bits has no effective"):
        law.loss(model().with_formats(activations="int4"))


# Rounding after training


def test_rounding_by_hand():
    # N 1e8, D 1e10, 4 bits. Kumar: 1e10^.5068 = 10^5.068, 1e8^.3439 = 10^2.7512,
    # exp(-4/.5907) = exp(-6.77163) = .00114582. Ouyang: 10^5.251, 10^1.8088, 4^5.4967 = 2^10.9934.
    kumar = 0.0598 * 10**5.068 / 10**2.7512 * 0.00114582
    assert load_law("rounding-kumar").at(1e8, 1e10, 4.0) == pytest.approx(kumar, rel=1e-4)
    ouyang = 0.017 * 10**5.251 / 10**1.8088 / 2**10.9934
    assert load_law("rounding-ouyang").at(1e8, 1e10, 4.0) == pytest.approx(ouyang, rel=1e-5)


@pytest.mark.parametrize("name", ["rounding-kumar", "rounding-ouyang"])
def test_rounding_is_an_increase_of_the_order_of_magnitude_and_said_to_be(name):
    """GPTQ at 4 bits in groups of 128 costs Llama-2-7B .0253 nats; 3 bits cost many times that."""
    law = load_law(name, tokens=2e12)
    llama = load_model("llama-2-7b").with_formats("int4-g128")
    assert 0.1 < law.loss(llama)[0] / 0.0253 < 10
    assert law.loss(llama.with_formats("int3-g128")) > 3 * law.loss(llama)
    assert not law.in_range(llama).any()
    assert "order of magnitude only" in law.out_of_range_reasons(llama)[0]
    assert law.unit != "nats per token"
    longer, larger = load_law(name, tokens=4e12), load_model("llama-2-13b").with_formats("int4")
    assert longer.loss(llama) > law.loss(llama) > law.loss(larger)
