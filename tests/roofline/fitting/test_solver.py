"""The solver against scipy, and slopes against differences."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from roofline.fitting.duals import Dual
from roofline.fitting.holdout import power_law
from roofline.fitting.model import LawModel
from roofline.fitting.recovery import codesign_runs
from roofline.fitting.solver import DELTA, huber, minimise
from roofline.laws import load_law


def noisy(noise=0.01, seed=0):
    """60 runs of a law of two variables, with a few that went wrong."""
    random = np.random.default_rng(seed)
    size, tokens = 10 ** random.uniform(7.5, 9.5, 60), 10 ** random.uniform(9, 11.5, 60)
    law = power_law("parameters", "tokens")
    model = LawModel(law, (size, tokens), {})
    truth = np.log([1.7, 400.0, 0.34, 900.0, 0.3])
    measured = model(truth[None])[0] + noise * random.standard_normal(60)
    measured[:3] += 0.3
    return model, truth, measured


@pytest.mark.parametrize("delta", [DELTA, 0.01, 0.1])
def test_least_cost_is_no_higher_than_scipys(delta):
    model, truth, measured = noisy()
    ours = minimise(model, model.starts(32, 0), model.low, model.high, measured, delta=delta)
    best = ours.points[ours.cost.argmin()]
    theirs = least_squares(
        lambda point: model(point[None])[0] - measured,
        truth,  # with every advantage: the truth to start from
        jac=lambda point: model.slopes(point[None])[1][0].T,
        loss="huber",
        f_scale=delta,
        x_scale="jac",
        ftol=1e-15,
        xtol=1e-15,
        gtol=1e-15,
        max_nfev=5000,
    )
    # scipy's cost is half of its rho: the same as the Huber loss here
    reached = huber(model(theirs.x[None])[0] - measured, delta).sum()
    assert theirs.cost == pytest.approx(reached)
    assert ours.cost.min() <= reached * (1 + 1e-7)
    if delta == 0.1:  # smooth enough for scipy to arrive as well
        assert ours.cost.min() == pytest.approx(reached, rel=1e-6)
        np.testing.assert_allclose(best, theirs.x, rtol=1e-3)


def test_most_starts_find_the_same_fit():
    model, _, measured = noisy()
    found = minimise(model, model.starts(64, 1), model.low, model.high, measured)
    assert (found.cost < found.cost.min() * (1 + 1e-4)).mean() > 0.4
    assert found.settled.mean() > 0.9


def test_a_bent_valley_is_followed_to_its_end():
    """The co-design law's k_m / d_m^a_m + l_inf: runs tell k_m a_m and the sum, along a curve.

    From the truth this noise leads far along it; steps that were straight would need 1324.
    """
    law = load_law("codesign")
    model = LawModel(law, codesign_runs(), {})
    truth = model.points(law.coefficients())[None]
    random = np.random.default_rng(0)
    measured = model(truth)[0] + 0.01 * random.standard_normal(170)
    found = minimise(
        model, truth, model.low, model.high, measured, most_steps=3000, tolerance=1e-12
    )
    assert found.settled.all()
    assert found.steps[0] < 900
    assert found.points[0, -1] < np.log(0.1)  # l_inf was 2.53


def test_weights_are_repeated_runs():
    model, _, measured = noisy()
    counts = np.random.default_rng(3).integers(0, 4, len(measured))
    starts = model.starts(16, 0)
    rows = np.repeat(np.arange(len(measured)), counts)
    other = LawModel(model.law, tuple(column[rows] for column in model.variables), {})
    weighed = minimise(model, starts, model.low, model.high, measured, counts[None])
    repeated = minimise(other, starts, model.low, model.high, measured[rows])
    assert weighed.cost.min() == pytest.approx(repeated.cost.min(), rel=1e-6)


def test_fits_do_not_see_each_other():
    """Each fit of a batch, with its own data and box, ends where it would alone."""
    model, truth, _ = noisy()
    measured = np.stack([noisy(seed=seed)[2] for seed in range(3)])
    measured = model(truth[None])[0] + measured - measured.mean(axis=1, keepdims=True)
    low, high = np.tile(model.low, (3, 1)), np.tile(model.high, (3, 1))
    low[1, 0] = high[1, 0] = np.log(1.5)  # held
    starts = np.tile(truth, (3, 1))
    together = minimise(model, starts, low, high, measured)
    for i in range(3):
        alone = minimise(model, starts[i : i + 1], low[i], high[i], measured[i])
        np.testing.assert_allclose(together.cost[i], alone.cost[0], rtol=1e-6)
    assert together.points[1, 0] == np.log(1.5)


def test_bounds_hold_and_bind():
    model, truth, measured = noisy()
    low = model.low.copy()
    low[2] = truth[2] + 0.2  # the exponent may not be what it is
    found = minimise(model, model.starts(16, 0), low, model.high, measured)
    assert (found.points >= low).all()
    assert (found.points <= model.high).all()
    assert found.points[found.cost.argmin(), 2] == low[2]


def test_a_start_without_a_loss_is_no_fit():
    model, truth, measured = noisy()
    starts = np.stack([truth, np.full(5, np.nan)])
    found = minimise(model, starts, model.low, model.high, measured)
    assert np.isfinite(found.cost[0])
    assert np.isinf(found.cost[1])


def test_slopes_of_the_codesign_law_are_those_of_differences():
    law = load_law("codesign")
    model = LawModel(law, codesign_runs(40), {})
    points = model.points(law.coefficients()) + 0.1 * np.random.default_rng(0).standard_normal(
        (3, 11)
    )
    values, slopes = model.slopes(points)
    np.testing.assert_allclose(values, model(points))
    np.testing.assert_allclose(slopes, model._by_differences(points), rtol=1e-5, atol=1e-8)


FUNCTIONS = [
    lambda x, y: x + y - 3 * x / y + 2.0 / y,
    lambda x, y: x**y + y**2 + 2**x + (-x) * (+y),
    lambda x, y: np.exp(x) * np.log(y) + np.expm1(x) - np.log1p(y) + np.exp2(x),
    lambda x, y: np.sqrt(x) * np.log10(y) / np.log2(x + 3) + np.tanh(x) + np.square(y),
    lambda x, y: np.maximum(x, y) * np.minimum(x, 2.0) + np.abs(x - y) + np.reciprocal(y),
    lambda x, y: np.where(np.asarray(x.value if isinstance(x, Dual) else x) > 1, x * y, y),
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_duals_carry_the_derivative(function):
    x, y, step = np.array([0.7, 1.4]), np.array([1.9, 0.8]), 1e-6
    found = function(Dual(x, {0: np.ones(2)}), Dual(y, {1: np.ones(2)}))
    np.testing.assert_allclose(found.value, function(x, y))
    by_x = (function(x + step, y) - function(x - step, y)) / (2 * step)
    by_y = (function(x, y + step) - function(x, y - step)) / (2 * step)
    np.testing.assert_allclose(found.slopes.get(0, 0.0) * np.ones(2), by_x, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found.slopes.get(1, 0.0) * np.ones(2), by_y, rtol=1e-6, atol=1e-8)


def test_a_function_without_a_rule_is_refused_not_guessed():
    with pytest.raises(TypeError):
        np.arctan(Dual(np.ones(2), {0: np.ones(2)}))
