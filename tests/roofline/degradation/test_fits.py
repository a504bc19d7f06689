"""Fits of quantisation held against coefficients that others fitted, and against plain algebra.

Coefficients: a fit of the same tables by other hands (least squares on ln dNLL, b the stored bits
with 32 bits of scale and zero point a group), to two decimals: GPTQ 3.46 - 1.60 b + .09 ln N
- .54 [g128], sd .16, 28 points; RTN 5.65 - 1.95 b - .89; AWQ 5.54 - 1.95 b - .09 ln N - .95;
OmniQuant 2.12 - 1.47 b + .13 ln N - .16; llama.cpp 2.73 - 1.24 bits a weight, sd .36.
"""

from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roofline.degradation import gguf, holdout, methods, tables
from roofline.degradation.fits import fit

PUBLISHED = {
    "gptq": (3.46, -1.60, 0.09, -0.54, 28),
    "rtn": (5.65, -1.95, 0.0, -0.89, 27),
    "awq": (5.54, -1.95, -0.09, -0.95, 24),
    "omniquant": (2.12, -1.47, 0.13, -0.16, 28),
}


@pytest.mark.parametrize("method", PUBLISHED)
def test_coefficients_are_those_that_others_fitted(method):
    *expected, points = PUBLISHED[method]
    line = methods.published(method)
    found = [line.coefficient(term)[0] for term in ("constant", "bits", "size", "grouped")]
    assert found == pytest.approx(expected, abs=0.0051)
    assert line.points == points


def test_the_scatter_of_gptq_is_the_published_one():
    line = methods.published("gptq")
    assert line.rms == pytest.approx(0.16, abs=0.005)
    assert line.sd == pytest.approx(line.rms * np.sqrt(28 / 24))


def test_llama_cpp_types_by_bits_a_weight():
    constant, slope, sd, rows = gguf.line()
    assert (constant, slope, sd) == pytest.approx((2.73, -1.24, 0.36), abs=0.03)
    assert rows == 33


def test_errors_are_those_of_least_squares_by_hand():
    """statsmodels' formula: sd^2 (X'X)^-1, worked out here on the rows themselves."""
    rows = [
        r
        for r in tables.weight_only()
        if r.method == "gptq" and r.bits >= 3 and r.bits <= 4 and r.table.startswith("omniquant")
    ]
    x = np.array([[1, r.stored, log(r.parameters), r.group > 0] for r in rows], dtype=float)
    y = np.log([r.nats for r in rows])
    solution, rest, *_ = np.linalg.lstsq(x, y, rcond=None)
    variance = rest[0] / (len(rows) - 4)
    errors = np.sqrt(np.diag(variance * np.linalg.inv(x.T @ x)))
    line = methods.published("gptq")
    for at, term in enumerate(("constant", "bits", "size", "grouped")):
        assert line.coefficient(term) == pytest.approx((solution[at], errors[at]))
    value, sd = line.predict(4, 128, 32.5, 1.4)
    row = np.array([1, 4.25, log(32.5), 1.0])
    own = row @ (variance * np.linalg.inv(x.T @ x)) @ row
    assert (value, sd) == pytest.approx((row @ solution, np.sqrt(variance + own)))


def test_gptq_fitted_on_7b_and_13b_predicts_larger_models_within_a_factor_of_1_5():
    line, found = holdout.larger("gptq")
    assert line.points == 16
    assert max(line.spans["parameters"]) < 14
    assert {p.row.model for p in found} == {"llama-33b", "llama-65b", "llama-2-70b"}
    assert {(p.row.bits, p.row.group) for p in found} == {(3, 0), (3, 128), (4, 0), (4, 128)}
    assert len(found) == 12
    assert all(1 / 1.5 < p.ratio < 1.5 for p in found)


def test_two_sizes_do_not_settle_an_exponent_and_would_mislead():
    rows = [
        r
        for r in tables.weight_only()
        if r.method == "gptq" and 3 <= r.bits <= 4 and r.parameters < 14 and r.tokens < 3
    ]
    assert "size" not in fit("gptq", rows, without=("tokens",)).terms
    x = np.array([[1, r.stored, log(r.parameters), r.group > 0] for r in rows], dtype=float)
    forced = np.linalg.lstsq(x, np.log([r.nats for r in rows]), rcond=None)[0]
    at_70b = exp(np.array([1, 4.25, log(69), 1]) @ forced)
    assert at_70b / log(3.42 / 3.31) < 0.5


