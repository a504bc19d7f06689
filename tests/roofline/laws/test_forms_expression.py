"""A formula of one's own: what it may say, what it may not, and what it gives."""

import os
from dataclasses import replace

import numpy as np
import pytest

from arch_space.library import load_model, load_models, shipped_models
from roofline.laws import load_law, predict
from roofline.laws.formula import Formula
from roofline.laws.law import Coefficient, law_from
from spec_files import SpecError

FORMULA = "e + a / parameters**alpha + b / tokens**beta"
CHINCHILLA = {"e": 1.8172, "a": 482.01, "b": 2085.43, "alpha": 0.3478, "beta": 0.3658}
WORDS = dict.fromkeys(("title", "source", "date", "data"), "mine")


def constant(value=None, low=1e-4, high=1e9, **more):
    return {"value": value, "start": [low * 2, high / 2], "bounds": [low, high]} | more


def law(formula=FORMULA, **changes):
    constants = {name: constant(value) for name, value in CHINCHILLA.items()}
    names = Formula(formula, "").names if "constants" not in changes else ()
    named = {name: each for name, each in constants.items() if name in names}
    spans = {"parameters": [1e8, 1e10], "tokens": [1e9, 1e11]}
    fields = {
        "form": "expression", "name": "mine", "tokens": 1e10, "formula": formula,
        "constants": named, "range": {name: s for name, s in spans.items() if name in formula},
    }  # fmt: skip
    return law_from(WORDS | fields | changes, "mine.yaml")


def test_a_formula_is_the_form_that_it_writes_out():
    models = load_models(shipped_models())
    mine, chinchilla = law(), load_law("chinchilla")
    assert mine.loss(models) == pytest.approx(chinchilla.loss(models), rel=1e-12)
    assert mine.variables == chinchilla.variables
    assert mine.free_tokens
    assert mine.at_tokens(1e12).loss(models) == pytest.approx(
        chinchilla.at_tokens(1e12).loss(models), rel=1e-12
    )
    assert not law("a / parameters**alpha").free_tokens


def test_a_formula_in_a_file_is_predicted_with(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        "form: expression\ntitle: Own\nsource: us\ndate: 2026-11\ndata: ours\ntokens: 10e9\n"
        "formula: 2 + a * exp(-width / 1000) * minimum(layers, 24)\n"
        "constants:\n  a: {value: 0.1, start: [0.01, 1], bounds: [0.001, 10]}\n"
        "range: {width: [256, 4096], layers: [4, 40]}\n"
    )
    qwen = load_model("qwen2.5-0.5b")  # width 896, 24 layers
    found = predict(load_law(path), qwen)
    assert found.loss == pytest.approx([2 + 0.1 * np.exp(-0.896) * 24])
    assert found.in_range.all()
    deep = predict(load_law(path), replace(qwen, layers=np.array([48]), names=()))
    assert deep.loss == pytest.approx(found.loss)
    assert not deep.in_range.any()


def test_a_formula_without_values_tells_a_fit_what_to_look_for_and_nothing_else():
    blank = law(constants={name: constant() | {"value": None} for name in CHINCHILLA})
    assert blank.specs()["alpha"] == Coefficient((2e-4, 5e8), (1e-4, 1e9), log=True)
    filled = blank.with_coefficients(CHINCHILLA)
    assert filled.at(1e9, 1e10) == pytest.approx(load_law("chinchilla").at(1e9, 1e10))
    with pytest.raises(SpecError, match=r"law 'mine': constant '\w+' has no value: not fitted yet"):
        blank.loss(load_model("qwen2.5-0.5b"))


@pytest.mark.parametrize(
    ("formula", "told"),
    [
        ("a + tokenz", "unknown name 'tokenz'; nearest is 'tokens'"),
        ("a + paramaters", "nearest is 'parameters'"),
        ("a * parameters.__class__", "a dot may not stand in it"),
        ("().__class__.__bases__[0] + a", "may not stand in it"),
        ("a * parameters[0]", "an index may not stand in it"),
        ("__import__('os').system('true') + a", "a dot may not be called"),
        ("__import__('os') + a", "unknown function '__import__'"),
        ("eval('1') + a * tokens", "unknown function 'eval'"),
        ("log(tokens)(a)", "a call may not be called"),
        ("f" + "()" * 900 + " + a", "a call may not be called"),
        ("a * exp(tokens, 1)", "exp takes 1 value"),
        ("a * minimum(tokens)", "minimum takes 2 values"),
        ("a * exp(x=tokens)", "exp takes 1 value"),
        ("a + exp", "exp is a function, as in exp"),
        ("a ^ tokens", r"\^ \(a power is written \*\*\) may not stand in it"),
        ("a if tokens else 1", "if may not stand in it"),
        ("lambda: a", "lambda may not stand in it"),
        ("[a for a in tokens]", "a list may not stand in it"),
        ("a < tokens", "a comparison may not stand in it"),
        ("a and tokens", "and/or may not stand in it"),
        ("a * 'x' * tokens", "'x' is not a number"),
        ("a * 1j * tokens", "1j is not a number"),
        ("f'{a}' * tokens", "a text may not stand in it"),
        ("a @ tokens", "@ may not stand in it"),
        ("a + ", "is not an expression"),
        ("a + tokens; 1", "is not an expression"),
        ("a := tokens", "is not an expression"),
        ("a * tokens\x00", "is not an expression"),
        ("(" * 300 + "a" + ")" * 300, "is not an expression"),
        ("a" + " * tokens" * 300, "is longer than 2000 characters"),
        ("", "is not an expression"),
        ("a", "has no variable in it"),
    ],
)
def test_what_a_formula_may_not_say_is_one_sentence(formula, told):
    with pytest.raises(SpecError, match=told) as fault:
        law(formula, constants={"a": constant(1.0)}, range={})
    sentence = str(fault.value)
    assert sentence.startswith("mine.yaml: formula: ")
    assert "\n" not in sentence
    assert len(sentence) < 700


