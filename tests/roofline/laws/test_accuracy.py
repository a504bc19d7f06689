"""From loss to perplexity and to task accuracy."""

import os

import numpy as np
import pytest
import yaml

from arch_space.library import load_model
from roofline.fitting.datasets import VARIABLE
from roofline.laws import law_names, load_law, predict
from roofline.laws.accuracy import (
    FOLDER,
    SHAPES,
    accuracy,
    curve_names,
    fit_curve,
    load_curve,
    perplexity,
)
from spec_files import SpecError

QWEN = load_model("qwen2.5-0.5b")
needs_data = pytest.mark.skipif(
    not os.environ.get(VARIABLE), reason=f"{VARIABLE} names no folder of public runs"
)


@pytest.fixture(scope="module")
def own():
    """A law whose losses are those of the curve hellaswag."""
    return load_law("gemstones-hot", tokens=100e9)


def test_perplexity_is_exp_of_a_whole_loss():
    law = load_law("codesign")
    assert perplexity(law, law.loss(QWEN)) == pytest.approx([np.exp(3.4754)], rel=1e-4)
    for name in ("conditional", "rounding-kumar", "vocabulary"):
        other = load_law(name)
        with pytest.raises(SpecError, match="neither a perplexity nor an accuracy"):
            perplexity(other, other.loss(QWEN))
        with pytest.raises(SpecError, match="neither a perplexity nor an accuracy"):
            accuracy(load_curve("mmlu"), other, other.loss(QWEN))


def test_gadres_curve_is_the_published_refit():
    """Error = .757 - 2.04 exp(-1.08 loss), RMSE .008, of arXiv 2403.08540's 104 models."""
    curve = load_curve("mean-of-46")
    assert curve.form == "exponential"
    assert curve.coefficients == pytest.approx({"eps": 0.757, "k": 2.04, "g": 1.08}, rel=5e-3)
    assert curve.rmse == pytest.approx(0.008, abs=5e-4)
    assert curve.at(np.array([2.5])) == pytest.approx([1 - 0.757 + 2.04 * np.exp(-2.7)], abs=2e-3)


def test_curves_agree_with_measured_accuracies():
    """Rows of Gemstones' table: 1024x28 at 10B tokens and at 40B, and the least loss of all."""
    for name, rows in {
        "hellaswag": [(3.1400, 0.331), (2.8656, 0.416), (2.4797, 0.625)],
        "arc-easy": [(3.1400, 0.413), (2.8656, 0.483), (2.4797, 0.618)],
        "piqa": [(3.1400, 0.657), (2.8656, 0.697), (2.4797, 0.753)],
        "mean-of-9": [(3.1400, 0.3759), (2.8656, 0.4081), (2.4797, 0.4826)],
    }.items():
        curve = load_curve(name)
        loss, measured = np.array(rows).T
        assert curve.at(loss) == pytest.approx(measured, abs=3 * curve.rmse)


@pytest.mark.parametrize("name", curve_names())
def test_a_shipped_curve_falls_with_loss_and_names_known_laws(name):
    curve = load_curve(name)
    losses = np.linspace(*curve.loss_range, 50)
    shares = curve.at(losses)
    assert (np.diff(shares) < 0).all()
    assert ((shares > 0.15) & (shares < 0.85)).all()
    assert {*curve.laws} <= {*law_names()}
    assert curve.laws
    assert curve.licence == "MIT"
    assert curve.origin.startswith("https://")


def test_a_curve_vouches_for_losses_of_its_own_data_and_range_only(own):
    curve = load_curve("hellaswag")
    loss = predict(own, QWEN).loss
    assert accuracy(curve, own, loss).flags() == [""]
    assert accuracy(curve, own, loss).in_range.all()
    (told,) = accuracy(curve, load_law("codesign"), loss).flags()
    assert told.startswith("losses of law codesign are of other data than the curve's: Gemstones")
    low = accuracy(curve, own, np.array([2.0, 3.0, 4.0]))
    assert low.in_range.tolist() == [False, True, False]
    assert low.flags() == ["loss 2 below 2.4797", "", "loss 4 above 3.6616"]


def test_the_interval_joins_the_curves_error_and_the_losss(own):
    curve = load_curve("hellaswag")
    loss = np.array([2.8])
    alone = accuracy(curve, own, loss)
    assert alone.high - alone.accuracy == pytest.approx([1.6449 * curve.rmse], rel=1e-3)
    ends = (loss - 0.1, loss + 0.1)
    both = accuracy(curve, own, loss, ends)
    down = curve.at(loss) - curve.at(loss + 0.1)
    assert both.accuracy - both.low == pytest.approx(np.hypot(1.6449 * curve.rmse, down), rel=1e-3)
    assert both.high - both.accuracy > both.accuracy - both.low  # steeper at lower losses
    unknown = accuracy(curve, own, loss, (loss * np.nan, loss * np.nan))
    assert unknown.low == pytest.approx(alone.low)


@pytest.mark.parametrize("form", SHAPES)
def test_a_fit_finds_the_curve_that_points_were_made_of(form):
    truth = {"exponential": (0.76, 2.0, 1.1), "logistic": (0.26, 3.2, 2.5)}[form]
    loss = np.linspace(2.3, 5.0, 200)
    made = SHAPES[form].of(loss, *truth) + np.random.default_rng(0).normal(0, 0.004, 200)
    found, rmse = fit_curve(loss, made, form)
    assert list(found) == list(SHAPES[form].names)
    assert list(found.values()) == pytest.approx(truth, rel=0.1)
    assert rmse == pytest.approx(0.004, rel=0.15)
    with pytest.raises(SpecError, match="2 points do not settle 3 coefficients"):
        fit_curve(loss[:2], made[:2], form)


def test_a_curve_joins_as_a_yaml_file(tmp_path):
    fields = yaml.safe_load((FOLDER / "hellaswag.yaml").read_text())
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(fields | {"laws": ["codesign"]}))
    curve = load_curve(path)
    assert curve.name == "mine"
    assert accuracy(curve, load_law("codesign"), np.array([3.0])).in_range.all()
    path.write_text(yaml.safe_dump(fields | {"form": "exponential"}))
    with pytest.raises(SpecError, match="a curve of form exponential has eps, k, g; read floor"):
        load_curve(path)
    with pytest.raises(SpecError, match="nearest is 'hellaswag'"):
        load_curve("helaswag")


@needs_data
def test_shipped_curves_are_what_the_data_gives():
    from roofline.laws.__main__ import curves

    found = curves()
    assert sorted(found) == curve_names()
    for name, fields in found.items():
        again = load_curve(name).model_dump()
        numbers = again.pop("coefficients")
        assert numbers == pytest.approx(fields["coefficients"], rel=1e-3)
        for key in ("form", "held_out", "points", "rmse", "laws", "source"):
            value = fields[key]
            assert again[key] == (tuple(value) if isinstance(value, list) else value)
        # the form with the least error on what was held out
        told = fields["held_out"].rpartition(": ")[2].split(", ")
        errors = {word.split()[0]: float(word.split()[1]) for word in told}
        assert errors[fields["form"]] == min(errors.values())
