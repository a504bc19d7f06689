"""Losses as candidates would run: what a law covers, ratios, intervals, comparisons."""

from collections.abc import Iterator
from dataclasses import replace
from math import hypot, sqrt
from typing import ClassVar

import numpy as np
import pytest

from arch_space.architectures import Architectures
from roofline.laws import (
    interval,
    law_names,
    load_law,
    out_of_range_reasons,
    penalty,
    predict,
    relative,
)
from roofline.laws.accuracy import perplexity
from roofline.laws.law import Law, Limit, Uncertainty
from roofline.laws.prediction import errors_known, ranges
from spec_files import SpecError

MODEL = Architectures(
    layers=24,
    width=1024,
    query_heads=16,
    kv_heads=2,
    head_size=64,
    ffn_width=4096,
    vocabulary=32_000,
)
WORDS = {
    "name": "toy",
    "form": "toy",
    "title": "Toy",
    "source": "none",
    "date": "2026",
    "data": "none",
    "tokens": 1e9,
}


class Toy(Law):
    """a / width, with a as its only coefficient."""

    variables: ClassVar[tuple[str, ...]] = ("width",)
    a: float = 2048.0

    def at(self, width):
        return self.a / width

    def limits(self, arch) -> Iterator[Limit]:
        yield Limit(arch.width > 4096, "width {} above 4096", arch.width)

    def specs(self):
        from roofline.laws.law import Coefficient

        return {"a": Coefficient((1.0, 1e4), (1e-3, 1e6))}


class SeesWeights(Toy):
    covers: ClassVar[frozenset[str]] = frozenset({"weight_format"})


class SeesZeros(Toy):
    covers: ClassVar[frozenset[str]] = frozenset({"weight_sparsity"})


class SeesPatterns(Toy):
    covers: ClassVar[frozenset[str]] = frozenset({"weight_sparsity", "two_four"})


class Ratio(Toy):
    unit: ClassVar[str] = "ratio to the optimum"


def toy(kind=Toy, **fields):
    return kind(**(WORDS | fields))


def spread(sd, residual, **fields):
    return Uncertainty(
        coefficients=("a",), scale=("log",), covariance=((sd**2,),), residual=residual,
        basis="by hand", **fields,
    )  # fmt: skip


# What a law sees itself


def test_no_penalty_for_a_format_that_the_law_sees():
    quantised = MODEL.with_formats(weights="int4")
    added = penalty(quantised).nats[0]
    assert added > 0.05
    assert predict(toy(), quantised).loss == pytest.approx([2.0 + added])
    seen = predict(toy(SeesWeights), quantised)
    assert seen.loss == [2.0]
    assert seen.penalty == [0.0]
    assert seen.in_range == [True]
    # a format that nobody has measured is none of a penalty's business then
    assert predict(toy(SeesWeights), MODEL.with_formats(weights="fp8")).loss == [2.0]
    with pytest.raises(SpecError, match="weights in fp8"):
        predict(toy(), MODEL.with_formats(weights="fp8"))


def test_what_the_law_does_not_see_is_still_added_and_flagged():
    eight = MODEL.with_formats(weights="int4", activations="int8", kv="int8")
    seen = predict(toy(SeesWeights), eight)
    alone = penalty(MODEL.with_formats(weights="fp16", activations="int8")).nats
    assert seen.penalty == pytest.approx(alone)
    assert seen.penalty > 0
    (told,) = out_of_range_reasons(toy(SeesWeights), eight)
    assert "KV cache in int8" in told
    assert "weights" not in told.split("int8 activations without int8 weights")[0]
    with pytest.raises(SpecError, match="activations in int4"):
        predict(toy(SeesWeights), MODEL.with_formats(activations="int4"))


def test_zeros_that_the_law_sees_are_inside_and_a_pattern_is_not():
    sparse = replace(MODEL, weight_sparsity=[0.5, 0.9, 0.5], two_four=[False, False, True])
    pattern = "2:4 sparsity: the law's sparse weights had no pattern"
    assert out_of_range_reasons(toy(SeesZeros), sparse) == ["", "", pattern]
    assert predict(toy(SeesZeros), sparse).penalty.tolist() == [0, 0, 0]
    assert out_of_range_reasons(toy(SeesPatterns), sparse) == ["", "", ""]
    both = out_of_range_reasons(toy(SeesPatterns), sparse.with_formats(weights="int4"))
    assert both == ["weights both sparse and quantised: their sum has no table"] * 3


