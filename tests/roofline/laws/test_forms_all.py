"""What holds for every form and every shipped law: shapes, ranges, refits, all reference models."""

import inspect
from dataclasses import replace

import numpy as np
import pytest

from arch_space import Architectures
from arch_space.library import load_models, shipped_models
from arch_space.spaces import load_space, shipped_spaces
from roofline.fitting.model import LawModel
from roofline.laws import law_names, load_law, predict
from roofline.laws.forms.width_depth import WidthDepthLaw
from roofline.laws.law import law_forms, law_from
from roofline.laws.variables import VARIABLES
from spec_files import SpecError

NAMES = law_names()


@pytest.fixture(scope="module")
def references():
    return load_models(shipped_models())


@pytest.fixture(scope="module")
def compressed(references):
    """The same with half of their weights zero and in four bits: no term of any law is idle."""
    narrow = references.with_formats("int4", kv="int4", activations="int8")
    return replace(narrow, weight_sparsity=0.5)


@pytest.fixture(scope="module")
def spaces():
    tables = []
    for name in shipped_spaces():
        space = load_space(name)
        middle = space.size // 2
        tables += [space.candidates(0, 500)[0], space.candidates(middle, middle + 500)[0]]
    return [table for table in tables if len(table)]


@pytest.mark.parametrize("name", NAMES)
def test_every_law_gives_every_reference_model_a_finite_number(name, references):
    law = load_law(name)
    with np.errstate(all="raise"):
        losses = law.loss(references)
    assert losses.shape == (len(references),)
    assert np.isfinite(losses).all()
    reasons = law.out_of_range_reasons(references)
    assert [not reason for reason in reasons] == law.in_range(references).tolist()


@pytest.mark.parametrize("name", NAMES)
def test_every_law_holds_over_the_shipped_spaces(name, spaces):
    law = load_law(name)
    for table in spaces:
        assert np.isfinite(law.loss(table)).all()
        law.in_range(table)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("weights", ["int4-g128", "q4_k_m", "tq2_0", "iq1_s"])
def test_few_bits_give_a_number_or_one_sentence(name, weights, references):
    law = load_law(name)
    narrow = references.with_formats(weights, kv="int4", activations="int8")
    assert np.isfinite(law.loss(narrow)).all()
    if weights == "tq2_0" and "weight_format" not in law.covers:
        with pytest.raises(SpecError, match="no published change of the loss"):
            predict(law, narrow)
    else:
        assert np.isfinite(predict(law, narrow).loss).all()


