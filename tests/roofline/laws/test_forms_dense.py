"""Laws of size, tokens and shape against values that papers print, or worked by hand."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from roofline.laws import load_law
from roofline.laws.forms.aspect import AspectLaw
from roofline.laws.forms.tied import TiedLaw
from roofline.laws.forms.vocabulary import tokens_of
from roofline.laws.forms.width_depth import WidthDepthLaw

WORDS = {"name": "x", "title": "x", "source": "x", "date": "x", "data": "x", "tokens": 1e10}


def law_of(form, ranged, **coefficients):
    spans = dict.fromkeys(ranged, (1.0, 1e15))
    return form(**WORDS, form=form.__module__.rpartition(".")[2], range=spans, **coefficients)


def test_kaplan_falls_back_to_a_power_of_size_and_to_one_of_tokens():
    # D -> inf: (n_c / N)^alpha_n; at N = 1e9: (6.4e4)^.076 = exp(.076 x 11.06664) = 2.3188.
    # N -> inf: (d_c / D)^alpha_d; at D = 1e10: 1800^.103 = exp(.103 x 7.49554) = 2.1642.
    kaplan = load_law("kaplan")
    assert kaplan.at(1e9, 1e30) == pytest.approx(2.3188, abs=1e-4)
    assert kaplan.at(1e40, 1e10) == pytest.approx(2.1642, abs=1e-4)
    # Both: (6.4e4^.737864 + 1800)^.103 = (3518.2 + 1800)^.103 = exp(.103 x 8.57889) = 2.4197.
    assert kaplan.at(1e9, 1e10) == pytest.approx(2.4197, abs=1e-4)


def test_sardana_by_hand():
    # 1e9 parameters, 1e10 tokens: 1e9^.18 = 10^1.62 = 41.687, 1e10^.24 = 10^2.4 = 251.19.
    by_hand = 1.45 + 33.66 / 41.6869 + 138.9 / 251.1886
    assert load_law("sardana").at(1e9, 1e10) == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("name", ["sardana", "chinchilla"])
@pytest.mark.parametrize("served", [0.0, 1e11, 2e12])
def test_inference_moves_the_best_size_as_the_first_order_condition_says(name, served):
    """eps_N / eps_D = 1 + D_inf / (3 D_tr) where 6 N D_tr + 2 N D_inf is least at one loss.

    arXiv 2401.00448. The least is found by numbers; elasticities are those of the two terms.
    """
    law = load_law(name)
    reached = law.at(7e9, 140e9)

    def tokens(size):
        left = reached - law.e - law.a * size**-law.alpha
        return (law.b / left) ** (1 / law.beta) if left > 0 else math.inf

    def cost(log_size):
        size = math.exp(log_size)
        return math.log(6 * size * tokens(size) + 2 * size * served)

    least_size = (law.a / (reached - law.e)) ** (1 / law.alpha)
    edges = (math.log(least_size) + 1e-3, math.log(1e12))
    size = math.exp(
        minimize_scalar(cost, bounds=edges, method="bounded", options={"xatol": 1e-10}).x
    )
    trained = tokens(size)
    by_size = law.alpha * law.a * size**-law.alpha
    by_tokens = law.beta * law.b * trained**-law.beta
    assert by_size / by_tokens == pytest.approx(1 + served / (3 * trained), rel=1e-3)


def test_tokens_read_again_count_for_less():
    law = load_law("muennighoff")
    # In the paper's code: exp(.6254804) + exp(6.255414) / N^.3526596 + exp(7.3049974) / D^.3526596
    once = 1.869144 + 520.825 * 1e9**-0.3526596 + 1487.716 * 1e11**-0.3526596
    assert law.at(1e9, 1e11) == pytest.approx(once, rel=1e-6)
    # 2.5e10 tokens read four times: R = 3, so they are worth 2.5e10 (1 + 15.39 (1 - exp(-3/15.39)))
    # = 2.5e10 x 3.725723 = 9.314308e10 new ones; read without end, 2.5e10 x 16.39.
    again = law.model_copy(update={"unique_tokens": 2.5e10})
    assert again.at(1e9, 1e11) == pytest.approx(law.at(1e9, 9.314308e10), rel=1e-6)
    assert again.at(1e9, 1e16) == pytest.approx(law.at(1e9, 2.5e10 * 16.39), rel=1e-9)
    enough = law.model_copy(update={"unique_tokens": 2e11})
    assert enough.at(1e9, 1e11) == law.at(1e9, 1e11)


def test_unique_tokens_stand_in_the_file_and_outlive_other_token_counts():
    law = load_law("muennighoff").model_copy(update={"unique_tokens": 1e9})
    longer = law.at_tokens(1e12)
    assert longer.unique_tokens == 1e9
    told = next(limit for limit in longer.limits(_tiny()) if "read" in limit.reason)
    assert told.outside.all()
    assert told.tell(0) == "tokens read 1000 times, above 500"
    assert not any(limit.outside.any() for limit in law.limits(_tiny()) if "read" in limit.reason)


def _tiny():
    from arch_space.library import load_model

    return load_model("smollm2-135m")


def test_gemstones_by_hand():
    # Width 1024, 28 layers, 543,482,880 parameters, 100B tokens, in the paper's logarithms.
    shape = (1024, 28, 543_482_880, 1e11)
    ln = [math.log(each) for each in shape]
    hot = (
        math.exp(0.3966)
        + math.exp(1.0739 - 0.2053 * ln[0])
        + math.exp(-0.2098 - 0.4741 * ln[1])
        + math.exp(6.2175 - 0.3721 * ln[2])
        + math.exp(10.904 - 0.5116 * ln[3])
    )
    assert load_law("gemstones-hot").at(*shape) == pytest.approx(hot, rel=1e-6)
    cool = (
        math.exp(0.5875)
        + math.exp(1.526 - 0.3540 * ln[0])
        + math.exp(-0.178 - 0.4641 * ln[1])
        + math.exp(6.332 - 0.3941 * ln[2])
        + math.exp(11.539 - 0.5365 * ln[3])
    )
    assert load_law("gemstones-cooldown").at(*shape) == pytest.approx(cool, rel=1e-6)


def test_gemstones_hits_a_measured_run():
    """PyGemma-1024x28 at 40.0B tokens has a final loss of 2.8513 (gemstone-scaling-laws, MIT)."""
    law = load_law("gemstones-hot")
    assert law.at(1024, 28, 543_482_880, 40_013_660_160) == pytest.approx(2.8513, rel=0.01)


def test_width_and_depth_by_hand():
    # The best fit of the runs of arXiv 2501.18107: d 1024, l 16, 1e10 tokens:
    # 1024^.598 = 2^5.98 = 63.119; 16^.325 = 2^1.3 = 2.4623; 1e10^.652 = 10^6.52 = 3.31131e6.
    law = law_of(
        WidthDepthLaw, ("width", "layers", "tokens"),
        e=1.857, a=36.15, alpha=0.598, b=1.153, beta=0.325, c=1.674e6, gamma=0.652,
    )  # fmt: skip
    by_hand = 1.857 + 36.15 / 63.1189 + 1.153 / 2.46229 + 1.674e6 / 3.31131e6
    assert law.at(1024, 16, 1e10) == pytest.approx(by_hand, rel=1e-5)


def test_bians_printed_form_by_hand():
    # (1 + 100/10^4 + 100/10^5)(1 + .01 x (1024/16)^.5) = 1.011 x 1.08
    law = law_of(
        AspectLaw, ("parameters", "tokens", "width", "layers"),
        e=1.0, a=100.0, alpha=0.5, b=100.0, beta=0.5, epsilon=0.01, gamma=0.5,
    )  # fmt: skip
    assert law.at(1e8, 1e10, 1024, 16) == pytest.approx(1.011 * 1.08)


def test_bians_printed_form_hits_a_measured_run():
    """The first run of arXiv 2501.18107 (Morph, MIT): 8 layers of 512, 1.61B tokens: 4.9619."""
    law = load_law("bian-aspect")
    assert law.at(78_914_048, 1_610_612_736, 512, 8) == pytest.approx(4.9619, rel=0.01)


def test_tied_exponents_fall_alike_at_every_ratio_of_tokens():
    """arXiv 2403.08540: above the floor it falls as compute^(-alpha/2), however over-trained."""
    law = law_of(
        TiedLaw, ("parameters", "tokens"), e=1.622, a=129.9, b=223.8, alpha=0.257,
    )  # fmt: skip
    # 1e9^.257 = 10^2.313 = 205.589, 2e10^.257 = 10^2.647361 = 443.978
    assert law.at(1e9, 2e10) == pytest.approx(1.622 + 129.9 / 205.589 + 223.8 / 443.978, rel=1e-5)
    for ratio in (20, 640):
        size = np.array([1e8, 1e9])
        above = law.at(size, ratio * size) - law.e
        compute = 6 * ratio * size**2
        slope = np.diff(np.log(above)) / np.diff(np.log(compute))
        assert slope == pytest.approx(-0.257 / 2)


def test_supervised_by_hand():
    # 1e9 and 1e10: 1e9^.408 = 10^3.672 = 4698.94, 1e10^.431 = 10^4.31 = 20417.4;
    # .71399 + .89071 = 1.60470; 1.60470^.452 = exp(.452 x .472937) = 1.23835.
    assert load_law("supervised").at(1e9, 1e10) == pytest.approx(1.220 + 1.23835, abs=2e-5)


# Vocabulary


@pytest.mark.parametrize(
    ("size", "width", "compute", "best"),
    [
        (3e9, 3200, 1.3e21, 37e3),
        (7e9, 4096, 7.1e21, 60e3),
        (13e9, 5120, 2.4e22, 81e3),
        (30e9, 6048, 1.3e23, 142e3),
        (70e9, 8192, 7.1e23, 218e3),
        (300e9, 16384, 1.3e25, 383e3),
    ],
)
def test_best_vocabularies_of_the_papers_table_1(size, width, compute, best):
    """Column App3: tokens are what the compute pays for, C / 6 (N_nv + N_v)."""
    law = load_law("vocabulary")

    def loss(log_words):
        words = math.exp(log_words)
        return law.at(size, words * width, compute / 6 / (size + words * width))

    found = minimize_scalar(loss, bounds=(7, 14), method="bounded", options={"xatol": 1e-8}).x
    assert math.exp(found) == pytest.approx(best, rel=0.01)


def test_vocabulary_law_hits_a_measured_run():
    """The last row of the paper's table of runs: -5.1996 over a unigram model."""
    law = load_law("vocabulary")
    tokens = tokens_of(236_122_137_568.07135, 96_256)
    assert tokens == pytest.approx(
        4.363253018112e20 / 6 / (1_129_891_136 + 96_256 * 2048), rel=1e-6
    )
    measured = law.at(1_129_891_136, 96_256 * 2048, tokens)
    assert measured == pytest.approx(-5.1996, rel=0.025)


