"""The co-design law's uncertainty: recomputed, and held against what it must leave possible."""

import numpy as np
import pytest

from arch_space.library import load_model
from roofline.laws import interval, load_law
from roofline.laws.derived import PRIOR, codesign_uncertainty, grid, jacobian

QWEN = load_model("qwen2.5-0.5b")


@pytest.fixture(scope="module")
def law():
    return load_law("codesign")


def test_what_is_shipped_follows_from_the_law_and_the_grid(law):
    again, shipped = codesign_uncertainty(law), law.uncertainty
    assert shipped.coefficients == again.coefficients
    assert shipped.scale == again.scale
    assert shipped.basis == again.basis
    assert shipped.residual == pytest.approx(again.residual, rel=1e-3)
    sd = np.sqrt(np.diag(again.covariance))
    ours, theirs = np.array(shipped.covariance), np.array(again.covariance)
    assert (ours - theirs) / np.outer(sd, sd) == pytest.approx(0, abs=1e-4)


def test_the_residual_leaves_the_published_r2(law):
    """Runs scattered by it around the law have the validation R2 of .952."""
    losses = np.log(law.at(*grid()))
    runs = losses + np.random.default_rng(0).normal(0, law.uncertainty.residual, len(losses))
    assert 1 - np.var(runs - losses) / np.var(runs) == pytest.approx(0.952, abs=0.003)


def test_slopes_by_hand(law):
    points = grid()
    layers, losses = points[0], law.at(*points)
    slopes = dict(zip(law.specs(), jacobian(law, points).T, strict=True))
    term = law.k_l * layers**-law.a_l
    assert slopes["k_l"] == pytest.approx(term / losses, rel=1e-4)
    assert slopes["a_l"] == pytest.approx(-law.a_l * np.log(layers) * term / losses, rel=1e-4)
    assert slopes["l_inf"] == pytest.approx(law.l_inf / losses, rel=1e-4)
    width, activation, expansion = points[1], points[3], points[2]
    moe = law.k_rho * activation**law.a_rho * width**-law.b1 * expansion**-law.a_r
    assert slopes["b1"] == pytest.approx(-np.log(width) * moe / losses, rel=1e-4)  # linear


def test_the_covariance_is_that_of_a_fit_to_170_models(law):
    """Least squares on models of the grid, with the prior as pseudo-data, in a plain loop."""
    points, random = grid(), np.random.default_rng(1)
    slopes, residual = jacobian(law, points), law.uncertainty.residual
    errors = []
    for _ in range(400):
        rows = random.integers(len(slopes), size=170)
        noise = np.concatenate([random.normal(0, residual, 170), random.normal(0, PRIOR, 11)])
        design = np.concatenate([slopes[rows] / residual, np.eye(11) / PRIOR])
        weighed = noise / np.concatenate([np.full(170, residual), np.full(11, PRIOR)])
        errors.append(np.linalg.lstsq(design, weighed, rcond=None)[0])
    found = np.std(errors, axis=0)
    assert found / np.sqrt(np.diag(law.uncertainty.covariance)) == pytest.approx(1, abs=0.15)


def test_draws_spread_losses_little_farther_than_170_runs_allow(law):
    """A wider prior of k_m, a_m and l_inf fails here: .10 nats with an sd of 1."""
    drawn = law.draws(1000).at(*grid())
    slopes, covariance = jacobian(law, grid()), np.array(law.uncertainty.covariance)
    linear = np.sqrt(np.einsum("ij,jk,ik->i", slopes, covariance, slopes))
    ratio = np.std(np.log(drawn), axis=0) / linear
    assert np.median(ratio) < 2.2
    assert np.median(np.std(drawn, axis=0)) < 0.035


def test_the_interval_holds_nine_of_ten_runs(law):
    """New runs of a law drawn from the same errors, around the published one."""
    low, high = interval(law, QWEN)
    assert low < 3.4754 < high
    random = np.random.default_rng(3)
    losses = law.draws(4000, seed=9).loss(QWEN)[:, 0]
    runs = losses * np.exp(random.normal(0, law.uncertainty.residual, 4000))
    assert np.mean((runs > low) & (runs < high)) == pytest.approx(0.9, abs=0.02)