def test_a_ratio_takes_no_nats():
    table = replace(MODEL, width=[1024, 2048]).with_formats(weights="int4")
    found = predict(toy(Ratio), table)
    assert found.loss.tolist() == [2.0, 1.0]
    assert found.penalty.tolist() == [0, 0]
    assert found.in_range.tolist() == [False, False]
    nats = penalty(table).nats[0]
    told = f"number formats or sparsity change the loss by {nats:.6g} nats, which a ratio cannot"
    assert all(reason.startswith(told) for reason in out_of_range_reasons(toy(Ratio), table))
    assert predict(toy(Ratio), MODEL).in_range.all()


def test_shipped_laws_that_see_formats_price_them_themselves():
    for name in ("precision", "rounding-kumar"):
        law = load_law(name)
        wide, narrow = (predict(law, MODEL.with_formats(weights=w)) for w in ("fp16", "int4"))
        assert narrow.penalty == wide.penalty == [0]
        assert narrow.loss > wide.loss


# Intervals


def test_an_interval_joins_coefficients_runs_and_penalties():
    law = toy(uncertainty=spread(0.03, 0.04))
    low, high = interval(law, MODEL, 0.9, draws=20_000)
    half = 1.6449 * hypot(0.03, 0.04)  # of ln loss: a is a factor
    assert np.log([low[0] / 2, high[0] / 2]) == pytest.approx([-half, half], abs=0.003)
    quantised = MODEL.with_formats(weights="int4")
    steady = toy(uncertainty=spread(0.003, 0.004))
    narrow, wide = interval(steady, quantised, 0.9, draws=20_000)
    added = penalty(quantised)
    assert added.sd[0] > 0.01
    half = 1.6449 * hypot(2 * 0.005, added.sd[0])
    assert [narrow[0], wide[0]] == pytest.approx(
        [2 + added.nats[0] - half, 2 + added.nats[0] + half], abs=0.0008
    )
    tight = interval(law, MODEL, 0.5, draws=20_000)
    assert low < tight[0] < 2 < tight[1] < high


def test_an_interval_of_a_law_with_an_sd_alone_and_of_one_with_nothing():
    low, high = interval(toy(sd=0.1), MODEL, 0.9)
    assert [low[0], high[0]] == pytest.approx([2 - 0.16449, 2 + 0.16449], abs=1e-4)
    assert np.isnan(interval(toy(), MODEL)).all()
    assert errors_known(toy()) == "none"
    assert errors_known(toy(sd=0.1, uncertainty=spread(0.1, 0))) == "coefficients, differences"
    with pytest.raises(SpecError, match=r"level: read 1\.5"):
        interval(toy(sd=0.1), MODEL, 1.5)


def test_intervals_of_many_candidates_are_those_of_each():
    law = toy(uncertainty=spread(0.03, 0.04))
    many = replace(MODEL, width=np.arange(512, 512 + 3000))
    low, high = interval(law, many)  # three blocks of draws
    for row in (0, 1047, 1048, 2999):
        one = interval(law, many[row])
        assert [low[row], high[row]] == pytest.approx([one[0][0], one[1][0]])


def test_samples_keep_the_shape_that_a_normal_distribution_loses():
    samples = tuple((float(np.log(a)),) for a in (1024, 4096))
    drawn = toy(uncertainty=spread(5.0, 0.0, samples=samples)).draws(1000)
    assert set(np.round(np.asarray(drawn.a)[:, 0]).tolist()) == {1024.0, 4096.0}
    with pytest.raises(ValueError, match="samples must be rows of 1"):
        spread(1.0, 0.0, samples=((1.0, 2.0),))


@pytest.mark.parametrize(
    "name", [name for name in law_names() if load_law(name).uncertainty is not None]
)
def test_draws_of_a_shipped_law_stay_near_its_loss(name):
    """Coefficients that trade along a curve leave it where a normal distribution is their only
    description: their file needs samples then."""
    law = load_law(name)
    table = replace(MODEL, layers=[12, 24, 16], width=[768, 1024, 2048], query_heads=[12, 16, 32])
    ratio = np.log(law.draws(1000).loss(table) / law.loss(table))
    assert abs(np.median(ratio, axis=0)) == pytest.approx(0, abs=0.03)
    assert (np.std(ratio, axis=0) < 0.06).all()