@pytest.mark.parametrize("name", NAMES)
def test_one_model_and_many_agree_and_constant_columns_stay_short(name, references):
    law = load_law(name)
    whole = law.loss(references)
    for row in (0, 17, 60, 105):
        assert law.loss(references[row]) == pytest.approx([whole[row]], rel=1e-12)
    one = replace(references[3], names=())
    same = replace(one, layers=np.broadcast_to(one.layers, (5,)))
    assert law.loss(same) == pytest.approx(np.repeat(law.loss(one), 5), rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_arrays_of_coefficients_are_as_many_laws(name, references):
    law = load_law(name)
    if name.startswith("conditional"):  # a ratio, which factors common to all leave alone
        factors = np.array([0.99, 1.0, 1.02])[:, None]
        drawn = {"a1": law.a1 * factors, "b2": law.b2 / factors}
        together = law.with_coefficients(drawn).loss(references)
        for row in range(3):
            apart = {key: float(value[row, 0]) for key, value in drawn.items()}
            alone = law.with_coefficients(apart).loss(references)
            assert together[row] == pytest.approx(alone, rel=1e-12)
        return
    factors = np.array([0.99, 1.0, 1.02])
    drawn = {key: value * factors[:, None] for key, value in law.coefficients().items()}
    together = law.with_coefficients(drawn).loss(references)
    assert together.shape == (3, len(references))
    for row, factor in enumerate(factors):
        apart = {key: value * factor for key, value in law.coefficients().items()}
        alone = law.with_coefficients(apart).loss(references)
        assert together[row] == pytest.approx(alone, rel=1e-12)
    assert not np.allclose(together[0], together[2], rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_every_coefficient_matters_and_lies_where_a_fit_would_look(name, compressed):
    law = load_law(name)
    if "unique_tokens" in type(law).model_fields:
        assert "unique_tokens" not in law.specs()
    before = law.loss(compressed)
    for key, spec in law.specs().items():
        value = law.coefficients()[key]
        assert spec.bounds[0] <= value <= spec.bounds[1], key
        assert spec.bounds[0] <= spec.start[0] < spec.start[1] <= spec.bounds[1], key
        other = value * 1.01 if value else 0.01
        changed = law.with_coefficients({key: other}).loss(compressed)
        if (key, name) != ("a_max", "efficiency-leverage"):  # 5e16 is as good as endless
            assert not np.allclose(before, changed, rtol=1e-9, atol=0), key


@pytest.mark.parametrize("name", NAMES)
def test_a_fit_can_take_the_slopes_of_every_form(name, references):
    """The derivatives that a fit carries through the formula are those of differences."""
    law = load_law(name)
    picked = references[np.arange(0, len(references), 9)]
    columns = tuple(
        np.array(np.broadcast_to(column, (len(picked),)), dtype=float)
        for column in law.variables_of(picked)
    )
    model = LawModel(law, columns, {})
    points = model.points(law.coefficients())[None]
    if law.unit == "nats per token over a unigram model":
        return  # below zero: it has no logarithm, and cannot be fitted on it
    _, slopes = model.slopes(points)
    assert not model._differences
    told = np.abs(slopes).max()
    assert slopes == pytest.approx(model._by_differences(points), abs=1e-6 * max(told, 1.0))


@pytest.mark.parametrize("name", NAMES)
def test_a_law_sees_the_variables_of_its_formula_in_their_order(name):
    law = load_law(name)
    assert set(law.variables) <= set(VARIABLES)
    if law.form != "expression":
        asked = inspect.signature(law.at).parameters
        assert len(asked) == len(law.variables)
    moved = law.free_tokens
    changed = law.at_tokens(2 * law.tokens) if moved else law
    one = load_models(["qwen2.5-0.5b"]).with_formats("int4")
    assert (law.loss(one) != changed.loss(one)).all() == moved


def test_every_form_ships_with_coefficients_or_is_one_that_a_fit_fills():
    shipped = {load_law(name).form for name in NAMES}
    assert set(law_forms()) - shipped <= {"aspect", "tied", "width_depth"}


def test_ranges_name_variables_and_cover_the_formula():
    words = dict.fromkeys(("name", "title", "source", "date", "data"), "x") | {"tokens": 1e10}
    powers = {"alpha": 0.5, "beta": 0.5, "gamma": 0.5}
    law = words | {"form": "width_depth", "e": 1.0, "a": 1.0, "b": 1.0, "c": 1.0} | powers
    spans = {"width": [1, 2], "layers": [1, 2], "tokens": [1e9, 1e11]}
    assert isinstance(law_from(law | {"range": spans}, "x"), WidthDepthLaw)
    with pytest.raises(SpecError, match="'widht' is not a variable of laws; nearest is 'width'"):
        law_from(law | {"range": spans | {"widht": [1, 2]}}, "x")
    with pytest.raises(SpecError, match="range: 'layers' is missing"):
        law_from(law | {"range": {"width": [1, 2], "tokens": [1, 2]}}, "x")
    with pytest.raises(SpecError, match=r"range\.width: 2 to 1 is no interval"):
        law_from(law | {"range": spans | {"width": [2, 1]}}, "x")


def test_mixtures_are_outside_the_laws_of_dense_models(references):
    moe = references[np.flatnonzero(references.experts > 1)]
    for name in NAMES:
        law = load_law(name)
        told = [reason for reason in law.out_of_range_reasons(moe) if "mixture" in reason]
        mixed = getattr(law, "mixtures", False) or law.form == "codesign"
        assert len(told) == (0 if mixed else len(moe)), name


# Variables


DENSE = {
    "layers": 4, "width": 256, "query_heads": 4, "kv_heads": 2, "head_size": 64, "ffn_width": 512,
    "vocabulary": 1000,
}  # fmt: skip


def value(name, **changes):
    return VARIABLES[name].of(Architectures.checked(**(DENSE | changes)), 1e9)


def test_parameters_without_tables():
    layer = 256 * 256 * 2 + 2 * 256 * 128 + 3 * 256 * 512
    matrices = 4 * layer + 9 * 256
    assert value("matrix_parameters") == matrices
    assert value("matrix_parameters", tied_embedding=False) == matrices
    assert value("matrix_parameters", learned_positions=512) == matrices
    assert value("vocabulary_parameters", tied_embedding=False) == 256_000
    assert value("nonzero_parameters", weight_sparsity=0.25) == 0.75 * matrices
    own = {"layer_embedding": 32, "layer_vocabulary": 1000}
    kept = 256 * 4 * 32 + 32 + 2 * 256 * 32 * 4  # projections and a norm; the table is looked up
    assert value("matrix_parameters", **own) == matrices + kept


def test_mlp_over_attention_counts_what_a_token_meets():
    attention = 256 * 256 * 2 + 2 * 256 * 128
    assert value("mlp_attention_ratio") == pytest.approx(3 * 256 * 512 / attention)
    assert value("mlp_attention_ratio", qkv_bias=True, gated=False) == pytest.approx(
        2 * 256 * 512 / attention
    )
    moe = {"experts": 8, "experts_per_token": 2, "expert_width": 128, "shared_experts": 1}
    assert value("mlp_attention_ratio", **moe) == pytest.approx(3 * 3 * 256 * 128 / attention)
    with pytest.raises(SpecError, match="a model without attention has none"):
        value("mlp_attention_ratio", ffn_layers=4)


def test_shares_of_experts():
    moe = {"experts": 8, "experts_per_token": 2, "expert_width": 128}
    assert value("expansion_rate", **moe) == 4
    assert value("sparsity", **moe) == 0.75
    assert value("sparsity") == 0
    assert value("experts", **moe) == 8
    assert value("tokens_per_parameter") == 1e9 / value("parameters")
