"""Laws of mixtures of experts against values that papers print, or worked by hand."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from arch_space import Architectures
from roofline.laws import load_law, variables

DENSE = {
    "layers": 16,
    "width": 1024,
    "query_heads": 16,
    "kv_heads": 16,
    "head_size": 64,
    "ffn_width": 4096,
    "vocabulary": 50_257,
    "tied_embedding": False,
}


def model(**changes):
    return Architectures.checked(**(DENSE | changes))


# Krajewski


def test_fine_grained_law_by_hand():
    # N 1e9, D 1e11, G 1 and 16: 1e9^.115 = 10^1.035 = 10.8393, 1e11^.147 = 10^1.617 = 41.4000,
    # 16^.58 = 2^2.32 = 4.99332.
    law = load_law("krajewski")
    assert law.at(1e9, 1e11, 1.0) == pytest.approx(0.47 + 20.2 / 10.8393 + 30.8 / 41.4000, rel=1e-5)
    fine = 0.47 + (2.1 / 4.99332 + 18.1) / 10.8393 + 30.8 / 41.4000
    assert law.at(1e9, 1e11, 16.0) == pytest.approx(fine, rel=1e-5)
    dense = load_law("krajewski-dense")
    # 1e9^.126 = 10^1.134 = 13.6144, 1e11^.127 = 10^1.397 = 24.9459
    assert dense.at(1e9, 1e11) == pytest.approx(0.47 + 16.3 / 13.6144 + 26.7 / 24.9459, rel=1e-5)


def test_granularity_counts_experts_cut_from_one_of_four_widths():
    """arXiv 2402.07871: d_ff = 4 d over the width of an expert, both of two matrices."""
    plain = {"gated": False, "experts": 64, "ffn_width": 0}
    assert variables.granularity(model(**plain, expert_width=4096)) == 1
    fine = model(**plain | {"experts": 1024}, expert_width=256, experts_per_token=16)
    assert variables.granularity(fine) == 16
    # Three matrices of 2/3 of the width are as many parameters.
    assert variables.granularity(model(expert_width=2731, experts=64)) == pytest.approx(1, rel=1e-3)
    assert variables.granularity(model(gated=False)) == 1  # dense: the one expert
    assert variables.double_width(model(experts=64, expert_width=256)) == 8


def test_fine_grained_law_counts_idle_experts_and_flags_other_expansion_rates():
    law = load_law("krajewski")
    one = {"gated": False, "ffn_width": 0, "experts": 64, "expert_width": 4096, "layers": 4}
    moe = model(**one)
    matrices = 4 * (4 * 1024**2 + 64 * 2 * 1024 * 4096) + 4 * 64 * 1024 + (2 * 4 + 1) * 1024
    assert law.loss(moe) == pytest.approx([law.at(matrices, 16e9, 1.0)])
    assert law.in_range(moe).all()
    twice = model(**one | {"experts_per_token": 2})
    assert law.out_of_range_reasons(twice) == ["expansion rate 32 below 63"]
    assert "dense model" in law.out_of_range_reasons(model())[0]
    assert np.isfinite(law.loss(model())).all()


# Abnar


def test_sparse_law_by_hand():
    # N 1e10, D 1e11, S .75: 1e10^.5962 = 10^5.962, 1e11^.3954 = 10^4.3494, .25^.1666 = 2^-.3332,
    # .25^-.1603 1e10^-.1595 = 2^.3206 10^-1.595. The printed c / (1 - S)^-.1666 is c (1 - S)^.1666.
    by_hand = (
        16612.50 / 10**5.962
        + 5455.67 / 10**4.3494
        + 0.4598 * 2**-0.3332
        + 17.26 * 2**0.3206 / 10**1.595
        + 0.94
    )
    law = load_law("abnar")
    assert law.at(1e10, 1e11, 0.25) == pytest.approx(by_hand, rel=1e-9)
    # At S = 0 the last two terms are c and d / N^gamma.
    dense = 0.94 + 0.4598 + 16612.50 / 10**5.962 + 5455.67 / 10**4.3494 + 17.26 / 10**1.595
    assert law.at(1e10, 1e11, 1.0) == pytest.approx(dense, rel=1e-9)


def test_sparse_law_sees_the_share_of_idle_experts():
    law = load_law("abnar")
    moe = model(experts=8, experts_per_token=2, expert_width=4096, ffn_width=0)
    (size,) = variables.VARIABLES["parameters"].of(moe, 0.0)
    assert law.loss(moe) == pytest.approx([law.at(size, 10e9, 0.25)])
    assert law.in_range(moe).all()
    assert law.in_range(model()).all()
    idle = model(experts=64, expert_width=1024, ffn_width=0)
    assert law.out_of_range_reasons(idle) == ["activation 0.015625 below 0.05"]


# The joint law


@pytest.mark.parametrize(
    ("experts", "m", "mu", "n", "nu"),
    [
        (1, 30.3640, -0.1817, 53.9838, -0.1965),
        (2, 27.7982, -0.1780, 66.8401, -0.2065),
        (4, 24.8462, -0.1731, 87.7022, -0.2192),
        (8, 21.8330, -0.1676, 119.9126, -0.2338),
        (16, 19.0159, -0.1617, 167.5073, -0.2494),
        (32, 16.5424, -0.1557, 234.6726, -0.2652),
    ],
)
def test_joint_law_is_the_chinchilla_law_of_each_number_of_experts(experts, m, mu, n, nu):
    """Table 4 of arXiv 2502.05172: L = m N^mu + n D^nu + c. Terms apart by their limits."""
    law = load_law("joint-moe")
    by_size = law.at(np.array([1e8, 1e9]), 1e200, experts) - law.c
    slope = np.diff(np.log(by_size))[0] / math.log(10)
    assert slope == pytest.approx(mu, abs=2e-4)
    assert by_size[0] / 1e8**slope == pytest.approx(m, rel=4e-3)
    by_tokens = law.at(1e200, np.array([1e9, 1e10]), experts) - law.c
    slope = np.diff(np.log(by_tokens))[0] / math.log(10)
    assert slope == pytest.approx(nu, abs=2e-4)
    assert by_tokens[0] / 1e9**slope == pytest.approx(n, rel=4e-3)
    loss = m * 5e8**mu + n * 2e10**nu + 1.3637
    assert law.at(5e8, 2e10, experts) == pytest.approx(loss, abs=0.01)


def test_joint_law_takes_active_parameters_and_the_experts_one_was_picked_from():
    """A run of appendix E: width 1024, 16 layers, 8 experts, 321M active of 1.4B."""
    law = load_law("joint-moe")
    # 2 d V + 13 l d^2 by the paper's equation 10: 9 d^2 of three matrices, inner width 3 d.
    moe = model(experts=8, expert_width=3072, ffn_width=0)
    active = 2 * 1024 * 50_257 + 13 * 16 * 1024**2
    assert active == pytest.approx(321e6, rel=0.005)
    assert law.loss(moe) == pytest.approx([law.at(active, 10e9, 8)], rel=1e-3)
    assert law.in_range(moe).all()
    assert law.in_range(model()).all()
    two_of_sixteen = model(experts=16, experts_per_token=2, expert_width=1536, ffn_width=0)
    assert law.loss(two_of_sixteen) == pytest.approx(law.loss(moe), rel=1e-3)


# Efficiency leverage


def test_efficiency_leverage_of_the_papers_example():
    """EL(A .031, G 12, C 1e22) = 7.24, and granularity is best near 11 (arXiv 2507.17702)."""
    law = load_law("efficiency-leverage")
    assert 1 / law.at(0.031, 12.0, 1e22) == pytest.approx(7.24, abs=0.01)
    found = minimize_scalar(lambda g: law.at(0.031, 2**g, 1e22), bounds=(0, 8), method="bounded")
    assert 2**found.x == pytest.approx(11.3, abs=0.1)  # 2^(.117 / (2 x .0167))


def test_efficiency_leverage_grows_with_compute_and_is_one_where_dense():
    law = load_law("efficiency-leverage")
    assert law.at(0.031, 12.0, 1e22) < law.at(0.031, 12.0, 1e20) < 1
    assert law.at(1.0, 2.0, 1e21) == pytest.approx(1.0, abs=0.02)
    assert law.unit != "nats per token"
    # 6 FLOPs for each of the 16 (4 d^2 + 3 d 4096) + (2 16 + 1) d parameters that a token meets.
    met = 16 * (4 * 1024**2 + 3 * 1024 * 4096) + 33 * 1024
    assert variables.VARIABLES["compute"].of(model(), 1e10) == pytest.approx([6e10 * met])
    moe = model(experts=8, expert_width=4096, ffn_width=0)
    met += 16 * 8 * 1024  # routers
    assert law.loss(moe) == pytest.approx([law.at(1 / 8, 0.5, 6e10 * met)])