def test_the_readme_of_gptq_has_the_same_rows():
    """github.com/IST-DASLab/gptq, LLaMA: what arXiv 2308.13137 measured again, within a tenth."""
    mine = {(r.model, r.bits, r.group): r.nats for r in tables.weight_only() if r.method == "gptq"}
    names = {"LLaMA-7B": "llama-7b", "LLaMA-13B": "llama-13b", "LLaMA-30B": "llama-33b"}
    ratios = []
    for row in tables.read("gptq_readme_llama.csv"):
        if row["model"] in names:
            for column, key in (("gptq4", (4, 0)), ("gptq3", (3, 0)), ("gptq3g128", (3, 128))):
                nats = log(float(row[column]) / float(row["fp16"]))
                ratios.append(nats / mine[(names[row["model"]], *key)])
    assert len(ratios) == 9
    assert np.median(ratios) == pytest.approx(1.0, abs=0.1)


def test_models_trained_for_longer_lose_more():
    for method in ("gptq", "rtn", "awq", "efficientqat"):
        value, error = methods.fitted(method).coefficient("tokens")
        assert value > 3 * error > 0
    assert methods.fitted("omniquant").borrowed == "gptq"
    # by hand, GPTQ at 4 bits in groups of 128: Llama-3-8B .0635, Llama-2-7B .0253
    by_hand = log(log(6.5 / 6.1) / log(5.61 / 5.47)) / log(15 / 2)
    assert methods.fitted("gptq").coefficient("tokens")[0] == pytest.approx(by_hand, abs=0.2)


def test_an_error_of_a_borrowed_exponent_is_in_the_prediction():
    lender, line = methods.fitted("gptq"), methods.fitted("omniquant")
    exponent, error = lender.coefficient("tokens")
    assert line.coefficient("tokens") == (exponent, error)
    (far, wide), (near, narrow) = (line.predict(4, 128, 13, tokens) for tokens in (15.0, 1.5))
    assert far - near == pytest.approx(exponent * log(10))
    # far off the rows' mean of ln tokens the exponent's error counts by the distance, near it not
    assert wide**2 - narrow**2 == pytest.approx((error * log(10)) ** 2, rel=0.25)


@settings(deadline=None)
@given(
    method=st.sampled_from(list(methods.METHODS)),
    group=st.sampled_from([0, 32, 64, 128, 256]),
    parameters=st.floats(0.1, 500),
    tokens=st.floats(0.1, 40) | st.none(),
)
def test_more_bits_never_lose_more(method, group, parameters, tokens):
    if method == "efficientqat" and group == 0:
        return
    changes = [
        methods.quantised(method, bits, group, parameters, tokens) for bits in methods.BITS[method]
    ]
    assert [c.nats for c in changes] == sorted((c.nats for c in changes), reverse=True)
    assert all(0 < c.low < c.nats < c.high for c in changes)


@settings(deadline=None)
@given(
    method=st.sampled_from(["rtn", "gptq", "awq", "omniquant"]),
    bits=st.sampled_from([3, 4]),
    parameters=st.floats(0.1, 500),
)
def test_finer_groups_never_lose_more(method, bits, parameters):
    found = [methods.quantised(method, bits, g, parameters, 15).nats for g in (32, 64, 128, 256, 0)]
    assert found == sorted(found)


def test_a_line_reads_its_own_rows_back():
    """GPTQ on Llama-3-8B, measured: 6.5 and 8.2 in groups of 128, 7.0 without; within its sd."""
    for bits, group, perplexity in ((4, 128, 6.5), (3, 128, 8.2), (4, 0, 7.0)):
        change = methods.quantised("gptq", bits, group, 8.03, 15)
        assert change.low < log(perplexity / 6.1) < change.high


def test_eight_bits_are_q8_0_on_llama_3_8b():
    assert methods.quantised("gptq", 8, 32, 8.03, 15).nats == pytest.approx(
        log(6.234284 / 6.231636), rel=1e-3
    )


def test_what_lies_outside_the_tables_is_said():
    inside = methods.quantised("gptq", 4, 128, 13, 2.0)
    assert inside.notes == ()
    small = methods.quantised("gptq", 4, 128, 0.5, 36)
    assert any("0.5B parameters outside 6.74B" in note for note in small.notes)
    assert any("36T tokens outside 1T to 15T" in note for note in small.notes)
    unknown = methods.quantised("gptq", 4, 128, 8.03, None)
    assert unknown.nats == methods.quantised("gptq", 4, 128, 8.03, 15).nats
    assert any("taken as Llama-3-8B's" in note for note in unknown.notes)


def test_held_out_methods_are_reported_and_poor():
    """A method is not another one: the line of the others has OmniQuant at twice its loss."""
    of_omniquant = holdout.summary(holdout.method("omniquant"))
    assert of_omniquant["rows"] == 28
    assert of_omniquant["bias"] > 1.5
    assert holdout.summary(holdout.method("rtn"))["bias"] < 1 / 1.5
    assert holdout.summary(holdout.models("gptq"))["median_factor"] < 1.5
    assert len(holdout.quip()) == 2