def test_nothing_in_a_formula_is_run(tmp_path):
    mark = tmp_path / "mark"
    for text in (f"open('{mark}', 'w')", f"a.__init__.__globals__['os'].mkdir('{mark}')"):
        with pytest.raises(SpecError):
            law(text, constants={"a": constant(1.0)}, range={})
    assert not os.path.exists(mark)


@pytest.mark.parametrize(
    ("formula", "told"),
    [
        ("a * 9**9**9**9 * tokens", "gives qwen2.5-0.5b no finite loss"),
        ("a * tokens**exp(exp(tokens))", "gives qwen2.5-0.5b no finite loss"),
        ("a * log(-tokens)", "gives qwen2.5-0.5b no finite loss"),
        ("(-a)**.5 * tokens", "gives qwen2.5-0.5b no finite loss"),
        ("a / 0 * tokens", "cannot be worked out"),
        ("-" * 1900 + "a * tokens", "cannot be worked out"),
    ],
)
def test_what_has_no_finite_value_is_one_sentence(formula, told):
    mine = law(formula, constants={"a": constant(1.5)}, range={})
    with pytest.raises(SpecError, match=told) as fault:
        mine.loss(load_model("qwen2.5-0.5b"))
    assert str(fault.value).startswith("law 'mine': ")


def test_the_candidate_without_a_loss_is_named():
    mine = law("a / (layers - 24)", constants={"a": constant(1.5)}, range={})
    table = load_models(["tinyllama-1.1b", "qwen2.5-0.5b"])  # 22 and 24 layers
    with pytest.raises(SpecError, match=r"gives qwen2\.5-0\.5b no finite loss"):
        mine.loss(table)
    with pytest.raises(SpecError, match="gives candidate 1 no finite loss"):
        mine.loss(replace(table, names=()))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"constants": {"tokens": constant(1.0)}}, "'tokens' is a variable, a function or not"),
        ({"constants": {"exp": constant(1.0)}}, "'exp' is a variable, a function or not"),
        ({"constants": {"a b": constant(1.0)}}, "'a b' is a variable, a function or not"),
        ({"constants": {"a": constant(1.0), "z": constant(1.0)}}, "'z' is not in the formula"),
        ({"constants": {"a": constant(0.0, low=0.0)}}, "cannot be searched on the log scale"),
        (
            {"constants": {"a": constant(2e9)}},
            "value 2e[+]09 lies outside bounds 0.0001 to 1e[+]09",
        ),
        (
            {"constants": {"a": constant(1.0) | {"start": [2, 1]}}},
            "start 2 to 1 does not lie within",
        ),
        ({"range": {"width": [1, 2]}}, "'width' is not a variable of the formula"),
        ({"constants": {}}, "constants"),
    ],
)
def test_bad_constants_and_ranges_are_one_sentence(changes, told):
    fields = {"constants": {"a": constant(1.0)}, "range": {}}
    with pytest.raises(SpecError, match=told) as fault:
        law("a * tokens", **(fields | changes))
    assert "\n" not in str(fault.value)


def test_zero_and_below_are_searched_linearly():
    linear = {"value": -1.0, "start": [-1, 1], "bounds": [-2, 2], "log": False}
    mine = law("a * tokens", constants={"a": linear}, range={})
    assert mine.specs()["a"] == Coefficient((-1, 1), (-2, 2), log=False)


def test_a_variable_without_a_range_puts_everything_outside():
    mine = law(range={"parameters": [1e8, 1e10]})
    reasons = mine.out_of_range_reasons(load_model("qwen2.5-0.5b"))
    assert reasons == ["no range is stated for tokens"]


@pytest.mark.parametrize(
    ("formula", "outside"), [("a / parameters", True), ("a * expansion_rate / parameters", False)]
)
def test_mixtures_are_outside_where_no_variable_tells_them(formula, outside):
    spans = {"parameters": [1e6, 1e13], "expansion_rate": [1, 100]}
    told = {name: span for name, span in spans.items() if name in formula}
    mine = law(formula, constants={"a": constant(1.0)}, range=told)
    mixture = load_model("olmoe-1b-7b")
    assert mine.out_of_range_reasons(mixture) == ["mixture of experts" if outside else ""]


def test_formulas_work_on_whole_columns():
    x = np.array([1.0, 4.0, 9.0])
    formula = Formula("sqrt(x) + log2(x) * -y + maximum(x, 5)", "here")
    assert formula.names == ("x", "y")
    expected = np.sqrt(x) - np.log2(x) * 2 + np.maximum(x, 5)
    assert formula({"x": x, "y": 2.0}) == pytest.approx(expected)
    two = formula({"x": x, "y": np.array([[1.0], [2.0]])})
    assert two.shape == (2, 3)


def test_conditions_pick_rows():
    values = {"N": np.array([1e8, 4e8, 6e8]), "name": np.array(["a", "b", "b"])}
    picked = Formula("1e8 < N <= 5e8 or not name == 'b'", "--where", condition=True)(values)
    assert picked.tolist() == [True, True, False]