# Comparisons


def test_relative_is_a_difference_inside_one_law_with_its_sd():
    table = replace(MODEL, width=[1024, 2048, 8192])
    found = relative(toy(sd=0.1), table, MODEL)
    assert found.difference.tolist() == [0.0, -1.0, -1.75]
    assert found.sd == pytest.approx([0.0, 0.1, 0.1]), "a model beside itself has no error"
    assert found.in_range.tolist() == [True, True, False]
    assert not relative(toy(), table, replace(MODEL, width=8192)).in_range.any()
    assert np.isnan(relative(toy(), table, MODEL).sd).tolist() == [False, True, True]
    with pytest.raises(SpecError, match="the baseline is one model, read 3"):
        relative(toy(), MODEL, table)


def test_what_all_candidates_share_is_not_in_the_sd_of_a_difference():
    """a is a factor: draws of a move a difference of losses by a's share of that difference."""
    table = replace(MODEL, width=[1024, 2048])
    drawn = relative(toy(uncertainty=spread(0.03, 0.0)), table, MODEL, draws=20_000)
    assert drawn.sd == pytest.approx([0.0, 0.03 * 1.0], rel=0.03)
    measured = relative(toy(sd=0.1, uncertainty=spread(0.03, 0.04)), table, MODEL)
    assert measured.sd == pytest.approx([0.0, hypot(0.1, 0.03)], rel=0.03)
    residual = relative(toy(uncertainty=spread(0.03, 0.04)), table, MODEL)
    assert residual.sd[1] == pytest.approx(hypot(sqrt(2) * 0.04 * 2.0, 0.03), rel=0.03)


def test_penalties_cancel_where_both_sides_have_the_same():
    four = MODEL.with_formats(weights="int4")
    law = toy(sd=0.1)
    same = relative(law, replace(four, width=2048), four)
    assert same.difference == pytest.approx([-1.0])
    assert same.sd == pytest.approx([0.1])
    other = relative(law, four, MODEL)
    assert other.difference == pytest.approx(penalty(four).nats)
    assert other.sd == pytest.approx(penalty(four).sd), "the same weights, quantised"


def test_a_law_of_a_ratio_compares_by_a_ratio():
    found = relative(toy(Ratio, sd=0.01), replace(MODEL, width=[1024, 2048]), MODEL)
    assert found.is_ratio
    assert found.difference.tolist() == [1.0, 0.5]
    assert found.sd == pytest.approx([0.0, 0.01])
    drawn = relative(toy(Ratio, uncertainty=spread(0.2, 0.0)), replace(MODEL, width=2048), MODEL)
    assert drawn.sd == pytest.approx([0.0], abs=1e-12)  # the factor is in both


def test_ranges_are_told_for_every_kind_of_law():
    assert ranges(load_law("codesign"))["layers"] == (4, 32)
    assert ranges(load_law("codesign"))["least cached width"] == (64, np.inf)
    assert ranges(load_law("gemstones-hot"))["width"] == (256, 3072)
    assert ranges(toy()) == {}


def test_a_model_beside_itself_has_no_error():
    from arch_space.library import load_models

    law = load_law("codesign")
    pair = load_models(["qwen2.5-0.5b", "llama-3.2-1b"])
    beside = relative(law, pair, pair[:1])
    assert beside.sd[0] == 0.0
    assert beside.sd[1] > 0.01
    quantised = relative(law, pair.with_formats("q4_k_m"), pair[:1])
    assert 0 < quantised.sd[0] < quantised.sd[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [("a list", "is not a law"), ("formula: e + a\nconstants: {}\n", "was not fitted yet")],
)
def test_a_file_that_is_no_law_is_called_so(tmp_path, text, said):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(SpecError, match=said):
        load_law(file)


def test_a_perplexity_beyond_numbers_is_not_known():
    assert np.isnan(perplexity(load_law("chinchilla"), np.array([1e4]))).all()