def test_a_text_of_more_words_has_fewer_tokens_up_to_200000():
    # .00639222 x 10.3972^2 - .15811069 x 10.3972 + 1.20470122 = .25179: 3.97 characters a token
    assert tokens_of(1.0, 32_768) == pytest.approx(0.25180, abs=2e-5)
    assert tokens_of(1.0, 64_000) < tokens_of(1.0, 32_768)
    assert tokens_of(1.0, 1e6) == tokens_of(1.0, 200_000)


# The conditional law


@pytest.mark.parametrize(
    ("name", "x", "r"), [("conditional", 0.080, 1.03), ("conditional-1b", 0.074, 1.22)]
)
def test_conditional_law_is_one_at_its_published_optimum_and_more_elsewhere(name, x, r):
    law = load_law(name)
    assert law.a2 / law.a1 == pytest.approx(x, abs=5e-4)
    assert law.b2 / law.b1 == pytest.approx(r, abs=5e-3)
    best = law.at(law.a2 / law.a1 * math.sqrt(2e8), 2e8, law.b2 / law.b1)
    assert best == pytest.approx(1.0, abs=1e-12)
    size = 2e8
    width = np.linspace(0.3, 3.0, 41)[:, None] * x * math.sqrt(size)
    ratio = np.linspace(0.5, 5.0, 31)
    grid = law.at(width, size, ratio)
    assert (grid >= 1).all()
    assert grid.min() == pytest.approx(1.0, abs=1e-4)


def test_conditional_law_by_hand():
    # x .16, r 4: (2.697 + .0974 ln .16 + .0078/.16)(.3870 + .0063 ln 4 + .0065/4)
    # over (2.697 + .0974 ln .080082 + .0974)(.3870 + .0063 ln 1.031746 + .0063).
    above = (2.697 - 0.178494 + 0.04875) * (0.3870 + 0.00873366 + 0.001625)
    below = (2.697 - 0.245906 + 0.0974) * (0.3870 + 0.00019690 + 0.0063)
    law = load_law("conditional")
    assert law.at(0.16 * 1e4, 1e8, 4.0) == pytest.approx(above / below, rel=1e-5)
